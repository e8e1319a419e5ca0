//! How TLS is spoken to origins.

use super::{Fingerprint, KeyPair, TlsVersions, TrustAnchors};
use std::sync::Arc;

/// How TLS is spoken to the origin of a location (`proxy-ssl-*`), with everything that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginTls {
    /// What is shown to origins that ask for a certificate.
    pub pair: Option<Arc<KeyPair>>,
    /// How the origin's certificate is checked; `None` takes any, as `proxy-ssl-verify: off` says.
    pub verify: Option<OriginVerify>,
    /// The name that the origin's certificate must be for, and the one in SNI: `proxy-ssl-name`, or the Service's name in
    /// the cluster, `web.shop.svc`, or the external name.
    pub name: String,
    /// Whether the name is sent (`proxy-ssl-server-name`).
    pub send_name: bool,
    /// The versions spoken.
    pub versions: TlsVersions,
}

impl OriginTls {
    /// What connections that may serve for one another have in common, for pools.
    pub fn id(&self) -> OriginTlsId {
        let verify = self.verify.as_ref().map(|verify| (verify.anchors.fingerprint, verify.depth));
        OriginTlsId {
            pair: self.pair.as_ref().map(|pair| pair.fingerprint),
            verify,
            name: self.name.clone(),
            send_name: self.send_name,
            versions: self.versions,
        }
    }
}

/// How an origin's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginVerify {
    /// Who signs certificates of origins, and what they have revoked.
    pub anchors: Arc<TrustAnchors>,
    /// Most certificates between the origin's own and the root's, as OpenSSL counts.
    pub depth: u8,
}

/// Identifies an [`OriginTls`] by its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginTlsId {
    pair: Option<Fingerprint>,
    verify: Option<(Fingerprint, u8)>,
    name: String,
    send_name: bool,
    versions: TlsVersions,
}
