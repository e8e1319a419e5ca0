//! Summaries as the tools print them, whole and damaged.

use super::*;

const WRK: &str = "Running 3s test @ http://127.0.0.1:8080/api/1k\n  1 threads and 64 connections\n  \
    Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     2.07ms    1.01ms  24.36ms   91.31%\n    \
    Req/Sec    31.33k     4.01k   36.99k    83.33%\n  93528 requests in 3.00s, 110.07MB read\n\
    Requests/sec:  31170.06\nTransfer/sec:     36.68MB\n\
    ROUND {\"requests\":93528,\"microseconds\":3000571,\"bytes\":115413552,\"status\":3,\"connect\":1,\"read\":2,\
    \"write\":3,\"timeout\":4,\"p50\":1921,\"p90\":2703,\"p99\":5120,\"max\":24359}\n";

const H2LOAD: &str = "starting benchmark...\nApplication protocol: h2\n\
    finished in 2.01s, 10294.50 req/s, 10.43MB/s\n\
    requests: 20589 total, 20653 started, 20589 done, 20580 succeeded, 9 failed, 2 errored, 1 timeout\n\
    status codes: 20582 2xx, 0 3xx, 5 4xx, 4 5xx\n\
    traffic: 20.85MB (21867161) total, 222.35KB (227682) headers (space savings 91.09%), 20.11MB (21083136) data\n\
    \u{20}                    min         max         mean         sd        +/- sd\n\
    time for request:      410us     40.06ms      6.01ms      5.14ms    82.74%\n";

#[test]
fn the_summary_of_wrk_is_read() {
    let counted = wrk_counted(WRK).unwrap();
    let expected = Counted {
        answers: 93_528,
        refused: 3,
        broken: 10,
        bytes: 115_413_552,
        seconds: 3.000_571,
        p50: Some(1.921),
        p99: Some(5.12),
    };
    assert_eq!(counted, expected);
}

#[test]
fn the_summary_of_h2load_is_read() {
    let counted = h2load_counted(H2LOAD).unwrap();
    assert_eq!((counted.answers, counted.refused, counted.broken), (20_589, 9, 3));
    assert_eq!((counted.bytes, counted.seconds), (21_083_136, 2.01));
    assert_eq!(
        ["1.5s", "250ms", "80us", "3m", "s", ""].map(seconds),
        [Some(1.5), Some(0.25), Some(0.000_08), None, None, None]
    );
}

#[test]
fn the_log_of_h2load_becomes_percentiles() {
    let log: String = (1..=200).rev().map(|ms| format!("1795288014965625\t200\t{}\n", ms * 1000)).collect();
    assert_eq!(h2load_latency(&log), (Some(100.0), Some(198.0)));
    assert_eq!(h2load_latency("1\t200\t7000\n"), (Some(7.0), Some(7.0)));
    assert_eq!(h2load_latency("nothing of this\n1\t2\n"), (None, None));
}

#[test]
fn without_a_summary_there_is_an_error_that_shows_the_end() {
    for output in ["", "unable to connect to 127.0.0.1:1 Connection refused", "ROUND {}", "requests: 1 total"]
    {
        let wrk = wrk_counted(output).unwrap_err().to_string();
        let h2load = h2load_counted(output).unwrap_err().to_string();
        assert!(wrk.ends_with(output) && h2load.ends_with(output), "{wrk} {h2load}");
    }
    // Cut at a character, not inside of one.
    assert!(wrk_counted(&"é".repeat(1000)).is_err());
}

/// Whatever comes, there is a number or an error.
#[test]
fn damage_is_no_panic() {
    let mut random = fastrand::Rng::with_seed(4);
    for whole in [WRK, H2LOAD] {
        for _ in 0..20_000 {
            let mut bytes = whole.as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 if bytes.len() > 1 => drop(bytes.remove(at)),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, *random.choice(b"0123456789(),. {}:\n\t\"-e").unwrap()),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ = (wrk_counted(&text), h2load_counted(&text), h2load_latency(&text));
        }
    }
}
