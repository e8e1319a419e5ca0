//! The table of annotations: names, kinds, defaults, texts, examples.
//!
//! Reading, findings, the page `docs/annotations.md` and the command `weir annotations` come out of it. To add an
//! annotation, add a row; to add a grammar, add a [`Kind`](super::value::Kind). Rows stand in the order of their groups,
//! and by name within a group. Where two rows fill one field (`limit-burst` and `limit-burst-multiplier`) the first one
//! wins, because tables are read from their end.

use super::Policy;
use super::row::{ClassDefault, Group, Heritage, OnInvalid, Row, field};
use super::value::{
    AbsoluteBurst, AlpnList, BackendProtocol, BodySize, BufferSize, BurstMultiplier, Count, Depth, Flag,
    HeadSize, HeadersWhen, InFlight, Key, LoadBalance, Methods, MinRate, MinVersion, ModeList, Nets, NextOn,
    OnOff, OptionalNets, OptionalPrefix4, OptionalPrefix6, OptionalStatus, Overrides, Page, Paths, Seconds,
    SecondsOrNone, SecretRef, ServerName, ServiceUpstream, Subject, Tries, VerifyClients, Versions, Windows,
};

/// All annotations that do something.
pub static ANNOTATIONS: &[Row<Policy>] = &[
    Row {
        name: "limit-allowlist",
        aliases: &["limit-whitelist"],
        on_invalid: OnInvalid::Default,
        summary: "Client addresses that are neither limited nor counted.",
        details: "They are exempt from the rates and from `limit-connections`, not from the lists and sizes. \
                  A list replaces the class default.",
        good: "10.0.0.0/8, 192.0.2.7",
        bad: "10.0.0.0/33",
        field: field!(Nets => limits.exempt),
        ..LIMIT
    },
    Row {
        name: "limit-burst",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "Burst of every window in requests, instead of the multiplier.",
        details: "A client not seen for a while gets so many requests at once, and one more. `0` lets requests pass only evenly spaced.",
        good: "20",
        bad: "-1",
        field: field!(AbsoluteBurst => limits.burst),
        ..LIMIT
    },
    Row {
        name: "limit-burst-multiplier",
        on_invalid: OnInvalid::Default,
        summary: "Burst of every window as a multiple of its limit.",
        details: "A client not seen for a while gets limit x multiplier + 1 requests at once. \
                  Values that are not positive break the configuration of every tenant of ingress-nginx; here the \
                  default stays in force.",
        good: "1",
        bad: "0",
        field: field!(BurstMultiplier => limits.burst),
        ..LIMIT
    },
    Row {
        name: "limit-connections",
        summary: "Most requests in flight at once, for each client.",
        details: "A request counts from its complete head to the end of its response; a stream of HTTP/2 counts as one, \
                  a websocket for its life. Idle connections do not count.",
        good: "8",
        bad: "eight",
        field: field!(InFlight => limits.connections),
        ..LIMIT
    },
    Row {
        name: "limit-headers",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "When responses carry `RateLimit` and `RateLimit-Policy`.",
        details: "`Retry-After` is on every refusal that has a time, whatever this says.",
        good: "always",
        bad: "sometimes",
        field: field!(HeadersWhen => limits.headers),
        ..LIMIT
    },
    Row {
        name: "limit-ipv4-prefix",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "IPv4 addresses with the same first so many bits are one client.",
        details: "The class default is 32: every address is a client. `0` makes everybody one client.",
        good: "24",
        bad: "33",
        field: field!(OptionalPrefix4 => limits.ipv4_prefix),
        ..LIMIT
    },
    Row {
        name: "limit-ipv6-prefix",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "IPv6 addresses with the same first so many bits are one client.",
        details: "The class default is 64 (128 with the profile `ingress-nginx`): who has one IPv6 address usually has \
                  2^64 of them.",
        good: "56",
        bad: "/64",
        field: field!(OptionalPrefix6 => limits.ipv6_prefix),
        ..LIMIT
    },
    Row {
        name: "limit-key",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "What a client is: what is counted apart.",
        details: "A part that a request lacks is replaced by `ip`. Whoever can choose a header, a cookie or an unsigned \
                  claim can choose its budget: use those behind something that checks them, or add `ip`. \
                  The signature of a token is not checked here.",
        good: "ip+header:X-Api-Key",
        bad: "header:",
        field: field!(Key => limits.key),
        ..LIMIT
    },
    Row {
        name: "limit-mode",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "Which rules refuse and which only count and log.",
        details: "A plain `observe` takes `rate`, `connections` and `body`. The lists are gates: they stay shut unless \
                  they are named, as in `observe,addresses=observe`.",
        good: "observe,connections=enforce",
        bad: "watch",
        field: field!(ModeList => limits.mode),
        ..LIMIT
    },
    Row {
        name: "limit-overrides",
        heritage: Heritage::Weir,
        class: ClassDefault::None,
        on_invalid: OnInvalid::Refuse,
        summary: "Other numbers for some paths of the object.",
        details: "The longest path that matches by segments is used. A number that is set replaces the object's and is \
                  counted apart; one that is not set goes on counting with the object.",
        good: "[{path: /login, rpm: 10}, {path: /upload, body: 64m}]",
        bad: "[{path: /login, rpx: 10}]",
        field: field!(Overrides => limits.overrides),
        ..LIMIT
    },
    Row {
        name: "limit-rpd",
        heritage: Heritage::Weir,
        summary: "Most requests per day, for each client.",
        good: "100000",
        bad: "1e5",
        field: field!(Count => limits.per_day),
        ..LIMIT
    },
    Row {
        name: "limit-rph",
        heritage: Heritage::Weir,
        summary: "Most requests per hour, for each client.",
        good: "5000",
        bad: "5k",
        field: field!(Count => limits.per_hour),
        ..LIMIT
    },
    Row {
        name: "limit-rpm",
        summary: "Most requests per minute, for each client.",
        details: "With `limit-rps` both hold. The rate is exact; ingress-nginx rounds it down to thousandths of a \
                  request per second.",
        good: "300",
        bad: "5/s",
        field: field!(Count => limits.per_minute),
        ..LIMIT
    },
    Row {
        name: "limit-rps",
        summary: "Most requests per second, for each client.",
        details: "Counted over all hosts and paths of the object together. Nothing is delayed: a request passes or is \
                  refused. What is refused is not counted.",
        good: "5",
        bad: "5rps",
        field: field!(Count => limits.per_second),
        ..LIMIT
    },
    Row {
        name: "limit-status-code",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::Default,
        summary: "Status of a refusal by rate or concurrency.",
        details: "Without it the ConfigMap keys `limit-req-status-code` and `limit-conn-status-code` say so.",
        good: "503",
        bad: "200",
        field: field!(OptionalStatus => limits.status),
        ..LIMIT
    },
    Row {
        name: "limit-window",
        heritage: Heritage::Weir,
        summary: "Most requests per window of any length, for each client.",
        details: "Units are `s`, `m`, `h` and `d`. Every window holds, beside those of the other names.",
        good: "300/10m, 5000/1d",
        bad: "300/10",
        field: field!(Windows => limits.windows),
        ..LIMIT
    },
    Row {
        name: "allow-methods",
        heritage: Heritage::Weir,
        summary: "Only these methods pass; others get 405 with `Allow`.",
        details: "`HEAD` is a method of its own.",
        good: "GET, HEAD, POST",
        bad: "GET;POST",
        field: field!(Methods => access.methods),
        ..GATE
    },
    Row {
        name: "allow-paths",
        heritage: Heritage::Weir,
        class: ClassDefault::None,
        summary: "Only paths under these prefixes pass; others get 404.",
        details: "Compared by segments, after the path of the request was brought into its canonical form: `/api` takes \
                  `/api` and `/api/x`, not `/apix`, and `/api/%2e%2e/x` is `/x`.",
        good: "/api, /static",
        bad: "api",
        field: field!(Paths => access.paths),
        ..GATE
    },
    Row {
        name: "allowlist-source-range",
        aliases: &["whitelist-source-range"],
        summary: "Only these client addresses pass; others get 403.",
        details: "A list replaces the class default. What `denylist-source-range` names is denied all the same.",
        good: "10.0.0.0/8, 2001:db8::/32",
        bad: "10.0.0.0/8; 192.0.2.7",
        field: field!(OptionalNets => access.allow),
        ..GATE
    },
    Row {
        name: "denylist-source-range",
        summary: "These client addresses get 403.",
        details: "Evaluated before the allow list. A list replaces the class default; `block-cidrs` holds beside it.",
        good: "192.0.2.0/24",
        bad: "192.0.2.0-192.0.2.9",
        field: field!(Nets => access.deny),
        ..GATE
    },
    Row {
        name: "body-min-rate",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::DefaultOrRefuse,
        summary: "Least bytes of body per second, averaged since the body began.",
        details: "A slower client is cut off with 408. Only the time counts in which weir waits for the client, and being ahead \
                  counts for no more than `client-body-timeout`. Without it a body may lag behind 512 bytes a second by \
                  `client-body-timeout`, and calls of gRPC and other conversations may be as slow as they like; a number holds \
                  for these too. With `0` every body that is forwarded as it comes may be as slow as it likes; one that is held \
                  until it is whole, or received to be dropped, must come with 512 bytes a second all the same. With the profile \
                  `ingress-nginx` the default is `0`.",
        good: "1k",
        bad: "slow",
        field: field!(MinRate => body.min_rate),
        ..SIZE
    },
    Row {
        name: "client-body-buffer-size",
        summary: "Bytes of a request body that are received before the origin is contacted; a longer one is streamed.",
        details: "At most `16m`. A request that fits 16 KiB with its head is received whole in any case, a chunked one is \
                  streamed, and nothing is ever written to disk.",
        good: "16k",
        bad: "16 kilobytes",
        field: field!(BufferSize => body.buffer),
        ..SIZE
    },
    Row {
        name: "max-header-bytes",
        heritage: Heritage::Weir,
        on_invalid: OnInvalid::DefaultOrRefuse,
        summary: "Most bytes of a request head; more is answered 431.",
        details: "Request line and headers together. The listener has a bound of its own, which this cannot lift.",
        good: "8k",
        bad: "8kb",
        field: field!(HeadSize => max_header_bytes),
        ..SIZE
    },
    Row {
        name: "proxy-body-size",
        summary: "Most bytes of a request body; more is answered 413.",
        details: "Checked against `Content-Length` before the origin is contacted, and counted as the body streams. \
                  Exactly so many pass.",
        good: "8m",
        bad: "8 mebibytes",
        field: field!(BodySize => body.max),
        ..SIZE
    },
    Row {
        name: "backend-protocol",
        class: ClassDefault::None,
        on_invalid: OnInvalid::Refuse,
        summary: "What is spoken with the origin.",
        details: "`AUTO_HTTP` is `HTTPS` where the client speaks https. `FCGI` is not spoken.",
        good: "GRPCS",
        bad: "FCGI",
        field: field!(BackendProtocol => origin.protocol),
        ..ORIGIN
    },
    Row {
        name: "load-balance",
        summary: "How an endpoint is chosen.",
        good: "round_robin",
        bad: "random",
        field: field!(LoadBalance => origin.balance),
        ..ORIGIN
    },
    Row {
        name: "proxy-connect-timeout",
        summary: "Most seconds for a connection to the origin to be made.",
        good: "10",
        bad: "10s",
        field: field!(Seconds => origin.connect_timeout),
        ..ORIGIN
    },
    Row {
        name: "proxy-next-upstream",
        summary: "When a request is tried on another endpoint.",
        details: "Requests with methods that are not idempotent are repeated only with `non_idempotent`, or when no byte \
                  of them was sent. A try charges no limit.",
        good: "error timeout http_503",
        bad: "always",
        field: field!(NextOn => origin.next),
        ..ORIGIN
    },
    Row {
        name: "proxy-next-upstream-timeout",
        summary: "Most seconds for all tries together.",
        good: "30",
        bad: "30s",
        field: field!(SecondsOrNone => origin.next.timeout),
        ..ORIGIN
    },
    Row {
        name: "proxy-next-upstream-tries",
        summary: "Most endpoints tried for one request, the first included.",
        good: "2",
        bad: "-2",
        field: field!(Tries => origin.next.tries),
        ..ORIGIN
    },
    Row {
        name: "proxy-read-timeout",
        summary: "Most seconds between two reads from the origin.",
        details: "Also the idle time of a websocket.",
        good: "3600",
        bad: "0",
        field: field!(Seconds => origin.read_timeout),
        ..ORIGIN
    },
    Row {
        name: "proxy-send-timeout",
        summary: "Most seconds between two writes to the origin.",
        good: "120",
        bad: "2m",
        field: field!(Seconds => origin.send_timeout),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-name",
        class: ClassDefault::None,
        summary: "Name that the certificate of the origin must be for, and that is sent to it.",
        details: "Without it, the name of the Service in the cluster: `web.shop.svc`.",
        good: "api.example",
        bad: "a b",
        field: field!(ServerName => origin.tls.name),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-protocols",
        class: ClassDefault::None,
        summary: "Versions of TLS that are spoken with the origin.",
        details: "1.2 alone with the profile `ingress-nginx`.",
        good: "TLSv1.3",
        bad: "TLSv1.4",
        field: field!(Versions => origin.tls.versions),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-secret",
        class: ClassDefault::None,
        on_invalid: OnInvalid::Refuse,
        summary: "Secret with `ca.crt` to check the origin with, and `tls.crt` and `tls.key` to show to it.",
        details: "Where it is missing, of another namespace, or cannot be used, every path of the object answers 503.",
        good: "shop/origin",
        bad: "origin",
        field: field!(SecretRef => origin.tls.secret),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-server-name",
        class: ClassDefault::None,
        summary: "The name is sent to the origin in the handshake (SNI).",
        good: "on",
        bad: "true",
        field: field!(OnOff => origin.tls.send_name),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-verify",
        class: ClassDefault::None,
        on_invalid: OnInvalid::Refuse,
        summary: "The certificate of the origin is checked.",
        details: "Without authorities to check with, every path of the object answers 503; ingress-nginx checks nothing then.",
        good: "on",
        bad: "true",
        field: field!(OnOff => origin.tls.verify),
        ..ORIGIN
    },
    Row {
        name: "proxy-ssl-verify-depth",
        class: ClassDefault::None,
        summary: "Longest chain of certificates of an origin.",
        good: "2",
        bad: "two",
        field: field!(Depth => origin.tls.depth),
        ..ORIGIN
    },
    Row {
        name: "service-upstream",
        summary: "Requests go to the ClusterIP of the Service, and not to its endpoints.",
        details: "For a mesh, or whatever else takes what is sent to the Service. `load-balance` and another try find one \
                  endpoint then, or one for each IP family of the Service. A Service without a ClusterIP is reached by its endpoints, and a finding \
                  says so.",
        good: "true",
        bad: "cluster-ip",
        field: field!(ServiceUpstream => origin.via),
        ..ORIGIN
    },
    Row {
        name: "use-regex",
        group: Group::Routing,
        class: ClassDefault::None,
        summary: "Paths are regular expressions, without regard to case.",
        details: "As in ingress-nginx this holds for every path of every host that the object names, those of other \
                  objects included.",
        good: "true",
        bad: "yes",
        field: field!(Flag => regex),
        ..ORIGIN
    },
    Row {
        name: "auth-tls-error-page",
        class: ClassDefault::None,
        summary: "Where clients without a valid certificate are sent, instead of 400.",
        good: "https://shop.example/certificate",
        bad: "@page",
        field: field!(Page => tls.client.error_page),
        ..TLS
    },
    Row {
        name: "auth-tls-match-cn",
        class: ClassDefault::None,
        on_invalid: OnInvalid::Deny,
        summary: "The subject of a client must match; others get 403.",
        details: "Compared anywhere in the subject in the form of RFC 4514, such as `CN=anna,O=Shop`. Only a verified certificate has a subject.",
        good: "CN=(anna|ben)",
        bad: "anna",
        field: field!(Subject => tls.client.match_cn),
        ..TLS
    },
    Row {
        name: "auth-tls-pass-certificate-to-upstream",
        class: ClassDefault::None,
        summary: "The origin gets the certificate of the client in `ssl-client-cert`.",
        good: "true",
        bad: "on",
        field: field!(Flag => tls.client.pass_certificate),
        ..TLS
    },
    Row {
        name: "auth-tls-secret",
        class: ClassDefault::None,
        on_invalid: OnInvalid::Deny,
        summary: "Secret with the authorities in `ca.crt` that sign certificates of clients; `ca.crl` revokes them.",
        details: "Clients of all hosts of the object are asked for a certificate, on every path. Where the Secret is missing, of another namespace, or cannot be used, those hosts answer 403.",
        good: "shop/ca",
        bad: "ca",
        field: field!(SecretRef => tls.client.secret),
        ..TLS
    },
    Row {
        name: "auth-tls-verify-client",
        class: ClassDefault::None,
        summary: "Whether clients must show a certificate; without one, or with an invalid one, they get 400.",
        good: "optional",
        bad: "maybe",
        field: field!(VerifyClients => tls.client.verify),
        ..TLS
    },
    Row {
        name: "auth-tls-verify-depth",
        class: ClassDefault::None,
        summary: "Longest chain of certificates of a client.",
        good: "2",
        bad: "two",
        field: field!(Depth => tls.client.depth),
        ..TLS
    },
    Row {
        name: "force-ssl-redirect",
        summary: "Requests over http are sent to https, whether the host has asked for TLS or not.",
        good: "true",
        bad: "yes",
        field: field!(Flag => tls.redirect.always),
        ..TLS
    },
    Row {
        name: "preserve-trailing-slash",
        class: ClassDefault::None,
        summary: "A redirect to https keeps a slash at the end of the target.",
        good: "true",
        bad: "yes",
        field: field!(Flag => tls.redirect.keep_slash),
        ..TLS
    },
    Row {
        name: "ssl-redirect",
        summary: "Requests over http are sent to https where the host has asked for TLS.",
        details: "A host asks for it in `spec.tls`, whatever becomes of its certificate. A redirect is answered before limits and costs nothing.",
        good: "false",
        bad: "no",
        field: field!(Flag => tls.redirect.with_certificate),
        ..TLS
    },
    Row {
        name: "tls-alpn",
        heritage: Heritage::Weir,
        class: ClassDefault::None,
        summary: "Protocols offered to the clients of the hosts.",
        good: "http/1.1",
        bad: "h3",
        field: field!(AlpnList => tls.alpn),
        ..TLS
    },
    Row {
        name: "tls-min-version",
        heritage: Heritage::Weir,
        class: ClassDefault::None,
        on_invalid: OnInvalid::DefaultOrRefuse,
        summary: "Oldest version of TLS that is spoken with the clients of the hosts.",
        details: "It only takes away from `ssl-protocols`.",
        good: "1.3",
        bad: "1.1",
        field: field!(MinVersion => tls.min_version),
        ..TLS
    },
];

/// What rows that limit have in common.
const LIMIT: Row<Policy> = Row {
    name: "",
    aliases: &[],
    group: Group::Limits,
    heritage: Heritage::IngressNginx,
    on_invalid: OnInvalid::DefaultOrRefuse,
    class: ClassDefault::Key,
    since: "0.1.0",
    summary: "",
    details: "",
    good: "",
    bad: "",
    field: field!(Flag => regex),
};
/// What lists have in common.
const GATE: Row<Policy> = Row { group: Group::Access, on_invalid: OnInvalid::Refuse, ..LIMIT };
/// What sizes have in common.
const SIZE: Row<Policy> = Row { group: Group::Sizes, on_invalid: OnInvalid::Default, ..LIMIT };
/// What the way to the origin has in common.
const ORIGIN: Row<Policy> = Row { group: Group::Origin, on_invalid: OnInvalid::Default, ..LIMIT };
/// What TLS has in common.
const TLS: Row<Policy> = Row { group: Group::Tls, on_invalid: OnInvalid::Default, ..LIMIT };
