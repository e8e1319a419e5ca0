//! The laws of the tables, and that no text can open a gate.

use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use weir_core::Finding;
use weir_core::finding::{ObjectRef, Severity};
use weir_core::policy::annotations::ANNOTATIONS;
use weir_core::policy::configmap::{KEYS, is_class_default};
use weir_core::policy::row::{Heritage, OnInvalid, Row};
use weir_core::policy::unsupported::{self, Unsupported};
use weir_core::policy::{Policy, Prefixes, Profile, Settings, read, settings};

// Laws of the tables.

#[test]
fn names_are_unique_across_aliases() {
    fn check<T>(rows: &[Row<T>]) {
        let mut seen = BTreeSet::new();
        for name in rows.iter().flat_map(Row::names) {
            assert!(seen.insert(name), "{name} twice");
        }
    }
    check(ANNOTATIONS);
    check(KEYS);
    let rows: BTreeSet<_> = ANNOTATIONS.iter().flat_map(Row::names).collect();
    for entry in unsupported::ANNOTATIONS {
        assert!(!rows.contains(entry.name), "{} is supported", entry.name);
    }
    let keys: BTreeSet<_> =
        ANNOTATIONS.iter().filter(|row| is_class_default(row)).flat_map(Row::names).collect();
    let keys: BTreeSet<_> = keys.into_iter().chain(KEYS.iter().flat_map(Row::names)).collect();
    for name in &keys {
        assert!(Unsupported::key(name).is_none(), "{name} is a key, and not supported too");
    }
    for name in &rows {
        assert!(Unsupported::annotation(name).is_none(), "{name} is a row, and not supported too");
    }
}

#[test]
fn rows_are_in_order() {
    assert!(ANNOTATIONS.is_sorted_by_key(|row| (row.group, row.name)));
    assert!(KEYS.is_sorted_by_key(|row| (row.group, row.name)));
    assert!(unsupported::ANNOTATIONS.is_sorted_by_key(|entry| entry.name.trim_end_matches('*')));
    assert!(unsupported::KEYS.is_sorted_by_key(|entry| entry.name.trim_end_matches('*')));
}

