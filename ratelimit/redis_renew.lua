-- Keeps leases of one key, except those that were ended and the surplus: leases
-- beyond the limit when some return that Redis does not know, or that were not
-- renewed lately. Leases that are no longer renewed do not count, or they would
-- push out streams that are open.
-- KEYS: the leases. ARGV: how many leases the key may have, 0 for any number; of
-- each its id, since when (ms), filter, record.
-- Returns the ids of those that were ended, and of the surplus, newest first.
purge()
local over, surplus, renewed, back = {}, {}, {}, 0
local stale = ms + life - freshLife
local function isStale(id)
  local expiry = redis.call('ZSCORE', leases, id)
  return not expiry or tonumber(expiry) <= stale
end

for a = 2, #ARGV, 4 do
  local id = ARGV[a]
  if wasEnded(id) then
    over[#over + 1] = id
  else
    if isStale(id) then back = back + 1 end
    hold(id, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
    renewed[id] = true
  end
end

local most, excess, kept = tonumber(ARGV[1]), 0, 0
if most > 0 and back > 0 then
  excess = math.min(back, redis.call('ZCOUNT', leases, '(' .. stale, '+inf') - most)
end
while excess > 0 do
  local newest = redis.call('ZREVRANGE', order, kept, kept + purgeMost - 1)
  if #newest == 0 then break end
  for _, id in ipairs(newest) do
    if excess > 0 and not isStale(id) then
      drop(id)
      excess = excess - 1
      if renewed[id] then surplus[#surplus + 1] = id end -- another gateway learns when it renews
    else
      kept = kept + 1
    end
  end
end
keep()
return {over, surplus}
