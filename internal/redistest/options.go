package redistest

import "time"

// Options describe the servers of one [Open]. The zero value works.
type Options struct {
	// NodeTimeout is cluster-node-timeout, after which silence counts as a
	// failure: 2 s if it is zero.
	NodeTimeout time.Duration

	// Config holds further lines of every node's redis.conf, value by
	// directive; they win over this package's own.
	Config map[string]string

	// Disk is how many bytes the disk holds on which each of the first three
	// nodes keeps its data: that of Dir if it is zero.
	Disk int64

	// Dir is the folder in which the nodes' folders are made: that for
	// temporary files if it is empty.
	Dir string
}

// An Option changes what [Start] and [StartStandalone] start.
type Option func(*Options)

// NodeTimeout sets [Options.NodeTimeout].
func NodeTimeout(d time.Duration) Option {
	return func(o *Options) { o.NodeTimeout = d }
}

// Config adds one directive to [Options.Config].
func Config(directive, value string) Option {
	return func(o *Options) {
		if o.Config == nil {
			o.Config = make(map[string]string)
		}
		o.Config[directive] = value
	}
}

// Disk sets [Options.Disk].
func Disk(size int64) Option {
	return func(o *Options) { o.Disk = size }
}

// Dir sets [Options.Dir].
func Dir(dir string) Option {
	return func(o *Options) { o.Dir = dir }
}
