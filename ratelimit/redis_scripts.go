package ratelimit

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed redis_time.lua
var timeSource string

//go:embed redis_gcra.lua
var gcraSource string

//go:embed redis_rates.lua
var ratesSource string

//go:embed redis_leases.lua
var leasesSource string

//go:embed redis_take.lua
var takeSource string

//go:embed redis_renew.lua
var renewSource string

//go:embed redis_end.lua
var endSource string

//go:embed redis_list.lua
var listSource string

//go:embed redis_gateways.lua
var gatewaysSource string

var (
	takeScript      = script("", timeSource, gcraSource, ratesSource, leasesSource, takeSource)
	takeRatesScript = script("", timeSource, gcraSource, ratesSource, takeSource) // of asks without leases: a third is saved
	renewScript     = script("", timeSource, leasesSource, renewSource)
	endScript       = script("", timeSource, leasesSource, endSource)
	listScript      = script(" flags=no-writes", timeSource, leasesSource, listSource)
	gatewaysScript  = script("", timeSource, gatewaysSource)
)

// script joins parts that share their locals.
func script(flags string, parts ...string) *redis.Script {
	head := fmt.Sprintf("#!lua%s\nlocal life, freshLife, endedLife = %d, %d, %d\n",
		flags, LeaseLife.Milliseconds(), freshLife.Milliseconds(), endedLife.Milliseconds())
	return redis.NewScript(head + strings.Join(parts, "\n"))
}
