//! The certificate for names that have none: nobody trusts it, but the connection works and says whose it is.

use super::config::Identity;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;

/// A fresh key and a certificate signed by itself.
pub(super) fn identity() -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([NAME.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    let certificate = params.self_signed(&key)?;
    Ok(Identity {
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    })
}

/// RFC 2606 section 2: a name that nobody has.
const NAME: &str = "weir.invalid";
const COMMON_NAME: &str = "weir default certificate";
