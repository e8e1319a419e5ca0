//! Requests over a few kept connections, each of which names another client.

use super::client::at;
use super::peers::SPRAY_HOST;
use super::round::Counted;
use super::{Failure, Stop};
use crate::drive::parse::Reader;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Sends a request for each of so many clients, and counts what comes.
pub(crate) fn spray(port: u16, keys: u32, connections: usize, stop: &Stop) -> Result<Counted, Failure> {
    let failed = |error: io::Error| Failure::Tool(format!("a spray of keys: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Microseconds, up to the patience.
    let histogram = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other).map_err(failed)?;
    let shared = Arc::new(Shared {
        next: AtomicU32::new(0),
        keys,
        ends: AtomicBool::new(false),
        seen: Mutex::new(Seen { counted: Counted::default(), latency: histogram }),
    });
    let began = Instant::now();
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..connections.max(1) {
            let shared = Arc::clone(&shared);
            clients.spawn(async move {
                while shared.more() {
                    // One that is closed between two requests is replaced, and what was under way counts as broken.
                    if client(port, &shared).await.is_err() {
                        shared.seen.lock().counted.broken += 1;
                    }
                }
            });
        }
        loop {
            match tokio::time::timeout(SLICE, clients.join_next()).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(_) => {
                    if let Err(stopped) = stop.check() {
                        shared.ends.store(true, Ordering::Relaxed);
                        return Err(stopped);
                    }
                }
            }
        }
    })?;
    let seen = shared.seen.lock();
    let at = |quantile: f64| Some(seen.latency.value_at_quantile(quantile) as f64 / 1e3);
    Ok(Counted { seconds: began.elapsed().as_secs_f64(), p50: at(0.5), p99: at(0.99), ..seen.counted })
}

struct Shared {
    next: AtomicU32,
    keys: u32,
    ends: AtomicBool,
    seen: Mutex<Seen>,
}

struct Seen {
    counted: Counted,
    latency: Histogram<u64>,
}

impl Shared {
    fn more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.keys && !self.ends.load(Ordering::Relaxed)
    }

    /// The next client's number.
    fn take(&self) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.keys && !self.ends.load(Ordering::Relaxed)).then_some(number)
    }
}

/// Sends on one connection until there are no more keys.
async fn client(port: u16, shared: &Shared) -> io::Result<()> {
    let mut socket = within(TcpStream::connect(at(port))).await?;
    socket.set_nodelay(true)?;
    let mut bytes = vec![0; 16 * 1024];
    while let Some(number) = shared.take() {
        let head = format!(
            "GET /api/1k HTTP/1.1\r\nHost: {SPRAY_HOST}\r\nX-Forwarded-For: {}\r\n\r\n",
            address(number)
        );
        let began = Instant::now();
        within(socket.write_all(head.as_bytes())).await?;
        let (mut reader, mut total) = (Reader::default(), 0);
        let response = loop {
            let count = within(socket.read(&mut bytes)).await?;
            total += count as u64;
            match reader.feed(bytes.get(..count).unwrap_or_default()).map_err(io::Error::other)? {
                Some((response, _)) => break response,
                None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        };
        let mut seen = shared.seen.lock();
        seen.counted.answers += 1;
        seen.counted.bytes += total;
        seen.counted.refused += u64::from(response.status >= 400);
        seen.latency.saturating_record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        drop(seen);
        if response.closes {
            break;
        }
    }
    Ok(())
}

async fn within<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

/// The address of a client: all different up to 16 million, in no order.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(NETWORK | (number.wrapping_mul(ODD) & 0x00ff_ffff))
}

/// 11.0.0.0/8.
const NETWORK: u32 = 11 << 24;
/// Odd, so that multiplying by it shuffles and loses nothing.
const ODD: u32 = 0x9e37_79b1;
const SLICE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_an_address_of_its_own() {
        let mut all: Vec<_> = (0..100_000).map(address).collect();
        assert!(all.iter().all(|address| address.octets()[0] == 11));
        assert!(!all.is_sorted());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100_000);
    }
}
