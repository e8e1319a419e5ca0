use super::*;
use crate::policy::Protocol;
use crate::policy::{Burst, TrustMode};
use crate::tls::VerifyClient;
use std::num::{NonZeroU32, NonZeroU64};

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let full = |name: &str| match name.split_once('/') {
        Some(_) => name.to_owned(),
        None => format!("nginx.ingress.kubernetes.io/{name}"),
    };
    pairs.iter().map(|(name, value)| (full(name), (*value).to_owned())).collect()
}

fn read_with(settings: &Settings, pairs: &[(&str, &str)]) -> (Policy, Vec<Finding>) {
    let object = ObjectRef::new("Ingress", "shop", "front");
    read(&object, &annotations(pairs), settings, &Prefixes::default())
}

fn read_pairs(pairs: &[(&str, &str)]) -> (Policy, Vec<Finding>) {
    read_with(&Settings::default(), pairs)
}

/// Field, severity and code of each finding.
fn outline(findings: &[Finding]) -> Vec<(&str, Severity, &str)> {
    let name = |field: &str| {
        field.len() - field.trim_end_matches(']').rsplit(['/', '[']).next().map_or(0, str::len) - 1
    };
    findings.iter().map(|f| (f.field[name(&f.field)..].trim_end_matches(']'), f.severity, f.code)).collect()
}

#[test]
fn no_annotations_are_the_class_defaults() {
    let mut settings = Settings::default();
    settings.defaults.limits.per_second = NonZeroU64::new(7);
    assert_eq!(read_with(&settings, &[]), (settings.defaults.clone(), vec![]));
    assert_eq!(read_pairs(&[]), (Policy::default(), vec![]));
    assert_eq!(settings.trust.address, TrustMode::Ignore);
}

#[test]
fn annotations_of_others_are_not_ours() {
    let foreign = [("example.com/limit-rps", "x"), ("nginx.ingress.kubernetes.io.evil/limit-rps", "x")];
    assert_eq!(read_pairs(&foreign), (Policy::default(), vec![]));
}

#[test]
fn own_prefix_wins_and_a_finding_says_so() {
    let (policy, findings) = read_pairs(&[("limit-rps", "5"), ("weir.dev/limit-rps", "9")]);
    assert_eq!(policy.limits.per_second, NonZeroU64::new(9));
    assert_eq!(outline(&findings), [("limit-rps", Severity::Warn, "shadowed")]);
    assert_eq!(findings[0].field, "metadata.annotations[nginx.ingress.kubernetes.io/limit-rps]");
}

