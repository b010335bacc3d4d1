// Package eventlog keeps each merchant's events in an append-only [Log], the only
// truth about what happened. It stores and reads; package streams serves readers.
//
// Three stores implement Log: [MemoryLog], [BoltLog] (one machine, on disk) and
// [RedisLog] (a Redis Cluster). One conformance suite, TestLog, runs over all of
// them.
//
// A position ([ID]) is a proof: it carries a random tag, so that a position of
// another log, or one that a failover took away, is recognised. Every entry names
// the one before it. A read is complete from its cursor on, or it returns a [Gap]
// with the reason.
package eventlog
