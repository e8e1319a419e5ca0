//! What clients show of themselves.
//!
//! A handshake always comes to its end, whatever certificate the client shows, so that a person can be told with a
//! status what is wrong. The proof that the client has the key is always checked. The certificate itself is judged
//! when the handshake is over, also when an earlier session was resumed: meanwhile it may have expired or been revoked.

use super::client_name;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConnection,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use weir_core::tls::{ClientAuth, ClientAuthId, ClientTls, PeerCertificate, Verified, VerifyFailure};

/// Who signs certificates of clients, and what they have revoked.
pub struct Authorities {
    verifier: Arc<dyn ClientCertVerifier>,
    depth: usize,
}

impl Authorities {
    /// Those of a host.
    ///
    /// # Errors
    /// When none of them can be used, or a list of what they revoked cannot be read.
    pub fn new(auth: &ClientAuth, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(auth.roots().iter().map(|der| CertificateDer::from(der.clone())));
        let lists = auth.crls().iter().map(|der| der.clone().into());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .with_crls(lists)
            // As OpenSSL: what may have been revoked since the list ended is not believed.
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { verifier, depth: usize::from(auth.depth) })
    }

    /// What comes of a certificate and the chain that was sent with it.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verified {
        let Some((leaf, above)) = chain.split_first() else { return Verified::Absent };
        let verify = |above| self.verifier.verify_client_cert(leaf, above, now);
        if let Err(error) = verify(above) {
            return Verified::Fail(failure(&error));
        }
        // How long the chain is that was found is not told, but no chain is longer than what it may be made of. So a
        // client whose chain is out of order may be refused, and none is let in that should not be.
        match above.split_at_checked(self.depth) {
            Some((allowed, more)) if !more.is_empty() && verify(allowed).is_err() => {
                Verified::Fail(VerifyFailure::TooDeep)
            }
            _ => Verified::Pass,
        }
    }
}

fn failure(error: &Error) -> VerifyFailure {
    let Error::InvalidCertificate(error) = error else { return VerifyFailure::Invalid };
    match error {
        CertificateError::UnknownIssuer => VerifyFailure::UnknownIssuer,
        CertificateError::Revoked => VerifyFailure::Revoked,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => VerifyFailure::Expired,
        _ => VerifyFailure::Invalid,
    }
}

/// What the handshake of `connection` has shown.
pub fn seen(
    connection: &ServerConnection,
    authorities: Option<&Authorities>,
    demanded: Option<ClientAuthId>,
    now: UnixTime,
) -> ClientTls {
    let sni = connection.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let chain = connection.peer_certificates().unwrap_or_default();
    let (verified, certificate) = match (authorities, chain.first()) {
        (Some(authorities), Some(leaf)) => match certificate(leaf) {
            Some(certificate) => (authorities.judge(chain, now), Some(certificate)),
            None => (Verified::Fail(VerifyFailure::Invalid), None),
        },
        _ => (Verified::Absent, None),
    };
    ClientTls { sni, demanded, verified, certificate }
}

/// The certificate as the core and origins have it; `None` where it cannot be read, or is larger than any that is
/// meant.
fn certificate(leaf: &CertificateDer<'_>) -> Option<PeerCertificate> {
    if leaf.len() > MOST_CERTIFICATE {
        return None;
    }
    let (subject_dn, issuer_dn) = client_name::of_certificate(leaf)?;
    Some(PeerCertificate { der: leaf.to_vec(), subject_dn, issuer_dn })
}

/// Asks for a certificate and lets the handshake go on whatever it is.
#[derive(Debug)]
pub(super) struct Lenient {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Lenient {
    /// One that says which authorities are known, so that a browser offers the right certificate.
    pub(super) fn new(authorities: &Authorities, provider: &CryptoProvider) -> Self {
        Self {
            hints: authorities.verifier.root_hint_subjects().to_vec(),
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // Judged by `seen`.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Bytes of a certificate that is kept and may be passed on; usual ones have one or two thousand.
const MOST_CERTIFICATE: usize = 8 * 1024;

#[cfg(test)]
mod tests;
