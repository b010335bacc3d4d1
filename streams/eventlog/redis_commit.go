package eventlog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Group commit: appends to logs of one master that come while others are under
// way share a pipeline and its WAIT. Several pipelines are under way at once,
// so that one which waits for a slow replica does not hold up all.
const (
	maxPipelines     = 4
	maxPipelineJobs  = 128
	maxPipelineBytes = 4 << 20
)

// bellLength is about how many bells a partition keeps. Whoever misses one
// finds the log by its head.
const bellLength = 4096

// A job is one call of the append script.
type job struct {
	log    string
	call   []any        // by the hash of the script
	size   int          // about how many bytes it is
	asking bool         // the node is to serve a slot that is on its way to it
	whole  bool         // send the script itself, for the node does not know it
	until  time.Time    // nobody waits for it any more
	done   chan outcome // takes one
}

// An outcome is what became of a job.
type outcome struct {
	replies   []any
	confirmed bool  // a replica has it
	err       error // it was not done, or nobody knows whether it was
}

// A shard takes the jobs for one node.
type shard struct {
	log *RedisLog

	mu      sync.Mutex // guards the following
	client  *redis.Client
	waiting []*job
	running int
}

func (l *RedisLog) newShard(node *redis.Client) *shard { return &shard{log: l, client: node} }

// shardOf returns the shard of the master that serves a log, as far as we know.
func (l *RedisLog) shardOf(ctx context.Context, log string) (*shard, error) {
	if l.cluster == nil {
		return l.direct, nil
	}
	node, err := l.cluster.MasterForKey(ctx, keysOf(log).log)
	if err != nil {
		return nil, err
	}
	if s := l.shardAt(node.Options().Addr); s != nil {
		return s, nil
	}
	return nil, errors.New("a node without a shard")
}

// shardAt returns the shard of the node with this address, or nil.
func (l *RedisLog) shardAt(addr string) *shard {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.shards[addr]
}

// replace notes that there is a new client for the node.
func (s *shard) replace(node *redis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = node
}

func (s *shard) node() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// submit takes a job. If fewer than maxPipelines are under way it is sent at
// once; else with what else has come when the first of them is back.
func (s *shard) submit(j *job) {
	s.mu.Lock()
	s.waiting = append(s.waiting, j)
	start := s.running < maxPipelines
	if start {
		s.running++
	}
	s.mu.Unlock()
	if start {
		go s.run()
	}
}

// run sends jobs until none waits.
func (s *shard) run() {
	for {
		s.mu.Lock()
		node, batch := s.client, s.take()
		if len(batch) == 0 {
			s.running--
		}
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		s.log.commit(node, batch)
	}
}

// take removes the jobs of the next pipeline, and those for which nobody waits
// any more. The caller holds s.mu.
func (s *shard) take() []*job {
	var batch []*job
	size, n := 0, 0
	now := time.Now()
	for _, j := range s.waiting {
		if len(batch) == maxPipelineJobs || len(batch) > 0 && size+j.size > maxPipelineBytes {
			break
		}
		n++
		if j.until.After(now) {
			batch = append(batch, j)
			size += j.size
		}
	}
	s.waiting = s.waiting[n:]
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	return batch
}

// commit sends a batch of jobs and a WAIT on one connection: a WAIT speaks of
// what was written before it on its own.
func (l *RedisLog) commit(node *redis.Client, batch []*job) {
	ctx, cancel := context.WithTimeout(context.Background(), l.wait+dialTimeout)
	defer cancel()
	pipe := node.Pipeline()
	calls := make([]*redis.Cmd, len(batch))
	for i, j := range batch {
		if j.asking {
			pipe.Do(ctx, "ASKING") // for the next command only
		}
		calls[i] = redis.NewCmd(ctx, j.command()...)
		_ = pipe.Process(ctx, calls[i])
	}
	rings := ringIn(ctx, pipe, batch)
	var wait *redis.IntCmd
	if l.durability == Replicated {
		wait = redis.NewIntCmd(ctx, "WAIT", 1, l.wait.Milliseconds())
		_ = pipe.Process(ctx, wait)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error

	for i, j := range batch {
		j.done <- l.outcomeOf(calls[i], wait)
	}
	for _, r := range rings {
		if r.cmd.Err() != nil && isReply(r.cmd.Err()) {
			l.ringElsewhere(r)
		}
	}
}

// command returns the job's call of the script.
func (j *job) command() []any {
	if j.whole {
		return append([]any{"EVAL", appendSource}, j.call[2:]...)
	}
	return j.call
}

// outcomeOf reads what a pipeline brought back for one job. wait is nil if no
// replica was waited for.
func (l *RedisLog) outcomeOf(call *redis.Cmd, wait *redis.IntCmd) outcome {
	replies, err := call.Slice()
	if err != nil {
		return outcome{err: err}
	}
	if wait == nil {
		return outcome{replies: replies}
	}
	// An error here is that of a connection, or of a node that stopped being a
	// master while it waited: what it took may be lost already.
	if err := wait.Err(); err != nil {
		return outcome{err: err}
	}
	return outcome{replies: replies, confirmed: wait.Val() > 0}
}

// A ring is one entry of a partition's bell: its fields are names of logs.
type ring struct {
	args []any
	cmd  *redis.Cmd
}

// ringIn adds a ring for each partition that the batch appends to. Jobs whose
// slot is on its way ring as well: the bell may still be here, and what its
// entry says is only "look".
func ringIn(ctx context.Context, pipe redis.Pipeliner, batch []*job) []ring {
	at := make(map[int]int, 1) // index into rings, by partition
	var rings []ring
	for _, j := range batch {
		p := partitionOf(j.log)
		i, ok := at[p]
		if !ok {
			i, at[p] = len(rings), len(rings)
			rings = append(rings, ring{args: []any{"XADD", bellKey(p), "MAXLEN", "~", bellLength, "*"}})
		}
		rings[i].args = append(rings[i].args, j.log, "")
	}
	for i := range rings {
		rings[i].cmd = redis.NewCmd(ctx, rings[i].args...)
		_ = pipe.Process(ctx, rings[i].cmd)
	}
	return rings
}

// ringElsewhere rings a bell that another node has. It may fail: the log is then
// found by its head.
func (l *RedisLog) ringElsewhere(r ring) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := l.client.Do(ctx, r.args...).Err(); err != nil {
		l.logger.Debug("a bell was not rung", "error", err)
	}
}
