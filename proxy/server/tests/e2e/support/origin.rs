//! An origin whose every byte a test decides.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A request as the origin received it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
    /// Its head, as sent.
    pub raw: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
    }
}

/// What the origin does with a request.
pub enum Reaction {
    /// Writes these bytes and keeps the connection.
    Write(Vec<u8>),
    /// Writes these bytes and closes.
    WriteAndClose(Vec<u8>),
    /// Hands the connection to a function, then closes.
    Take(Box<dyn FnOnce(&mut TcpStream) + Send>),
}

impl Reaction {
    /// 200 with this body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self::Write(bytes)
    }
}

type Handler = dyn Fn(&Request) -> Reaction + Send + Sync;

/// A server on a port of its own.
pub struct Origin {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Origin {
    /// One that answers every request with 200 and what it was asked.
    pub fn echo() -> Self {
        Self::start(|request| Reaction::ok(format!("{} {}", request.method, request.target)))
    }

    pub fn start(handler: impl Fn(&Request) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let closed = Arc::new(AtomicUsize::new(0));
        let origin =
            Self { address, seen: seen.clone(), connections: connections.clone(), closed: closed.clone() };
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (handler, seen, closed) = (handler.clone(), seen.clone(), closed.clone());
                std::thread::spawn(move || {
                    serve(stream, connection, &*handler, &seen);
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        origin
    }

    /// One whose every connection is served by `talk`.
    pub fn raw(talk: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::raw_on(listener, talk)
    }

    /// As [`raw`](Self::raw), on this socket.
    pub fn raw_on(listener: TcpListener, talk: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let talk = Arc::new(talk);
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let closed = Arc::new(AtomicUsize::new(0));
        let origin =
            Self { address, seen: seen.clone(), connections: connections.clone(), closed: closed.clone() };
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
                let _ = stream.set_nodelay(true);
                let (talk, seen, closed) = (talk.clone(), seen.clone(), closed.clone());
                let mut peer = Peer { stream, connection, ahead: Vec::new(), seen };
                std::thread::spawn(move || {
                    talk(&mut peer);
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        origin
    }

    /// All requests received so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Connections that the origin has closed so far.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A connection to an origin.
pub struct Peer {
    pub stream: TcpStream,
    /// Which one, counted from 1.
    pub connection: usize,
    ahead: Vec<u8>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Peer {
    /// The head of the next request; `None` when the connection has ended.
    pub fn head(&mut self) -> Option<Request> {
        let request = read_head(&mut self.stream, &mut self.ahead, self.connection)?;
        self.seen.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// The next request with its body. Nobody is told to continue.
    pub fn request(&mut self) -> Option<Request> {
        let mut request = read_head(&mut self.stream, &mut self.ahead, self.connection)?;
        read_body(&mut self.stream, &mut self.ahead, &mut request)?;
        self.seen.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// The body of a request of which [`head`](Self::head) gave the head.
    pub fn body(&mut self, request: &mut Request) -> Option<()> {
        read_body(&mut self.stream, &mut self.ahead, request)
    }

    /// Writes; says whether the other end takes it.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads and drops; returns how much it was, at the end of the connection or after `most` bytes.
    pub fn skip(&mut self, most: u64) -> u64 {
        let mut count = (self.ahead.len() as u64).min(most);
        self.ahead.drain(..count as usize);
        let mut block = vec![0; 256 * 1024];
        while count < most {
            let space = block.len().min((most - count) as usize);
            match self.stream.read(&mut block[..space]) {
                Ok(n) if n > 0 => count += n as u64,
                _ => break,
            }
        }
        count
    }
}

fn serve(mut stream: TcpStream, connection: usize, handler: &Handler, seen: &Mutex<Vec<Request>>) {
    let _ = stream.set_nodelay(true);
    let mut ahead = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut ahead, connection) {
        seen.lock().unwrap().push(request.clone());
        match handler(&request) {
            Reaction::Write(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Reaction::WriteAndClose(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            Reaction::Take(run) => return run(&mut stream),
        }
    }
}

/// Reads one request with its body; `None` when the connection ends or what comes is no HTTP.
fn read_request(stream: &mut TcpStream, ahead: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let mut request = read_head(stream, ahead, connection)?;
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    read_body(stream, ahead, &mut request)?;
    Some(request)
}

fn read_head(stream: &mut TcpStream, ahead: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let end = loop {
        if let Some(at) = ahead.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, ahead)?;
    };
    let head: Vec<u8> = ahead.drain(..end).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    Some(Request {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
        connection,
        raw: head.clone(),
    })
}

fn read_body(stream: &mut TcpStream, ahead: &mut Vec<u8>, request: &mut Request) -> Option<()> {
    if request.header("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(&line(stream, ahead)?, 16).ok()?;
            if size == 0 {
                while !line(stream, ahead)?.is_empty() {}
                break;
            }
            request.body.extend(exactly(stream, ahead, size)?);
            line(stream, ahead)?;
        }
    } else if let Some(length) = request.header("content-length") {
        request.body = exactly(stream, ahead, length.parse().ok()?)?;
    }
    Some(())
}

fn line(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = ahead.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = ahead.drain(..=at).collect();
            return Some(String::from_utf8_lossy(&line).trim().to_owned());
        }
        more(stream, ahead)?;
    }
}

fn exactly(stream: &mut TcpStream, ahead: &mut Vec<u8>, n: usize) -> Option<Vec<u8>> {
    while ahead.len() < n {
        more(stream, ahead)?;
    }
    Some(ahead.drain(..n).collect())
}

fn more(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Option<()> {
    let mut block = [0; 64 * 1024];
    match stream.read(&mut block) {
        Ok(n) if n > 0 => {
            ahead.extend_from_slice(&block[..n]);
            Some(())
        }
        _ => None,
    }
}
