//! The fields of a line, for the page.

/// Name and meaning of each field, in the order of a line. Fields that a request has nothing for are left out.
pub const FIELDS: &[(&str, &str)] = &[
    ("time", "When the line was written, UTC, RFC 3339 with milliseconds."),
    ("client", "Address that limits and lists look at."),
    (
        "peer",
        "Address of the connection's other end; the load balancer's, where the PROXY protocol named the client.",
    ),
    ("method", "Method as sent; at most 32 bytes."),
    ("host", "Host as sent; at most 255 bytes."),
    ("path", "Path as sent, without the query; at most 1024 bytes."),
    ("protocol", "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`."),
    (
        "status",
        "Status sent; 0 when none was. Where a client of gRPC got 200 and a `grpc-status` from weir itself, the status \
         that it stands for.",
    ),
    ("namespace", "Namespace of the Ingress that took the request."),
    ("ingress", "Its name."),
    ("service", "Service and port of the path."),
    ("reason", "Why weir answered itself: a refusal or an error. Without it the origin answered."),
    ("fault", "The rule of HTTP that the head breaks, as in `weir_malformed_requests_total`."),
    ("rule", "Rule that refused, or the first that would have: the annotation without its prefix."),
    ("rule_reason", "Why that rule spoke."),
    ("mode", "`enforce`, or `observe` for a rule that would have refused."),
    ("upstream", "Address of the endpoint that answered, or of the last one tried."),
    ("upstream_tries", "Endpoints tried."),
    ("upstream_status", "Status that the origin sent; 0 when none came."),
    ("upstream_latency", "Seconds from the first byte sent to the origin to the first byte of its response."),
    ("upstream_result", "How the exchange with the origin ended."),
    ("duration", "Seconds from the end of the request head to the end of the response."),
    ("bytes_in", "Bytes received: head and body."),
    ("bytes_out", "Bytes sent: head and body."),
    ("end", "`complete`, `client-abort` or `origin-abort`."),
    (
        "abort",
        "What was going on when the client's side broke off: `accept`, `proxy-protocol`, `handshake`, `head`, `body`, \
         `wait` for the origin, or `response`.",
    ),
    ("abort_reason", "Why, or how: the words are those of the metrics (docs/metrics.md)."),
    ("request_id", "Value of `X-Request-ID`."),
    ("lane", "`express`, `pingora` or `h2`: which code served the request."),
    (
        "withheld",
        "In a line that stands for others, once a second: what happened. `refused`, `failed` (answered here, by no rule), \
         `observed`, `client-abort`, `accept`, `proxy-protocol` and `handshake` come with a `reason`; `served`, \
         `origin-error` (5xx) and `origin-abort` without.",
    ),
    ("lines", "In such a line: how many were left out since the last one."),
];
