//! A pod: an origin that says its name, and can end as a pod does.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

/// A pod that answers every request without a body with 200 and its name. It ends when dropped.
pub struct Pod {
    pub name: String,
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    ended: AtomicBool,
    requests: AtomicUsize,
    /// When the first request came.
    first: Mutex<Option<Instant>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Pod {
    pub fn start(ip: IpAddr, name: impl Into<String>) -> Self {
        let name = name.into();
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            first: Mutex::default(),
            connections: Mutex::default(),
        });
        let accept = {
            let (shared, name) = (shared.clone(), name.clone());
            move || {
                for stream in listener.incoming().flatten() {
                    if shared.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let _ = stream.set_nodelay(true);
                    shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                    let (shared, name) = (shared.clone(), name.clone());
                    std::thread::spawn(move || serve(stream, &name, &shared));
                }
            }
        };
        Self { name, address, shared, accepting: Some(std::thread::spawn(accept)) }
    }

    /// So many, each called `PREFIX-N`.
    pub fn several(ip: IpAddr, prefix: &str, count: usize) -> Vec<Self> {
        (0..count).map(|n| Self::start(ip, format!("{prefix}-{n}"))).collect()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// When the first request came, if one did.
    pub fn first(&self) -> Option<Instant> {
        *self.shared.first.lock().unwrap()
    }

    /// Accepts nothing more, and closes connections; what was asked is answered before that.
    pub fn end(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        accepting.join().unwrap();
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(mut stream: TcpStream, name: &str, shared: &Shared) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    let (mut ahead, mut block) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = ahead.windows(4).position(|window| window == b"\r\n\r\n") {
            ahead.drain(..end + 4);
            shared.requests.fetch_add(1, Ordering::SeqCst);
            shared.first.lock().unwrap().get_or_insert_with(Instant::now);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut block) {
            Ok(n) if n > 0 => ahead.extend_from_slice(&block[..n]),
            _ => return drop(stream.shutdown(Shutdown::Both)),
        }
    }
}
