-- Keeps leases of one key, except those that were ended.
-- KEYS: the leases. ARGV: of each its id, since when (ms), filter, record.
-- Returns the ids of those that were ended.
purge()
local over = {}
for a = 1, #ARGV, 4 do
  local forgotten = redis.call('ZSCORE', ended, ARGV[a])
  if forgotten and tonumber(forgotten) > ms then
    over[#over + 1] = ARGV[a]
  else
    hold(ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
  end
end
keep()
return over
