//! What our own bytes cost per request: `cargo bench -p weir --bench answers`.

use divan::{Bencher, black_box};
use std::sync::Arc;
use std::time::Duration;
use weir::access_log::{AccessLog, Answer, Entry, Format, Lane, Protocol, Target, Volume};
use weir::clock::{Clock, Dates};
use weir::counters::Counters;
use weir::origin_headers::{self, ForwardedFor, Inputs};
use weir::request_id::RequestIds;
use weir::respond::{Accept, Ask, BodyPart, GatewayError, Response, Then};
use weir_core::Engine;
use weir_core::account::{Account, Outcome, UpstreamOutcome, UpstreamResult};
use weir_core::facts::{Facts, Scheme};
use weir_core::identity::{Client, Words};
use weir_core::policy::TrustMode;
use weir_core::verdict::Verdict;
use weir_limits::Instant;

fn main() {
    divan::main();
}

/// A line of the access log, the reading of the wall clock included; a file takes the lines.
#[divan::bench(args = [Format::Json, Format::Text])]
fn access_log_line(bencher: Bencher<'_, '_>, format: Format) {
    let target = Target::File("/dev/null".into());
    let (log, writer) = AccessLog::open(
        &target,
        format,
        Volume { served: None, ..Volume::default() },
        Arc::new(Counters::new()),
    )
    .expect("it can be written");
    let account = account();
    let outcome = Outcome {
        status: 200,
        bytes_in: 120,
        bytes_out: 1024,
        upstream: Some(UpstreamOutcome {
            address: ([10, 1, 2, 3], 8080).into(),
            tries: 1,
            status: 200,
            latency: Duration::from_micros(1_234),
            result: UpstreamResult::Respond,
        }),
        ..Outcome::default()
    };
    let clock = Clock::start();
    let id = RequestIds::new().make();
    bencher.bench_local(|| {
        let entry = Entry {
            account: &account,
            peer: account.client.peer,
            outcome: &outcome,
            answer: Answer::Origin,
            method: b"GET",
            host: b"shop.example",
            path: b"/shop/articles/4711",
            request_id: Some(&id),
            lane: Lane::Express,
            protocol: Protocol::Http11,
            abort: None,
            duration: Duration::from_micros(1_300),
        };
        log.write(clock.wall(), black_box(&entry));
    });
    drop(log);
    writer.join();
}

/// An answer of our own, the date included.
#[divan::bench(args = Accept::ALL)]
fn answer(bencher: Bencher<'_, '_>, accept: Accept) {
    let clock = Clock::start();
    let mut dates = Dates::new();
    let mut ids = RequestIds::new();
    let mut out = Vec::with_capacity(4096);
    bencher.bench_local(|| {
        out.clear();
        let id = ids.make();
        let date = dates.http(clock.wall());
        let ask =
            Ask { accept, body: BodyPart::Send, then: Then::Keep, request_id: Some(&id), hsts: None, date };
        Response::error(black_box(GatewayError::Overloaded), ask).write_http1(&mut out);
        black_box(&out);
    });
}

/// The fields that an origin is told, for a client that sent none of them.
#[divan::bench]
fn origin_fields(bencher: Bencher<'_, '_>) {
    let mut ids = RequestIds::new();
    let mut out = Vec::with_capacity(4096);
    let address = [203, 0, 113, 9].into();
    bencher.bench_local(|| {
        out.clear();
        let id = ids.make();
        let inputs = Inputs {
            client: Client { address, peer: address, trust: TrustMode::Ignore, words: Words::List },
            host: b"shop.example",
            port: 8080,
            scheme: Scheme::Http,
            forwarded_for: ForwardedFor::Client,
            header: "X-Forwarded-For",
            request_id: Some(&id),
            certificate: None,
            headers: &(),
        };
        origin_headers::append_http1(&mut out, black_box(&inputs));
        black_box(&out);
    });
}

fn account() -> Account {
    let facts = Facts {
        peer: [203, 0, 113, 9].into(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host: b"shop.example",
        path: b"/",
        query: b"",
        content_length: None,
        head_bytes: 0,
        headers: &(),
    };
    match Engine::default().admit(Instant::START, &facts) {
        Verdict::Refuse(refusal) => refusal.account,
        Verdict::Forward(_) => unreachable!("there is no route"),
    }
}
