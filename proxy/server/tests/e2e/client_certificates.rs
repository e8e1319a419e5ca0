//! `auth-tls-*` from manifests, with curl as the client.

use crate::support::pki::{Ca, Certificate};
use crate::support::{LANES, Origin, Reaction, Weir, ingress, installed};
use crate::tls::{secret, tls_secret};
use std::process::Command;

/// curl with certificates of its own.
struct Curl {
    folder: tempfile::TempDir,
}

impl Curl {
    fn new(known: &[(&str, &Certificate)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, certificate) in known {
            std::fs::write(folder.path().join(format!("{name}.pem")), certificate.chain_pem()).unwrap();
            std::fs::write(folder.path().join(format!("{name}.key")), certificate.key_pem()).unwrap();
        }
        Self { folder }
    }

    /// Status, body and `Location` of `/` of a host, asked for by `who`; nobody is `-`.
    fn ask(&self, weir: &Weir, host: &str, who: &str) -> (u16, String, String) {
        let port = weir.https().port();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "20"])
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(["--write-out", "\n%{http_code} %header{location}"]);
        if who != "-" {
            curl.arg("--cert").arg(self.folder.path().join(format!("{who}.pem")));
            curl.arg("--key").arg(self.folder.path().join(format!("{who}.key")));
        }
        let output = curl.arg(format!("https://{host}:{port}/")).output().unwrap();
        assert!(output.status.success(), "{host}, {who}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let (body, last) = said.rsplit_once('\n').unwrap();
        let (status, location) = last.split_once(' ').unwrap();
        (status.parse().unwrap(), body.to_owned(), location.to_owned())
    }
}

const PREFIX: &str = "nginx.ingress.kubernetes.io/auth-tls-";

fn host(name: &str, origin: &Origin, annotations: &[(&str, &str)]) -> String {
    let full: Vec<(String, &str)> =
        annotations.iter().map(|(key, value)| (format!("{PREFIX}{key}"), *value)).collect();
    let full: Vec<(&str, &str)> = full.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let host = format!("{name}.test");
    let tls = format!("spec:\n  tls:\n  - hosts: [{host}]\n    secretName: cert\n  rules:");
    ingress(name, &host, origin.address, &full).replacen("spec:\n  rules:", &tls, 1)
}

