// Package auth identifies callers and says what they may see.
//
// A caller presents a [Secret], the text of an API key. The program stores only the
// SHA-256 of the secret, the [Hash], and a record of what the bearer may do, the
// [Key]. A [Store] holds these records and the names of merchants. There are three:
// [MemoryStore], [BoltStore] and [RedisStore]. A [Keyring] finds a key, from a bounded
// cache where it can.
//
// # The life of a key
//
// [Issue] makes a key, [Edit] changes what it may do, [Rotate] gives it a new secret,
// and [Store.Revoke] ends it. [EnsureAdmin] makes the first admin key. After each of
// these the caller publishes a [Change] on the [ControlLog]. Each gateway reads the
// change there and passes it to [Keyring.Apply]. From then on its keyring returns no
// older version of the key.
//
// # Tokens
//
// A page in a browser presents a [Token] that [Tokens] minted from a key. The content
// of the token is a [Grant]: a clause that narrows what its key may see. Every event
// must pass both the grant and the key as it is at that time. A token is therefore
// never wider than its key, and it ends with its key. Tokens of another issuer are
// accepted if the configuration names the key that they use.
//
// # Errors
//
// Callers branch on errors. For a credential they are [ErrMalformed], [ErrUnknown],
// [ErrRevoked], [ErrExpired], [ErrToken] and [ErrTokenExpired]; for a change,
// [ErrConflict], [ErrOverlap] and [ErrNotReplicated]. [ErrUnavailable] says nothing
// about the key. An invalid description of a key is a [FieldError].
//
// The package does not use HTTP and fetches nothing. It compiles a clause only to
// check it; the caller matches events.
package auth
