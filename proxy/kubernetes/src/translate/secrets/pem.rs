//! PEM (RFC 7468) → checked DER.

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use weir_core::finding::ObjectRef;
use weir_core::tls::{Fingerprint, KeyKind, KeyPair, SecretKey, TrustAnchors};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What is wrong, without any of the bytes that it is wrong with.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) field: &'static str,
    /// What was expected, and what was found.
    pub(super) message: String,
}

fn problem(field: &'static str, message: impl Into<String>) -> Problem {
    Problem { field, message: message.into() }
}

/// `tls.crt` and `tls.key`, which must belong together.
pub(super) fn key_pair(
    source: &ObjectRef,
    chain: Option<&[u8]>,
    key: Option<&[u8]>,
) -> Result<KeyPair, Problem> {
    let chain = certificates(CHAIN, chain, "the server's first", MOST_CHAIN)?;
    let key = key
        .filter(|text| !text.is_empty())
        .ok_or_else(|| problem(KEY, "expected one private key in PEM, found nothing"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        problem(
            KEY,
            "expected one private key in PEM (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, unencrypted)",
        )
    })?;
    let kind = match &key {
        PrivateKeyDer::Pkcs1(_) => KeyKind::Pkcs1,
        PrivateKeyDer::Sec1(_) => KeyKind::Sec1,
        PrivateKeyDer::Pkcs8(_) => KeyKind::Pkcs8,
        _ => return Err(problem(KEY, "expected a key in PKCS #1, SEC 1 or PKCS #8")),
    };
    CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider()).map_err(|error| {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                problem(KEY, "expected the key of the first certificate in tls.crt, found another")
            }
            rustls::Error::InvalidCertificate(_) => problem(CHAIN, "the first certificate cannot be used"),
            _ => {
                problem(KEY, "expected an RSA key of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519")
            }
        }
    })?;
    let leaf = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let (_, leaf) = leaf.ok_or_else(|| problem(CHAIN, "the first certificate cannot be read"))?;
    let (names, not_after) = (names(&leaf), leaf.validity().not_after.timestamp());
    let parts = chain.iter().map(AsRef::as_ref).chain([key.secret_der()]);
    Ok(KeyPair {
        source: source.clone(),
        fingerprint: fingerprint(b"weir key pair", parts),
        key: SecretKey::new(kind, key.secret_der().to_vec()),
        chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        not_after,
        names,
    })
}

/// `ca.crt` and `ca.crl`.
pub(super) fn anchors(
    source: &ObjectRef,
    roots: Option<&[u8]>,
    crls: Option<&[u8]>,
) -> Result<TrustAnchors, Problem> {
    let roots = certificates(ROOTS, roots, "of authorities", MOST_ROOTS)?;
    let mut store = RootCertStore::empty();
    for (at, root) in roots.iter().enumerate() {
        store
            .add(root.clone())
            .map_err(|_| problem(ROOTS, format!("certificate {} cannot be an authority", at + 1)))?;
    }
    let crls = crls.map_or_else(|| Ok(Vec::new()), revocations)?;
    let parts = roots.iter().map(AsRef::as_ref).chain([b"".as_slice()]).chain(crls.iter().map(AsRef::as_ref));
    Ok(TrustAnchors {
        source: source.clone(),
        fingerprint: fingerprint(b"weir trust anchors", parts),
        roots: roots.iter().map(|root| root.to_vec()).collect(),
        crls: crls.iter().map(|crl| crl.to_vec()).collect(),
    })
}

/// Certificates in PEM, each of which can be read.
fn certificates(
    field: &'static str,
    text: Option<&[u8]>,
    what: &str,
    most: usize,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let expected = format!("expected certificates in PEM, {what}");
    let text = text.unwrap_or_default();
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let at = found.len() + 1;
        if at > most {
            return Err(problem(field, format!("{expected}, and no more than {most} of them")));
        }
        let certificate =
            certificate.map_err(|_| problem(field, format!("{expected}, but number {at} is no PEM")))?;
        match X509Certificate::from_der(&certificate) {
            Ok(([], _)) => found.push(certificate),
            _ => return Err(problem(field, format!("{expected}, but number {at} is no certificate"))),
        }
    }
    match found.is_empty() {
        true => Err(problem(field, format!("{expected}, found none"))),
        false => Ok(found),
    }
}

fn revocations(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let expected = "expected certificate revocation lists in PEM (X509 CRL)";
    let mut found = Vec::new();
    for crl in CertificateRevocationListDer::pem_slice_iter(text) {
        let at = found.len() + 1;
        let crl = crl.map_err(|_| problem(CRLS, format!("{expected}, but number {at} is no PEM")))?;
        match x509_parser::parse_x509_crl(&crl) {
            Ok((rest, _)) if rest.is_empty() && at <= MOST_CRLS => found.push(crl),
            Ok(_) => return Err(problem(CRLS, format!("{expected}, and no more than {MOST_CRLS} of them"))),
            Err(_) => return Err(problem(CRLS, format!("{expected}, but number {at} is no such list"))),
        }
    }
    // A list that is there and says nothing would revoke nothing, which its author cannot have meant.
    if found.is_empty() { Err(problem(CRLS, format!("{expected}, found none"))) } else { Ok(found) }
}

/// The DNS names of a certificate, in lower case: of the subjectAltName, or the common name where there is none.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    if let Ok(Some(alternatives)) = leaf.subject_alternative_name() {
        let dns = alternatives.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        return dns.collect();
    }
    let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

/// SHA-256 of all parts, each after its length, so that no two lists of parts look the same.
fn fingerprint<'a>(what: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> Fingerprint {
    let mut text = what.to_vec();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let digest = suite.tls13().map(|suite| suite.common.hash_provider.hash(&text));
    let digest = digest.and_then(|digest| <[u8; 32]>::try_from(digest.as_ref()).ok());
    // The suite is one of TLS 1.3, and its hash is SHA-256.
    Fingerprint::new(digest.unwrap_or_default())
}

const CHAIN: &str = "data[tls.crt]";
const KEY: &str = "data[tls.key]";
const ROOTS: &str = "data[ca.crt]";
const CRLS: &str = "data[ca.crl]";

/// Chains are two or three long; clients refuse more than ten.
const MOST_CHAIN: usize = 16;
/// A bundle of all public authorities has about 150.
const MOST_ROOTS: usize = 1024;
const MOST_CRLS: usize = 256;
