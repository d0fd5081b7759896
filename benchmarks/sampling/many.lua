-- Post many bodies in turn and print one line of JSON. Environment: BODIES, files separated by spaces; HEADERS, one
-- header per line.
local headers, requests, last = {}, {}, 0
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do headers[name] = value end

function init()
  for path in os.getenv("BODIES"):gmatch("%S+") do
    local file = assert(io.open(path, "rb"))
    table.insert(requests, wrk.format("POST", nil, headers, file:read("*a")))
    file:close()
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format('RESULT {"answers": %d, "seconds": %.6f, "p99_ms": %.3f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
