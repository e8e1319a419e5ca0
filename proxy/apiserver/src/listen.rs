//! The listening socket and its connections.

use crate::server::Identity;
use crate::service;
use crate::shared::Shared;
use crate::wire::{Control, Wire};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, SockAddr, Type};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// An address that stays the server's own while it does not listen.
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    /// Certificate of the authority, as PEM.
    pub(crate) authority: Option<String>,
    tls: Option<TlsAcceptor>,
    _reservation: Reservation,
}

/// A free port of 127.0.0.1, kept: a socket is bound to it and never listens, so that nobody else is given the port, not
/// even for the near end of a connection. Who asks for the port by number can listen on it.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) address: SocketAddr,
    _socket: socket2::Socket,
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: watch::Sender<bool>,
    /// Ends when all that listens or serves has ended.
    ended: mpsc::Receiver<()>,
}

/// What every task of a listening server has.
#[derive(Clone)]
struct Tasks {
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Socket {
    pub(crate) fn new(address: SocketAddr, identity: Option<&Identity>) -> io::Result<Self> {
        let reservation = Reservation::of(address)?;
        let tls = identity.map(acceptor).transpose()?;
        let authority = identity.map(|it| it.authority.clone());
        Ok(Self { address: reservation.address, authority, tls, _reservation: reservation })
    }
}

impl Reservation {
    /// Of whatever port is free.
    pub(crate) fn new() -> io::Result<Self> {
        Self::of(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn of(address: SocketAddr) -> io::Result<Self> {
        let socket = bind(address)?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { address, _socket: socket })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listening {
    pub(crate) fn start(socket: &Socket, shared: &Arc<Shared>, runtime: &Handle) -> io::Result<Self> {
        let listener = bind(socket.address)?;
        listener.listen(BACKLOG)?;
        listener.set_nonblocking(true)?;
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(listener.into())?;
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel();
        let tasks = Tasks { shared: shared.clone(), stop: stopped, _alive: alive };
        runtime.spawn(tasks.accept(listener, socket.tls.clone()));
        Ok(Self { stop, ended })
    }

    /// Closes the socket and all connections; comes back when they are closed.
    pub(crate) fn stop(self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: this waits for the last sender to go.
        let _ = self.ended.recv();
    }
}

impl Tasks {
    async fn accept(mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accept = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                accepted = accept => accepted,
                _ = self.stop.changed() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let (tasks, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                tasks.serve(stream, tls).await;
                drop(place);
            });
        }
    }

    async fn serve(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Events of a watch are small, and each is wanted at once.
        let _ = stream.set_nodelay(true);
        let control = Arc::new(Control::default());
        let wire = Wire::new(stream, control.clone(), self.shared.clone());
        let shared = self.shared.clone();
        let stop = self.stop.changed();
        let connection = async {
            match tls {
                None => talk(wire, shared, control.clone()).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(wire)).await {
                        let (_, session) = stream.get_ref();
                        if session.peer_certificates().is_some() {
                            control.certify();
                        }
                        talk(stream, shared, control.clone()).await;
                    }
                }
            }
        };
        tokio::select! {
            () = connection => {}
            () = control.told() => {}
            _ = stop => {}
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, control: Arc<Control>) {
    let service = service_fn(|request| service::answer(shared.clone(), control.clone(), request));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the client's business.
    let _ = connection.await;
}

fn bind(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn acceptor(identity: &Identity) -> io::Result<TlsAcceptor> {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other);
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match &identity.client_authority {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(authority)?).map_err(io::Error::other)?;
            let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
            builder.allow_unauthenticated().build().map_err(io::Error::other)?
        }
    };
    let chain = vec![certificate(&identity.certificate)?];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|it| it.with_client_cert_verifier(verifier).with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Connections at once.
const MAX_CONNECTIONS: usize = 1024;
/// The longest that a handshake takes.
const HANDSHAKE: Duration = Duration::from_secs(10);
