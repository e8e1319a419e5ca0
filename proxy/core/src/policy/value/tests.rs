use super::*;
use crate::policy::{Balance, BodyLimit, Burst, KeyPart, Mode, Modes, NextUpstream, Override, Window};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// What `text` reads as, from the default of the kind's value.
fn read<K: Kind<Value: Default>>(text: &str) -> Result<K::Value, Invalid> {
    let mut value = K::Value::default();
    K::read(&mut value, text).map(|_| value)
}

fn note<K: Kind<Value: Default>>(text: &str) -> bool {
    K::read(&mut K::Value::default(), text).unwrap().is_some()
}

#[test]
fn booleans_are_the_words_of_go() {
    for yes in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(read::<Flag>(yes), Ok(true));
    }
    for no in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(read::<Flag>(no), Ok(false));
    }
    for other in ["yes", "on", "tRUE", " true", "true ", "2", ""] {
        assert_eq!(read::<Flag>(other), Err(Invalid::Form), "{other}");
    }
}

#[test]
fn whole_numbers_are_those_of_atoi() {
    for (text, number) in [("5", 5), ("+5", 5), ("007", 7), ("1000000000", 1_000_000_000)] {
        assert_eq!(read::<Count>(text), Ok(NonZeroU64::new(number)));
    }
    for off in ["0", "-0", "-1", "-9223372036854775808"] {
        assert_eq!(read::<Count>(off), Ok(None));
    }
    assert!(note::<Count>("-1") && !note::<Count>("0"));
    for bad in ["", " 5", "5 ", "5.0", "0x5", "1e3", "1_000", "５", "--5", "+", "5k"] {
        assert_eq!(read::<Count>(bad), Err(Invalid::Form), "{bad}");
    }
    for large in ["1000000001", "9223372036854775808", "99999999999999999999999"] {
        assert_eq!(read::<Count>(large), Err(Invalid::Range), "{large}");
    }
}

#[test]
fn connections_have_no_bound_at_65535() {
    assert_eq!(read::<InFlight>("4294967295"), Ok(NonZeroU32::new(u32::MAX)));
    assert_eq!(read::<InFlight>("4294967296"), Err(Invalid::Range));
}

#[test]
fn sizes_have_units_of_1024_in_either_case() {
    let size = |text| BodySize::read(&mut BodyLimit::Unlimited.clone(), text);
    let read = |text: &str| {
        let mut limit = BodyLimit::Bytes(1);
        BodySize::read(&mut limit, text).map(|_| limit)
    };
    for (text, bytes) in [
        ("1000", 1000),
        ("1K", 1 << 10),
        ("1k", 1 << 10),
        ("8m", 8 << 20),
        ("8M", 8 << 20),
        ("2g", 2 << 30),
        ("7b", 7),
        ("1 0 k", 10 << 10),
    ] {
        assert_eq!(read(text), Ok(BodyLimit::Bytes(bytes)), "{text}");
    }
    assert_eq!(read("0"), Ok(BodyLimit::Unlimited));
    assert_eq!(read("0g"), Ok(BodyLimit::Unlimited));
    assert!(size("7b").unwrap().is_some() && size("7k").unwrap().is_none());
    for bad in ["", "k", "-1", "+1", "1kb", "1.5m", "1t", "m1", "1\t", "８m"] {
        assert_eq!(read(bad), Err(Invalid::Form), "{bad}");
    }
    assert_eq!(read("17179869184g"), Err(Invalid::Range));
    assert_eq!(read("99999999999999999999"), Err(Invalid::Range));
}

#[test]
fn buffers_are_bounded() {
    assert_eq!(read::<BufferSize>("16m"), Ok(16 << 20));
    assert_eq!(read::<BufferSize>("10g"), Ok(16 << 20));
    assert!(note::<BufferSize>("17m") && !note::<BufferSize>("16m"));
}

#[test]
fn heads_are_bounded() {
    assert_eq!(read::<HeadSize>("8k"), Ok(NonZeroU32::new(8192)));
    assert_eq!(read::<HeadSize>("1m"), Ok(NonZeroU32::new(1 << 20)));
    assert_eq!(read::<HeadSize>("1025k"), Err(Invalid::Range));
    assert_eq!(read::<HeadSize>("5g"), Err(Invalid::Range));
}