#[test]
fn texts_are_sentences_of_bounded_length() {
    fn check<T>(rows: &[Row<T>]) {
        for row in rows {
            let name = row.name;
            assert!((20..=100).contains(&row.summary.len()), "{name}: {}", row.summary.len());
            assert!(row.summary.ends_with('.') && !row.summary.contains(". "), "{name} has one sentence");
            assert!(row.summary.starts_with(|c: char| c.is_ascii_uppercase() || c == '`'), "{name}");
            assert!(row.details.is_empty() || row.details.ends_with('.'), "{name}");
            assert!(!row.form().is_empty() && !row.form().ends_with('.'), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
        }
    }
    check(ANNOTATIONS);
    check(KEYS);
}

#[test]
fn every_default_reads_back_to_itself() {
    fn check<T: Clone + PartialEq + std::fmt::Debug>(rows: &[Row<T>], default: &T) {
        for row in rows {
            let Some(text) = row.print(default) else { continue };
            let mut read = default.clone();
            assert_eq!(row.read(&mut read, &text), Ok(None), "{}: {text}", row.name);
            assert_eq!(&read, default, "{}: {text}", row.name);
        }
    }
    check(ANNOTATIONS, &Policy::default());
    check(KEYS, &Settings::default());
}

#[test]
fn every_good_example_is_read_and_printed_back() {
    fn check<T: Clone + PartialEq + std::fmt::Debug>(rows: &[Row<T>], default: &T) {
        for row in rows {
            let mut first = default.clone();
            assert_eq!(row.read(&mut first, row.good), Ok(None), "{}", row.name);
            let text = row.print(&first).unwrap_or_else(|| panic!("{} has nothing", row.name));
            let mut second = default.clone();
            assert_eq!(row.read(&mut second, &text), Ok(None), "{}: {text}", row.name);
            assert_eq!(second, first, "{}: {text}", row.name);
        }
    }
    check(ANNOTATIONS, &Policy::default());
    check(KEYS, &Settings::default());
}

#[test]
fn every_bad_example_is_refused_with_its_form_and_value() {
    for row in ANNOTATIONS {
        let (policy, findings) = read_one(row.name, row.bad, &Settings::default());
        let [finding] = &findings[..] else { panic!("{}: {findings:?}", row.name) };
        assert_eq!(finding.field, format!("metadata.annotations[weir.dev/{}]", row.name));
        assert_eq!((finding.value.as_str(), finding.code), (row.bad, "invalid-value"));
        assert!(finding.message.contains(row.form()), "{finding}");
        assert_eq!(policy, but_shut(&policy, &Policy::default()));
        assert_eq!(is_shut(&policy), row.on_invalid != OnInvalid::Default, "{}", row.name);
        let denied = policy.tls.client.denied.is_some();
        assert_eq!(denied, row.on_invalid == OnInvalid::Deny, "{}", row.name);
    }
    for row in KEYS {
        let data = BTreeMap::from([(row.name.to_owned(), row.bad.to_owned())]);
        let (_, findings) = settings(&ObjectRef::new("ConfigMap", "a", "b"), &data, Profile::Weir);
        let [finding] = &findings[..] else { panic!("{}: {findings:?}", row.name) };
        assert_eq!((finding.value.as_str(), finding.code), (row.bad, "invalid-value"));
        assert!(finding.message.contains(row.form()), "{finding}");
    }
}

#[test]
fn what_shuts_somebody_out_never_falls_back_to_a_wider_list() {
    for row in ANNOTATIONS {
        if matches!(
            row.name,
            "allowlist-source-range" | "denylist-source-range" | "allow-methods" | "allow-paths"
        ) {
            assert_eq!(row.on_invalid, OnInvalid::Refuse, "{}", row.name);
        }
    }
}

// No text can open a gate.

proptest! {
    #[test]
    fn any_annotations_are_read(map in arbitrary_map()) {
        let (_, findings) = read(&object(), &map, &Settings::default(), &Prefixes::default());
        for finding in &findings {
            prop_assert!(finding.value.len() <= 700 && finding.message.len() <= 2000, "{finding}");
            prop_assert!(!finding.message.chars().any(char::is_control), "{finding}");
        }
    }

    #[test]
    fn any_configmap_is_read(
        data in prop::collection::btree_map(prop_oneof![key(), ".{0,40}"], value(), 0..8),
        parity in any::<bool>(),
    ) {
        let profile = if parity { Profile::IngressNginx } else { Profile::Weir };
        let (settings, findings) = settings(&object(), &data, profile);
        prop_assert_eq!(settings.profile, profile);
        for finding in &findings {
            prop_assert!(!finding.message.chars().any(char::is_control), "{finding}");
        }
    }

    #[test]
    fn an_invalid_value_is_never_weaker_than_the_default(index in 0..ANNOTATIONS.len(), value in value()) {
        let row = &ANNOTATIONS[index];
        for settings in [Settings::default(), with_class_defaults()] {
            let mut alone = settings.defaults.clone();
            let invalid = row.read(&mut alone, &value).is_err();
            if invalid {
                prop_assert_eq!(&alone, &settings.defaults, "an invalid value changes nothing");
            }
            if !invalid || value.is_empty() {
                continue;
            }
            let (policy, findings) = read_one(row.name, &value, &settings);
            prop_assert_eq!(findings.iter().filter(|f| f.severity == Severity::Fail).count(), 1);
            prop_assert_eq!(&policy, &but_shut(&policy, &settings.defaults));
            let protects = row.on_invalid != OnInvalid::Default;
            let in_force = row.print(&policy).is_some();
            prop_assert!(!protects || in_force || is_shut(&policy), "{}: {value:?}", row.name);
        }
    }

    #[test]
    fn an_invalid_class_default_is_never_weaker_than_none(index in 0..ANNOTATIONS.len(), value in value()) {
        let row = &ANNOTATIONS[index];
        let data = BTreeMap::from([(row.name.to_owned(), value.clone())]);
        let (settings, findings) = settings(&object(), &data, Profile::Weir);
        let invalid = row.read(&mut Policy::default(), &value).is_err() && !value.is_empty();
        if is_class_default(row) && invalid {
            prop_assert!(findings.iter().any(|f| f.severity == Severity::Fail));
            let (policy, _) = read(&object(), &BTreeMap::new(), &settings, &Prefixes::default());
            let refused = policy.refuse_all.is_some();
            prop_assert_eq!(refused, row.on_invalid != OnInvalid::Default);
            prop_assert_eq!(policy, Policy { refuse_all: settings.broken.values().next().cloned(), ..Policy::default() });
        }
    }

    #[test]
    fn what_is_read_prints_to_what_reads_the_same(index in 0..ANNOTATIONS.len(), value in value()) {
        let row = &ANNOTATIONS[index];
        let mut first = Policy::default();
        if row.read(&mut first, &value).is_ok() && let Some(text) = row.print(&first) {
            let mut second = Policy::default();
            prop_assert!(row.read(&mut second, &text).is_ok(), "{}: {value:?} printed as {text:?}", row.name);
            prop_assert_eq!(second, first, "{}: {} printed as {}", row.name, value, text);
        }
    }
}

/// Whether nothing of an object passes.
fn is_shut(policy: &Policy) -> bool {
    policy.refuse_all.is_some() || policy.tls.client.denied.is_some()
}

/// The defaults, shut as `policy` is.
fn but_shut(policy: &Policy, defaults: &Policy) -> Policy {
    let mut expected = Policy { refuse_all: policy.refuse_all.clone(), ..defaults.clone() };
    expected.tls.client.denied.clone_from(&policy.tls.client.denied);
    expected
}

/// One annotation under our own prefix.
fn read_one(name: &str, value: &str, settings: &Settings) -> (Policy, Vec<Finding>) {
    let annotations = BTreeMap::from([(format!("weir.dev/{name}"), value.to_owned())]);
    read(&object(), &annotations, settings, &Prefixes::default())
}

fn object() -> ObjectRef {
    ObjectRef::new("Ingress", "shop", "front")
}

/// Settings where every class default is set.
fn with_class_defaults() -> Settings {
    let rows = ANNOTATIONS.iter().filter(|row| is_class_default(row));
    let data = rows.map(|row| (row.name.to_owned(), row.good.to_owned())).collect();
    let (settings, findings) = settings(&object(), &data, Profile::Weir);
    assert_eq!(findings, []);
    settings
}

/// Names that exist.
fn key() -> impl Strategy<Value = String> {
    let rows = ANNOTATIONS.iter().flat_map(Row::names).chain(KEYS.iter().flat_map(Row::names));
    let others = Unsupported::names(unsupported::ANNOTATIONS).chain(Unsupported::names(unsupported::KEYS));
    select(rows.chain(others).map(str::to_owned).collect::<Vec<_>>())
}

fn arbitrary_map() -> impl Strategy<Value = BTreeMap<String, String>> {
    let prefix = select(vec!["weir.dev/", "nginx.ingress.kubernetes.io/", ""]);
    let name = prop_oneof![4 => key(), 1 => ".{0,80}"];
    let key = (prefix, name).prop_map(|(prefix, name)| format!("{prefix}{name}"));
    prop::collection::btree_map(key, value(), 0..12)
}

/// Texts: anything, what looks like values, and examples with a change in them.
fn value() -> impl Strategy<Value = String> {
    let examples: Vec<&str> = ANNOTATIONS.iter().flat_map(|row| [row.good, row.bad]).collect();
    let changed = (select(examples), any::<prop::sample::Index>(), "[ -~]{0,2}|\n|\0|§").prop_map(
        |(text, at, with)| {
            let mut text: Vec<char> = text.chars().collect();
            let at = at.index(text.len());
            text.splice(at..=at, with.chars());
            text.into_iter().collect::<String>()
        },
    );
    prop_oneof![
        1 => any::<String>(),
        1 => "[+-]?[0-9]{1,25}[a-zA-Z%]{0,2}",
        1 => "[0-9]{1,12}/[0-9]{0,12}[smhd]?(, ?[0-9]{1,3}/[0-9]{0,3}[smhd]){0,6}",
        1 => "([0-9a-f:.]{1,20}(/[0-9]{1,3})?,? ?){1,4}",
        1 => "(/[a-z.%~ ,]{0,4}){0,4}",
        1 => "(ip|path|host|header:[A-Za-z-]{0,3}|jwt:[a-z]{0,2}|\\+| ){0,7}",
        1 => "\\[(\\{path: /[a-z]{0,2}, (rps|rpm|body): [0-9-]{1,3}[km]?\\},? ?){0,3}\\]",
        3 => changed,
    ]
}

#[test]
fn heritage_is_what_ingress_nginx_has() {
    // Names that ingress-nginx does not know are never read under its prefix.
    for row in ANNOTATIONS.iter().filter(|row| row.heritage == Heritage::Weir) {
        let name = format!("nginx.ingress.kubernetes.io/{}", row.name);
        let annotations = BTreeMap::from([(name, row.good.to_owned())]);
        let (policy, findings) = read(&object(), &annotations, &Settings::default(), &Prefixes::default());
        assert_eq!(policy, Policy::default());
        assert_eq!(findings[0].code, "wrong-prefix");
    }
}
