//! Authorities and certificates made for a test.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair as Key, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use weir_core::finding::ObjectRef;
use weir_core::tls::{Content, Fingerprint, KeyKind, KeyPair, SecretContent, SecretKey, TrustAnchors};

/// Somebody who signs certificates.
pub struct Ca {
    issuer: Issuer<'static, Key>,
    pub der: CertificateDer<'static>,
}

/// A certificate with its chain and key.
pub struct Certificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Vec<u8>,
    pub names: Vec<String>,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        Self::make(name, None)
    }

    /// An authority that this one has signed.
    pub fn below(&self, name: &str) -> Self {
        Self::make(name, Some(self))
    }

    fn make(name: &str, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = Key::generate().unwrap();
        let signed = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        let der = signed.unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// For servers of these names.
    pub fn server(&self, names: &[&str]) -> Certificate {
        self.sign(names, names.first().unwrap_or(&"server"), 1, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// As [`server`](Self::server), for so long.
    pub fn server_until(&self, names: &[&str], time: std::time::Duration) -> Certificate {
        self.sign_until(names, "server", 1, ExtendedKeyUsagePurpose::ServerAuth, Some(time))
    }

    /// The authority's certificate.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// For a client.
    pub fn client(&self, name: &str, serial: u64) -> Certificate {
        self.sign(&[], name, serial, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, names: &[&str], cn: &str, serial: u64, usage: ExtendedKeyUsagePurpose) -> Certificate {
        self.sign_until(names, cn, serial, usage, None)
    }

    fn sign_until(
        &self,
        names: &[&str],
        cn: &str,
        serial: u64,
        usage: ExtendedKeyUsagePurpose,
        time: Option<std::time::Duration>,
    ) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, cn);
        params.extended_key_usages = vec![usage];
        params.serial_number = Some(SerialNumber::from(serial));
        if let Some(time) = time {
            params.not_after = (std::time::SystemTime::now() + time).into();
        }
        let key = Key::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Certificate { chain: vec![leaf], key: key.serialize_der(), names }
    }

    /// A list that revokes one certificate.
    pub fn revoke(&self, serial: u64) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2021, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// [`revoke`](Self::revoke) as text.
    pub fn revoke_pem(&self, serial: u64) -> String {
        pem("X509 CRL", &self.revoke(serial))
    }

    /// This authority as a Secret has it.
    pub fn anchors(&self, crls: Vec<Vec<u8>>) -> SecretContent {
        let anchors = TrustAnchors {
            source: ObjectRef::new("Secret", "shop", "ca"),
            roots: vec![self.der.to_vec()],
            crls,
            fingerprint: fingerprint(),
        };
        SecretContent { anchors: Content::Good(Arc::new(anchors)), ..SecretContent::default() }
    }
}

impl Certificate {
    /// With an authority between it and the root.
    pub fn via(mut self, above: &Ca) -> Self {
        self.chain.push(above.der.clone());
        self
    }

    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    pub fn der_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// As a Secret has it.
    pub fn pair(&self) -> Content<KeyPair> {
        Content::Good(Arc::new(KeyPair {
            source: ObjectRef::new("Secret", "shop", "tls"),
            chain: self.chain.iter().map(|der| der.to_vec()).collect(),
            key: SecretKey::new(KeyKind::Pkcs8, self.key.clone()),
            fingerprint: fingerprint(),
            not_after: i64::MAX,
            names: self.names.clone(),
        }))
    }

    /// As rustls has it.
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        let provider = rustls::crypto::ring::default_provider();
        let key = CertifiedKey::from_der(self.chain.clone(), self.der_key(), &provider).unwrap();
        Arc::new(SingleCertAndKey::from(key))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = format!("-----BEGIN {label}-----\n");
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in der.chunks(3) {
        let number =
            three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = digits[(number >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    for line in encoded.as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + &format!("-----END {label}-----\n")
}

/// One that no other has.
fn fingerprint() -> Fingerprint {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Fingerprint::new([NEXT.fetch_add(1, Ordering::Relaxed); 32])
}
