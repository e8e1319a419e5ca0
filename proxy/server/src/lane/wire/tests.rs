use super::*;

fn complete(data: &[u8]) -> RequestHead {
    match read_request(data) {
        RequestReading::Complete(head) => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_browser_request_is_edited_in_place() {
    let request = b"POST /a/b?x=%20 HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: keep-alive\r\n\
        Keep-Alive: 5\r\nAccept: */*\r\nX_Y: 1\r\nContent-Length: 3\r\n\r\nabc";
    let mut buffer = Buffer::new();
    buffer.spare()[..request.len()].copy_from_slice(request);
    buffer.advance(request.len());
    let head = complete(buffer.data());
    assert_eq!(head.path.text(request), "/a/b");
    assert_eq!(head.query.text(request), "x=%20");
    assert_eq!(head.host.text(request), "shop.example:8080");
    assert_eq!(head.total(), request.len());
    let length = head.edits(|_| Treat::Cut).apply(&mut buffer, &[b"X-A: ", b"1", b"\r\n"]);
    let expected = b"POST /a/b?x=%20 HTTP/1.1\r\nX-A: 1\r\nHost: shop.example:8080\r\nAccept: */*\r\n\
        Content-Length: 3\r\n\r\nabc";
    assert_eq!(buffer.data().escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(length, Ok(expected.len() - 3));
}
