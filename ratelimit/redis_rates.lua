-- The rates of one key: KEYS[1], a hash, policy → when its bucket is full (µs) and
-- policy+ → a part of a µs more.
local rates = KEYS[1]

-- Adds to a list what HSET takes. Redis writes a number with 17 digits, which is
-- all of it.
local function note(list, name, at, part, wasPart)
  list[#list + 1] = name
  list[#list + 1] = at
  if part ~= wasPart then
    list[#list + 1] = name .. '+'
    list[#list + 1] = part
  end
end
