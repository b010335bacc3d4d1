-- Ends leases of one key.
-- KEYS: the leases. ARGV: their ids.
-- Returns the records of the leases that were held.
purge()
local gone = append({}, ARGV)
finish(ARGV)
return gone
