//! Names of ingress-nginx that weir knows and does not act on, so that nothing an author asks for is lost in silence.

use super::value::{Flag, Kind};

/// A name without effect of its own, and what to say about it.
pub struct Unsupported {
    /// Name, without prefix. A `*` at the end stands for the rest of the name.
    pub name: &'static str,
    /// What becomes of an object that has it.
    pub consequence: Consequence,
    /// Values with which nothing is asked for, so that nothing needs to be said.
    pub idle: &'static [&'static str],
    /// What to do instead; empty if there is nothing to say but that it is not supported yet.
    pub hint: &'static str,
}

/// What becomes of an object that has an unsupported annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It works as if it were not there; a warning says so.
    Ignore,
    /// It works as if it were not there, although it may protect something; an error says so.
    Miss,
    /// It asks for a check that weir cannot make yet, so nothing passes.
    Refuse,
    /// It makes the object a canary, which `translate` leaves out.
    Canary,
    /// The paths of its hosts are regular expressions; the rest of it has no effect.
    Regex,
}

impl Unsupported {
    /// What is known about an annotation of this name.
    pub fn annotation(name: &str) -> Option<&'static Self> {
        Self::find(ANNOTATIONS, name)
    }

    /// What is known about a ConfigMap key of this name.
    pub fn key(name: &str) -> Option<&'static Self> {
        Self::find(KEYS, name)
    }

    fn find(table: &'static [Self], name: &str) -> Option<&'static Self> {
        table.iter().find(|entry| match entry.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == entry.name,
        })
    }

    /// The full names in a table of them.
    pub fn names(table: &'static [Self]) -> impl Iterator<Item = &'static str> {
        table.iter().map(|entry| entry.name).filter(|name| !name.ends_with('*'))
    }

    /// Whether `value` asks for nothing.
    pub fn is_idle(&self, value: &str) -> bool {
        let mut flag = true;
        let off = self.idle.contains(&"false") && Flag::read(&mut flag, value).is_ok() && !flag;
        off || self.idle.iter().any(|idle| idle.eq_ignore_ascii_case(value.trim()))
    }

    /// Whether its values may hold secrets, or are too long to repeat.
    pub fn hides_value(&self) -> bool {
        self.name.contains("auth") || self.name.contains("snippet")
    }
}

/// Annotations of ingress-nginx without a row in the table.
pub static ANNOTATIONS: &[Unsupported] = &[
    ignore("affinity"),
    ignore("affinity-canary-behavior"),
    ignore("affinity-mode"),
    ignore("app-root"),
    ignore_unless("auth-always-set-cookie", OFF),
    ignore("auth-cache-duration"),
    ignore("auth-cache-key"),
    ignore("auth-keepalive*"),
    ignore("auth-method"),
    miss("auth-proxy-set-headers", ""),
    miss("auth-realm", ""),
    miss("auth-request-redirect", ""),
    miss("auth-response-headers", ""),
    miss("auth-secret", ""),
    miss("auth-secret-type", ""),
    miss("auth-signin", ""),
    miss("auth-signin-redirect-param", ""),
    refused("auth-snippet", SNIPPET),
    refuse("auth-type", "passwords cannot be checked yet"),
    refuse("auth-url", "the authentication service cannot be asked yet"),
    canary("canary"),
    ignore("canary-*"),
    refused("configuration-snippet", SNIPPET),
    ignore("connection-proxy-header"),
    ignore("cors-*"),
    ignore("custom-headers"),
    ignore("custom-http-errors"),
    ignore("default-backend"),
    ignore_unless("disable-proxy-intercept-errors", OFF),
    ignore_unless("enable-access-log", &["true"]),
    ignore_unless("enable-cors", OFF),
    ignore("enable-global-auth"),
    refused("enable-modsecurity", WAF),
    ignored("enable-opentelemetry", "tracing is a setting of the whole proxy"),
    ignored("enable-opentracing", "tracing is a setting of the whole proxy"),
    refused("enable-owasp-core-rules", WAF),
    ignored("enable-rewrite-log", "it is a debugging aid of nginx"),
    refused("fastcgi-index", "weir speaks HTTP to origins; put a FastCGI server behind an HTTP one"),
    refused(
        "fastcgi-params-configmap",
        "weir speaks HTTP to origins; put a FastCGI server behind an HTTP one",
    ),
    ignore_unless("from-to-www-redirect", OFF),
    refused("global-rate-limit*", "use limit-window, limit-key and limit-allowlist"),
    refused("grpc-backend", "ingress-nginx removed it"),
    ignored("http2-push-preload", "browsers have removed server push"),
    ignored("influxdb-*", "ingress-nginx removed it; scrape /metrics"),
    miss("limit-rate", ""),
    miss("limit-rate-after", ""),
    refused("lua-resty-waf*", WAF),
    refused("mirror-host", "traffic is not mirrored"),
    refused("mirror-request-body", "traffic is not mirrored"),
    refused("mirror-target", "traffic is not mirrored"),
    refused("modsecurity-snippet", WAF),
    refused("modsecurity-transaction-id", WAF),
    ignored("opentelemetry-*", "tracing is a setting of the whole proxy"),
    ignored("opentracing-*", "tracing is a setting of the whole proxy"),
    ignore("permanent-redirect"),
    ignore("permanent-redirect-code"),
    ignore_unless("proxy-buffer-size", &[]),
    ignore_unless("proxy-buffering", &["off"]),
    ignore("proxy-buffers-number"),
    ignore("proxy-busy-buffers-size"),
    ignore_unless("proxy-cookie-domain", &["off"]),
    ignore_unless("proxy-cookie-path", &["off"]),
    ignore_unless("proxy-http-version", &["1.1"]),
    ignored("proxy-max-temp-file-size", "nothing is ever written to disk"),
    ignore_unless("proxy-redirect-from", &["off"]),
    ignore_unless("proxy-redirect-to", &["off"]),
    miss("proxy-request-buffering", ""),
    missed("proxy-ssl-ciphers", CIPHERS, &["DEFAULT"]),
    ignore("relative-redirects"),
    regex("rewrite-target"),
    miss_unless("satisfy", &["all"]),
    refused("secure-backends", "ingress-nginx removed it"),
    refused("secure-verify-ca-secret", "ingress-nginx removed it"),
    ignore("server-alias"),
    refused("server-snippet", SNIPPET),
    ignore("session-cookie-*"),
    miss("ssl-ciphers", CIPHERS),
    miss_unless("ssl-passthrough", OFF),
    ignored("ssl-prefer-server-ciphers", "all suites are strong, and the client's choice is as good"),
    refused("stream-snippet", SNIPPET),
    ignore("temporal-redirect"),
    ignore("temporal-redirect-code"),
    ignore("upstream-hash-by*"),
    ignore("upstream-vhost"),
    ignore_unless("use-port-in-redirects", OFF),
    ignore("x-forwarded-prefix"),
];

