// Package keys is what operators do with API keys: make, list, edit, rotate and
// revoke them, and read who did what.
//
// A [Registry] does it on the store of keys and tells every gateway, by the
// control log, so that what changes for a key changes for its open streams too.
// The HTTP API and the command line are two ways to one Registry: the same
// members, the same checks, the same words. A [View] is a key as both show it,
// and a [Patch] what both ask for.
package keys
