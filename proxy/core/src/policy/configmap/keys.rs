//! The table of ConfigMap keys that annotations do not have.

use crate::policy::Settings;
use crate::policy::row::{ClassDefault, Group, Heritage, OnInvalid, Row, field};
use crate::policy::value::{
    FirstBuffer, Flag, ForwardedHeaders, HeadFields, HeaderName, Http2, InFlight, KeepAlive, LargeBuffers,
    MaxAge, Nets, PathStarts, Positive, Prefix4, Prefix6, Rate, RealIp, RedirectStatus, RejectUnknown,
    Seconds, Status, Versions, WholePaths, ZoneVariable,
};

/// Keys that are no class defaults of annotations.
pub static KEYS: &[Row<Settings>] = &[
    Row {
        name: "limit-conn-status-code",
        summary: "Status of a refusal by `limit-connections`.",
        details: "503 with the profile `ingress-nginx`. An object's `limit-status-code` wins.",
        good: "429",
        bad: "200",
        field: field!(Status => connections_status),
        ..SETTING
    },
    Row {
        name: "limit-conn-zone-variable",
        summary: "What ingress-nginx counts by; weir takes `limit-key` instead.",
        details: "`$binary_remote_addr` and `$remote_addr` are the client's address, which is the default here. Any other \
                  variable is reported and not read.",
        good: "$binary_remote_addr",
        bad: "remote_addr",
        field: field!(ZoneVariable => defaults),
        ..SETTING
    },
    Row {
        name: "limit-ipv4-prefix",
        heritage: Heritage::Weir,
        summary: "IPv4 addresses with the same first so many bits are one client.",
        good: "24",
        bad: "33",
        field: field!(Prefix4 => ipv4_prefix),
        ..SETTING
    },
    Row {
        name: "limit-ipv6-prefix",
        heritage: Heritage::Weir,
        summary: "IPv6 addresses with the same first so many bits are one client.",
        details: "128 with the profile `ingress-nginx`.",
        good: "56",
        bad: "129",
        field: field!(Prefix6 => ipv6_prefix),
        ..SETTING
    },
    Row {
        name: "limit-req-status-code",
        summary: "Status of a refusal by rate.",
        details: "503 with the profile `ingress-nginx`. An object's `limit-status-code` wins.",
        good: "429",
        bad: "99",
        field: field!(Status => rate_status),
        ..SETTING
    },
    Row {
        name: "block-cidrs",
        group: Group::Access,
        on_invalid: OnInvalid::Refuse,
        summary: "These client addresses get 403 everywhere.",
        details: "It holds beside the lists of objects; in ingress-nginx an object's own list switches it off in silence.",
        good: "192.0.2.0/24, 198.51.100.7",
        bad: "192.0.2.0/24 198.51.100.7",
        field: field!(Nets => block),
        ..SETTING
    },
    Row {
        name: "client-header-buffer-size",
        group: Group::Sizes,
        summary: "A request head of so many bytes passes, whatever `large-client-header-buffers` says.",
        details: "No memory is set aside for it. At most 512k.",
        good: "1k",
        bad: "1kb",
        field: field!(FirstBuffer => edge.head.first),
        ..SETTING
    },
    Row {
        name: "client-header-fields",
        group: Group::Sizes,
        heritage: Heritage::Weir,
        summary: "Most header fields of a request; more are answered 431.",
        good: "100",
        bad: "257",
        field: field!(HeadFields => edge.head.fields),
        ..SETTING
    },
    Row {
        name: "large-client-header-buffers",
        group: Group::Sizes,
        summary: "How large a request head may be: the number of buffers, and the bytes of each.",
        details: "A request line longer than one of them is answered 414, and a field 431 (nginx: 400), their line ends included. \
                  A head longer than all of them is answered 431. 512k are the most there can be. It holds for HTTP/2 too, as if \
                  the head had come by HTTP/1.1. An object's `max-header-bytes` can only ask for less.",
        good: "8 16k",
        bad: "8k",
        field: field!(LargeBuffers => edge.head),
        ..SETTING
    },
    Row {
        name: "retry-non-idempotent",
        group: Group::Origin,
        summary: "Requests with methods that are not idempotent are repeated too.",
        details: "As if every `proxy-next-upstream` said `non_idempotent`.",
        good: "false",
        bad: "never",
        field: field!(Flag => retry_non_idempotent),
        ..SETTING
    },
    Row {
        name: "compute-full-forwarded-for",
        group: Group::Addresses,
        summary: "`X-Forwarded-For` to the origin keeps what came and appends the peer.",
        details: "Otherwise it is the one address that was derived. Where `forwarded-for-header` names `Forwarded`, that field \
                  is sent too, with all of the way or with the client alone.",
        good: "true",
        bad: "full",
        field: field!(Flag => trust.append),
        ..SETTING
    },
    Row {
        name: "enable-real-ip",
        group: Group::Addresses,
        summary: "The client's address is read from the header of a trusted peer.",
        details: "Host, scheme and port are not. The peers are those of `proxy-real-ip-cidr`.",
        good: "false",
        bad: "on",
        field: field!(RealIp => trust.address),
        ..SETTING
    },
    Row {
        name: "enable-underscores-in-headers",
        group: Group::Addresses,
        summary: "Header names with `_` pass to the origin.",
        good: "true",
        bad: "on",
        field: field!(Flag => underscores_in_headers),
        ..SETTING
    },
    Row {
        name: "forwarded-for-header",
        group: Group::Addresses,
        on_invalid: OnInvalid::TrustNobody,
        summary: "The header with the addresses.",
        details: "`Forwarded` is read by the grammar of RFC 7239, and with `use-forwarded-headers` its `host` and `proto` \
                  stand for `X-Forwarded-Host`, `-Proto` and `-Port`, which are not read then. ingress-nginx cannot read it. What \
                  came in the header reaches the origin as `X-Original-Forwarded-For`.",
        good: "CF-Connecting-IP",
        bad: "CF Connecting IP",
        field: field!(HeaderName => trust.header),
        ..SETTING
    },
    Row {
        name: "generate-request-id",
        group: Group::Addresses,
        summary: "A request without `X-Request-ID` gets one.",
        good: "false",
        bad: "no",
        field: field!(Flag => generate_request_id),
        ..SETTING
    },
    Row {
        name: "proxy-protocol-header-timeout",
        group: Group::Addresses,
        summary: "How long a trusted peer may take for its header of the PROXY protocol.",
        good: "5",
        bad: "soon",
        field: field!(Seconds => edge.proxy_protocol.timeout),
        ..SETTING
    },
    Row {
        name: "proxy-real-ip-cidr",
        group: Group::Addresses,
        on_invalid: OnInvalid::TrustNobody,
        summary: "Peers whose forwarded headers and PROXY protocol are believed.",
        details: "Nobody by default. With the profile `ingress-nginx` all of IPv4, so that every client chooses its own \
                  address; name your load balancers.",
        good: "10.0.0.0/8",
        bad: "10.0.0.0/8/8",
        field: field!(Nets => trust.proxies),
        ..SETTING
    },
    Row {
        name: "use-forwarded-headers",
        group: Group::Addresses,
        summary: "The client's address, host, scheme and port are read from the headers of a trusted peer.",
        details: "The peers are those of `proxy-real-ip-cidr`; with the profile `weir` they must be named.",
        good: "false",
        bad: "on",
        field: field!(ForwardedHeaders => trust.address),
        ..SETTING
    },
    Row {
        name: "use-proxy-protocol",
        group: Group::Addresses,
        summary: "Connections of trusted peers begin with a header of the PROXY protocol.",
        details: "Version 1 or 2, and it names the client. The peers are those of `proxy-real-ip-cidr`; with the profile `weir` they must be named. Theirs without \
                  a header are closed, and those of others with one too. The port of the header is what \
                  `X-Forwarded-Port` says, and 443 means https.",
        good: "false",
        bad: "on",
        field: field!(Flag => edge.proxy_protocol.required),
        ..SETTING
    },
    Row {
        name: "hsts",
        group: Group::Tls,
        summary: "Responses over https say that the host wants no other (`Strict-Transport-Security`).",
        details: "It replaces what the origin says.",
        good: "false",
        bad: "on",
        field: field!(Flag => tls.hsts.send),
        ..SETTING
    },
    Row {
        name: "hsts-include-subdomains",
        group: Group::Tls,
        summary: "The promise of `hsts` holds for subdomains too.",
        good: "false",
        bad: "on",
        field: field!(Flag => tls.hsts.subdomains),
        ..SETTING
    },
    Row {
        name: "hsts-max-age",
        group: Group::Tls,
        summary: "How long the promise of `hsts` holds.",
        good: "86400",
        bad: "1y",
        field: field!(MaxAge => tls.hsts.max_age),
        ..SETTING
    },
    Row {
        name: "hsts-preload",
        group: Group::Tls,
        summary: "Browsers may ship the promise of `hsts`.",
        good: "true",
        bad: "on",
        field: field!(Flag => tls.hsts.preload),
        ..SETTING
    },
    Row {
        name: "http-redirect-code",
        group: Group::Tls,
        summary: "Status of a redirect from http to https.",
        good: "301",
        bad: "303",
        field: field!(RedirectStatus => tls.redirect_status),
        ..SETTING
    },
    Row {
        name: "no-tls-redirect-locations",
        group: Group::Tls,
        summary: "Paths of Ingresses that begin so are not sent to https.",
        details: "The path of the rule is compared, letter by letter, not that of the request.",
        good: "/.well-known/acme-challenge,/plain",
        bad: "plain",
        field: field!(PathStarts => tls.redirect_exempt),
        ..SETTING
    },
    Row {
        name: "ssl-protocols",
        group: Group::Tls,
        summary: "Versions of TLS that are spoken with clients.",
        details: "Versions before 1.2 are never spoken; a note says so. `tls-min-version` of an object can only take away.",
        good: "TLSv1.3",
        bad: "TLSv1.4",
        field: field!(Versions => tls.versions),
        ..SETTING
    },
    Row {
        name: "ssl-reject-handshake",
        group: Group::Tls,
        summary: "Handshakes for names that no rule has are refused, and so are those without a name.",
        details: "Otherwise they are shown the default certificate.",
        good: "true",
        bad: "on",
        field: field!(RejectUnknown => tls.unknown),
        ..SETTING
    },
    Row {
        name: "use-http2",
        group: Group::Tls,
        summary: "HTTP/2 is offered to clients over TLS.",
        good: "false",
        bad: "on",
        field: field!(Http2 => tls.alpn),
        ..SETTING
    },
    Row {
        name: "client-body-timeout",
        group: Group::Connections,
        summary: "How long may pass between two reads of a request body.",
        good: "60",
        bad: "0",
        field: field!(Seconds => edge.body_timeout),
        ..SETTING
    },
    Row {
        name: "client-handshake-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most TLS handshakes of one client a second.",
        details: "A client is an address, cut to `limit-ipv4-prefix` or `limit-ipv6-prefix`. Five times as many may come at once. Off with the profile `ingress-nginx`.",
        good: "50",
        bad: "50/s",
        field: field!(Rate => edge.handshake_rate_per_client),
        ..SETTING
    },
    Row {
        name: "client-handshake-timeout",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most seconds for a whole TLS handshake.",
        details: "60 with the profile `ingress-nginx`.",
        good: "5",
        bad: "5s",
        field: field!(Seconds => edge.handshake_timeout),
        ..SETTING
    },
    Row {
        name: "client-header-timeout",
        group: Group::Connections,
        summary: "How long a request head may take, from its first byte to its last.",
        details: "60 with the profile `ingress-nginx`.",
        good: "10",
        bad: "10s",
        field: field!(Seconds => edge.head_timeout),
        ..SETTING
    },
    Row {
        name: "client-send-timeout",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "How long may pass between two writes to a client that does not read.",
        good: "60",
        bad: "soon",
        field: field!(Seconds => edge.send_timeout),
        ..SETTING
    },
    Row {
        name: "client-socket-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "New sockets of one client in a second; five times as many may come at once.",
        details: "Others are closed when they are accepted. Off with the profile `ingress-nginx`.",
        good: "100",
        bad: "many",
        field: field!(Rate => edge.socket_rate_per_client),
        ..SETTING
    },
    Row {
        name: "client-sockets",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Open sockets of one client; others are closed when they are accepted.",
        details: "Off with the profile `ingress-nginx`. Proxies that `proxy-real-ip-cidr` names and that are believed have no such cap.",
        good: "512",
        bad: "many",
        field: field!(InFlight => edge.sockets_per_client),
        ..SETTING
    },
    Row {
        name: "handshake-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most TLS handshakes of all clients together a second.",
        details: "Five times as many may come at once. Off with the profile `ingress-nginx`.",
        good: "5000",
        bad: "5k",
        field: field!(Rate => edge.handshake_rate),
        ..SETTING
    },
    Row {
        name: "http2-max-concurrent-streams",
        group: Group::Connections,
        summary: "Requests of an HTTP/2 connection at once.",
        details: "Others are refused with `REFUSED_STREAM`. A change holds for new connections.",
        good: "128",
        bad: "0",
        field: field!(Positive => edge.h2_streams),
        ..SETTING
    },
    Row {
        name: "keep-alive",
        group: Group::Connections,
        summary: "How long a connection may be idle, before its first request and between requests.",
        details: "With `0` a connection is closed after its first response; until its first request it may be idle for as long \
                  as a head may take.",
        good: "75",
        bad: "75s",
        field: field!(KeepAlive => edge.idle_timeout),
        ..SETTING
    },
    Row {
        name: "keep-alive-requests",
        group: Group::Connections,
        summary: "Requests of one connection, after which it is closed.",
        good: "1000",
        bad: "0",
        field: field!(Positive => edge.requests_per_connection),
        ..SETTING
    },
    Row {
        name: "socket-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "New sockets of all clients in a second; five times as many may come at once.",
        details: "Others are closed when they are accepted. Off with the profile `ingress-nginx`.",
        good: "20000",
        bad: "many",
        field: field!(Rate => edge.socket_rate),
        ..SETTING
    },
    Row {
        name: "sockets",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Open sockets of all clients; others are closed when they are accepted.",
        details: "Off with the profile `ingress-nginx`. Half the descriptors of the process is always a cap.",
        good: "65536",
        bad: "many",
        field: field!(InFlight => edge.sockets),
        ..SETTING
    },
    Row {
        name: "disable-access-log",
        group: Group::Logs,
        summary: "There is no access log.",
        details: "Metrics count all the same.",
        good: "true",
        bad: "off-please",
        field: field!(Flag => log.disabled),
        ..SETTING
    },
    Row {
        name: "skip-access-log-urls",
        group: Group::Logs,
        summary: "Requests for these paths have no line in the access log when all is well.",
        details: "The whole path is compared, letter by letter and as it was sent, without its query. Refusals, errors \
                  and aborts have their lines, so that nobody hides behind a path.",
        good: "/healthz,/readyz",
        bad: "healthz",
        field: field!(WholePaths => log.skip),
        ..SETTING
    },
];

/// What settings have in common.
const SETTING: Row<Settings> = Row {
    name: "",
    aliases: &[],
    group: Group::Limits,
    heritage: Heritage::IngressNginx,
    on_invalid: OnInvalid::Default,
    class: ClassDefault::Key,
    since: "0.1.0",
    summary: "",
    details: "",
    good: "",
    bad: "",
    field: field!(Flag => generate_request_id),
};
