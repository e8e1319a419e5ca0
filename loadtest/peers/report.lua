-- Called once by wrk at the end of a round: the summary as one line of JSON. Nothing runs per request.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'ROUND {"requests":%d,"microseconds":%d,"bytes":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,' ..
    '"p50":%d,"p90":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, summary.bytes, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
