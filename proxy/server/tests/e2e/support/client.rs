//! A client that sends exactly the bytes it is told to.

use super::PATIENCE;
use super::tls::{self, TlsStream};
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One connection.
pub struct Client {
    stream: Link,
    /// What was read and not yet used.
    ahead: Vec<u8>,
}

/// What a connection is made of.
enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Read for Link {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(space),
            Self::Tls(tls) => tls.read(space),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A response.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// 1xx heads that came before it.
    pub interim: Vec<u16>,
    /// Lines of the trailer section.
    pub trailers: Vec<String>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A GET over a connection of its own.
pub fn get(to: SocketAddr, host: &str, path: &str) -> Reply {
    Client::connect(to).get(host, path)
}

/// The address 127.0.0.`last`: a client of its own.
pub fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

/// `n` requests one after another over one connection, and how long they took: from before the first was sent to after
/// the last was answered.
pub fn burst(client: &mut Client, host: &str, path: &str, n: usize) -> (Vec<Reply>, Duration) {
    let began = Instant::now();
    let replies = (0..n).map(|_| client.get(host, path)).collect();
    (replies, began.elapsed())
}

/// How many have this status.
pub fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

impl Client {
    pub fn connect(to: SocketAddr) -> Self {
        Self::from_stream(TcpStream::connect(to).expect("weir accepts"))
    }

    /// From an address of 127.0.0.0/8, which makes it a client of its own.
    pub fn connect_from(source: IpAddr, to: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&to.into()).expect("weir accepts");
        Self::from_stream(socket.into())
    }

    /// Over this connection.
    pub fn of(stream: TcpStream) -> Self {
        Self::from_stream(stream)
    }

    fn from_stream(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Link::Plain(stream), ahead: Vec::new() }
    }

    /// Over TLS, with this name asked for. The handshake comes with the first byte.
    pub fn connect_tls(to: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Self {
        Self::connect(to).start_tls(name, config)
    }

    /// TLS from here on, with this name asked for.
    pub fn start_tls(self, name: &str, config: Arc<ClientConfig>) -> Self {
        let Link::Plain(stream) = self.stream else { unreachable!("TLS in TLS") };
        Self { stream: Link::Tls(Box::new(tls::wrap(stream, name, config))), ahead: self.ahead }
    }

    /// What is known of TLS, if that is spoken.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match &self.stream {
            Link::Plain(_) => None,
            Link::Tls(tls) => Some(&tls.conn),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("weir reads");
    }

    /// As [`send`](Self::send), for bytes that weir may not want.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    pub fn get(&mut self, host: &str, path: &str) -> Reply {
        self.get_with(host, path, "")
    }

    /// `fields` are whole lines with their CRLF.
    pub fn get_with(&mut self, host: &str, path: &str, fields: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        self.read("GET")
    }

    pub fn post(&mut self, host: &str, path: &str, body: &[u8]) -> Reply {
        self.send(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len()));
        self.send(body);
        self.read("POST")
    }

    pub fn shutdown_write(&mut self) {
        self.stream().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The response to a request with `method`.
    pub fn read(&mut self, method: &str) -> Reply {
        self.try_read(method).expect("a whole response")
    }

    pub fn try_read(&mut self, method: &str) -> io::Result<Reply> {
        let mut interim = Vec::new();
        loop {
            let mut reply = self.read_head()?;
            if reply.status < 200 && reply.status != 101 {
                interim.push(reply.status);
                continue;
            }
            reply.interim = interim;
            if method != "HEAD" && !matches!(reply.status, 101 | 204 | 304) {
                (reply.body, reply.trailers) = self.read_body(&reply)?;
            }
            return Ok(reply);
        }
    }

    /// Only the head of a response.
    pub fn read_head(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.ahead.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let fields = lines.filter_map(|line| line.split_once(':'));
        Ok(Reply {
            status: status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?,
            headers: fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect(),
            ..Reply::default()
        })
    }

    fn read_body(&mut self, reply: &Reply) -> io::Result<(Vec<u8>, Vec<String>)> {
        let mut trailers = Vec::new();
        if reply.header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            let mut body = Vec::new();
            loop {
                let line = self.line()?;
                let size =
                    line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
                let size = size.ok_or_else(|| io::Error::other(format!("no chunk size: {line:?}")))?;
                if size == 0 {
                    loop {
                        match self.line()? {
                            line if line.is_empty() => return Ok((body, trailers)),
                            line => trailers.push(line),
                        }
                    }
                }
                body.extend(self.exactly(size)?);
                self.line()?;
            }
        }
        let body = match reply.header("content-length") {
            Some(length) => self.exactly(length.parse().map_err(io::Error::other)?)?,
            None => self.rest()?,
        };
        Ok((body, trailers))
    }

    /// So many bytes.
    pub fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < n {
            self.more()?;
        }
        Ok(self.ahead.drain(..n).collect())
    }

    /// Everything until weir closes.
    ///
    /// # Errors
    /// When it does not, or resets the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.ahead));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads and drops so many bytes.
    pub fn skip(&mut self, mut n: u64) -> io::Result<()> {
        let here = (self.ahead.len() as u64).min(n);
        self.ahead.drain(..here as usize);
        n -= here;
        let mut block = vec![0; 256 * 1024];
        while n > 0 {
            let space = block.len().min(n as usize);
            match self.stream.read(&mut block[..space])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => n -= read as u64,
            }
        }
        Ok(())
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        match &self.stream {
            Link::Plain(tcp) => tcp,
            Link::Tls(tls) => &tls.sock,
        }
    }

    /// Everything until weir closes; an error when it does so with a reset.
    pub fn until_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.ahead));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// True when weir has closed the connection properly: no bytes, no reset.
    pub fn is_closed(&mut self) -> bool {
        self.ahead.is_empty() && matches!(self.stream.read(&mut [0; 64]), Ok(0))
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.ahead.extend_from_slice(&block[..n]);
                Ok(())
            }
        }
    }
}
