-- Posts one JSON-RPC body over and over; the tokens come from the file $TOKENS, one a line, and are used in turn.
local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},"_meta":{"progressToken":1}}}'
local requests, last = {}, 0

function init()
  for token in io.lines(os.getenv("TOKENS")) do
    requests[#requests + 1] = wrk.format("POST", wrk.path, {
      ["Host"] = wrk.host .. ":" .. wrk.port,
      ["Authorization"] = "Bearer " .. token,
      ["Content-Type"] = "application/json",
      ["Accept"] = "application/json, text/event-stream",
      ["MCP-Protocol-Version"] = "2025-11-25",
    }, body)
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {"requests":%d,"secs":%.6f,"errors":%d}\n', summary.requests, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
