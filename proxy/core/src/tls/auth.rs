//! What is asked of clients in a handshake.

use super::{Fingerprint, TrustAnchors};
use serde::Serialize;
use std::sync::Arc;

/// What the clients of a host have to show in the handshake (`auth-tls-*`).
///
/// The handshake always comes to its end, whatever a client shows: the core refuses what must not pass, with a status
/// that a person can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who signs certificates of clients, and what they have revoked.
    pub anchors: Arc<TrustAnchors>,
    /// Most certificates between the client's and the root's, as OpenSSL and so nginx count: 0 is a client certificate
    /// that a root has signed itself.
    pub depth: u8,
    /// What is let through without a valid certificate.
    pub mode: VerifyClient,
}

impl ClientAuth {
    /// Certificates of authorities, in DER.
    pub fn roots(&self) -> &[Vec<u8>] {
        &self.anchors.roots
    }

    /// Certificate revocation lists, in DER.
    pub fn crls(&self) -> &[Vec<u8>] {
        &self.anchors.crls
    }

    /// What two handshakes that ask for the same have in common.
    pub fn id(&self) -> ClientAuthId {
        ClientAuthId { anchors: self.anchors.fingerprint, depth: self.depth, mode: self.mode }
    }
}

/// Identifies what a handshake asked for: equal for equal [`ClientAuth`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAuthId {
    anchors: Fingerprint,
    depth: u8,
    mode: VerifyClient,
}

/// Whether a client must show a valid certificate (`auth-tls-verify-client`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyClient {
    /// It must (`on`).
    #[default]
    Require,
    /// It may show none, but no invalid one (`optional`).
    Optional,
    /// It may show none, or one that no known authority signed; the origin is told (`optional_no_ca`).
    OptionalNoCa,
    /// It is not asked for one (`off`).
    Ignore,
}
