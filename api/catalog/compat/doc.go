// Package compat says whether a changed catalogue can replace the one in use.
//
// A schema is a promise in two directions. Publishers were told what is accepted,
// so it must not accept less. Merchants were told what they receive, so it must not
// accept more. Everything may therefore be added, and nothing else may change:
//
//   - A type may be added. Merchants ignore types that they do not know.
//   - A member that is not required may be added to an object, unless its schema
//     excludes members that it does not name, or a pattern covers its name.
//     Merchants ignore members that they do not know.
//   - Titles, descriptions, examples, defaults, deprecation and keywords that begin
//     with x- may change.
//
// Anything else is a [Break]: a type or member that is removed, a required member
// more or less, a value more or less in an enum, a bound that moves, state in both
// directions.
//
// To change more, add a member or a type beside the old one, deprecate the old one,
// and remove it when no one relies on it. Schemas are compared as written, after
// their references: two schemas that mean the same in other words are different.
package compat
