// Package catalog says which types of events there are, holds events to what
// is said, and says it in the description of the API.
//
// A [Catalog] comes from a file in YAML, or is the one that this package
// carries ([Builtin]). What stands in it is checked when it is read, so that a
// catalogue that was read can be used without further errors:
//
//	types:
//	  payment.succeeded:
//	    title: Payment succeeded
//	    description: The money for an order has arrived.
//	    state: false
//	    schema:
//	      type: object
//	      required: [amount, currency]
//	      properties:
//	        amount: { type: integer, minimum: 0 }
//	        currency: { type: string, pattern: '^[A-Z]{3}$' }
//	    examples:
//	      - subject: order/9
//	        data: { amount: 1250, currency: EUR }
//
// A type has a title, a description, a schema of the events' data and at least
// one example that fits it. An example has data, and may have a summary and the
// subject, id and source of its event. A type with state: true has a current
// value for each subject, of which the newest event is all that counts. One with
// deprecated: true is still served, and nothing new should rely on it. Whatever
// else is written is an error, so that nothing misspelt is overlooked.
//
// A type stays in its catalogue, deprecated if need be, for as long as events of
// it are retained: a description that has no word for what is delivered would be
// wrong.
//
// # Schemas
//
// Schemas are written in JSON Schema 2020-12, with these rules:
//
//   - $ref leads to $defs of the same schema and never in a circle. Nothing is
//     ever fetched. $id, anchors and dynamic references are refused, and so are
//     keywords that nobody knows, unless they begin with x-.
//   - format is asserted. Formats are date-time, date, time, duration, uuid, uri,
//     uri-reference, email, hostname, ipv4 and ipv6; others are refused. A
//     date-time is one of RFC 3339 in capitals, without leap seconds.
//   - pattern is a regular expression of RE2, which takes linear time.
//   - contentEncoding, contentMediaType and contentSchema describe and are not
//     asserted.
//   - A number in a schema is less than 10^30 and has at most 30 digits behind its
//     point.
//
// Because schemas neither recurse nor fetch, what a check costs is bounded by
// the size of the data, times the number of schemas that are tried for one
// value, whatever a publisher sends.
//
// # Numbers
//
// Data is checked with its numbers as they are written: 9007199254740993 is a
// whole number other than 9007199254740992, and 1e400 is a number. Their size
// is bounded all the same, for arithmetic on 1e999999999 would take all memory:
// a number of more than 64 digits before its point counts as one of 65, and what
// stands behind the fortieth place after the point counts only as being more than
// nothing. No bound that a schema can set tells such numbers apart;
// const, enum, uniqueItems and multipleOf may.
package catalog
