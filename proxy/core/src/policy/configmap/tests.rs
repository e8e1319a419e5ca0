use super::*;
use crate::policy::{Balance, BodyLimit, BodyRate, Prefixes, Via, read};
use std::num::{NonZeroU32, NonZeroU64};

fn read_data(profile: Profile, pairs: &[(&str, &str)]) -> (Settings, Vec<Finding>) {
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    settings(&ObjectRef::new("ConfigMap", "ingress", "weir"), &data, profile)
}

fn weir(pairs: &[(&str, &str)]) -> (Settings, Vec<Finding>) {
    read_data(Profile::Weir, pairs)
}

/// The policy of an object with these annotations under these settings.
fn policy(settings: &Settings, pairs: &[(&str, &str)]) -> Policy {
    let annotations =
        pairs.iter().map(|(name, value)| (format!("weir.dev/{name}"), (*value).to_owned())).collect();
    read(&ObjectRef::new("Ingress", "shop", "front"), &annotations, settings, &Prefixes::default()).0
}

fn codes(findings: &[Finding]) -> Vec<(&str, Severity, &str)> {
    findings.iter().map(|f| (f.field.as_str(), f.severity, f.code)).collect()
}

#[test]
fn nothing_is_the_profile() {
    assert_eq!(weir(&[]), (Settings::default(), vec![]));
    let (nginx, findings) = read_data(Profile::IngressNginx, &[]);
    assert_eq!(
        (nginx.rate_status, nginx.connections_status, nginx.ipv6_prefix, nginx.ipv4_prefix),
        (503, 503, 128, 32)
    );
    assert_eq!(nginx.defaults.body.min_rate, BodyRate::Off, "it knows no such thing");
    assert_eq!(nginx.trust.proxies, ["0.0.0.0/0".parse().unwrap()]);
    assert_eq!(findings, []);
}

#[test]
fn every_key_reaches_its_setting() {
    let (settings, findings) = weir(&[
        ("limit-req-status-code", "503"),
        ("limit-conn-status-code", "420"),
        ("limit-conn-zone-variable", "$remote_addr"),
        ("limit-ipv4-prefix", "24"),
        ("limit-ipv6-prefix", "56"),
        ("block-cidrs", "192.0.2.1"),
        ("generate-request-id", "false"),
        ("enable-underscores-in-headers", "true"),
        ("compute-full-forwarded-for", "true"),
        ("forwarded-for-header", "CF-Connecting-IP"),
        ("proxy-real-ip-cidr", "10.0.0.0/8"),
        ("use-forwarded-headers", "true"),
        ("retry-non-idempotent", "true"),
        ("load-balance", "least_in_flight"),
        ("service-upstream", "true"),
        ("proxy-body-size", "8m"),
        ("whitelist-source-range", "10.0.0.0/8"),
        ("limit-rps", "7"),
        ("limit-burst-multiplier", "2"),
        ("disable-access-log", "true"),
        ("skip-access-log-urls", "/healthz, /readyz"),
    ]);
    assert_eq!(findings, []);
    assert!(settings.log.disabled);
    assert_eq!(settings.log.skip, ["/healthz", "/readyz"]);
    assert_eq!((settings.rate_status, settings.connections_status), (503, 420));
    assert_eq!((settings.ipv4_prefix, settings.ipv6_prefix), (24, 56));
    assert_eq!(settings.block, ["192.0.2.1/32".parse().unwrap()]);
    assert!(!settings.generate_request_id && settings.underscores_in_headers);
    assert!(settings.trust.append && settings.retry_non_idempotent);
    assert_eq!(settings.trust.header, "CF-Connecting-IP");
    assert_eq!(settings.trust.address, TrustMode::All);
    assert!(settings.trust.believes("10.1.2.3".parse().unwrap()));
    assert!(!settings.trust.believes("192.0.2.1".parse().unwrap()));
    let defaults = &settings.defaults;
    assert_eq!((defaults.origin.balance, defaults.origin.via), (Balance::LeastInFlight, Via::ClusterIp));
    assert!(defaults.origin.next.non_idempotent);
    assert_eq!(defaults.body.max, BodyLimit::Bytes(8 << 20));
    assert_eq!(defaults.access.allow, Some(vec!["10.0.0.0/8".parse().unwrap()]));
    assert_eq!(defaults.limits.per_second, NonZeroU64::new(7));
}

