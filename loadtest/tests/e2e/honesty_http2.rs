//! The harness is run against an origin that lies in HTTP/2, and must notice each lie.

use crate::support::{against, failed, steady};
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::Response;
use std::cell::Cell;
use std::net::TcpListener;
use weir_loadtest::report::Report;
use weir_loadtest::scenario::Protocol;

/// What happens to each tenth request.
#[derive(Clone, Copy)]
enum Lie {
    None,
    /// Its stream is reset before an answer.
    Reset(Reason),
    /// Its stream is reset within the answer.
    ResetWithin,
    /// The body is shorter than was said.
    Truncate,
    /// The connection ends with a GOAWAY that takes the request with it.
    GoAway,
}

/// A lying origin that is asked 80 times; the errors and repetitions that were noticed.
fn lie(lie: Lie) -> (Report, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let origin = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = serve(listener, lie) => {}
                _ = stopped => {}
            }
        });
    });
    let mut scenario = steady("{kind: errors, class: a}, {kind: retried}", "");
    scenario.classes[0].request.protocol = Protocol::Http2;
    let report = against(scenario, url);
    drop(stop);
    origin.join().unwrap();
    let failed = failed(&report);
    (report, failed)
}

async fn serve(listener: tokio::net::TcpListener, lie: Lie) {
    let asked = Cell::new(0_u64);
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut connection) = h2::server::handshake(socket).await else { continue };
        while let Some(Ok((_, answer))) = connection.accept().await {
            asked.set(asked.get() + 1);
            match lie {
                Lie::GoAway if asked.get().is_multiple_of(10) => {
                    connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
                }
                lie => respond(answer, if asked.get().is_multiple_of(10) { lie } else { Lie::None }),
            }
        }
    }
}

fn respond(mut answer: SendResponse<Bytes>, lie: Lie) {
    match lie {
        Lie::Reset(reason) => answer.send_reset(reason),
        Lie::ResetWithin => {
            let mut body = answer.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"yy"), false).unwrap();
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        Lie::Truncate => {
            let head = Response::builder().header("content-length", "3").body(()).unwrap();
            let mut body = answer.send_response(head, false).unwrap();
            body.send_data(Bytes::from_static(b"yy"), true).unwrap();
        }
        Lie::None | Lie::GoAway => {
            let mut body = answer.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"yy"), true).unwrap();
        }
    }
}

#[test]
fn an_honest_origin_passes() {
    let (report, failed) = lie(Lie::None);
    assert_eq!((failed, report.classes[0].statuses[&200]), (vec![], 80));
}

#[test]
fn streams_that_are_reset_are_noticed() {
    for how in [Lie::Reset(Reason::INTERNAL_ERROR), Lie::ResetWithin] {
        let (_, failed) = lie(how);
        assert!(failed[0].contains("8 errors 8 Reset"), "{failed:?}");
    }
}

#[test]
fn a_stream_that_is_refused_is_asked_again_and_that_is_noticed() {
    let (report, failed) = lie(Lie::Reset(Reason::REFUSED_STREAM));
    assert_eq!((report.classes[0].statuses[&200], report.generator.retried), (80, 8));
    assert_eq!(failed, ["at most 0 requests sent again | 8"]);
}

#[test]
fn a_body_that_is_shorter_than_its_length_is_noticed() {
    let (_, failed) = lie(Lie::Truncate);
    assert!(failed[0].contains("8 errors 8 EarlyClose"), "{failed:?}");
}

#[test]
fn a_goaway_that_takes_requests_with_it_is_noticed() {
    let (report, failed) = lie(Lie::GoAway);
    // Some are lost, and those that were on their way behind it are asked again: which is which is a matter of moments.
    let lost: u64 = report.classes[0].failures.values().sum();
    assert!(lost + report.generator.retried >= 8, "{lost} lost, {failed:?}");
    assert!(!failed.is_empty());
}
