// Package keys is what operators do with API keys: make, list, edit, rotate and revoke
// them, and read the audit.
//
// A [Registry] changes keys in their store and announces each change on the control
// log, so that every gateway applies it to open streams. The HTTP API and the command
// line both use a Registry, so they have the same members, checks and texts. A [View]
// is a key as both show it; a [Patch] is a change as both request it.
package keys
