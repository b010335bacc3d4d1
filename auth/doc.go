// Package auth says who is calling, and what they may see.
//
// A caller shows a [Secret], the text of an API key. The program keeps only
// its SHA-256, the [Hash], and beside it the [Key]: a record of what the
// bearer may do. A [Store] holds those records and the names of merchants;
// [MemoryStore], [BoltStore] and [RedisStore] are the three that exist. A
// [Keyring] recognises a key, from a bounded cache where it can.
//
// # The life of a key
//
// [Issue] makes a key, [Edit] changes what it may do, [Rotate] gives it another
// secret, and [Store.Revoke] ends it; [EnsureAdmin] makes the first admin key.
// What they have done is told as a [Change]: whoever did it publishes it on the
// [ControlLog], and every gateway that reads it there has its keyring
// [Keyring.Apply] it. From then on the keyring knows no older key than that.
//
// # Tokens
//
// A page in a browser shows a [Token], which [Tokens] has minted from a key.
// What it says is a [Grant]: clauses that narrow what its key may see. Key and
// grant are applied together to every event, the key as it is by then, so a
// token is never wider than its key and ends with it. Tokens of other issuers
// are taken where configuration says whose key they stand for.
//
// # What goes wrong
//
// Callers branch on errors. Of a bearer: [ErrMalformed], [ErrUnknown],
// [ErrRevoked], [ErrExpired], [ErrToken], [ErrTokenExpired]. Of a change:
// [ErrConflict], [ErrOverlap], [ErrNotReplicated]. [ErrUnavailable] is never an
// answer about a key. A description that cannot become a key is a [FieldError].
//
// The package knows no HTTP and fetches nothing. It compiles a clause only to check
// it; the caller matches events.
package auth