/// ConfigMap keys of ingress-nginx without a row in the table.
pub static KEYS: &[Unsupported] = &[
    ignore("access-log-*"),
    ignore("add-headers"),
    ignore("aio-write"),
    ignore("allow-backend-server-header"),
    ignore_unless("allow-cross-namespace-resources", OFF),
    refused("allow-snippet-annotations", SNIPPET),
    ignore("annotation-value-word-blocklist"),
    ignore("annotations-risk-level"),
    ignore("bind-address"),
    miss("block-referers", ""),
    miss("block-user-agents", ""),
    ignore("brotli-*"),
    ignore("custom-http-errors"),
    ignore("debug-connections"),
    ignore("default-type"),
    ignore("disable-ipv6*"),
    ignore("enable-access-log-for-default-backend"),
    ignore("enable-auth-access-log"),
    ignore_unless("enable-brotli", OFF),
    refused("enable-modsecurity", WAF),
    ignore("enable-multi-accept"),
    ignore_unless("enable-ocsp", OFF),
    ignored("enable-opentelemetry", "tracing is a setting of the whole proxy"),
    refused("enable-owasp-modsecurity-crs", WAF),
    ignore("enable-syslog"),
    ignore("error-log-*"),
    ignore("forwarded-for-proxy-protocol-header"),
    ignore("generate-request-id-*"),
    ignore("geoip*"),
    ignore("global-allowed-response-headers"),
    ignore("global-auth-always-set-cookie"),
    ignore("global-auth-cache-*"),
    ignore("global-auth-method"),
    ignore("global-auth-request-redirect"),
    ignore("global-auth-response-headers"),
    ignore("global-auth-signin*"),
    ignore("global-auth-snippet"),
    refuse("global-auth-url", "the authentication service cannot be asked yet"),
    refused("global-rate-limit*", "use limit-window, limit-key and limit-allowlist"),
    ignore("grpc-buffer-size-kb"),
    ignore("gzip-*"),
    ignore("hide-headers"),
    refused("http-snippet", SNIPPET),
    ignore("http2-body-preread-size"),
    ignored("http2-max-field-size", "large-client-header-buffers bounds it, as in nginx since 1.19.7"),
    ignored("http2-max-header-size", "large-client-header-buffers bounds it, as in nginx since 1.19.7"),
    ignore("http2-max-requests"),
    ignore("ignore-invalid-headers"),
    ignore("jaeger-*"),
    miss("limit-rate", ""),
    miss("limit-rate-after", ""),
    refused("location-snippet", SNIPPET),
    ignore("log-format-*"),
    ignore("lua-shared-dicts"),
    refused("main-snippet", SNIPPET),
    ignore("map-hash-bucket-size"),
    ignore("max-worker-connections"),
    ignore("max-worker-open-files"),
    refused("modsecurity-snippet", WAF),
    ignore("nginx-status-ipv*"),
    ignore("no-auth-locations"),
    ignore("opentelemetry-*"),
    ignore("opentracing-*"),
    ignore("otel-*"),
    ignore("otlp-*"),
    ignore("plugins"),
    ignore_unless("proxy-add-original-uri-header", OFF),
    ignore("proxy-buffer-size"),
    ignore_unless("proxy-buffering", &["off"]),
    ignore("proxy-buffers-number"),
    ignore("proxy-busy-buffers-size"),
    ignore("proxy-cookie-*"),
    ignore("proxy-headers-hash-*"),
    ignore_unless("proxy-http-version", &["1.1"]),
    ignored("proxy-max-temp-file-size", "nothing is ever written to disk"),
    ignore("proxy-redirect-*"),
    miss("proxy-request-buffering", ""),
    ignore("proxy-set-headers"),
    ignored(
        "proxy-ssl-location-only",
        "each object's own `proxy-ssl-*` hold for its own paths, as if it were `true`",
    ),
    ignore("proxy-stream-*"),
    ignore_unless("relative-redirects", OFF),
    ignore("reuse-port"),
    ignore("server-name-hash-*"),
    refused("server-snippet", SNIPPET),
    ignore("server-tokens"),
    ignore("ssl-buffer-size"),
    miss("ssl-ciphers", CIPHERS),
    ignored("ssl-dh-param", "no suite with such parameters is spoken"),
    ignore_unless("ssl-early-data", OFF),
    ignore_unless("ssl-ecdh-curve", &["auto"]),
    ignored("ssl-prefer-server-ciphers", "all suites are strong, and the client's choice is as good"),
    ignore("ssl-session-*"),
    refused("stream-snippet", SNIPPET),
    ignore("strict-validate-path-type"),
    ignore("syslog-*"),
    ignore("upstream-keepalive-*"),
    ignore_unless("use-geoip*", OFF),
    ignore("use-gzip"),
    ignore("use-port-in-redirects"),
    ignore("variables-hash-*"),
    ignore("worker-*"),
];