#[test]
fn seconds_have_no_units() {
    assert_eq!(read::<Seconds>("60"), Ok(Duration::from_secs(60)));
    for bad in ["50k", "15r", "60s", "1m"] {
        assert_eq!(read::<Seconds>(bad), Err(Invalid::Form));
    }
    for bad in ["0", "-1", "31536001"] {
        assert_eq!(read::<Seconds>(bad), Err(Invalid::Range));
    }
    assert_eq!(read::<SecondsOrNone>("0"), Ok(Duration::ZERO));
}

#[test]
fn windows_are_limits_and_periods() {
    let window = |limit, seconds| Window {
        limit: NonZeroU64::new(limit).unwrap(),
        period: Duration::from_secs(seconds),
    };
    assert_eq!(read::<Windows>("300/10m"), Ok(vec![window(300, 600)]));
    assert_eq!(
        read::<Windows>("5/s, 10/90s,20/1h , 5000/1d"),
        Ok(vec![window(5, 1), window(10, 90), window(20, 3600), window(5000, 86_400)])
    );
    assert_eq!(read::<Windows>("1/366d"), Ok(vec![window(1, 366 * 86_400)]));
    for bad in ["0/m", "-1/m", "1000000001/m", "1/0m", "1/367d", "1/99999999999999999999d"] {
        assert_eq!(read::<Windows>(bad), Err(Invalid::Range), "{bad}");
    }
    for bad in ["", "5", "5/", "5/10", "5/m/s", "5/1w", "5/1m,", "x/1m", "5/-1m", "5/1 m", "5/ms"] {
        assert!(read::<Windows>(bad).is_err(), "{bad}");
    }
    assert_eq!(read::<Windows>("5/60s,9/1m"), Err(Invalid::Twice("1m".to_owned())));
    assert_eq!(read::<Windows>("1/1s,1/2s,1/3s,1/4s,1/5s"), Err(Invalid::TooMany(4)));
}

#[test]
fn bursts_are_multiples_or_requests() {
    let read = |text: &str| {
        let mut burst = Burst::Absolute(7);
        BurstMultiplier::read(&mut burst, text).map(|_| burst)
    };
    assert_eq!(read("3"), Ok(Burst::Multiplier(NonZeroU32::new(3).unwrap())));
    assert_eq!((read("0"), read("-1")), (Err(Invalid::Range), Err(Invalid::Range)));
    let mut burst = Burst::Absolute(7);
    assert_eq!(AbsoluteBurst::read(&mut burst, "0"), Ok(None));
    assert_eq!(burst, Burst::Absolute(0));
}

#[test]
fn keys_are_joined_parts() {
    let key = |text| read::<Key>(text);
    assert_eq!(key("ip"), Ok(vec![KeyPart::Ip]));
    assert_eq!(
        key("ip + header:X-Api-Key+cookie:SID+jwt:https://example.com/tenant"),
        Ok(vec![
            KeyPart::Ip,
            KeyPart::Header("x-api-key".to_owned()),
            KeyPart::Cookie("SID".to_owned()),
            KeyPart::JwtClaim("https://example.com/tenant".to_owned()),
        ])
    );
    assert_eq!(key("path+host"), Ok(vec![KeyPart::Path, KeyPart::Host]));
    for bad in ["", "+", "ip+", "IP", "header", "header:", "header:a b", "jwt:a b", "query:x"] {
        assert!(matches!(key(bad), Err(Invalid::Part(_))), "{bad}");
    }
    assert_eq!(key("header:A+header:a"), Err(Invalid::Twice("header:a".to_owned())));
    assert_eq!(key("ip+path+host+header:a+header:b"), Err(Invalid::TooMany(4)));
    assert!(key(&format!("header:{}", "a".repeat(129))).is_err());
}

