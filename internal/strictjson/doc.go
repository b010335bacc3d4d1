// Package strictjson reads JSON (RFC 8259) and rejects everything that JSON
// readers interpret differently, so that every reader downstream sees the same
// value:
//
//   - bytes that are not UTF-8, and lone surrogates (encoding/json replaces them);
//   - two members of the same name in one object (encoding/json takes the last);
//   - a byte order mark;
//   - deeper nesting than the caller allows.
//
// Names are compared exactly. Numbers of any size are accepted and keep their
// digits. Errors say at which byte the text is wrong.
package strictjson
