package redistest

import "time"

// Options describe the servers of one [Open]. The zero value works.
type Options struct {
	// NodeTimeout is cluster-node-timeout, after which a silent node counts as
	// failed: 2 s if zero.
	NodeTimeout time.Duration

	// Config has further settings of every node, value by directive. They override
	// the settings of this package.
	Config map[string]string

	// Disk gives each of the first three nodes a disk of that many bytes. If zero,
	// they keep their data in Dir.
	Disk int64

	// Dir is the parent of the nodes' folders: the system's temporary folder if
	// empty.
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
