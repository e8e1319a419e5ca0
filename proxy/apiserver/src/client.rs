//! A client of HTTP/1.1 that waits: as much as it takes to write objects through an API.

use crate::status::StatusError;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Talks to one server, with a connection for each request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Vec<u8>,
}

/// What a body is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Nothing,
    Json(&'a Value),
    MergePatch(&'a Value),
}

impl Client {
    /// Without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// With TLS: the authority of the server, and the client's own certificate and key, as PEM.
    pub(crate) fn tls(
        address: SocketAddr,
        authority: &str,
        certificate: &str,
        key: &str,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|it| it.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key))
            .map_err(io::Error::other)?;
        Ok(Self { address, tls: Some(Arc::new(config)) })
    }

    /// One request and its answer.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or the answer is not whole.
    pub(crate) fn send(&self, method: &str, path: &str, body: Body<'_>) -> io::Result<Answer> {
        let (media_type, body) = match body {
            Body::Nothing => ("application/json", String::new()),
            Body::Json(value) => ("application/json", value.to_string()),
            Body::MergePatch(value) => ("application/merge-patch+json", value.to_string()),
        };
        let (host, length) = (self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: application/json\r\n\
             Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match &self.tls {
            None => exchange(stream, &request),
            Some(config) => {
                let name = ServerName::IpAddress(self.address.ip().into());
                let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                exchange(StreamOwned::new(connection, stream), &request)
            }
        }
    }
}

impl Answer {
    /// The object, if it was a success.
    ///
    /// # Errors
    ///
    /// What the server refused it with.
    pub(crate) fn object(&self) -> Result<Value, StatusError> {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if (200..300).contains(&self.code) {
            return Ok(value);
        }
        let reason = value["reason"].as_str().unwrap_or_default();
        let reason = REASONS.iter().find(|known| **known == reason).copied().unwrap_or("Unknown");
        let message = match value["message"].as_str() {
            Some(message) => message.to_owned(),
            None => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let details = value.get("details").cloned().unwrap_or_default();
        Err(StatusError { code: self.code, reason, message, details, retry_after: None })
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    // Without a bound a server that says no end could fill the memory.
    let mut reader = BufReader::new(stream.take(MAX_ANSWER));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let code = line.get(9..12).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let mut length = None;
    let mut chunked = false;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<u64>().ok();
        }
        chunked |=
            name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked");
    }
    let mut body = Vec::new();
    match (chunked, length) {
        (true, _) => while read_chunk(&mut reader, &mut body)? {},
        (false, Some(length)) => {
            if reader.take(length).read_to_end(&mut body)? as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        (false, None) => {
            reader.read_to_end(&mut body)?;
        }
    }
    Ok(Answer { code, body })
}

/// Adds a chunk to a body. Says whether there may be another.
fn read_chunk(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
    if reader.take(size).read_to_end(body)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.clear();
    reader.read_line(&mut line)?;
    Ok(size > 0)
}

/// The longest that one step of a request takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer, with its head.
const MAX_ANSWER: u64 = 1 << 30;

/// Reasons that are known by name.
const REASONS: &[&str] = &[
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotFound",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
];
