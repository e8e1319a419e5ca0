use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring;
use std::time::Duration;
use weir_core::finding::ObjectRef;
use weir_core::tls::{Fingerprint, TrustAnchors, VerifyClient};

type Ca = (Issuer<'static, KeyPair>, CertificateDer<'static>);

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn root(name: &str) -> Ca {
    let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
    let der = params.self_signed(&key).unwrap().der().clone();
    (Issuer::new(params, key), der)
}

fn below(above: &Ca, name: &str) -> Ca {
    let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
    let der = params.signed_by(&key, &above.0).unwrap().der().clone();
    (Issuer::new(params, key), der)
}

fn leaf(above: &Ca, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "anna");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(SerialNumber::from(7));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2031, 1, 1);
    change(&mut params);
    params.signed_by(&KeyPair::generate().unwrap(), &above.0).unwrap().der().clone()
}

fn revoking(by: &Ca, serial: u64) -> Vec<u8> {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2029, 1, 1),
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
    params.signed_by(&by.0).unwrap().der().to_vec()
}

fn authorities(roots: &[&Ca], crls: Vec<Vec<u8>>, depth: u8) -> Authorities {
    let anchors = TrustAnchors {
        source: ObjectRef::new("Secret", "n", "ca"),
        roots: roots.iter().map(|ca| ca.1.to_vec()).collect(),
        crls,
        fingerprint: Fingerprint::new([1; 32]),
    };
    let auth = ClientAuth { anchors: Arc::new(anchors), depth, mode: VerifyClient::Require };
    Authorities::new(&auth, &Arc::new(ring::default_provider())).unwrap()
}

/// The first of January of a year.
fn year(year: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952))
}

#[test]
fn a_certificate_of_a_known_authority_passes_in_its_time() {
    let ca = root("ca");
    let known = authorities(&[&ca], Vec::new(), 1);
    let anna = [leaf(&ca, |_| ())];
    assert_eq!(known.judge(&[], year(2025)), Verified::Absent);
    assert_eq!(known.judge(&anna, year(2025)), Verified::Pass);
    assert_eq!(known.judge(&anna, year(2019)), Verified::Fail(VerifyFailure::Expired));
    assert_eq!(known.judge(&anna, year(2032)), Verified::Fail(VerifyFailure::Expired));
    let stranger = [leaf(&root("ca"), |_| ())];
    // The name of the authority is known, and its key is another.
    assert!(matches!(known.judge(&stranger, year(2025)), Verified::Fail(_)));
    let stranger = [leaf(&root("other"), |_| ())];
    assert_eq!(known.judge(&stranger, year(2025)), Verified::Fail(VerifyFailure::UnknownIssuer));
    let server = [leaf(&ca, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])];
    assert_eq!(known.judge(&server, year(2025)), Verified::Fail(VerifyFailure::Invalid));
    let junk = [CertificateDer::from(vec![0x30, 0x03, 1, 1, 1])];
    assert_eq!(known.judge(&junk, year(2025)), Verified::Fail(VerifyFailure::Invalid));
}

#[test]
fn a_chain_is_no_longer_than_allowed() {
    let ca = root("ca");
    let middle = below(&ca, "middle");
    let low = below(&middle, "low");
    let one = [leaf(&ca, |_| ())];
    let two = [leaf(&middle, |_| ()), middle.1.clone()];
    let three = [leaf(&low, |_| ()), low.1.clone(), middle.1.clone()];
    let deep = Verified::Fail(VerifyFailure::TooDeep);
    for (depth, expected) in [
        // As nginx 1.22 with the same chains and `ssl_verify_depth`.
        (0, [Verified::Pass, deep, deep]),
        (1, [Verified::Pass, Verified::Pass, deep]),
        (2, [Verified::Pass; 3]),
    ] {
        let known = authorities(&[&ca], Vec::new(), depth);
        let seen = [&one[..], &two, &three].map(|chain| known.judge(chain, year(2025)));
        assert_eq!(seen, expected, "depth {depth}");
    }
    // A root that is sent along counts for nothing.
    let known = authorities(&[&ca], Vec::new(), 1);
    assert_eq!(known.judge(&[two[0].clone(), two[1].clone(), ca.1.clone()], year(2025)), Verified::Pass);
}

#[test]
fn what_was_revoked_fails_and_an_old_list_is_not_believed() {
    let ca = root("ca");
    let anna = [leaf(&ca, |_| ())];
    let listed = authorities(&[&ca], vec![revoking(&ca, 7)], 1);
    assert_eq!(listed.judge(&anna, year(2025)), Verified::Fail(VerifyFailure::Revoked));
    let other = authorities(&[&ca], vec![revoking(&ca, 8)], 1);
    assert_eq!(other.judge(&anna, year(2025)), Verified::Pass);
    let late = year(2030);
    assert!(matches!(other.judge(&anna, late), Verified::Fail(_)));
}

#[test]
fn what_is_larger_than_any_certificate_is_not_kept() {
    let ca = root("ca");
    let large = leaf(&ca, |params| {
        params.subject_alt_names = (0..500)
            .map(|n| {
                rcgen::SanType::DnsName(format!("{n}.a-name-that-is-rather-long.test").try_into().unwrap())
            })
            .collect();
    });
    assert!(large.len() > MOST_CERTIFICATE);
    assert!(certificate(&large).is_none());
    assert_eq!(certificate(&leaf(&ca, |_| ())).unwrap().issuer_dn, "CN=ca");
}
