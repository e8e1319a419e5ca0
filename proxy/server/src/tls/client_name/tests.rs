use super::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, string::BmpString};
use std::process::Command;

fn named(parts: &[(DnType, DnValue)]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn of(parts: &[(DnType, &str)]) -> String {
    let parts: Vec<_> =
        parts.iter().map(|(kind, value)| (kind.clone(), DnValue::Utf8String((*value).to_owned()))).collect();
    of_certificate(&named(&parts)).unwrap().0
}

#[test]
fn the_most_specific_part_comes_first() {
    let parts =
        [(DnType::CountryName, "XX"), (DnType::OrganizationName, "Shop"), (DnType::CommonName, "anna")];
    assert_eq!(of(&parts), "CN=anna,O=Shop,C=XX");
}

#[test]
fn what_has_a_meaning_is_escaped() {
    assert_eq!(of(&[(DnType::CommonName, "a,O=root+b\"c\\d<e>;f=g")]), r#"CN=a\,O=root\+b\"c\\d\<e\>\;f=g"#);
    assert_eq!(of(&[(DnType::CommonName, "# a #")]), r"CN=\# a #");
    assert_eq!(of(&[(DnType::CommonName, " a ")]), r"CN=\ a\ ");
    assert_eq!(of(&[(DnType::CommonName, "é\r\nX: y")]), r"CN=\C3\A9\0D\0AX: y");
}

#[test]
fn what_is_too_long_or_no_certificate_has_no_name() {
    assert_eq!(of_certificate(&named(&[(DnType::CommonName, "a".repeat(3000).as_str().into())])), None);
    assert_eq!(of_certificate(b"0\x82"), None);
}

/// OpenSSL is what nginx has its names from.
#[test]
fn names_are_as_openssl_has_them() {
    let parts = [
        (DnType::CountryName, DnValue::Utf8String("XX".to_owned())),
        (
            DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]),
            DnValue::Utf8String("shop".to_owned()),
        ),
        (DnType::OrganizationName, DnValue::BmpString(BmpString::try_from("Žluť").unwrap())),
        (DnType::CustomDnType(vec![1, 2, 3, 4]), DnValue::Utf8String("odd".to_owned())),
        (DnType::OrganizationalUnitName, DnValue::Utf8String(" #a, b ".to_owned())),
        (DnType::CommonName, DnValue::Utf8String("日本\u{1}<x>".to_owned())),
    ];
    let der = named(&parts);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.der");
    std::fs::write(&file, &der).unwrap();
    let Ok(output) = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
        .arg(&file)
        .output()
    else {
        let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
        assert!(!required, "openssl is not installed");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: openssl is not installed\n"),
        );
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.trim_end().strip_prefix("subject=").unwrap(), of_certificate(&der).unwrap().0);
}
