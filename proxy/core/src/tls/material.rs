//! Certificates and keys, as bytes.

use crate::finding::ObjectRef;
use std::fmt;

/// A certificate with its chain and its key, checked by whoever read it: the key is the leaf's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The Secret that it was read from.
    pub source: ObjectRef,
    /// Certificates in DER (RFC 5280), the leaf first. Never empty.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's key.
    pub key: SecretKey,
    /// Identifies chain and key.
    pub fingerprint: Fingerprint,
    /// The end of the leaf's validity, in seconds since 1970.
    pub not_after: i64,
    /// DNS names of the leaf, in lower case: its subjectAltName, or its common name if it has none of them.
    pub names: Vec<String>,
}

impl KeyPair {
    /// Whether the certificate is for `host`, in lower case: by name, or by a wildcard for its first label (RFC 6125
    /// section 6.4.3). A wildcard host is covered only by the same wildcard.
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            _ if name == host => true,
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && label != "*" && rest == parent),
            None => false,
        })
    }
}

/// A private key in DER. Its `Debug` shows no part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    kind: KeyKind,
    der: Vec<u8>,
}

impl SecretKey {
    /// Takes the DER of a key.
    pub fn new(kind: KeyKind, der: Vec<u8>) -> Self {
        Self { kind, der }
    }

    /// How it is encoded.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The encoded key. Never to be printed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.kind)
    }
}

/// How a private key is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
}

/// Certificates of authorities that are believed, and what they have revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchors {
    /// The Secret that they were read from.
    pub source: ObjectRef,
    /// Certificates in DER. Never empty.
    pub roots: Vec<Vec<u8>>,
    /// Certificate revocation lists in DER; none means that nothing is looked up.
    pub crls: Vec<Vec<u8>>,
    /// Identifies roots and lists.
    pub fingerprint: Fingerprint,
}

/// Identifies content by a digest that nobody can make two contents for (SHA-256). Made from secrets, so it is never
/// shown in full.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Takes a digest.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Fingerprint({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