#[test]
fn a_plain_mode_leaves_the_gates_shut() {
    let observe = Mode::Observe;
    let limits = Modes { rate: observe, connections: observe, body: observe, ..Modes::default() };
    assert_eq!(read::<ModeList>("enforce"), Ok(Modes::default()));
    assert_eq!(read::<ModeList>("observe"), Ok(limits));
    assert_eq!(read::<ModeList>("observe,addresses=observe"), Ok(Modes { addresses: observe, ..limits }));
    assert_eq!(read::<ModeList>("observe, body=enforce"), Ok(Modes { body: Mode::Enforce, ..limits }));
    assert_eq!(read::<ModeList>("rate=observe"), Ok(Modes { rate: observe, ..Modes::default() }));
    for bad in
        ["", "Observe", "rate", "rate=", "rate=off", "speed=observe", "rate=observe,observe", "observe,"]
    {
        assert!(matches!(read::<ModeList>(bad), Err(Invalid::Part(_))), "{bad}");
    }
    assert_eq!(read::<ModeList>("rate=observe,rate=enforce"), Err(Invalid::Twice("rate".to_owned())));
}

#[test]
fn lists_of_addresses_are_sorted_without_doubles() {
    let nets = |text| read::<Nets>(text).map(|nets| Nets::print(&nets).unwrap_or_default());
    for (text, expected) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        (" 192.0.2.7 ,10.0.0.0/8,192.0.2.7/32", "10.0.0.0/8, 192.0.2.7"),
        ("10.0.0.0/8,\n  192.0.2.7", "10.0.0.0/8, 192.0.2.7"),
        ("2001:DB8::1,2001:db8::/32", "2001:db8::/32, 2001:db8::1"),
        ("0.0.0.0/0,::/0", "0.0.0.0/0, ::/0"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ] {
        assert_eq!(nets(text), Ok(expected.to_owned()), "{text}");
    }
    for bad in [
        "",
        ",",
        "10.0.0.0/8,",
        "10.0.0.0/33",
        "10.0.0/8",
        "010.0.0.1",
        "1.2.3.4 5.6.7.8",
        "fe80::1%eth0",
        "host",
    ] {
        assert!(matches!(nets(bad), Err(Invalid::Part(_))), "{bad}");
    }
    assert_eq!(nets(&vec!["10.0.0.1"; MAX_NETS + 1].join(",")), Err(Invalid::TooMany(MAX_NETS)));
}

#[test]
fn methods_are_tokens_in_upper_case() {
    let methods = |names: &[&str]| Ok(Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()));
    assert_eq!(read::<Methods>("get, POST,GET"), methods(&["GET", "POST"]));
    assert_eq!(read::<Methods>("M-SEARCH"), methods(&["M-SEARCH"]));
    for bad in ["", "GET POST", "GET;POST", "GET,,POST", "*/*"] {
        assert!(matches!(read::<Methods>(bad), Err(Invalid::Part(_))), "{bad}");
    }
}

#[test]
fn paths_are_canonical_prefixes() {
    let paths = |names: &[&str]| Ok(Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()));
    assert_eq!(read::<Paths>("/api/, /static,/api"), paths(&["/api", "/static"]));
    assert_eq!(read::<Paths>("/"), paths(&["/"]));
    assert_eq!(read::<Paths>("/a%20b"), paths(&["/a%20b"]));
    for bad in [
        "", "api", "/a//b", "/a/../b", "/a/.", "/%61", "/a?b", "/a#b", "/a\\b", "/a b", "/é", "//",
        "/%2e%2e/",
    ] {
        assert!(matches!(read::<Paths>(bad), Err(Invalid::Part(_))), "{bad}");
    }
}

