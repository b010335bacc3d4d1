// Package streams serves the logs of [eventlog] to readers. It knows no HTTP.
//
// Eight sentences hold at all times:
//
//  1. A merchant has one append-only log, and what the log says is the truth.
//  2. A tail is the recent end of one log, in memory, shared by all its readers
//     on this gateway. A feed is a tail seen through one compiled filter. A
//     [Subscription] is a cursor on a feed, bound to one connection. Events are
//     never queued for a connection.
//  3. A reader at or above its feed's floor is served from memory, and a reader
//     below it from the log. Live, slow, late and resuming readers run the same
//     code.
//  4. An event is encoded once per gateway and [Framing], and matched once per
//     feed, however many connections there are.
//  5. A quiet cleartext HTTP/1.1 connection owns no goroutine and no buffer.
//     Both belong to activity.
//  6. A bell says "look" and carries nothing that matters. Bells may be lost,
//     doubled or merged. A slow comparison of heads finds what they missed.
//  7. Delivery is at least once and in log order, and an event's id is its
//     position. Loss is never silent: if completeness cannot be proved,
//     stream.reset says so.
//  8. Redis is the distributed engine. Gateways share nothing else.
//
// # The path of an event
//
// A bell rings the log's follower, which reads the log and adds the entries to
// its tail. The tail matches them once per feed. The fan-out writes them to
// every parked subscription, in the follower's goroutine if there are few.
// Subscriptions that are not parked find the items in the feed later, or in the
// log.
//
// # The start of a reader
//
// [Start] says where a stream, a page or a poll begins, and one function
// resolves it. The client's own position is proved by reading on from it, and a
// gap becomes a [Reset].
//
// # The states of a subscription
//
//	         Subscribe
//	             │
//	           fresh ────────────── Close ───────────────┐
//	             │ Start, Serve                          │
//	             ▼                                       ▼
//	┌────────► busy ── error, Close, End, Rescope fails ─► ended
//	│         │  │  │                                    ▲
//	│         │  │  └─ the client takes no more ─► blocked ── stuck,
//	│         │  │                                   │ │    Close, End
//	│         │  └─ the log must wait ─► stalled ─────┼─┼─── Close, End
//	│         └─ at the feed's head ─► parked ────────┼─┼─── Close, End,
//	│                                     │           │ │    write fails
//	│                                     └─ takes a  │ │
//	│                                        part ────┘ │
//	└── dispatch ─── from parked, stalled and blocked ──┘
//
// A subscription is dispatched when there is something to do: an event that
// cannot be written at once, a command, a heartbeat that Serve must write, a
// client that takes more, or a log that may be readable again. If the writer does
// not wait and the quota allows it, an event for a parked subscription is written
// in place. The subscription stays parked if the client takes all of it.
//
// The state says who may touch the cursor (feed, seq, pos, live), the states of
// a snapshot, the meter, the quota and the writer. The mutex guards the state itself, and each field that
// the struct lists below it.
//
//	state    cursor, meter, quota     writer                  what may happen
//	fresh    Subscribe's caller       none                    Start, Serve, Close; End takes effect then
//	busy     its goroutine            its goroutine           commands, heartbeats and ends are left for it
//	parked   the mutex's holder       the mutex's holder      delivery, heartbeat, dispatch, end
//	blocked  the mutex's holder       Progress and Lost only  dispatch, end
//	stalled  the mutex's holder       the mutex's holder      heartbeat, dispatch, end
//	ended    no goroutine             none                    nothing; it is in no list
//
// A blocked subscription may hold the rest of a text that was begun. What goes out
// has this order: the rest, commands, the states of a snapshot, events. A goodbye
// is left out if there is a rest.
//
// # The locks
//
// A goroutine takes these mutexes in this order, and may skip any of them. It
// never holds two of a kind.
//
//	1 Subscription.mu   over a write to a writer that does not wait
//	2 tail.mu           also guards the tail's feeds, waiters and states
//	3 Hub.mu            the tails, and whether the hub drains
//	4 waitlist.mu
//	5 heartbeats.mu
//	6 catchup.mu
//	7 tasks.mu
//
// A snapshot's mutex is taken last, and no other one under it.
//
// These nestings occur:
//
//	Subscription → tail        to park, to move the cursor in memory, to join and leave a feed
//	Subscription → waitlist    to block, unblock and stall
//	Subscription → heartbeats  to end
//	Subscription → tasks       to dispatch
//	tail → tasks               to load states and bounds
//	Hub → tasks                to open a tail
//
// A writer's own mutexes come after Subscription.mu, because Write, Progress,
// Lost and Close are called under it. A writer therefore calls
// [Subscription.Resume] with none of its mutexes held. The functions that wait
// for a tail to move are called with no mutex held. No mutex is held over a call
// of the log.
//
// Package lockorder checks the order in builds with the tag lockorder.
package streams
