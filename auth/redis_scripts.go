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

var (
	findScript     = redis.NewScript(findLua)
	createScript   = redis.NewScript(createLua)
	replaceScript  = redis.NewScript(replaceLua)
	revokeScript   = redis.NewScript(revokeLua)
	usedScript     = redis.NewScript(usedLua)
	merchantScript = redis.NewScript(merchantLua)
)
