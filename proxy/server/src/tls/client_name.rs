//! Names in certificates as text: RFC 4514, in the form that OpenSSL and so nginx give it (`-nameopt RFC2253`).

use std::fmt::Write;
use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Subject and issuer of a certificate in DER; `None` where it cannot be read, or a name is longer than any that is
/// meant.
pub(super) fn of_certificate(der: &[u8]) -> Option<(String, String)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = |name: &X509Name<'_>| Some(text(name)).filter(|text| text.len() <= MOST);
    Some((name(certificate.subject())?, name(certificate.issuer())?))
}

fn text(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    // From the most specific part on: the reverse of how they are encoded.
    for (n, part) in name.iter_rdn().collect::<Vec<_>>().into_iter().rev().enumerate() {
        if n > 0 {
            out.push(',');
        }
        for (m, attribute) in part.iter().collect::<Vec<_>>().into_iter().rev().enumerate() {
            if m > 0 {
                out.push('+');
            }
            let oid = attribute.attr_type().to_id_string();
            match SHORT.iter().find(|(known, _)| *known == oid) {
                Some((_, short)) => {
                    out.push_str(short);
                    out.push('=');
                    match characters(attribute.attr_value()) {
                        Some(value) => escape(&value, &mut out),
                        None => dump(attribute.attr_value(), &mut out),
                    }
                }
                None => {
                    out.push_str(&oid);
                    out.push('=');
                    dump(attribute.attr_value(), &mut out);
                }
            }
        }
    }
    out
}

/// The characters of a string of ASN.1; `None` for what is no string.
fn characters(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // OpenSSL takes the old ones for Latin-1, byte for byte.
        Tag::PrintableString
        | Tag::Ia5String
        | Tag::TeletexString
        | Tag::NumericString
        | Tag::VisibleString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units = bytes.chunks(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0xfffd,
            });
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4, with everything that is not printable ASCII as the bytes of its UTF-8.
fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', character]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            ' '..='~' => out.push(character),
            _ => character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{byte:02X}");
            }),
        }
    }
}

/// `#` and the encoded value in hexadecimal digits.
fn dump(value: &Any<'_>, out: &mut String) {
    use x509_parser::der_parser::asn1_rs::ToDer;
    out.push('#');
    for byte in value.to_der_vec().unwrap_or_default() {
        let _ = write!(out, "{byte:02X}");
    }
}

/// Longest name: one of a person, an office and a company has a few hundred bytes.
const MOST: usize = 2048;
/// Names of attributes, as OpenSSL shortens them.
const SHORT: [(&str, &str); 24] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests;
