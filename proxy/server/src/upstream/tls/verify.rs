//! Whether an origin is who it should be.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use weir_core::tls::OriginVerify;

/// Verifies as a policy says, whether or not a name is sent. That the origin has the key of the certificate that it
/// shows is always verified.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Who is believed, and how many certificates there may be below them; `None` takes any certificate
    /// (`proxy-ssl-verify: off`).
    believed: Option<(Arc<WebPkiServerVerifier>, usize)>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// # Errors
    /// When none of the authorities can be used, or a list of what they revoked cannot be read.
    pub(super) fn new(verify: Option<&OriginVerify>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let believed = verify.map(|OriginVerify { anchors, depth }| {
            let mut store = RootCertStore::empty();
            store
                .add_parsable_certificates(anchors.roots.iter().map(|der| CertificateDer::from(der.clone())));
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
                .with_crls(anchors.crls.iter().map(|der| der.clone().into()))
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
            Ok::<_, Error>((verifier, usize::from(*depth)))
        });
        Ok(Self { believed: believed.transpose()?, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some((verifier, depth)) = &self.believed else { return Ok(ServerCertVerified::assertion()) };
        let verified = verifier.verify_server_cert(leaf, above, name, ocsp, now)?;
        // As for clients: no chain is longer than what it may be made of.
        match above.split_at_checked(*depth) {
            Some((allowed, more)) if !more.is_empty() => verifier
                .verify_server_cert(leaf, allowed, name, ocsp, now)
                .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            _ => Ok(verified),
        }
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