#[test]
fn an_alias_is_read_only_without_the_name() {
    let (alone, findings) = read_pairs(&[("limit-whitelist", "10.0.0.0/8")]);
    assert_eq!((alone.limits.exempt.len(), findings.len()), (1, 0));
    let (both, findings) =
        read_pairs(&[("limit-whitelist", "10.0.0.0/8"), ("limit-allowlist", "192.0.2.0/24")]);
    assert_eq!(both.limits.exempt, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(outline(&findings), [("limit-whitelist", Severity::Warn, "shadowed")]);
    let (empty, _) = read_pairs(&[("limit-whitelist", "10.0.0.0/8"), ("limit-allowlist", "")]);
    assert_eq!(empty.limits.exempt, ["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn the_prefix_of_ingress_nginx_is_configurable() {
    let object = ObjectRef::new("Ingress", "shop", "front");
    let given = annotations(&[("old.example.com/limit-rps", "3"), ("limit-rpm", "9")]);
    for prefix in ["old.example.com", "old.example.com/"] {
        let (policy, findings) = read(&object, &given, &Settings::default(), &Prefixes::new(prefix));
        assert_eq!((policy.limits.per_second, policy.limits.per_minute), (NonZeroU64::new(3), None));
        assert_eq!(findings, []);
    }
}

#[test]
fn an_invalid_limit_without_a_default_refuses() {
    let (policy, findings) = read_pairs(&[("limit-rps", "5/s")]);
    assert_eq!(policy.limits.per_second, None);
    let why = policy.refuse_all.unwrap();
    assert!(why.contains("nginx.ingress.kubernetes.io/limit-rps is invalid"), "{why}");
    assert_eq!(
        findings[0].to_string(),
        "error: Ingress shop/front: metadata.annotations[nginx.ingress.kubernetes.io/limit-rps] = \"5/s\": Expected a \
         whole number up to 1000000000, `0` for off, but this is something else. Every path of this object answers 503 \
         until it is mended."
    );
}

#[test]
fn an_invalid_limit_falls_back_to_the_class_default() {
    let mut settings = Settings::default();
    settings.defaults.limits.per_second = NonZeroU64::new(7);
    let (policy, findings) = read_with(&settings, &[("limit-rps", "lots")]);
    assert_eq!((policy.limits.per_second, policy.refuse_all), (NonZeroU64::new(7), None));
    assert!(findings[0].message.ends_with("In force instead: 7."), "{}", findings[0]);
    assert_eq!(outline(&findings), [("limit-rps", Severity::Fail, "invalid-value")]);
}

#[test]
fn an_invalid_list_refuses_even_with_a_class_default() {
    let mut settings = Settings::default();
    settings.defaults.access.allow = Some(vec!["10.0.0.0/8".parse().unwrap()]);
    let (policy, _) = read_with(&settings, &[("whitelist-source-range", "10.1.2.300")]);
    assert!(policy.refuse_all.is_some());
}

#[test]
fn a_broken_class_default_refuses_who_has_no_value_of_its_own() {
    let mut settings = Settings::default();
    settings.broken.insert("limit-rps", "data[limit-rps] is invalid".to_owned());
    assert!(read_with(&settings, &[]).0.refuse_all.is_some());
    assert!(read_with(&settings, &[("limit-rps", "x")]).0.refuse_all.is_some());
    assert_eq!(read_with(&settings, &[("limit-rps", "5")]).0.refuse_all, None);
}

#[test]
fn a_zero_limit_is_off_and_a_negative_one_only_for_ingress_nginx() {
    for name in ["limit-rps", "limit-rpm", "limit-connections"] {
        assert_eq!(read_pairs(&[(name, "0")]), (Policy::default(), vec![]));
        let (policy, findings) = read_pairs(&[(name, "-5")]);
        assert!(policy.refuse_all.is_some(), "nonsense opens no gate");
        assert_eq!(outline(&findings), [(name, Severity::Fail, "invalid-value")]);
        let parity = Settings::of(crate::policy::Profile::IngressNginx);
        let (policy, findings) = read_with(&parity, &[(name, "-5")]);
        assert_eq!(policy, parity.defaults);
        assert_eq!(outline(&findings), [(name, Severity::Warn, "note")]);
    }
}

#[test]
fn a_list_may_begin_with_a_dash() {
    let (policy, findings) = read_pairs(&[("weir.dev/limit-overrides", "- {path: /login, rps: 1}")]);
    assert_eq!((policy.limits.overrides.len(), policy.refuse_all, findings), (1, None, vec![]));
}

#[test]
fn a_bad_multiplier_is_five() {
    for bad in ["0", "-1", "many", ""] {
        let (policy, findings) = read_pairs(&[("limit-burst-multiplier", bad), ("limit-rps", "5")]);
        assert_eq!(policy.limits.burst, Burst::Multiplier(NonZeroU32::new(5).unwrap()));
        assert_eq!(policy.refuse_all, None);
        assert_eq!(findings.len(), usize::from(!bad.is_empty()));
    }
}

#[test]
fn an_absolute_burst_wins_over_a_multiplier() {
    let (policy, findings) = read_pairs(&[("weir.dev/limit-burst", "20"), ("limit-burst-multiplier", "2")]);
    assert_eq!((policy.limits.burst, findings.len()), (Burst::Absolute(20), 0));
    let mut settings = Settings::default();
    settings.defaults.limits.burst = Burst::Absolute(3);
    let (policy, _) = read_with(&settings, &[("limit-burst-multiplier", "2")]);
    assert_eq!(policy.limits.burst, Burst::Multiplier(NonZeroU32::new(2).unwrap()));
}

#[test]
fn many_connections_are_accepted() {
    let (policy, findings) = read_pairs(&[("limit-connections", "70000")]);
    assert_eq!((policy.limits.connections, findings.len()), (NonZeroU32::new(70_000), 0));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let (_, findings) = read_pairs(&[
        ("limit-rps", "x"),
        ("limit-rpm", "y"),
        ("proxy-body-size", "z"),
        ("weir.dev/limit-key", "colour"),
        ("weir.dev/limit-rsp", "5"),
    ]);
    assert_eq!(
        outline(&findings),
        [
            ("limit-rpm", Severity::Fail, "invalid-value"),
            ("limit-rps", Severity::Fail, "invalid-value"),
            ("proxy-body-size", Severity::Fail, "invalid-value"),
            ("limit-key", Severity::Fail, "invalid-value"),
            ("limit-rsp", Severity::Fail, "unknown-name"),
        ]
    );
    assert!(findings[4].message.contains("did you mean limit-rps?"), "{}", findings[4]);
}

#[test]
fn an_own_annotation_under_the_other_prefix_is_reported() {
    let (policy, findings) = read_pairs(&[("limit-rph", "5")]);
    assert_eq!(policy, Policy::default());
    assert_eq!(outline(&findings), [("limit-rph", Severity::Fail, "wrong-prefix")]);
    assert!(findings[0].message.contains("weir.dev/limit-rph"), "{}", findings[0]);
}

#[test]
fn an_object_that_asks_for_authentication_refuses() {
    for (name, value) in [("auth-type", "basic"), ("auth-url", "http://auth")] {
        for name in [name.to_owned(), format!("weir.dev/{name}")] {
            let (policy, findings) = read_pairs(&[(&name, value)]);
            assert!(policy.refuse_all.is_some(), "{name}");
            assert_eq!(findings[0].severity, Severity::Fail);
            assert_eq!(findings[0].value, "", "what authenticates is not repeated");
        }
        assert_eq!(read_pairs(&[(name, "")]).0.refuse_all, None);
    }
}

#[test]
fn unsupported_names_are_reported_by_what_they_ask_for() {
    let cases = [
        ("enable-cors", "true", Some(Severity::Warn)),
        ("enable-cors", "F", None),
        ("limit-rate", "100", Some(Severity::Fail)),
        ("proxy-ssl-ciphers", "DEFAULT", None),
        ("proxy-ssl-ciphers", "AES256", Some(Severity::Fail)),
        ("ssl-ciphers", "AES256", Some(Severity::Fail)),
        ("satisfy", "any", Some(Severity::Fail)),
        ("satisfy", "all", None),
        ("session-cookie-expires", "5", Some(Severity::Warn)),
        ("configuration-snippet", "deny all;", Some(Severity::Fail)),
        ("global-rate-limit-window", "1m", Some(Severity::Fail)),
        ("no-such-thing", "1", Some(Severity::Warn)),
    ];
    for (name, value, severity) in cases {
        let (policy, findings) = read_pairs(&[(name, value)]);
        assert_eq!(policy, Policy::default(), "{name}");
        assert_eq!(findings.first().map(|f| f.severity), severity, "{name}: {value}");
    }
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused_by_name() {
    for (text, expected) in [("grpcs", Protocol::Grpcs), ("auto_http", Protocol::AutoHttp)] {
        assert_eq!(read_pairs(&[("backend-protocol", text)]).0.origin.protocol, expected);
    }
    let (policy, findings) = read_pairs(&[("backend-protocol", "FCGI")]);
    assert!(policy.refuse_all.is_some());
    assert!(findings[0].message.contains("FastCGI is not spoken"), "{}", findings[0]);
}

#[test]
fn a_check_of_clients_that_cannot_be_read_denies_everybody() {
    for (name, value) in
        [("auth-tls-secret", "ca"), ("auth-tls-match-cn", "anna"), ("auth-tls-match-cn", "CN=(")]
    {
        let (policy, findings) = read_pairs(&[(name, value)]);
        assert!(policy.tls.client.denied.is_some(), "{name}");
        assert_eq!(findings.len(), 1);
    }
    let (policy, findings) = read_pairs(&[("auth-tls-verify-client", "maybe")]);
    assert_eq!(policy.tls.client.verify.unwrap_or_default(), VerifyClient::Require);
    assert_eq!(findings.len(), 1);
}

#[test]
fn a_snippet_is_refused_by_name_and_never_repeated() {
    let (_, findings) =
        read_pairs(&[("configuration-snippet", "proxy_set_header Authorization \"Basic c2VjcmV0\";")]);
    assert_eq!(findings[0].value, "");
    assert!(findings[0].message.contains("limit-rps"), "{}", findings[0]);
}

#[test]
fn a_canary_is_marked() {
    assert!(read_pairs(&[("canary", "true"), ("canary-weight", "5")]).0.canary);
    assert_eq!(read_pairs(&[("canary", "false")]), (Policy::default(), vec![]));
    let (policy, findings) = read_pairs(&[("canary", "yes")]);
    assert!(!policy.canary);
    assert_eq!(findings[0].severity, Severity::Fail);
}

#[test]
fn rewriting_makes_paths_regular_expressions() {
    let (policy, findings) = read_pairs(&[("rewrite-target", "/$1")]);
    assert!(policy.regex);
    assert_eq!(findings[0].severity, Severity::Fail);
}

#[test]
fn retrying_what_is_not_idempotent_is_for_all() {
    let settings = Settings { retry_non_idempotent: true, ..Settings::default() };
    let (policy, _) = read_with(&settings, &[("proxy-next-upstream", "error")]);
    assert!(
        policy.origin.next.non_idempotent && policy.origin.next.on_error && !policy.origin.next.on_timeout
    );
}

#[test]
fn a_long_value_is_cut_in_findings() {
    let (_, findings) = read_pairs(&[("limit-rps", &"x".repeat(5000))]);
    assert!(findings[0].value.chars().count() <= 161);
    let (_, findings) = read_pairs(&[("weir.dev/limit-window", &format!("1/m,{}", "x".repeat(5000)))]);
    assert!(findings[0].message.len() < 500, "{}", findings[0]);
}

#[test]
fn a_policy_can_be_shown() {
    let (policy, _) = read_pairs(&[
        ("weir.dev/limit-window", "300/10m"),
        ("weir.dev/limit-key", "header:X-Key"),
        ("whitelist-source-range", "10.0.0.0/8"),
        ("proxy-read-timeout", "120"),
    ]);
    let shown = serde_saphyr::to_string(&policy).unwrap();
    for part in ["period: 10m", "header: x-key", "- 10.0.0.0/8", "read_timeout: 2m", "multiplier: 5"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
}
