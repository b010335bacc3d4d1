package ratelimit

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/paylogic/pushserver/internal/redistest"
)

// Go and Lua say the same of the same: the number that Redis has for a bucket can
// be read anywhere.
func TestRedisArrivesAsGoDoes(t *testing.T) {
	client := connect(t, redistest.StartStandalone(t).Addr())
	both := redis.NewScript(gcraSource + `
local n = {}
for a = 1, #ARGV do n[a] = tonumber(ARGV[a]) end
local replies = {}
for a = 1, #n, 6 do
  local at, part, repaired = repair(n[a], n[a + 1], n[a + 3], n[a + 4])
  local ok, atThen, partThen, left, more, future, never = arrive(at, part, n[a + 2], n[a + 3], n[a + 4], n[a + 5])
  if not ok then atThen, partThen = 0, 0 end
  replies[#replies + 1] = string.format('%.0f+%.0f %s; %s %.0f+%.0f %.0f %.0f %.0f %d',
    at, part, tostring(repaired), tostring(ok), atThen, partThen, left, more, future, never)
end
return replies`)

	rapid.Check(t, func(t *rapid.T) {
		var args []any
		var want []string
		for range rapid.IntRange(1, 50).Draw(t, "inputs") {
			r := drawRate(t)
			now := rapid.Int64Range(1_000_000_000_000_000, 4_000_000_000_000_000).Draw(t, "now") // 2001 to 2096
			n := drawCells(t, r)
			b := rapid.OneOf(rapid.Just(bucket{}), rapid.Custom(func(t *rapid.T) bucket { return drawBucket(t, r, now) })).Draw(t, "bucket")
			args = append(args, b.at, b.part, r.quota, r.window, now, n)

			b, repaired := repair(b, r, now)
			p, never := arrive(b, r, now, n), 0
			if p.never {
				never = 1
			}
			want = append(want, fmt.Sprintf("%d+%d %t; %t %d+%d %d %d %d %d",
				b.at, b.part, repaired, p.ok, p.after.at, p.after.part, p.left, p.more, p.future, never))
		}
		got, err := both.Run(context.Background(), client, nil, args...).StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v\nin Lua %s\nin Go  %s", args[6*i:6*i+6], got[i], want[i])
			}
		}
	})
}
