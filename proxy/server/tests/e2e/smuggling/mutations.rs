//! Damaged shapes, from a seed: no outcome is known, but weir and the origin must still agree.
//!
//! `WEIR_SMUGGLING_SEEDS=7..8` runs one again.

use super::lax::Lax;
use super::{Cut, LANES, Lane, Stand, TABLES, TASTES, Talk, Wrong, render, tracer};

#[test]
fn damaged_requests_leave_both_sides_in_agreement() {
    std::thread::scope(|scope| {
        for (at, lane) in LANES.into_iter().enumerate() {
            scope.spawn(move || run(lane, at as u64));
        }
    });
}

fn run(lane: Lane, salt: u64) {
    let seeds = seeds();
    // A message that lost its end is answered soon; all of it is sent at once, so none is answered too soon.
    let flags = ["--head-timeout", "200ms", "--body-timeout", "200ms"];
    for (at, taste) in TASTES.into_iter().enumerate() {
        let origin = Lax::start(taste);
        let mut wrong = Wrong::new(format!("{lane:?}, {taste:?}"));
        let stand = Stand::start(lane, origin.address, &flags);
        let (mut served, mut refused) = (0, 0);
        for seed in seeds.clone().filter(|seed| seed % TASTES.len() as u64 == at as u64) {
            let mut rng = fastrand::Rng::with_seed(seed ^ salt << 32);
            let n = usize::try_from(seed).unwrap();
            let message = [damaged(&mut rng, n), tracer(n)].concat();
            let talk = stand.send(&message, Cut::Nowhere);
            wrong.note(check(&talk, n), || format!("seed {seed}: {}: {talk:?}", message.escape_ascii()));
            match talk.answers.first() {
                Some(answer) if answer.saw.is_some() => served += 1,
                _ => refused += 1,
            }
        }
        stand.compare(&origin.requests_of_anybody(), &mut wrong);
        wrong.assert_none();
        // Damage that is too great, or none, would show nothing.
        assert!(
            seeds.end - seeds.start < 100 || served.min(refused) > 10,
            "{served} served, {refused} refused"
        );
    }
}

/// Each answer of the origin is to a request of this message, and the tracer's is the last.
fn check(talk: &Talk, n: usize) -> Result<(), String> {
    if let Some(wrong) = &talk.wrong {
        return Err(wrong.clone());
    }
    let tracer = format!("GET /{n}/tracer");
    let of_tracer = |saw: &Option<String>| saw.as_ref() == Some(&tracer);
    let behind = talk.answers.iter().skip_while(|answer| !of_tracer(&answer.saw)).count();
    if behind > 1 {
        return Err("something is answered behind the last request".to_owned());
    }
    match talk.answers.iter().find(|answer| {
        answer.saw.is_none() && answer.status >= 500 && answer.status != 501 && answer.status != 505
    }) {
        Some(answer) => Err(format!("the origin did not follow: {answer:?}")),
        None => Ok(()),
    }
}

/// A shape with up to three changes of the kind that parsers have been known to disagree on.
fn damaged(rng: &mut fastrand::Rng, n: usize) -> Vec<u8> {
    let shapes = TABLES[rng.usize(..TABLES.len())].1;
    let mut data = render(shapes[rng.usize(..shapes.len())].0, n);
    for _ in 0..rng.usize(..4) {
        let at = rng.usize(..data.len());
        let odd = ODD[rng.usize(..ODD.len())];
        let line = data[..at].windows(2).rposition(|two| two == b"\r\n").map_or(0, |end| end + 2);
        let part = PARTS[rng.usize(..PARTS.len())].as_bytes();
        match rng.u8(..8) {
            0 => data[at] = odd,
            1 => data[at] ^= 1 << rng.u8(..8),
            2 => data.insert(at, odd),
            3 if data.len() > 1 => drop(data.remove(at)),
            4 => drop(data.splice(at..at, part.iter().copied())),
            5 => {
                let copy = data[line..at].to_vec();
                drop(data.splice(line..line, copy));
            }
            _ => drop(data.splice(line..line, part.iter().copied())),
        }
    }
    data
}

fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("WEIR_SMUGGLING_SEEDS").unwrap_or_default();
    let ends = given.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.unwrap_or(0..600)
}

const ODD: &[u8] = b"\r\n\0 \t:;,\x0b\x0c\x7f\x80\xff0+-x\"/?#@\\%_.";

const PARTS: &[&str] = &[
    "\r\n",
    "\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Host: b.test\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    " X: y\r\n",
    "\t",
    "HTTP/1.0",
    "GET / HTTP/1.1\r\n",
];
