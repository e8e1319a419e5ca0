//! TLS and redirects: Secrets, versions, names, certificates of clients.

use super::limit::join;
use super::number::within;
use super::{Flag, Invalid, Kind, Note, shown};
use crate::canonical;
use crate::policy::{Protocol, SubjectPattern};
use crate::tls::{Alpn, SecretName, TlsVersion, TlsVersions, UnknownName, VerifyClient};

/// A Secret by namespace and name.
pub struct SecretRef;

impl Kind for SecretRef {
    type Value = Option<SecretName>;
    const FORM: &'static str = "`NAMESPACE/NAME` of a Secret, in the namespace of the object";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let is_name = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                *value = Some(SecretName::new(namespace, name));
                Ok(None)
            }
            _ => Err(Invalid::Form),
        }
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().map(ToString::to_string)
    }
}

/// Whether clients must show a certificate.
pub struct VerifyClients;

impl Kind for VerifyClients {
    type Value = Option<VerifyClient>;
    const FORM: &'static str = "`on`, `off`, `optional` or `optional_no_ca`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let found = VERIFY.into_iter().find(|(word, _)| *word == text);
        *value = Some(found.ok_or(Invalid::Form)?.1);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        let value = (*value)?;
        VERIFY.into_iter().find(|(_, mode)| *mode == value).map(|(word, _)| word.to_owned())
    }
}

/// The longest chain of certificates.
pub struct Depth;

impl Kind for Depth {
    type Value = u8;
    const FORM: &'static str = "a whole number from 1 to 255";

    fn read(value: &mut u8, text: &str) -> Result<Note, Invalid> {
        let depth: u8 = within(text, 0..=255)?;
        *value = depth.max(1);
        Ok((depth == 0).then(|| "`0` is read as `1`, as in ingress-nginx".into()))
    }

    fn print(value: &u8) -> Option<String> {
        Some(value.to_string())
    }
}

/// An absolute URI that clients are sent to.
pub struct Page;

impl Kind for Page {
    type Value = Option<String>;
    const FORM: &'static str =
        "an absolute URL with `http` or `https`, such as `https://shop.example/certificate`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).ok_or(Invalid::Form)?;
        let host = canonical::host(authority.as_bytes()).map_err(|_| Invalid::Form)?;
        if host.is_empty() || text.len() > 2048 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::Form);
        }
        *value = Some(text.to_owned());
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.clone()
    }
}

/// What the subject of a client's certificate must match.
pub struct Subject;

impl Kind for Subject {
    type Value = Option<SubjectPattern>;
    const FORM: &'static str = "`CN=` and a regular expression, such as `CN=(anna|ben)`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        if !text.contains("CN=") {
            return Err(Invalid::Form);
        }
        if text.len() > 1024 {
            return Err(Invalid::TooLong(1024));
        }
        let pattern = SubjectPattern::new(text);
        *value = Some(pattern.map_err(|_| Invalid::Structure("it is no regular expression".to_owned()))?);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().map(|pattern| pattern.as_str().to_owned())
    }
}

/// `on` or `off`.
pub struct OnOff;

impl Kind for OnOff {
    type Value = bool;
    const FORM: &'static str = "`on` or `off`";

    fn read(value: &mut bool, text: &str) -> Result<Note, Invalid> {
        *value = match text {
            "on" => true,
            "off" => false,
            _ => return Err(Invalid::Form),
        };
        Ok(None)
    }

    fn print(value: &bool) -> Option<String> {
        Some(if *value { "on" } else { "off" }.to_owned())
    }
}

/// Versions of TLS, in the words of nginx.
pub struct Versions;

impl Kind for Versions {
    type Value = TlsVersions;
    const FORM: &'static str = "`TLSv1.2` or `TLSv1.3`, or both, separated by spaces";

    fn read(value: &mut TlsVersions, text: &str) -> Result<Note, Invalid> {
        let (mut v12, mut v13, mut old) = (false, false, false);
        for word in text.split_ascii_whitespace() {
            match word {
                "TLSv1.2" => v12 = true,
                "TLSv1.3" => v13 = true,
                "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" => old = true,
                _ => return Err(Invalid::Part(shown(word))),
            }
        }
        *value = match (v12, v13) {
            (true, true) => TlsVersions::V12AndV13,
            (true, false) => TlsVersions::V12,
            (false, true) => TlsVersions::V13,
            (false, false) if old => {
                let message = "versions before 1.2 are never spoken (RFC 8996)";
                return Err(Invalid::Structure(message.to_owned()));
            }
            (false, false) => return Err(Invalid::Form),
        };
        Ok(old.then(|| "versions before 1.2 are never spoken (RFC 8996); the others are in force".into()))
    }

    fn print(value: &TlsVersions) -> Option<String> {
        Some(value.as_str().to_owned())
    }
}

/// The oldest version of TLS.
pub struct MinVersion;

impl Kind for MinVersion {
    type Value = Option<TlsVersion>;
    const FORM: &'static str = "`1.2` or `1.3`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        *value = Some(match text {
            "1.2" => TlsVersion::V12,
            "1.3" => TlsVersion::V13,
            _ => return Err(Invalid::Form),
        });
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|version| match version {
            TlsVersion::V12 => "1.2".to_owned(),
            TlsVersion::V13 => "1.3".to_owned(),
        })
    }
}

/// The protocols offered in a handshake.
pub struct AlpnList;

