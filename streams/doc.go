// Package streams keeps events in logs and serves them to readers. It knows
// no HTTP.
//
// Eight sentences hold at all times:
//
//  1. A merchant has one append-only [Log], and what the log says is the truth.
//  2. A stream is one log's recent end, in memory, shared by all readers on
//     this gateway. A feed is a stream seen through one compiled filter. A
//     [Subscription] is a cursor on a feed, bound to one connection. No event
//     is ever queued for a connection.
//  3. Whoever reads at or above a feed's floor is served from memory, and from
//     the log below it. Live, slow, late and resuming readers run the same code.
//  4. An event is encoded once per gateway and [Framing] and matched once per
//     feed, however many connections there are.
//  5. A quiet cleartext HTTP/1.1 connection owns no goroutine and no buffer.
//     Both belong to activity.
//  6. A bell says "look" and carries nothing that matters. Bells may be lost,
//     doubled or merged; then a slow comparison of heads finds the log.
//  7. Delivery is at least once and in log order, and an event's id is its
//     position. Loss is never silent: what cannot be proved complete is
//     announced with stream.reset.
//  8. Redis is the distributed engine. Gateways share nothing else.
package streams