#[test]
fn annotations_say_who_is_let_in_and_what_becomes_of_others() {
    if !installed(&["curl"]) {
        return;
    }
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let middle = ca.below("middle");
    let low = middle.below("low");
    let curl = Curl::new(&[
        ("anna", &ca.client("anna", 1)),
        ("carl", &ca.client("carl", 2)),
        ("eve", &other.client("anna", 1)),
        ("below", &low.client("anna", 3).via(&low).via(&middle)),
    ]);
    let origin = Origin::start(|request| {
        let told = |name| request.header(name).unwrap_or("-").to_owned();
        let told = ["ssl-client-verify", "ssl-client-subject-dn", "ssl-client-issuer-dn", "ssl-client-cert"]
            .map(told);
        Reaction::ok(told.join("|").chars().take(60).collect::<String>())
    });
    let known = ("secret", "default/ca");
    let page = ("error-page", "https://help.test/certificate");
    let manifests = [
        host("needs", &origin, &[known]),
        host("optional", &origin, &[known, ("verify-client", "optional")]),
        host("any", &origin, &[known, ("verify-client", "optional_no_ca")]),
        host("open", &origin, &[known, ("verify-client", "off")]),
        host("page", &origin, &[known, page]),
        host("named", &origin, &[known, ("match-cn", "CN=(anna|ben)")]),
        host("deep", &origin, &[known, ("verify-depth", "2")]),
        host("passed", &origin, &[known, ("pass-certificate-to-upstream", "true")]),
        host("revoked", &origin, &[("secret", "default/revoking")]),
        host("bare", &origin, &[("secret", "ca")]),
        host("missing", &origin, &[("secret", "default/none")]),
        tls_secret("cert", &ca.server(&["*.test"])),
        secret("ca", &[("ca.crt", ca.pem())]),
        secret("revoking", &[("ca.crt", ca.pem()), ("ca.crl", ca.revoke_pem(2))]),
    ]
    .concat();
    let none = "NONE|-|-|-";
    let anna = "SUCCESS|CN=anna|CN=ca|-";
    let forged = "FAILED:unable to verify the first certificate|CN=anna|CN=oth";
    for lane in LANES {
        let weir = lane.start(&manifests, &["--https", "127.0.0.1:0"]);
        for (host, who, status, body) in [
            ("needs", "anna", 200, anna),
            ("needs", "-", 400, ""),
            ("needs", "eve", 400, ""),
            ("needs", "below", 400, ""),
            ("optional", "anna", 200, anna),
            ("optional", "-", 200, none),
            ("optional", "eve", 400, ""),
            ("any", "-", 200, none),
            ("any", "eve", 200, forged),
            ("open", "-", 200, "-|-|-|-"),
            ("open", "eve", 200, "-|-|-|-"),
            ("page", "anna", 200, anna),
            ("page", "-", 302, ""),
            ("page", "eve", 302, ""),
            ("named", "anna", 200, anna),
            ("named", "carl", 403, ""),
            ("named", "-", 400, ""),
            ("named", "eve", 400, ""),
            ("deep", "below", 200, "SUCCESS|CN=anna|CN=low|-"),
            ("passed", "anna", 200, "SUCCESS|CN=anna|CN=ca|-----BEGIN%20CERTIFICATE-----%0A"),
            ("revoked", "anna", 200, anna),
            ("revoked", "carl", 400, ""),
            ("bare", "anna", 403, ""),
            ("missing", "anna", 403, ""),
        ] {
            let context = format!("{lane:?}, {host}, {who}");
            let (got, text, location) = curl.ask(&weir, &format!("{host}.test"), who);
            assert_eq!(got, status, "{context}: {text}");
            if status == 200 {
                assert!(text.starts_with(body), "{context}: {text}");
            }
            assert_eq!(location, if status == 302 { page.1 } else { "" }, "{context}");
        }
        let findings = weir.findings();
        for name in ["bare", "missing"] {
            let told = findings.iter().any(|finding| {
                finding["name"] == name && finding["field"].as_str().unwrap().ends_with("auth-tls-secret]")
            });
            assert!(told, "{name}: {findings:?}");
        }
    }
}

/// The list of what was revoked is a Secret as well: a new one holds from the next handshake on, and a broken one changes
/// nothing.
#[test]
fn a_changed_list_of_revoked_certificates_holds_from_the_next_handshake_on() {
    if !installed(&["curl"]) {
        return;
    }
    let ca = Ca::new("ca");
    let curl = Curl::new(&[("anna", &ca.client("anna", 1)), ("carl", &ca.client("carl", 2))]);
    let origin = Origin::echo();
    let manifests =
        host("asks", &origin, &[("secret", "default/ca")]) + &tls_secret("cert", &ca.server(&["asks.test"]));
    let list = |text: String| secret("ca", &[("ca.crt", ca.pem()), ("ca.crl", text)]);
    let weir = Weir::start_in(
        &[("manifests.yaml", &manifests), ("ca.yaml", &list(ca.revoke_pem(7)))],
        &["--https", "127.0.0.1:0"],
    );
    let statuses = || ["anna", "carl"].map(|who| curl.ask(&weir, "asks.test", who).0);
    assert_eq!(statuses(), [200, 200]);
    weir.apply_file("ca.yaml", &list(ca.revoke_pem(2)));
    assert_eq!(statuses(), [200, 400]);
    weir.apply_file("ca.yaml", &list("-----BEGIN X509 CRL-----\nbm8=\n-----END X509 CRL-----\n".to_owned()));
    assert_eq!(statuses(), [200, 400], "the last good one is in force");
    assert!(
        weir.findings().iter().any(|finding| finding["code"] == "last-good-secret"),
        "{:?}",
        weir.findings()
    );
}
