use super::*;
use crate::canonical;
use proptest::prelude::*;

fn name(host: &str) -> HostPattern {
    match host.strip_prefix("*.") {
        Some(rest) => HostPattern::Wildcard(rest.into()),
        None if host.is_empty() => HostPattern::Every,
        None => HostPattern::Name(host.into()),
    }
}

fn exact(path: &str) -> PathMatcher {
    PathMatcher::Exact(path.into())
}

fn prefix(path: &str) -> PathMatcher {
    PathMatcher::Prefix(path.trim_end_matches('/').into())
}

fn pattern(text: &str) -> PathMatcher {
    PathMatcher::Pattern(Pattern::new(text).unwrap_or_else(|(pattern, _)| pattern))
}

/// Routes whose value is what they were made of.
fn routes(list: Vec<(&str, PathMatcher)>) -> Routes<String> {
    let mut builder = RoutesBuilder::new();
    for (host, matcher) in list {
        let text = match &matcher {
            PathMatcher::Exact(path) => format!("{host}={path}"),
            PathMatcher::Prefix(path) => format!("{host}{path}/"),
            PathMatcher::Pattern(pattern) => format!("{host}~{}", pattern.as_str()),
        };
        let _ = builder.path(name(host), matcher, text);
    }
    builder.build()
}

#[track_caller]
fn check(routes: &Routes<String>, host: &str, path: &str, expect: &str) {
    assert_eq!(routes.find(host, path).map_or("", String::as_str), expect, "{host}{path}");
}

#[test]
fn the_most_specific_host_takes_the_request_and_no_other_is_asked() {
    let routes = routes(vec![("a.example", prefix("/x")), ("*.example", prefix("/y")), ("", prefix("/"))]);
    check(&routes, "a.example", "/x", "a.example/x/");
    check(&routes, "a.example", "/y", "");
    check(&routes, "b.example", "/y", "*.example/y/");
    check(&routes, "b.example", "/x", "");
    check(&routes, "other", "/x", "/");
    check(&routes, "", "/x", "/");
}

#[test]
fn a_wildcard_is_one_label() {
    let routes = routes(vec![("*.shop.example", prefix("/"))]);
    check(&routes, "a.shop.example", "/", "*.shop.example/");
    check(&routes, "a.b.shop.example", "/", "");
    check(&routes, "shop.example", "/", "");
}

#[test]
fn exact_comes_before_prefix_and_the_longest_prefix_first() {
    let routes = routes(vec![
        ("h", prefix("/")),
        ("h", prefix("/a")),
        ("h", prefix("/a/b")),
        ("h", exact("/a")),
        ("h", exact("/a/b/")),
    ]);
    check(&routes, "h", "/a", "h=/a");
    check(&routes, "h", "/a/", "h/a/");
    check(&routes, "h", "/a/c", "h/a/");
    check(&routes, "h", "/a/b", "h/a/b/");
    check(&routes, "h", "/a/b/", "h=/a/b/");
    check(&routes, "h", "/a/b/c", "h/a/b/");
    check(&routes, "h", "/A", "h/");
}

#[test]
fn prefixes_end_at_segments() {
    let routes = routes(vec![("h", prefix("/foo")), ("h", prefix("/foo-bar/")), ("h", prefix("/foo.x"))]);
    check(&routes, "h", "/foo", "h/foo/");
    check(&routes, "h", "/foobar", "");
    check(&routes, "h", "/foo/bar", "h/foo/");
    check(&routes, "h", "/foo-bar", "h/foo-bar/");
    check(&routes, "h", "/foo-bars", "");
    check(&routes, "h", "/fo", "");
    check(&routes, "h", "/", "");
    check(&routes, "h", "/zoo", "");
}

#[test]
fn the_first_of_two_equal_paths_wins_and_is_named() {
    let mut builder = RoutesBuilder::new();
    assert_eq!(builder.path(name("h"), prefix("/a"), 1), Ok(()));
    assert_eq!(builder.path(name("h"), prefix("/a/"), 2), Err(&1));
    assert_eq!(builder.path(name("h"), exact("/a"), 3), Ok(()));
    assert_eq!(builder.path(name("h"), pattern("/a"), 4), Ok(()));
    assert_eq!(builder.path(name("h"), pattern("/a"), 5), Err(&4));
    assert_eq!(builder.fallback(name("h"), 6), Ok(()));
    assert_eq!(builder.fallback(name("h"), 7), Err(&6));
    let routes = builder.build();
    assert_eq!(routes.find("h", "/a"), Some(&3));
    assert_eq!(routes.find("h", "/b"), Some(&6));
}

#[test]
fn a_host_without_paths_is_known_all_the_same() {
    let mut builder = RoutesBuilder::new();
    builder.path(name(""), prefix("/"), 1).unwrap();
    builder.host(name("h"));
    let routes = builder.build();
    assert_eq!((routes.find("h", "/"), routes.find("i", "/")), (None, Some(&1)));
}

#[test]
fn patterns_ignore_case_begin_at_the_start_and_end_anywhere() {
    let routes = routes(vec![
        ("h", pattern("/api/v[0-9]+")),
        ("h", pattern("/Shop(/|$)(.*)")),
        ("h", pattern("/x|/y")),
    ]);
    check(&routes, "h", "/api/v12/users", "h~/api/v[0-9]+");
    check(&routes, "h", "/API/V1", "h~/api/v[0-9]+");
    check(&routes, "h", "/shop", "h~/Shop(/|$)(.*)");
    check(&routes, "h", "/sHop/1", "h~/Shop(/|$)(.*)");
    check(&routes, "h", "/shopping", "");
    check(&routes, "h", "/a/api/v1", "");
    check(&routes, "h", "/y/z", "h~/x|/y");
    check(&routes, "h", "/z/y", "");
}

