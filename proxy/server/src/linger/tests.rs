use super::*;
use crate::deadline;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A client that has sent something which nobody reads, and our end.
fn pair() -> (TcpStream, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"unread").unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (client, Socket::Plain(tokio::net::TcpStream::from_std(ours).unwrap()))
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(test);
}

fn places(most: usize) -> &'static Places {
    Box::leak(Box::new(Places::new(most)))
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn so_many_sockets_linger_and_no_more() {
    run(async {
        let places = places(2);
        let taken = || places.taken.load(Ordering::Relaxed);
        let mut clients: Vec<TcpStream> = (0..4)
            .map(|_| {
                let (client, ours) = pair();
                close_in(places, ours);
                client
            })
            .collect();
        assert_eq!(taken(), 2);
        // Those beyond are closed with what they had sent, which is a reset.
        for client in &mut clients[2..] {
            assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        // The others are let finish; the first that does makes room.
        tokio::task::yield_now().await;
        for client in &mut clients[..2] {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            client.write_all(b"more").unwrap();
        }
        assert_eq!(taken(), 2);
        drop(clients.remove(0));
        until(|| taken() == 1).await;
        let (_client, ours) = pair();
        close_in(places, ours);
        assert_eq!(taken(), 2);
    });
}

#[test]
fn a_client_that_says_nothing_is_waited_for_so_long() {
    run(async {
        let places = places(1);
        let taken = || places.taken.load(Ordering::Relaxed);
        let (client, ours) = pair();
        close_in(places, ours);
        tokio::task::yield_now().await;
        let ticks = MOST_TIME.as_millis() / deadline::TICK.as_millis();
        for _ in 0..ticks {
            deadline::sweep();
            tokio::task::yield_now().await;
        }
        assert_eq!(taken(), 1);
        (0..2).for_each(|_| deadline::sweep());
        until(|| taken() == 0).await;
        drop(client);
    });
}

#[test]
fn a_client_that_sends_for_ever_is_heard_so_much() {
    run(async {
        let places = places(1);
        let (mut client, ours) = pair();
        close_in(places, ours);
        let sending = std::thread::spawn(move || {
            let (mut sent, block) = (0, [b'x'; 64 * 1024]);
            while let Ok(n) = client.write(&block) {
                sent += n;
            }
            sent
        });
        until(|| places.taken.load(Ordering::Relaxed) == 0).await;
        let sent = sending.join().unwrap();
        // The system's buffers hold some of it.
        assert!((MOST_BYTES - 6..MOST_BYTES + (32 << 20)).contains(&sent), "{sent}");
    });
}
