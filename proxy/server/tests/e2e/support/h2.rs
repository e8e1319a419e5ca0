//! Clients of HTTP/2: one that behaves, on the `h2` library, and one whose every frame a test decides.

use super::PATIENCE;
use super::pki::Certificate;
use super::tls::trusting;
use bytes::Bytes;
use h2::Reason;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A connection of a client that behaves.
pub struct H2 {
    runtime: Runtime,
    pub send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A response, or how the stream ended without one.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// Why the stream was broken off.
    pub reset: Option<Reason>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn broken(error: &h2::Error) -> Self {
        Self {
            status: 0,
            headers: HeaderMap::new(),
            body: Vec::new(),
            trailers: None,
            reset: Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR)),
        }
    }
}

impl H2 {
    /// Connects with prior knowledge.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &client::Builder::new())
    }

    pub fn connect_with(address: SocketAddr, builder: &client::Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (send, connection) = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let (send, connection) = builder.handshake(tcp).await.unwrap();
            (send, tokio::spawn(connection))
        });
        Self { runtime, send, connection }
    }

    /// Connects over TLS, with this name asked for and these protocols offered. The other side must choose HTTP/2.
    ///
    /// # Errors
    /// With the protocol that was chosen instead, or with nothing where the handshake failed.
    pub fn connect_tls(address: SocketAddr, name: &str, protocols: &[&str]) -> Result<Self, String> {
        let mut config = (*trusting()).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (send, connection) = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
            let stream = connecting.await.map_err(|_| String::new())?;
            let chosen = stream.get_ref().1.alpn_protocol().unwrap_or(b"none");
            if chosen != b"h2" {
                return Err(String::from_utf8_lossy(chosen).into_owned());
            }
            let (send, connection) = client::handshake(stream).await.unwrap();
            Ok((send, tokio::spawn(connection)))
        })?;
        Ok(Self { runtime, send, connection })
    }

    /// Runs something on the connection.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(PATIENCE, work).await.expect("hangs") };
        self.runtime.block_on(limited)
    }

    pub fn get(&self, host: &str, path: &str) -> Answer {
        self.ask(request("GET", host, path, &[]), &[])
    }

    /// Sends a request with a body, in these pieces.
    pub fn ask(&self, request: Request<()>, body: &[&[u8]]) -> Answer {
        self.run(ask(self.send.clone(), request, body))
    }

    /// Waits for the end of the connection, and says what the server said last.
    pub fn ended(self) -> Option<Reason> {
        let Self { runtime, send, connection } = self;
        drop(send);
        let ended =
            runtime.block_on(async { tokio::time::timeout(PATIENCE, connection).await.expect("hangs") });
        match ended.unwrap() {
            Ok(()) => Some(Reason::NO_ERROR),
            Err(error) => error.reason(),
        }
    }
}

/// A request without a body.
pub fn request(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(format!("http://{host}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Sends a request with a body in pieces, as the server's windows allow, and reads the response to its end.
pub async fn ask(mut send: SendRequest<Bytes>, request: Request<()>, body: &[&[u8]]) -> Answer {
    send = match send.ready().await {
        Ok(send) => send,
        Err(error) => return Answer::broken(&error),
    };
    let (response, mut stream) = match send.send_request(request, body.is_empty()) {
        Ok(sent) => sent,
        Err(error) => return Answer::broken(&error),
    };
    let pieces: Vec<Bytes> = body.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    let sending = async {
        let count = pieces.len();
        for (n, mut piece) in pieces.into_iter().enumerate() {
            while !piece.is_empty() {
                stream.reserve_capacity(piece.len());
                let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                let now = piece.split_to(room.min(piece.len()));
                if stream.send_data(now, n + 1 == count && piece.is_empty()).is_err() {
                    return;
                }
            }
        }
    };
    let receiving = async {
        let response = match response.await {
            Ok(response) => response,
            Err(error) => return Answer::broken(&error),
        };
        let (parts, mut body) = response.into_parts();
        let mut answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: Vec::new(),
            trailers: None,
            reset: None,
        };
        while let Some(data) = body.data().await {
            match data {
                Ok(data) => {
                    answer.body.extend_from_slice(&data);
                    let _ = body.flow_control().release_capacity(data.len());
                }
                Err(error) => {
                    answer.reset = error.reason();
                    return answer;
                }
            }
        }
        match body.trailers().await {
            Ok(trailers) => answer.trailers = trailers,
            Err(error) => answer.reset = error.reason(),
        }
        answer
    };
    // A server that has answered may want no more of the body.
    let mut sending = std::pin::pin!(sending);
    let mut receiving = std::pin::pin!(receiving);
    tokio::select! {
        answer = &mut receiving => answer,
        () = &mut sending => receiving.await,
    }
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ENHANCE_YOUR_CALM: u32 = 11;
pub const NO_ERROR: u32 = 0;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Header fields as literals that are never indexed, names and values below 127 bytes.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x10);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// The fields of a plain request.
pub fn get_fields(host: &str, path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)])
}

