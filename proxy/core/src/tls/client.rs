//! What a handshake showed about a client.

use super::ClientAuthId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What the handshake of a connection showed. Made once for a connection by the server; the core decides about each of
/// its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The server name that the client asked for (RFC 6066 section 3), in lower case and without a dot at its end.
    pub sni: Option<String>,
    /// What the handshake asked of the client: the [`id`](super::ClientAuth::id) of the host's `ClientAuth` then.
    pub demanded: Option<ClientAuthId>,
    /// What came of it.
    pub verified: Verified,
    /// The certificate that the client has shown, verified or not.
    pub certificate: Option<PeerCertificate>,
}

/// A certificate that a client has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The leaf in DER.
    pub der: Vec<u8>,
    /// Its subject in the form of RFC 4514, the most specific part first: `CN=anna,O=Shop`. Printable ASCII.
    pub subject_dn: String,
    /// Its issuer in the same form.
    pub issuer_dn: String,
}

impl PeerCertificate {
    /// The certificate in PEM, percent-encoded for a header as nginx's `$ssl_client_escaped_cert` is: all but letters,
    /// digits and `-._~` becomes `%XX`.
    pub fn pem_urlencoded(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let mut text = String::with_capacity(body.len() + body.len() / 8 + 128);
        let mut push = |line: &str| line.bytes().for_each(|byte| push_encoded(&mut text, byte));
        push("-----BEGIN CERTIFICATE-----\n");
        for line in body.as_bytes().chunks(PEM_LINE) {
            push(std::str::from_utf8(line).unwrap_or_default());
            push("\n");
        }
        push("-----END CERTIFICATE-----\n");
        text
    }
}

fn push_encoded(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        text.push(char::from(byte));
    } else {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase();
        text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// What came of a client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// There is none.
    #[default]
    Absent,
    /// It is valid.
    Pass,
    /// It is not.
    Fail(VerifyFailure),
}

impl Verified {
    /// The value of `ssl-client-verify`, as nginx's `$ssl_client_verify`.
    pub fn header(self) -> &'static str {
        match self {
            Self::Absent => "NONE",
            Self::Pass => "SUCCESS",
            Self::Fail(failure) => failure.header(),
        }
    }
}

/// Why a client's certificate is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyFailure {
    /// No chain leads to a known authority. The one failure that [`OptionalNoCa`](super::VerifyClient::OptionalNoCa)
    /// lets through.
    UnknownIssuer,
    /// Its time is over, or has not come.
    Expired,
    /// It was revoked.
    Revoked,
    /// The chain is longer than allowed.
    TooDeep,
    /// It is for another purpose, malformed, or its signature is wrong.
    Invalid,
}

impl VerifyFailure {
    fn header(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "FAILED:unable to verify the first certificate",
            Self::Expired => "FAILED:certificate has expired",
            Self::Revoked => "FAILED:certificate revoked",
            Self::TooDeep => "FAILED:certificate chain too long",
            Self::Invalid => "FAILED:certificate rejected",
        }
    }
}

/// The header that tells the origin what came of the client's certificate.
pub const VERIFY_HEADER: &str = "ssl-client-verify";
/// The header with the client's subject.
pub const SUBJECT_HEADER: &str = "ssl-client-subject-dn";
/// The header with the issuer of the client's certificate.
pub const ISSUER_HEADER: &str = "ssl-client-issuer-dn";
/// The header with the certificate itself.
pub const CERTIFICATE_HEADER: &str = "ssl-client-cert";

/// All of them. Origins believe them, so those that a client sends are dropped from every request, on every host.
pub const CLIENT_HEADERS: [&str; 4] = [VERIFY_HEADER, SUBJECT_HEADER, ISSUER_HEADER, CERTIFICATE_HEADER];

/// RFC 7468 section 2.
const PEM_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_encoded_as_nginx_does() {
        let certificate = PeerCertificate {
            der: vec![0xfb; 49],
            subject_dn: "CN=a".to_owned(),
            issuer_dn: "CN=b".to_owned(),
        };
        let text = certificate.pem_urlencoded();
        assert!(text.starts_with("-----BEGIN%20CERTIFICATE-----%0A%2B%2Fv7"), "{text}");
        assert!(text.ends_with("%2Bw%3D%3D%0A-----END%20CERTIFICATE-----%0A"), "{text}");
        assert_eq!(text.matches("%0A").count(), 4, "68 letters are two lines");
    }
}
