//! A DNS server that knows one answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Answers every question for an IPv4 address with 127.0.0.1, on port 53 of an address of loopback, for as long as the test's
/// process lives. `None` where this process may not listen there.
pub(super) fn start() -> Option<Ipv4Addr> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 53, high, low.max(1));
    let socket = match UdpSocket::bind(SocketAddr::from((address, 53))) {
        Ok(socket) => socket,
        Err(error) => {
            // Past the capture of a test that passes.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("skipped: no DNS server of ours, for {address}:53 cannot be bound: {error}\n"),
            );
            return None;
        }
    };
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    Some(address)
}

/// RFC 1035, section 4: the header, the question as it came, and for type A one record that points back at the question's name.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(12..)?;
    let length = name.iter().position(|byte| *byte == 0)? + 1;
    let question = name.get(..length + 4)?;
    let asks_for_ipv4 = question.get(length..length + 2)? == [0, 1];
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(asks_for_ipv4), 0, 0, 0, 0]);
    answer.extend(question);
    if asks_for_ipv4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