#[test]
fn another_try_is_for_named_reasons() {
    let read = |text: &str| {
        let mut next = NextUpstream { tries: 9, ..NextUpstream::default() };
        NextOn::read(&mut next, text).map(|_| next)
    };
    let none = NextUpstream { on_error: false, on_timeout: false, tries: 9, ..NextUpstream::default() };
    assert_eq!(read("off"), Ok(none.clone()));
    assert_eq!(
        read("error  http_503 http_502 http_503 non_idempotent"),
        Ok(NextUpstream { on_error: true, on_status: vec![502, 503], non_idempotent: true, ..none.clone() })
    );
    assert_eq!(
        read("invalid_header timeout"),
        Ok(NextUpstream { on_invalid_header: true, on_timeout: true, ..none })
    );
    for bad in ["", " ", "off error", "http_501", "error,timeout", "ERROR"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn ewma_is_the_less_busy_of_two() {
    assert_eq!(read::<LoadBalance>("ewma"), Ok(Balance::LeastInFlight));
    assert!(note::<LoadBalance>("ewma") && !note::<LoadBalance>("least_in_flight"));
    assert!(read::<LoadBalance>("chash").is_err());
}

#[test]
fn overrides_are_a_list_in_yaml() {
    let text = "- path: /login/\n  rpm: 10\n- {path: \"/upload\", body: 64m, connections: 2}\n- {path: /x, body: 0}\n";
    assert_eq!(check(text, Overrides::LINES), Ok(()));
    let login =
        Override { path: "/login".to_owned(), per_minute: NonZeroU64::new(10), ..Override::default() };
    let upload = Override {
        path: "/upload".to_owned(),
        body: Some(BodyLimit::Bytes(64 << 20)),
        connections: NonZeroU32::new(2),
        ..Override::default()
    };
    let open = Override { path: "/x".to_owned(), body: Some(BodyLimit::Unlimited), ..Override::default() };
    assert_eq!(read::<Overrides>(text), Ok(vec![login, upload, open]));
    for bad in [
        "",
        "   ",
        "# none",
        "~",
        "[~]",
        "[{path: /login, rps: , rpm: 10}]",
        "[{path: /login, rps: ~, rpm: 10}]",
        "[{path: /login, body: ~, rpm: 10}]",
        "[{path: ~, rpm: 10}]",
        "/login",
        "{path: /login, rpm: 10}",
        "[{rpm: 10}]",
        "[{path: login, rpm: 10}]",
        "[{path: /a/../b, rpm: 10}]",
        "[{path: /login}]",
        "[{path: /login, rpm: 0}]",
        "[{path: /login, rpm: -1}]",
        "[{path: /login, rpm: 1.5}]",
        "[{path: /login, rpm: 1000000001}]",
        "[{path: /login, rpm: 10, rpm: 20}]",
        "[{path: /login, speed: 10}]",
        "[{path: /login, body: lots}]",
        "[{path: /login, rps: 1}, {path: /login/, rps: 2}]",
        "[{path: &a /login, rps: 1}, {path: *a, rpm: 2}]",
        "[{path: /a, rps: 1}]\n---\n[{path: /b, rps: 1}]",
        "[{path: /login, rps: 1}",
        "[[[[[[[[[[",
    ] {
        assert!(read::<Overrides>(bad).is_err(), "{bad}");
    }
    assert_eq!(read::<Overrides>("[]"), Ok(vec![]));
    let many: Vec<String> = (0..=MAX_OVERRIDES).map(|n| format!("{{path: /p{n}, rps: 1}}")).collect();
    assert_eq!(read::<Overrides>(&format!("[{}]", many.join(","))), Err(Invalid::TooMany(MAX_OVERRIDES)));
    assert!(read::<Overrides>(&format!("[{}]", many[1..].join(","))).is_ok());
    assert!(matches!(read::<Overrides>(&" ".repeat(20_000)), Err(Invalid::TooLong(_))));
}

#[test]
fn control_characters_are_refused_everywhere() {
    for bad in ["5\0", "5\r", "5\n", "\t5", "5\u{7f}", "5\u{85}"] {
        assert_eq!(check(bad, Lines::One), Err(Invalid::Control), "{bad:?}");
        assert_eq!(check(bad, Lines::Many).is_ok(), bad.contains('\n'), "{bad:?}");
    }
    assert_eq!(check(&"x".repeat(MAX_VALUE + 1), Lines::One), Err(Invalid::TooLong(MAX_VALUE)));
}

#[test]
fn parts_are_cut_in_messages() {
    let Err(Invalid::Part(part)) = read::<Nets>(&"x".repeat(1000)) else { panic!("not invalid") };
    assert_eq!(part.len(), MAX_SHOWN);
}