#[test]
fn bounds_of_heads_and_a_keep_alive_of_nothing_are_read() {
    let (settings, findings) = weir(&[
        ("keep-alive", "0"),
        ("client-header-buffer-size", "2k"),
        ("large-client-header-buffers", "8  16K"),
        ("client-header-fields", "99"),
    ]);
    assert_eq!(findings, []);
    assert!(settings.edge.idle_timeout.is_zero());
    let head = settings.edge.head;
    assert_eq!((head.first, head.count, head.size, head.max_fields()), (2 << 10, 8, 16 << 10, 99));
    assert_eq!((head.max_bytes(), head.max_line_bytes()), (128 << 10, 16 << 10));
    // More than there can be is cut, and nothing that makes no sense is in force.
    let (settings, findings) =
        weir(&[("client-header-buffer-size", "4g"), ("large-client-header-buffers", "1000000000 8g")]);
    assert_eq!(
        codes(&findings).iter().map(|(_, severity, code)| (*severity, *code)).collect::<Vec<_>>(),
        [(Severity::Warn, "note"); 2]
    );
    assert_eq!((settings.edge.head.max_bytes(), settings.edge.head.max_line_bytes()), (512 << 10, 512 << 10));
    for (key, value) in [
        ("keep-alive", "-1"),
        ("client-header-buffer-size", "0"),
        ("large-client-header-buffers", "4"),
        ("large-client-header-buffers", "0 8k"),
        ("large-client-header-buffers", "4 255"),
        ("large-client-header-buffers", "8k 4"),
        ("client-header-fields", "0"),
        ("client-header-fields", "257"),
    ] {
        let (settings, findings) = weir(&[(key, value)]);
        assert_eq!(settings.edge, crate::policy::Edge::default(), "{key}: {value}");
        assert_eq!(findings.len(), 1, "{key}: {value}");
    }
}

#[test]
fn bodies_that_are_held_have_a_least_speed_whatever_is_said() {
    let rates = |value: &str| {
        let (settings, _) = weir(&[("body-min-rate", value)]);
        (settings.defaults.body.min_rate, settings.edge.body_rate.get())
    };
    let least = |rate| BodyRate::Least(NonZeroU64::new(rate).unwrap());
    assert_eq!(rates("2k"), (least(2048), 2048));
    assert_eq!(rates("100g"), (least(100 << 30), u32::MAX));
    assert_eq!(rates("0"), (BodyRate::Off, 512));
    for unset in ["", "slow"] {
        assert_eq!(rates(unset), (BodyRate::Unset, 512), "{unset}");
    }
}

#[test]
fn an_object_may_let_its_bodies_be_slow_where_the_class_does_not() {
    for (class, own, expected) in [
        ("", "0", BodyRate::Off),
        ("2k", "0", BodyRate::Off),
        ("0", "", BodyRate::Off),
        ("0", "1", BodyRate::Least(NonZeroU64::MIN)),
        ("", "", BodyRate::Unset),
    ] {
        let (settings, _) = weir(&[("body-min-rate", class)]);
        let policy = policy(&settings, &[("body-min-rate", own)]);
        assert_eq!(policy.body.min_rate, expected, "{class:?}, {own:?}");
    }
}

#[test]
fn an_annotation_wins_over_the_class_default() {
    let (settings, _) = weir(&[("limit-rps", "7"), ("limit-connections", "3")]);
    let policy = policy(&settings, &[("limit-rps", "9")]);
    assert_eq!(policy.limits.per_second, NonZeroU64::new(9));
    assert_eq!(policy.limits.connections, NonZeroU32::new(3));
}

#[test]
fn an_invalid_protection_refuses_who_has_none_of_its_own() {
    for (key, own) in [
        ("limit-rps", "5"),
        ("limit-window", "5/m"),
        ("denylist-source-range", "192.0.2.1"),
        ("whitelist-source-range", "192.0.2.1"),
        ("allow-methods", "GET"),
        ("max-header-bytes", "8k"),
    ] {
        let (settings, findings) = weir(&[(key, "§")]);
        let field = format!("data[{key}]");
        assert_eq!(codes(&findings), [(field.as_str(), Severity::Fail, "invalid-value")]);
        let why = policy(&settings, &[]).refuse_all.unwrap_or_default();
        assert!(why.contains(&format!("data[{key}] in ConfigMap ingress/weir")), "{why}");
        assert_eq!(policy(&settings, &[(key, own)]).refuse_all, None, "{key}");
    }
}

#[test]
fn an_invalid_value_with_a_safe_default_is_the_default() {
    let (settings, findings) =
        weir(&[("proxy-body-size", "big"), ("proxy-read-timeout", "60s"), ("limit-req-status-code", "200")]);
    assert_eq!(settings, Settings::default());
    assert_eq!(findings.len(), 3);
    assert!(findings.iter().any(|f| f.message.ends_with("In force instead: 1m.")), "{findings:?}");
}

