// Package catalog describes types of events and checks the data of events against
// their schemas.
//
// A [Catalog] comes from a YAML file, or is [Builtin]. It is checked when it is
// read; using it cannot fail later:
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
// A type has a title, a description, a schema of its events' data and at least one
// example that fits the schema. An example has data, and can have a summary and the
// subject, id and source of its event. A type with state: true has one current
// value for each subject: that of the newest event. A type with deprecated: true
// is still served, but nothing new should rely on it. Any other member is an error,
// so that a misspelt one is found.
//
// Keep a type in its catalogue, deprecated if necessary, for as long as its events
// are retained. Otherwise the description lacks a type that is still delivered.
//
// # Schemas
//
// Schemas are written in JSON Schema 2020-12, with these rules:
//
//   - $ref refers to $defs of the same schema, without cycles. Nothing is fetched.
//     $id, anchors and dynamic references are rejected, and so are unknown keywords
//     that do not begin with x-.
//   - format is asserted. The formats are date-time, date, time, duration, uuid, uri,
//     uri-reference, email, hostname, ipv4 and ipv6; others are rejected. A date-time
//     follows RFC 3339, in capitals and without leap seconds.
//   - pattern is a regular expression of RE2, which takes linear time.
//   - contentEncoding, contentMediaType and contentSchema describe; they are not
//     asserted.
//   - A number in a schema is less than 10^30 and has at most 30 digits after its
//     point.
//
// Schemas neither recurse nor fetch. The cost of a check is therefore bounded by the
// size of the data times the number of schemas tried for one value.
//
// # Numbers
//
// Numbers are checked as written: 9007199254740993 is not 9007199254740992, and
// 1e400 is a number. Their size is bounded, because arithmetic on 1e999999999 would
// take all memory. A number with more than 64 digits before its point counts as one
// with 65, and digits beyond the fortieth place after the point count only as more
// than zero. No bound that a schema can set tells such numbers apart; const, enum,
// uniqueItems and multipleOf may.
package catalog
