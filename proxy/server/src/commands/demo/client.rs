//! A small HTTP client for the demo's own checks.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// One connection.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    ahead: Vec<u8>,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A response: status and the whole head, in lower case.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Value of a field, by its name in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

impl Client {
    /// Connects from a source address, which makes it a client of its own.
    pub(super) fn connect(source: IpAddr, to: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: Box::new(connect(source, to)?), ahead: Vec::new() })
    }

    /// The same over TLS, whatever certificate there is: the demo's is nobody's.
    pub(super) fn connect_tls(source: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        let name = ServerName::try_from("shop.localhost").map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let stream = StreamOwned::new(connection, connect(source, to)?);
        Ok(Self { stream: Box::new(stream), ahead: Vec::new() })
    }

    /// Sends a request (fields are whole lines) and reads the response.
    pub(super) fn ask(&mut self, line: &str, host: &str, fields: &str, body: &[u8]) -> io::Result<Reply> {
        let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").into_bytes();
        request.extend_from_slice(body);
        // A refusal may come, and the connection close, before all of a body is taken.
        let sent = self.stream.write_all(&request);
        self.read().map_err(|error| sent.err().unwrap_or(error))
    }

    fn read(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.ahead.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status line"))?;
        let mut reply = Reply { status, head, body: Vec::new() };
        let length: usize = reply.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.ahead.len() < length {
            self.more()?;
        }
        reply.body = self.ahead.drain(..length).collect();
        Ok(reply)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut block = [0; 4096];
        match self.stream.read(&mut block)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.ahead.extend(block.iter().take(n));
                Ok(())
            }
        }
    }
}

fn connect(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect(&to.into())?;
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Takes every certificate, if whoever sent it has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// How long an answer may take before a check gives up.
const PATIENCE: Duration = Duration::from_secs(10);
