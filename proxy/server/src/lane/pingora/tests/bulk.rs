//! Bodies far larger than any buffer.

use super::rig::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of a body, and by how much the process may grow while it passes. Other tests run beside this one.
const SIZE: usize = 256 << 20;
const GROWTH: usize = 48 << 20;

#[tokio::test]
async fn large_bodies_pass_both_ways_in_constant_memory() {
    for framing in [Framing::Length, Framing::Chunks] {
        let before = resident();
        let origin = origin_with(move |mut client| async move {
            let head = client.read_head().await;
            framing.drain(&mut client).await;
            assert_eq!(field(&head, framing.field().0), Some(framing.field().1.as_str()));
            client
                .send(&format!("HTTP/1.1 200 OK\r\n{}: {}\r\n\r\n", framing.field().0, framing.field().1))
                .await;
            framing.fill(&mut client).await;
        })
        .await;
        let rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        let (name, value) = framing.field();
        client.send(&format!("PUT / HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n")).await;
        framing.fill(&mut client).await;
        assert!(client.read_head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        framing.drain(&mut client).await;
        let after = resident();
        assert!(after < before + GROWTH, "grew from {before} to {after} bytes");
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Length,
    Chunks,
}

impl Framing {
    fn field(self) -> (&'static str, String) {
        match self {
            Self::Length => ("Content-Length", SIZE.to_string()),
            Self::Chunks => ("Transfer-Encoding", "chunked".to_owned()),
        }
    }

    async fn fill(self, client: &mut Client) {
        let block = vec![b'a'; 1 << 20];
        for _ in 0..SIZE >> 20 {
            if let Self::Chunks = self {
                client.send("100000\r\n").await;
            }
            guard(client.socket.write_all(&block)).await.unwrap();
            if let Self::Chunks = self {
                client.send("\r\n").await;
            }
        }
        if let Self::Chunks = self {
            client.send("0\r\n\r\n").await;
        }
    }

    /// Reads a body to its end and counts its data.
    async fn drain(self, client: &mut Client) {
        let mut left = match self {
            Self::Length => SIZE,
            Self::Chunks => 0,
        };
        let mut total = 0;
        let mut block = vec![0; 1 << 20];
        loop {
            if left == 0 {
                if let Self::Length = self {
                    break;
                }
                let line = client.read_until("\r\n").await.unwrap();
                left = usize::from_str_radix(line.trim_end(), 16).unwrap();
                if left == 0 {
                    client.read_until("\r\n").await.unwrap();
                    break;
                }
            }
            let held = client.take(left);
            let got = match held {
                0 => {
                    let most = left.min(block.len());
                    guard(client.socket.read(&mut block[..most])).await.unwrap()
                }
                held => held,
            };
            assert_ne!(got, 0, "ended early");
            (left, total) = (left - got, total + got);
            if left == 0 && matches!(self, Self::Chunks) {
                client.read_until("\r\n").await.unwrap();
            }
        }
        assert_eq!(total, SIZE);
    }
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