/// What a connection had to say for a while.
#[derive(Debug, PartialEq, Eq)]
pub enum Within {
    Frame(Frame),
    Nothing,
    End,
}

/// A client whose every frame a test decides.
pub struct RawH2 {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl RawH2 {
    /// Connects and says nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    /// Connects and sends the preface with these settings.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(address);
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat());
        raw
    }

    /// The other half, to be read beside.
    pub fn reader(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), received: Vec::new() }
    }

    /// Sends bytes; whether the server still took them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        match self.next_within(PATIENCE) {
            Within::Frame(frame) => Some(frame),
            Within::End => None,
            Within::Nothing => panic!("no frame in {PATIENCE:?}"),
        }
    }

    /// What comes in this time.
    pub fn next_within(&mut self, most: Duration) -> Within {
        self.stream.set_read_timeout(Some(most)).unwrap();
        loop {
            if let Some((head, rest)) = self.received.split_at_checked(9) {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if rest.len() >= length {
                    let frame = Frame {
                        kind: head[3],
                        flags: head[4],
                        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                        payload: rest[..length].to_vec(),
                    };
                    self.received.drain(..9 + length);
                    return Within::Frame(frame);
                }
            }
            let mut block = [0; 16 * 1024];
            match self.stream.read(&mut block) {
                Ok(0) => return Within::End,
                Ok(n) => self.received.extend_from_slice(&block[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Within::Nothing,
                Err(_) => return Within::End,
            }
        }
    }

    /// The next frame of this kind.
    pub fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads to the end of the connection; the reason of the last GOAWAY.
    pub fn goaway(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                reason = frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            }
        }
        reason
    }
}

/// What an origin does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Sends every piece back as it comes, and at the end a status of 0.
    Echo,
    /// Answers with a status and nothing else.
    Refuse,
    /// Never answers.
    Hang,
    /// Begins to answer, and never ends.
    Begin,
    /// Begins to answer, and breaks off.
    Break,
}

/// An origin that speaks HTTP/2 with prior knowledge and nothing else; the path says what it does.
pub struct GrpcOrigin {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<http::request::Parts>>>,
}

impl GrpcOrigin {
    pub fn start() -> Self {
        Self::with(None)
    }

    /// One that speaks TLS, and only these protocols inside it.
    pub fn over_tls(certificate: &Certificate, protocols: &[&str]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_no_client_auth().with_cert_resolver(certificate.resolver());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::with(Some(Arc::new(config).into()))
    }

    fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        // The thread ends with the test process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    let (tls, log) = (tls.clone(), log.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve_calls(tcp, log).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(tcp).await {
                                    serve_calls(stream, log).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self { address, seen }
    }
}

async fn serve_calls(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    log: Arc<Mutex<Vec<http::request::Parts>>>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let log = log.clone();
        match request.uri().path() {
            "/test/Last" => connection.graceful_shutdown(),
            "/test/Die" => return log.lock().unwrap().push(request.into_parts().0),
            _ => {}
        }
        tokio::spawn(async move {
            let (parts, body) = request.into_parts();
            let call = match parts.uri.path() {
                "/test/Echo" | "/test/Last" => Call::Echo,
                "/test/Refuse" => Call::Refuse,
                "/test/Hang" => Call::Hang,
                "/test/Begin" => Call::Begin,
                _ => Call::Break,
            };
            log.lock().unwrap().push(parts);
            serve_call(call, body, respond).await;
        });
    }
}

async fn serve_call(call: Call, mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let head = http::Response::builder().status(200).header("content-type", "application/grpc");
    match call {
        Call::Hang => std::future::pending().await,
        Call::Refuse => {
            let head = head.header("grpc-status", "5").header("grpc-message", "none").body(()).unwrap();
            respond.send_response(head, true).unwrap();
        }
        Call::Echo => {
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                if stream.send_data(data, false).is_err() {
                    return;
                }
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("x-after", "all".parse().unwrap());
            let _ = stream.send_trailers(trailers);
        }
        Call::Begin | Call::Break => {
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(b"half"), false).unwrap();
            if call == Call::Begin {
                return std::future::pending().await;
            }
            // Ended in the middle, but not before that was sent.
            while body.data().await.is_some() {}
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}
