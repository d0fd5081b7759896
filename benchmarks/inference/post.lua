-- Post one body repeatedly and print one line of JSON. Environment: BODY, a file; HEADERS, one header per line; RATE,
-- requests per second that are due whether or not earlier ones were answered, or empty.
wrk.method = "POST"
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.body = file:read("*a")
file:close()
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do wrk.headers[name] = value end

local rate = tonumber(os.getenv("RATE"))
local ffi = require("ffi")
ffi.cdef("struct moment { long seconds; long nanoseconds; }; int clock_gettime(int clock, struct moment *now);")
local moment = ffi.new("struct moment")

local function milliseconds()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
end

if rate then
  function delay() -- return the milliseconds until this connection sends its next request
    local now = milliseconds()
    due = (due or now) + 1000 / rate
    return math.max(0, due - now)
  end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done(summary, latency, requests)
  local errors, unsent = summary.errors, 0 -- requests that were due, but all connections were busy
  for _, thread in ipairs(threads) do
    local due = thread:get("due")
    if due then unsent = unsent + math.max(0, math.floor((milliseconds() - due) * rate / 1000)) end
  end
  -- Refusals are answered before the requests that wait, so these are the slowest of all.
  local accepted = 1 - errors.status / math.max(1, summary.requests)
  print(string.format(
    'RESULT {"answers": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d, "refused": %d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(100 - 50 * accepted) / 1e3, latency:percentile(100 - accepted) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout + unsent, errors.status))
end
