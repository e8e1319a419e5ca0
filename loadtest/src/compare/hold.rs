//! Connections that have had one answer each and are held idle.

use super::case::Transport;
use super::client::at;
use super::peers::{ALLOWED_HOST, KIBIBYTE};
use super::{Failure, Stop};
use crate::drive::parse::Reader;
use crate::drive::tls;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Held connections; they are closed when this is dropped.
pub(crate) struct Holder {
    runtime: Runtime,
    port: u16,
    transport: Transport,
    opened: usize,
    held: JoinSet<()>,
    ended: Arc<AtomicUsize>,
}

impl Holder {
    pub(crate) fn new(port: u16, transport: Transport) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Tool(format!("no runtime: {error}")))?;
        let ended = Arc::new(AtomicUsize::new(0));
        Ok(Self { runtime, port, transport, opened: 0, held: JoinSet::new(), ended })
    }

    /// Opens so many more.
    pub(crate) fn open(&mut self, count: usize, stop: &Stop) -> Result<(), Failure> {
        let last = self.opened + count;
        while self.opened < last {
            stop.check()?;
            let next = (self.opened + AT_ONCE).min(last);
            let (port, transport) = (self.port, self.transport);
            let numbers = self.opened..next;
            let connections = self.runtime.block_on(async move {
                let mut opening = JoinSet::new();
                for number in numbers {
                    opening.spawn(connect(port, transport, number));
                }
                let mut connections = Vec::new();
                while let Some(joined) = opening.join_next().await {
                    connections.push(joined.map_err(io::Error::other)??);
                }
                io::Result::Ok(connections)
            });
            let connections = connections
                .map_err(|error| Failure::Tool(format!("connection {next} to be held idle: {error}")))?;
            let _guard = self.runtime.enter();
            for connection in connections {
                let ended = Arc::clone(&self.ended);
                self.held.spawn(async move {
                    connection.end().await;
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
            self.opened = next;
        }
        Ok(())
    }

    /// Holds them for so long, and answers what the protocol asks for meanwhile.
    pub(crate) fn hold(&self, duration: Duration, stop: &Stop) -> Result<(), Failure> {
        let end = std::time::Instant::now() + duration;
        while std::time::Instant::now() < end {
            stop.check()?;
            self.runtime.block_on(async { tokio::time::sleep(SLICE.min(duration)).await });
        }
        Ok(())
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened
    }

    /// How many the other side has closed.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }
}

/// One request over a connection of this kind; fails unless it is answered as it should be.
pub(crate) fn once(port: u16, transport: Transport) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.and_then(|runtime| runtime.block_on(connect(port, transport, 0)).map(drop));
    done.map_err(|error| Failure::Tool(error.to_string()))
}

/// A connection that has had its answer.
enum Connection {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// The connection ends when the last handle is dropped.
    Http2 {
        driver: tokio::task::JoinHandle<()>,
        _handle: h2::client::SendRequest<bytes::Bytes>,
    },
}

impl Connection {
    /// Waits until the other side ends it: an idle connection has nothing to read.
    async fn end(self) {
        match self {
            Self::Plain(mut socket) => drop(socket.read(&mut [0]).await),
            Self::Tls(mut stream) => drop(stream.read(&mut [0]).await),
            Self::Http2 { driver, _handle } => {
                let _ = driver.await;
            }
        }
    }
}

async fn connect(port: u16, transport: Transport, number: usize) -> io::Result<Connection> {
    let opened = tokio::time::timeout(PATIENCE, open(port, transport, number)).await;
    opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

async fn open(port: u16, transport: Transport, number: usize) -> io::Result<Connection> {
    let socket = TcpSocket::new_v4()?;
    // Clients spread over many addresses, as they do outside.
    let last = u8::try_from(1 + number % CLIENTS).unwrap_or(1);
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), 0)))?;
    let mut socket = socket.connect(at(port)).await?;
    socket.set_nodelay(true)?;
    match transport {
        Transport::Plain => {
            ask(&mut socket).await?;
            Ok(Connection::Plain(socket))
        }
        Transport::Tls => {
            let mut stream = encrypt(socket, b"http/1.1").await?;
            ask(&mut stream).await?;
            Ok(Connection::Tls(Box::new(stream)))
        }
        Transport::Http2 => ask_http2(socket).await,
        Transport::Http2Tls => {
            let stream = encrypt(socket, b"h2").await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(io::Error::other("h2 was not chosen"));
            }
            ask_http2(stream).await
        }
    }
}

async fn encrypt(
    socket: TcpStream,
    protocol: &[u8],
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let config = tls::config(&[protocol]).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(tls::name(ALLOWED_HOST), socket).await
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let head = format!("GET /api/1k HTTP/1.1\r\nHost: {ALLOWED_HOST}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let (mut reader, mut bytes, mut total) = (Reader::default(), [0; 4096], 0);
    loop {
        let count = stream.read(&mut bytes).await?;
        total += count;
        match reader.feed(bytes.get(..count).unwrap_or_default()).map_err(io::Error::other)? {
            Some((response, _)) => return judge(response.status, total),
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

async fn ask_http2<S>(stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (handle, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    let mut handle = handle.ready().await.map_err(io::Error::other)?;
    let request = http::Request::get(format!("http://{ALLOWED_HOST}/api/1k")).body(());
    let (response, _) =
        handle.send_request(request.map_err(io::Error::other)?, true).map_err(io::Error::other)?;
    let response = response.await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let (mut body, mut total) = (response.into_body(), 0);
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        total += data.len();
        body.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
    }
    judge(status, total)?;
    Ok(Connection::Http2 { driver, _handle: handle })
}

fn judge(status: u16, bytes: usize) -> io::Result<()> {
    let good = status == 200 && bytes >= KIBIBYTE;
    if good { Ok(()) } else { Err(io::Error::other(format!("answered with {status} and {bytes} bytes"))) }
}

/// Client addresses.
const CLIENTS: usize = 50;
/// Connections that are opened at once.
const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);
const SLICE: Duration = Duration::from_millis(50);
