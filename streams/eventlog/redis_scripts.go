package eventlog

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed redis_append.lua
var appendSource string

//go:embed redis_read.lua
var readSource string

//go:embed redis_state.lua
var stateSource string

var (
	appendScript = redis.NewScript(appendSource)
	readScript   = redis.NewScript(readSource)
	stateScript  = redis.NewScript(stateSource)
)
