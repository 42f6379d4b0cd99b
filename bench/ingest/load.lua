-- Shopify's deliveries: one signed body, a webhook id of its own for each. HMAC covers the body
-- only. wrk gives each thread a number; the run's name comes from the environment.
local file = io.open(os.getenv("LOAD_BODY"), "rb")
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
for line in os.getenv("LOAD_HEADERS"):gmatch("[^\n]+") do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local count = 0
local run = os.getenv("LOAD_RUN")
function request()
  count = count + 1
  wrk.headers["X-Shopify-Webhook-Id"] = run .. "-" .. number .. "-" .. count
  return wrk.format()
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"answers": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read
      + summary.errors.write + summary.errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
