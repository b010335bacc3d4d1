package auth

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed redis_find.lua
var findLua string

//go:embed redis_create.lua
var createLua string

//go:embed redis_replace.lua
var replaceLua string

//go:embed redis_revoke.lua
var revokeLua string

//go:embed redis_used.lua
var usedLua string

//go:embed redis_merchant.lua
var merchantLua string

var findScript = redis.NewScript(findLua)

// A change is a script that changes something, by its text and its hash.
type changeScript struct{ text, sha string }

func newChangeScript(text string) changeScript {
	return changeScript{text, redis.NewScript(text).Hash()}
}

var (
	createScript   = newChangeScript(createLua)
	replaceScript  = newChangeScript(replaceLua)
	revokeScript   = newChangeScript(revokeLua)
	usedScript     = newChangeScript(usedLua)
	merchantScript = newChangeScript(merchantLua)
)
