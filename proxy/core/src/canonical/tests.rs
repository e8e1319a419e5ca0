use super::*;
use proptest::prelude::*;

#[track_caller]
fn check_host(raw: &str, expect: Result<&str, HostError>) {
    assert_eq!(host(raw.as_bytes()).as_deref().map_err(|error| *error), expect, "{raw:?}");
}

#[track_caller]
fn check_path(raw: &str, expect: Result<&str, PathError>) {
    assert_eq!(path(raw.as_bytes()).as_deref().map_err(|error| *error), expect, "{raw:?}");
}

#[test]
fn hosts_lose_case_port_and_the_dot_at_the_end() {
    check_host("shop.example", Ok("shop.example"));
    check_host("Shop.EXAMPLE.", Ok("shop.example"));
    check_host("shop.example:8080", Ok("shop.example"));
    check_host("shop.example.:443", Ok("shop.example"));
    check_host("shop.example:", Ok("shop.example"));
    check_host("my_shop", Ok("my_shop"));
    check_host("127.0.0.1:80", Ok("127.0.0.1"));
    check_host("[2001:DB8::1]:443", Ok("[2001:db8::1]"));
    check_host("[0:0:0:0:0:0:0:1]", Ok("[::1]"));
    check_host("", Ok(""));
}

#[test]
fn hosts_that_are_none_are_refused() {
    for raw in ["a b", "a/b", "a@b", "a,b", "ä.example", "*.example", "a\0", "a%2eb", "a\\b"] {
        check_host(raw, Err(HostError::Character));
    }
    for raw in [".", "..", ".a", "a..b", "a..", "a..:80"] {
        check_host(raw, Err(HostError::Label));
    }
    for raw in ["a:b", "a:80:80", "a:65536", "a:-1", "a:99999999999999999999", "[::1]80", "::1"] {
        check_host(raw, Err(HostError::Port));
    }
    for raw in ["[", "[]", "[::1", "[1.2.3.4]", "[fe80::1%eth0]"] {
        check_host(raw, Err(HostError::Ipv6));
    }
}

#[test]
fn hosts_have_a_longest_length() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    check_host(&longest, Ok(&longest));
    check_host(&format!("{longest}a"), Err(HostError::TooLong));
    check_host(&"a".repeat(64), Err(HostError::Label));
}

#[test]
fn plain_paths_stay_and_are_borrowed() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/a.b/c-d_e~f",
        "/a;v=1/b",
        "/.well-known/x",
        "/...",
        "/a%20b",
        "/a%2Fb",
        "/@:!$&'()*+,=",
    ] {
        assert!(matches!(path(raw.as_bytes()), Ok(Cow::Borrowed(same)) if same == raw), "{raw}");
        assert!(is_canonical_path(raw.as_bytes()), "{raw}");
    }
}

#[test]
fn paths_are_decoded_once() {
    check_path("", Ok("/"));
    check_path("/%61%2D%7e", Ok("/a-~"));
    check_path("/%2561", Ok("/%2561"));
    check_path("/a%2fb", Ok("/a%2Fb"));
    check_path("/a%3fb", Ok("/a%3Fb"));
    check_path("/é|", Ok("/%C3%A9%7C"));
}

#[test]
fn slashes_are_merged_and_dot_segments_resolved() {
    check_path("//a///b//", Ok("/a/b/"));
    check_path("/a/./b", Ok("/a/b"));
    check_path("/a/.", Ok("/a/"));
    check_path("/a/..", Ok("/"));
    check_path("/a/b/..", Ok("/a/"));
    check_path("/a/b/../c", Ok("/a/c"));
    check_path("/p/%2e%2e/x", Ok("/x"));
    check_path("/p/%2E./x", Ok("/x"));
    check_path("/p/.%2e/x/%2e", Ok("/x/"));
    check_path("/a//../b", Ok("/b"));
    check_path("/./", Ok("/"));
}

#[test]
fn paths_that_could_be_read_in_two_ways_are_refused() {
    check_path("a", Err(PathError::NotAbsolute));
    check_path("*", Err(PathError::NotAbsolute));
    check_path("http://a/", Err(PathError::NotAbsolute));
    for raw in ["/a\\b", "/a%5cb", "/a%00", "/a%0d%0a", "/\u{1}", "/\u{7f}", "/a b", "/a#b", "/a?b"] {
        check_path(raw, Err(PathError::Character));
    }
    for raw in ["/%", "/%4", "/%zz", "/%4x", "/%%41"] {
        check_path(raw, Err(PathError::Encoding));
    }
    for raw in ["/..", "/../a", "/a/../../b", "/%2e%2e/a", "//../a", "/./.."] {
        check_path(raw, Err(PathError::AboveRoot));
    }
    for raw in ["/a/..%2fb", "/a/b%2f..", "/a%2F..%2fb", "/a/..;/b", "/a/.;x=1/b", "/a/%2e%2e;b", "/x%2f..;y"]
    {
        check_path(raw, Err(PathError::AmbiguousDots));
    }
}

#[test]
fn parameters_belong_to_their_segment() {
    for raw in ["/admin;x", "/admin;jsessionid=1/users", "/;/admin"] {
        check_path(raw, Ok(raw));
    }
    check_path("/admin%3Bx/%61", Ok("/admin%3Bx/a"));
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%2f"),
        Just("%"),
        Just("%25"),
        Just("a"),
        Just("%41"),
        Just(";"),
        Just("é"),
        Just("|"),
        Just("%C3"),
        Just("//"),
        Just("\\"),
        Just("%00"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn canonical_paths_are_canonical(raw in pieces()) {
        if let Ok(once) = path(raw.as_bytes()) {
            prop_assert!(is_canonical_path(once.as_bytes()), "{raw} -> {once}");
            let twice = path(once.as_bytes());
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
            prop_assert!(!once.contains("//") && once.is_ascii());
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."), "{}", once);
        }
    }

    #[test]
    fn any_bytes_make_a_canonical_path_or_none(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(once) = path(&raw) {
            let twice = path(once.as_bytes());
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        } else {
            prop_assert!(!is_canonical_path(&raw));
        }
    }

    #[test]
    fn canonical_hosts_are_canonical(raw in "[a-cA-C0-9.:_\\[\\]-]{0,16}") {
        if let Ok(once) = host(raw.as_bytes()) {
            let twice = host(once.as_bytes());
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        }
    }

    #[test]
    fn any_bytes_make_a_canonical_host_or_none(raw in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(once) = host(&raw) {
            prop_assert!(once.len() <= 253);
            let twice = host(once.as_bytes());
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        }
    }
}

#[test]
fn encoded_slashes_have_another_reading() {
    let other = |raw: &str| path_with_slashes(raw.as_bytes());
    assert_eq!(other("/a/b"), None);
    assert_eq!(other("/a%2e%2"), None);
    assert_eq!(other("/a%2Fb%2f"), Some(Ok("/a/b/".to_owned())));
    assert_eq!(other("/x/%2f/../admin"), Some(Ok("/admin".to_owned())));
    assert_eq!(other("/%252f%2f"), Some(Ok("/%252f/".to_owned())));
    assert_eq!(other("/x%2f.."), Some(Ok("/".to_owned())));
    assert_eq!(other("/%2f..%2f.."), Some(Err(PathError::AboveRoot)));
}
