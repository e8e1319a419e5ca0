use super::rig::*;
use weir_core::account::End;

/// An origin that switches to whatever was asked for, says hello and repeats what it hears.
async fn switching() -> (std::net::SocketAddr, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let address = origin_with(move |mut client| {
        let log = log.clone();
        async move {
            let request = client.read_request().await.unwrap();
            let protocol = field(&request, "upgrade").unwrap_or("nothing").to_owned();
            log.lock().push(request);
            client
                .send(&format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX: y\r\n\r\nhello "
                ))
                .await;
            while let Some(line) = client.read_until("\n").await {
                client.send(&format!("heard {line}")).await;
            }
        }
    })
    .await;
    (address, asked)
}

#[tokio::test]
async fn any_protocol_that_the_origin_takes_up_is_tunnelled() {
    for protocol in ["websocket", "WebSocket", "my-protocol/1, other"] {
        let (origin, asked) = switching().await;
        let endpoints = backend([origin]);
        let mut rig = Rig::with(endpoints.clone(), |_| ()).await;
        let mut client = rig.client().await;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Key: k\r\n\r\n"
        );
        client.send(&request).await;
        let head = client.read_head().await;
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX: y\r\n\r\n"
            )
        );
        assert_eq!(client.read_exact(6).await, "hello ");
        for line in ["one\n", "GET / HTTP/1.1\r\n", "\r\n"] {
            client.send(line).await;
            assert_eq!(client.read_until("\n").await.unwrap(), format!("heard {line}"));
        }
        assert_eq!(in_flight(&endpoints), 1, "a tunnel counts as long as it lives");
        drop(client);
        let ended = rig.ended().await;
        assert_eq!((ended.story.status, ended.story.end), (101, End::Complete));
        assert_eq!(ended.bytes_in, request.len() as u64 + 22);
        assert_eq!(in_flight(&endpoints), 0);
        let request = asked.lock().pop().unwrap();
        assert_eq!(field(&request, "connection"), Some("Upgrade"));
        assert_eq!(field(&request, "sec-websocket-key"), Some("k"));
    }
}

#[tokio::test]
async fn what_a_client_sends_too_early_is_not_lost() {
    let (origin, _) = switching().await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly\n").await;
    client.read_head().await;
    assert_eq!(client.read_until("\n").await.unwrap(), "hello heard early\n");
}

#[tokio::test]
async fn an_origin_that_closes_ends_the_tunnel() {
    let origin = origin_with(|mut client| async move {
        client.read_request().await;
        client.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbye").await;
    })
    .await;
    let mut rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
    client.read_head().await;
    assert_eq!(client.read_to_end().await, "bye");
    assert_eq!(rig.ended().await.story.end, End::Complete);
}

#[tokio::test]
async fn an_upgrade_that_the_origin_ignores_is_an_ordinary_request() {
    let (origin, _) = origin("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        let response = client.read_response().await;
        assert_eq!(field(&response, "connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn a_426_says_what_it_wants() {
    let (origin, _) = origin(
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: y\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(field(&client.read_response().await, "upgrade"), Some("y"));
}

#[tokio::test]
async fn no_tunnel_without_being_asked_for_nor_for_http() {
    for ask in [
        "",
        "Upgrade: x\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
    ] {
        let (origin, asked) = switching().await;
        let mut rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        client.send(&format!("GET / HTTP/1.1\r\nHost: x\r\n{ask}\r\n")).await;
        let answer = client.read_head().await;
        assert!(answer.starts_with("HTTP/1.1 502 Own\r\n"), "{ask:?} {answer}");
        assert_eq!(field(&asked.lock()[0], "upgrade"), None);
        assert_eq!(rig.ended().await.story.status, 0);
    }
}