const fn ignore(name: &'static str) -> Unsupported {
    Unsupported { name, consequence: Consequence::Ignore, idle: &[], hint: "" }
}

const fn ignore_unless(name: &'static str, idle: &'static [&'static str]) -> Unsupported {
    Unsupported { idle, ..ignore(name) }
}

const fn ignored(name: &'static str, hint: &'static str) -> Unsupported {
    Unsupported { hint, ..ignore(name) }
}

const fn miss(name: &'static str, hint: &'static str) -> Unsupported {
    Unsupported { consequence: Consequence::Miss, hint, ..ignore(name) }
}

const fn miss_unless(name: &'static str, idle: &'static [&'static str]) -> Unsupported {
    Unsupported { idle, ..miss(name, "") }
}

const fn missed(name: &'static str, hint: &'static str, idle: &'static [&'static str]) -> Unsupported {
    Unsupported { hint, ..miss_unless(name, idle) }
}

/// What weir will never do, or what is gone from ingress-nginx too.
const fn refused(name: &'static str, hint: &'static str) -> Unsupported {
    Unsupported { idle: OFF, ..miss(name, hint) }
}

const fn refuse(name: &'static str, hint: &'static str) -> Unsupported {
    Unsupported { consequence: Consequence::Refuse, ..ignored(name, hint) }
}

const fn canary(name: &'static str) -> Unsupported {
    Unsupported { consequence: Consequence::Canary, ..ignore_unless(name, OFF) }
}

const fn regex(name: &'static str) -> Unsupported {
    Unsupported { consequence: Consequence::Regex, ..ignore(name) }
}

/// Every spelling of false.
const OFF: &[&str] = &["false"];
const SNIPPET: &str = "nginx text is never read; a `deny`, `return` or `limit_req` in it is not in force: use \
                       denylist-source-range, allow-paths, allow-methods, limit-rps and the other limit annotations";
const CIPHERS: &str = "suites cannot be chosen: those of TLS 1.3 and the ECDHE ones of 1.2 with AES-GCM or ChaCha20 are \
                       spoken; ssl-protocols and tls-min-version choose versions";
const WAF: &str = "weir is no web application firewall; run one before or behind it";
