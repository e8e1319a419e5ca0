//! Responses and origin connections that do not end as they should.

use crate::support::{Client, Origin, Reaction, Weir, ingress};
use std::io::Write;

/// An origin that closes each connection after its response, without a word.
fn forgetful() -> Origin {
    Origin::start(|request| {
        let body = format!("{} {}", request.method, request.body.len());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Reaction::WriteAndClose([head, body].concat().into_bytes())
    })
}

#[test]
fn a_post_is_not_sent_down_a_connection_that_the_origin_has_closed() {
    let origin = forgetful();
    let weir = Weir::start(&ingress("app", "app.test", origin.address, &[]));
    let mut client = Client::connect(weir.http);
    for round in 0..50 {
        let reply = client.post("app.test", "/", b"once");
        assert_eq!((reply.status, reply.text()), (200, "POST 4".to_owned()), "round {round}");
        // From here on the kernel knows, though nobody has told weir.
        weir.until("the origin has closed", || origin.closed() > round);
    }
    assert_eq!(origin.seen().len(), 50, "each was sent once");
}

#[test]
fn a_body_that_ends_with_the_connection_is_never_cut_off_in_silence() {
    let origin = Origin::start(|_| {
        Reaction::Take(Box::new(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nonly the beginning").unwrap();
            // Closing with a linger of zero is a reset.
            socket2::SockRef::from(&*stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }))
    });
    let weir = Weir::start(&ingress("app", "app.test", origin.address, &[]));
    let mut client = Client::connect(weir.http);
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    // Whatever of it arrives: a proper end must not.
    let ended = client.read_head().map(|_| client.until_end());
    assert!(!matches!(ended, Ok(Ok(_))), "{ended:?}");
}
