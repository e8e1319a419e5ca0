//! Where client addresses come from.

use super::{Flag, Invalid, Kind, Note, is_token};
use crate::policy::{Policy, TrustMode};

/// `use-forwarded-headers`. Together with [`RealIp`] the one that believes more wins.
pub struct ForwardedHeaders;

impl Kind for ForwardedHeaders {
    type Value = TrustMode;
    const FORM: &'static str = Flag::FORM;

    fn read(value: &mut TrustMode, text: &str) -> Result<Note, Invalid> {
        let mut on = false;
        let note = Flag::read(&mut on, text)?;
        if on {
            *value = TrustMode::All;
        }
        Ok(note)
    }

    fn print(value: &TrustMode) -> Option<String> {
        Some((*value == TrustMode::All).to_string())
    }
}

/// `enable-real-ip`.
pub struct RealIp;

impl Kind for RealIp {
    type Value = TrustMode;
    const FORM: &'static str = Flag::FORM;

    fn read(value: &mut TrustMode, text: &str) -> Result<Note, Invalid> {
        let mut on = false;
        let note = Flag::read(&mut on, text)?;
        if on && *value == TrustMode::Ignore {
            *value = TrustMode::Address;
        }
        Ok(note)
    }

    fn print(value: &TrustMode) -> Option<String> {
        Some((*value == TrustMode::Address).to_string())
    }
}

/// The name of a header.
pub struct HeaderName;

impl Kind for HeaderName {
    type Value = String;
    const FORM: &'static str = "the name of a header";

    fn read(value: &mut String, text: &str) -> Result<Note, Invalid> {
        if !is_token(text) {
            return Err(Invalid::Form);
        }
        text.clone_into(value);
        Ok(None)
    }

    fn print(value: &String) -> Option<String> {
        Some(value.clone())
    }
}

/// `limit-conn-zone-variable`: read, and without effect, since `limit-key` says what a client is.
pub struct ZoneVariable;

impl Kind for ZoneVariable {
    type Value = Policy;
    const FORM: &'static str = "`$binary_remote_addr` or `$remote_addr`";

    fn read(_: &mut Policy, text: &str) -> Result<Note, Invalid> {
        match text {
            "$binary_remote_addr" | "$remote_addr" => Ok(None),
            _ if text.starts_with('$') => Ok(Some(
                "this variable is not read; limits count by `limit-key`, which is the client's address"
                    .into(),
            )),
            _ => Err(Invalid::Form),
        }
    }

    fn print(_: &Policy) -> Option<String> {
        Some("$binary_remote_addr".to_owned())
    }
}