#[test]
fn the_longest_pattern_that_matches_is_taken() {
    let routes = routes(vec![
        ("h", pattern("/")),
        ("h", pattern("/a.*")),
        ("h", pattern("/a/[^/]+/c")),
        ("h", pattern("/ab")),
    ]);
    check(&routes, "h", "/a/b/c", "h~/a/[^/]+/c");
    check(&routes, "h", "/a/b", "h~/a.*");
    check(&routes, "h", "/ab", "h~/a.*");
    check(&routes, "h", "/b", "h~/");
}

#[test]
fn a_pattern_that_is_none_takes_what_it_could_have_meant() {
    for (text, taken, left) in [
        ("/api/(?!health)", "/api/users", "/app"),
        ("/a/(b", "/a/b", "/b"),
        ("/ab*(", "/a", "/b"),
        ("/a(|/b", "/a/x", "/b"),
        (r"/a\/(\1", "/a/x", "/b"),
    ] {
        let (pattern, error) = Pattern::new(text).unwrap_err();
        assert!(matches!(error, PatternError::Syntax(_)), "{error}");
        assert!(pattern.is_match(taken), "{text} {taken}");
        assert!(!pattern.is_match(left), "{text} {left}");
    }
    let (broken, _) = Pattern::new("/a|/b(").unwrap_err();
    assert!(broken.is_match("/b"));
}

#[test]
fn a_pattern_has_a_largest_size() {
    assert!(matches!(Pattern::new("/(a{1000}){1000}"), Err((_, PatternError::TooLarge))));
}

#[test]
fn literals_are_never_longer_than_what_matches() {
    for (text, expect) in [
        ("/foo(/|$)(.*)", "/foo"),
        ("/foo*", "/fo"),
        ("/foo+", "/foo"),
        ("/foo?bar", "/fo"),
        ("/foo{0,2}", "/fo"),
        ("/foo|/bar", ""),
        ("/[ab]|/c", ""),
        ("/Foo.bar", "/foo"),
        ("/é*", "/"),
        ("", ""),
    ] {
        let pattern = Pattern::new(text).unwrap();
        assert_eq!(pattern.literal(), expect, "{text}");
    }
}

fn segments() -> impl Strategy<Value = String> {
    let segment =
        prop_oneof![Just("a"), Just("b"), Just("a-"), Just("ab"), Just("."), Just("a.b"), Just("~")];
    (prop::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}{}", segments.join("/"), if slash { "/" } else { "" });
        canonical::path(path.as_bytes()).unwrap().into_owned()
    })
}

fn host() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a.x"), Just("b.x"), Just("x"), Just("*.x"), Just("*.a.x"), Just("")]
}

/// Whether a prefix takes a path, as the Kubernetes API puts it: element by element.
fn is_under(prefix: &str, path: &str) -> bool {
    let elements = |path: &str| {
        path.split('/').filter(|element| !element.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    elements(path).starts_with(&elements(prefix))
}

fn naive(list: &[(&str, String, bool)], host: &str, path: &str) -> Option<usize> {
    let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    let known = |candidate: &&str| list.iter().any(|(host, ..)| host == candidate);
    let host = [host, wildcard.as_deref().unwrap_or(""), ""].into_iter().find(known)?;
    let here = || list.iter().enumerate().filter(|(_, (h, ..))| *h == host);
    let exact = here().find(|(_, (_, p, exact))| *exact && p == path);
    let prefix = || {
        let length = |p: &str| p.trim_end_matches('/').len();
        here()
            .filter(|(_, (_, p, exact))| !exact && is_under(p, path))
            .reduce(|best, next| if length(&next.1.1) > length(&best.1.1) { next } else { best })
    };
    exact.or_else(prefix).map(|(at, _)| at)
}

proptest! {
    #[test]
    fn a_lookup_agrees_with_trying_one_by_one(
        list in prop::collection::vec((host(), segments(), any::<bool>()), 0..24),
        queries in prop::collection::vec((prop_oneof![Just("a.x"), Just("b.x"), Just("x"), Just("c.a.x"), Just("z"), Just("")], segments()), 1..24),
    ) {
        let mut builder = RoutesBuilder::new();
        for (at, (host, path, is_exact)) in list.iter().enumerate() {
            let _ = builder.path(name(host), if *is_exact { exact(path) } else { prefix(path) }, at);
        }
        let routes = builder.build();
        for (host, path) in queries {
            prop_assert_eq!(routes.find(host, &path).copied(), naive(&list, host, &path), "{}{}", host, path);
        }
    }

    #[test]
    fn patterns_agree_with_trying_one_by_one(
        list in prop::collection::vec("/[ab]{0,2}(\\*|\\?|\\.|\\(/\\|\\$\\)|/|\\[ab\\]|\\|/b)?[ab]{0,2}", 0..12),
        queries in prop::collection::vec("/[abAB/]{0,6}", 1..12),
    ) {
        let mut builder = RoutesBuilder::new();
        for text in &list {
            let _ = builder.path(name("h"), pattern(text), text.clone());
        }
        let routes = builder.build();
        let mut sorted = list.clone();
        sorted.sort_by_key(|text| std::cmp::Reverse((text.len(), text.clone())));
        for path in queries {
            let expect = sorted.iter().find(|text| {
                regex::Regex::new(&format!("(?i)^(?:{text})")).unwrap().is_match(&path)
            });
            prop_assert_eq!(routes.find("h", &path), expect, "{}", path);
        }
    }
}
