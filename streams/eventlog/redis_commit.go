package eventlog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// Group commit: appends to logs of one master that arrive while others are on
// their way share a pipeline and its WAIT. Several pipelines run at once, so that
// one slow confirmation does not stall all appends.
const (
	maxPipelines     = 4
	maxPipelineJobs  = 128
	maxPipelineBytes = 4 << 20
)

// bellLength is about how many entries a partition's bell keeps. A gateway that
// misses one finds the log by its head.
const bellLength = 4096

// A job is one call of the append script.
type job struct {
	rediscluster.Call
	log   string
	size  int           // in bytes, about
	until time.Time     // its caller gives up then
	done  chan struct{} // closed once the call has its outcome
}

// A shard sends the jobs of one node.
type shard struct {
	log *RedisLog

	mu      sync.Mutex // guards the following
	client  *redis.Client
	waiting []*job
	running int
}

// shardOf returns the shard of the master that serves a log, as far as the
// client knows.
func (l *RedisLog) shardOf(ctx context.Context, log string) (*shard, error) {
	node, err := l.client.Master(ctx, keysOf(log).log)
	if err != nil {
		return nil, err
	}
	if s := l.shardAt(node.Options().Addr); s != nil {
		return s, nil
	}
	return nil, errors.New("a node without a shard")
}

func (l *RedisLog) shardAt(addr string) *shard {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.shards[addr]
}

func (s *shard) replace(node *redis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = node
}

// submit takes a job. It goes out at once if fewer than maxPipelines are on their
// way, and otherwise with the next one.
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

// take removes the jobs of the next pipeline, and drops those whose caller has
// given up. The caller holds s.mu.
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

// commit sends a batch of jobs, and rings the bells of their partitions.
func (l *RedisLog) commit(node *redis.Client, batch []*job) {
	const pipelines = 2 // the second one if the node did not know the script
	ctx, cancel := context.WithTimeout(context.Background(), pipelines*(l.wait+rediscluster.DialTimeout))
	defer cancel()
	calls := make([]*rediscluster.Call, len(batch))
	for i, j := range batch {
		calls[i] = &j.Call
	}
	var rings []ring
	rediscluster.Confirm(ctx, node, l.wait, calls, func(pipe redis.Pipeliner) {
		rings = ringIn(ctx, pipe, batch)
	})
	for _, j := range batch {
		close(j.done)
	}
	for _, r := range rings {
		if rediscluster.IsReply(r.cmd.Err()) {
			l.ringElsewhere(r)
		}
	}
}

// A ring is one entry of a partition's bell: its fields are names of logs.
type ring struct {
	args []any
	cmd  *redis.Cmd
}

// ringIn adds a ring for each partition that the batch appends to. This includes
// jobs whose slot is moving: the bell may still be here, and its entry only says
// "look".
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

// ringElsewhere rings a bell on another node. A failure is harmless: gateways
// find the log by its head.
func (l *RedisLog) ringElsewhere(r ring) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := l.client.Do(ctx, r.args...).Err(); err != nil {
		l.logger.Debug("a bell was not rung", "error", rediscluster.WithoutAddress(err))
	}
}