impl Kind for AlpnList {
    type Value = Option<Alpn>;
    const FORM: &'static str = "`h2,http/1.1` or `http/1.1`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        *value = Some(match words.as_slice() {
            ["h2", "http/1.1"] => Alpn::H2AndHttp1,
            ["http/1.1"] => Alpn::Http1,
            _ => return Err(Invalid::Form),
        });
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|alpn| match alpn {
            Alpn::H2AndHttp1 => "h2,http/1.1".to_owned(),
            Alpn::Http1 => "http/1.1".to_owned(),
        })
    }
}

/// `use-http2`.
pub struct Http2;

impl Kind for Http2 {
    type Value = Alpn;
    const FORM: &'static str = Flag::FORM;

    fn read(value: &mut Alpn, text: &str) -> Result<Note, Invalid> {
        let mut on = true;
        let note = Flag::read(&mut on, text)?;
        *value = if on { Alpn::H2AndHttp1 } else { Alpn::Http1 };
        Ok(note)
    }

    fn print(value: &Alpn) -> Option<String> {
        Some((*value == Alpn::H2AndHttp1).to_string())
    }
}

/// `ssl-reject-handshake`.
pub struct RejectUnknown;

impl Kind for RejectUnknown {
    type Value = UnknownName;
    const FORM: &'static str = Flag::FORM;

    fn read(value: &mut UnknownName, text: &str) -> Result<Note, Invalid> {
        let mut on = false;
        let note = Flag::read(&mut on, text)?;
        *value = if on { UnknownName::Refuse } else { UnknownName::Serve };
        Ok(note)
    }

    fn print(value: &UnknownName) -> Option<String> {
        Some((*value == UnknownName::Refuse).to_string())
    }
}

/// What is spoken with an origin.
pub struct BackendProtocol;

impl Kind for BackendProtocol {
    type Value = Protocol;
    const FORM: &'static str = "`HTTP`, `HTTPS`, `GRPC`, `GRPCS` or `AUTO_HTTP`, in either case";

    fn read(value: &mut Protocol, text: &str) -> Result<Note, Invalid> {
        if text.trim().eq_ignore_ascii_case("FCGI") {
            let message = "FastCGI is not spoken: put a FastCGI server behind an HTTP one";
            return Err(Invalid::Structure(message.to_owned()));
        }
        let found = PROTOCOLS.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
        *value = found.ok_or(Invalid::Form)?.1;
        Ok(None)
    }

    fn print(value: &Protocol) -> Option<String> {
        PROTOCOLS.into_iter().find(|(_, protocol)| protocol == value).map(|(word, _)| word.to_owned())
    }
}

/// The name of a server.
pub struct ServerName;

impl Kind for ServerName {
    type Value = Option<String>;
    const FORM: &'static str = "a DNS name, such as `api.example`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        match canonical::host(text.as_bytes()) {
            Ok(name) if !name.is_empty() && !text.contains([':', '[']) => {
                *value = Some(name.into_owned());
                Ok(None)
            }
            _ => Err(Invalid::Form),
        }
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.clone()
    }
}

/// The status of a redirect.
pub struct RedirectStatus;

impl Kind for RedirectStatus {
    type Value = u16;
    const FORM: &'static str = "`301`, `302`, `307` or `308`";

    fn read(value: &mut u16, text: &str) -> Result<Note, Invalid> {
        let status: u16 = within(text, 301..=308)?;
        if !matches!(status, 301 | 302 | 307 | 308) {
            return Err(Invalid::Range);
        }
        *value = status;
        Ok(None)
    }

    fn print(value: &u16) -> Option<String> {
        Some(value.to_string())
    }
}

/// Beginnings of paths, compared letter by letter.
pub struct PathStarts;

impl Kind for PathStarts {
    type Value = Vec<String>;
    const FORM: &'static str =
        "up to 64 beginnings of paths, separated by commas, such as `/.well-known/acme-challenge`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        WholePaths::read(value, text)
    }

    fn print(value: &Self::Value) -> Option<String> {
        join(value.iter().cloned(), ",")
    }
}

/// Whole paths.
pub struct WholePaths;

impl Kind for WholePaths {
    type Value = Vec<String>;
    const FORM: &'static str = "up to 64 paths, separated by commas, such as `/healthz,/readyz`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.len() > 64 {
            return Err(Invalid::TooMany(64));
        }
        let wrong = parts.iter().find(|part| !part.starts_with('/') || part.len() > 1024);
        match wrong {
            Some(part) => Err(Invalid::Part(shown(part))),
            None if parts.is_empty() => Err(Invalid::Form),
            None => {
                *value = parts.into_iter().map(str::to_owned).collect();
                Ok(None)
            }
        }
    }

    fn print(value: &Self::Value) -> Option<String> {
        join(value.iter().cloned(), ",")
    }
}

/// How long a promise holds, in seconds.
pub struct MaxAge;

impl Kind for MaxAge {
    type Value = u64;
    const FORM: &'static str = "a whole number of seconds up to 3153600000";

    fn read(value: &mut u64, text: &str) -> Result<Note, Invalid> {
        *value = within(text, 0..=3_153_600_000)?;
        Ok(None)
    }

    fn print(value: &u64) -> Option<String> {
        Some(value.to_string())
    }
}

const VERIFY: [(&str, VerifyClient); 4] = [
    ("on", VerifyClient::Require),
    ("off", VerifyClient::Ignore),
    ("optional", VerifyClient::Optional),
    ("optional_no_ca", VerifyClient::OptionalNoCa),
];

const PROTOCOLS: [(&str, Protocol); 5] = [
    ("HTTP", Protocol::Http),
    ("HTTPS", Protocol::Https),
    ("GRPC", Protocol::Grpc),
    ("GRPCS", Protocol::Grpcs),
    ("AUTO_HTTP", Protocol::AutoHttp),
];
