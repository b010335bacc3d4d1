// Package auth says who is calling, and what they may see.
//
// A caller shows a [Secret], the text of an API key. The program keeps only
// its SHA-256, the [Hash], and beside it the [Key]: a record of what the
// bearer may do. A [Store] holds those records and the names of merchants;
// [MemoryStore], [BoltStore] and [RedisStore] are the three that exist. [Issue]
// makes a key, and a [Keyring] recognises one, from a bounded cache where it
// can.
//
// What goes wrong is told apart by the errors that callers branch on:
// [ErrMalformed], [ErrUnknown], [ErrRevoked], [ErrExpired], and
// [ErrUnavailable], which is never an answer about the key. A description that
// cannot become a key is a [FieldError].
//
// The package knows no HTTP and compiles no filter: types, subjects and filter
// are carried as text for those who match events with them.
package auth