#[test]
fn invalid_block_cidrs_refuse_everything() {
    let (settings, findings) = weir(&[("block-cidrs", "192.0.2.0/24, evil")]);
    assert_eq!(settings.block, []);
    assert!(policy(&settings, &[("denylist-source-range", "192.0.2.1")]).refuse_all.is_some());
    assert!(findings[0].message.contains("Every request answers 503"), "{}", findings[0]);
}

#[test]
fn global_authentication_refuses_everything() {
    let (settings, findings) = weir(&[("global-auth-url", "http://u:p@auth/")]);
    assert!(policy(&settings, &[]).refuse_all.is_some());
    assert_eq!((findings[0].severity, findings[0].value.as_str()), (Severity::Fail, ""));
}

#[test]
fn an_invalid_trust_trusts_nobody() {
    for profile in [Profile::Weir, Profile::IngressNginx] {
        for pair in [("proxy-real-ip-cidr", "10.0.0.0/99"), ("forwarded-for-header", "X Y")] {
            let (settings, findings) = read_data(profile, &[("use-forwarded-headers", "true"), pair]);
            assert!(!settings.trust.believes("10.0.0.1".parse().unwrap()));
            assert_eq!(settings.trust.proxies, []);
            assert_eq!(findings.len(), 1);
        }
        let (settings, _) = read_data(profile, &[("use-forwarded-headers", "yes")]);
        assert!(!settings.trust.believes("10.0.0.1".parse().unwrap()));
    }
}

#[test]
fn forwarded_headers_need_named_proxies() {
    for key in ["use-forwarded-headers", "enable-real-ip"] {
        let (settings, findings) = weir(&[(key, "true")]);
        assert!(!settings.trust.believes("127.0.0.1".parse().unwrap()));
        let field = format!("data[{key}]");
        assert_eq!(codes(&findings), [(field.as_str(), Severity::Fail, "nobody-trusted")]);
    }
}

#[test]
fn parity_believes_everybody_and_says_so() {
    let (settings, findings) = read_data(Profile::IngressNginx, &[("use-forwarded-headers", "true")]);
    assert!(settings.trust.believes("192.0.2.1".parse().unwrap()));
    assert!(!settings.trust.believes("2001:db8::1".parse().unwrap()));
    assert_eq!(codes(&findings), [("data[use-forwarded-headers]", Severity::Warn, "everybody-trusted")]);
}

#[test]
fn the_wider_trust_wins() {
    let both =
        [("enable-real-ip", "true"), ("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", "10.0.0.0/8")];
    assert_eq!(weir(&both).0.trust.address, TrustMode::All);
    let address = [
        ("enable-real-ip", "true"),
        ("use-forwarded-headers", "false"),
        ("proxy-real-ip-cidr", "10.0.0.0/8"),
    ];
    assert_eq!(weir(&address).0.trust.address, TrustMode::Address);
}

#[test]
fn unknown_and_unsupported_keys_are_reported() {
    let (settings, findings) = weir(&[
        ("limit-req-status-cod", "429"),
        ("limit-overrides", "[]"),
        ("worker-processes", "4"),
        ("http-snippet", "limit_req_zone x;"),
        ("block-user-agents", "curl"),
        ("limit-conn-zone-variable", "$http_x_api_key"),
        ("zzzzzzzz", "1"),
    ]);
    assert_eq!(settings, Settings::default());
    assert_eq!(
        codes(&findings),
        [
            ("data[block-user-agents]", Severity::Fail, "not-supported"),
            ("data[http-snippet]", Severity::Fail, "not-supported"),
            ("data[limit-conn-zone-variable]", Severity::Warn, "note"),
            ("data[limit-overrides]", Severity::Fail, "annotation-only"),
            ("data[limit-req-status-cod]", Severity::Warn, "unknown-name"),
            ("data[worker-processes]", Severity::Warn, "not-supported"),
            ("data[zzzzzzzz]", Severity::Warn, "unknown-name"),
        ]
    );
    assert!(findings[4].message.contains("did you mean limit-req-status-code?"), "{}", findings[4]);
}

#[test]
fn an_alias_of_a_key_gives_way() {
    let (settings, findings) =
        weir(&[("limit-whitelist", "10.0.0.0/8"), ("limit-allowlist", "192.0.2.0/24")]);
    assert_eq!(settings.defaults.limits.exempt, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(codes(&findings), [("data[limit-whitelist]", Severity::Warn, "shadowed")]);
}

#[test]
fn what_belongs_to_no_object_is_refused_by_a_broken_default_too() {
    let (settings, _) = weir(&[("limit-rps", "7")]);
    assert_eq!(settings.unowned(), settings.defaults);
    let (settings, _) = weir(&[("limit-rps", "7/s"), ("denylist-source-range", "evil")]);
    let why = settings.unowned().refuse_all.unwrap();
    assert!(why.contains("data[limit-rps]") && why.contains("data[denylist-source-range]"), "{why}");
}
