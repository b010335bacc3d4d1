// Package faults tests what the product promises while Redis, the network, a disk
// or a gateway fails.
//
// # The fixture
//
// Six Redis servers form a cluster of three masters and three replicas. Two
// gateways serve it: processes of the real program. A publisher makes 200 events a
// second for 20 merchants, and sends each event with the same id until it is
// accepted. 60 readers follow the streams over raw sockets and share no code with
// the product: they ask for three different parts of a feed, resume by the header
// or by the query, and half of them reconnect all the time.
//
// Publisher and readers only write down what they see. After the fault, the oracle
// compares their histories with the logs. It wants that
//
//   - each accepted event reached each reader that may see it, exactly once over
//     all its connections, and in the order of the log
//   - nothing was delivered that was never published, and nothing of another
//     merchant: every event carries its merchant's canary, and all bytes are searched
//   - a reader that was given an event which the log then lost is told so by
//     stream.reset before its next event, and no reader is told so without need
//   - every answer is 201, 200 or 503
//
// After each fault the gateways must return to the goroutines and file descriptors
// that they had before it.
//
// # The faults
//
// Each fault is a subtest of TestFaults, named as below. Missing numbers are not in
// use.
//
//	T1 rolled-back log
//		The replica is frozen, the master takes 40 MB and is killed, the replica
//		takes over. No event of that time is accepted. Readers of lost events are reset.
//	T2 paused master
//		The master is paused until its replica has taken over. Each event is refused,
//		or accepted and present.
//	T3 killed master
//		The master is killed, and restarted after the failover. Nothing is lost.
//	T5 killed gateway
//		A gateway is killed again and again. Its readers resume at the other one.
//	T6 moved slot
//		A slot moves away and back, a replica is added, promoted and removed. No
//		reader is reset. In a full run, p99 of a publish is 500 ms or less.
//	T7 trimmed log
//		A reader is away while the log forgets its position. It gets one reset, with
//		exact bounds, and then everything.
//	T8 partition
//		A gateway cannot reach Redis, a shard, or the masters. Its streams stay open
//		with heartbeats, publishes are refused within 1.5 s, and readers catch up
//		within 10 s.
//	T10 full disk
//		The disk of a master is full. Publishes get 503. After the master is killed, no
//		accepted event is missing.
//	T11 full memory
//		Redis has no memory left. Publishes get 503, streams open and go on, and
//		publishing recovers without a restart.
//	T14 cut frame
//		A connection is cut once after each byte of a response. The reader resumes at
//		the last complete event.
//	T15 slow readers
//		200 readers take 2 kB/s and 50 take nothing. They cost the fast ones no time,
//		and little memory each.
//	T16 drain
//		A gateway with 2,000 streams gets SIGTERM. Each stream gets a goodbye with its
//		own time to come back, and the process ends within 30 s.
//	T18 durable directory
//		A gateway with --data is killed again and again. What it accepted is there, and
//		nothing else.
//	T19 late answers
//		Redis answers after the time-out. No answer is mistaken for the
//		answer to another command.
//	T20 idle readers
//		60 readers open streams. Redis gets no connection for them.
//	T21 all at once
//		Faults of Redis follow each other by chance, some while a gateway is killed.
//
// # How to run it
//
//	go test ./test/faults                  most rows, about three minutes
//	go test ./test/faults -faults=full -timeout 2h -v
//	go test ./test/faults -faults=soak -timeout 8h -v
//
// The run prints its seed first. -seed repeats the choices of a run.
//
// # The oracle is tested, too
//
// Each mutation of the product must turn the oracle red. A mutation is a line of
// the product with a mark, such as
//
//	if s.feed.filter.Match(entries[i].Event.Predicate()) { //mutant:always filter
//
// The compiler normally sees a comment. Only the mutant program, which this package
// builds, obeys it.
package faults
