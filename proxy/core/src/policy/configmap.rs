//! The table of ConfigMap keys, and reading them.
//!
//! Every annotation with [`ClassDefault::Key`] is a key too: it says what holds for the objects that do not say it
//! themselves. The keys that annotations do not have are in [`KEYS`].

mod keys;

pub use keys::KEYS;

use super::annotations::ANNOTATIONS;
use super::row::{ClassDefault, OnInvalid, Row, nearest};
use super::unsupported::{self, Consequence, Unsupported};
use super::value::{Invalid, Note};
use super::{BodyRate, Policy, Profile, Settings, TrustMode, report};
use crate::finding::{Finding, ObjectRef, Severity};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Reads the ConfigMap `object`. What it does not say is as in the profile.
///
/// It never fails; see [`read`](super::read()). A protection whose value is invalid closes what it protects: an invalid
/// class default goes to [`Settings::broken`], an invalid `block-cidrs` refuses everything, and an invalid
/// `proxy-real-ip-cidr` or `forwarded-for-header` makes that no peer's header is believed.
#[must_use]
pub fn settings(
    object: &ObjectRef,
    data: &BTreeMap<String, String>,
    profile: Profile,
) -> (Settings, Vec<Finding>) {
    let mut reader = Reader {
        object,
        data,
        settings: Settings::of(profile),
        closed: Vec::new(),
        distrust: false,
        findings: Vec::new(),
    };
    for row in ANNOTATIONS.iter().rev().filter(|row| is_class_default(row)) {
        reader.class_default(row);
    }
    for row in KEYS {
        reader.setting(row);
    }
    for (key, value) in data {
        reader.other(key, value);
    }
    reader.finish()
}

/// Whether the key of an annotation is a key of the ConfigMap, and no row of [`KEYS`] says it better.
pub fn is_class_default(row: &Row<Policy>) -> bool {
    row.class == ClassDefault::Key && !KEYS.iter().any(|key| key.name == row.name)
}

/// Settings in the making.
struct Reader<'a> {
    object: &'a ObjectRef,
    data: &'a BTreeMap<String, String>,
    settings: Settings,
    /// Why nothing at all may pass.
    closed: Vec<String>,
    /// Whether the trust in peers is broken.
    distrust: bool,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn class_default(&mut self, row: &Row<Policy>) {
        let Some((key, value)) = self.written(row) else { return };
        match row.read_under(self.settings.profile, &mut self.settings.defaults, value) {
            Ok(note) => self.note(key, value, note),
            Err(invalid) if row.on_invalid == OnInvalid::Default => {
                let instead = report::in_force(row.print(&self.settings.defaults));
                self.invalid(key, value, row.form(), &invalid, &instead);
            }
            Err(invalid) => {
                self.settings.broken.insert(row.name, self.reason(key, &invalid));
                self.invalid(
                    key,
                    value,
                    row.form(),
                    &invalid,
                    "Every object without its own answers 503 until it is mended.",
                );
            }
        }
    }

    fn setting(&mut self, row: &Row<Settings>) {
        let Some((key, value)) = self.written(row) else { return };
        let invalid = match row.read(&mut self.settings, value) {
            Ok(note) => return self.note(key, value, note),
            Err(invalid) => invalid,
        };
        let instead = match row.on_invalid {
            OnInvalid::Default => report::in_force(row.print(&self.settings)),
            OnInvalid::TrustNobody => {
                self.distrust = true;
                "No forwarded header of any peer is believed until it is mended.".to_owned()
            }
            OnInvalid::Refuse | OnInvalid::DefaultOrRefuse | OnInvalid::Deny => {
                self.closed.push(self.reason(key, &invalid));
                "Every request answers 503 until it is mended.".to_owned()
            }
        };
        self.invalid(key, value, row.form(), &invalid, &instead);
    }

    /// What is written for `row`: under its name, or else under the first of its aliases.
    fn written<T>(&mut self, row: &Row<T>) -> Option<(&'a str, &'a str)> {
        let data = self.data;
        let found =
            row.names().filter_map(|name| data.get_key_value(name)).filter(|(_, value)| !value.is_empty());
        let mut found = found.map(|(key, value)| (key.as_str(), value.as_str()));
        let best = found.next()?;
        for (key, value) in found {
            let message = format!("{} is set too and is the one that is read; remove one of them.", best.0);
            self.find(key, value, Severity::Warn, "shadowed", message);
        }
        Some(best)
    }

    /// A key that may have no row.
    fn other(&mut self, key: &str, value: &str) {
        let known = ANNOTATIONS.iter().filter(|row| is_class_default(row)).flat_map(Row::names);
        let known = known.chain(KEYS.iter().flat_map(Row::names));
        if known.clone().any(|name| name == key) {
            return;
        }
        if ANNOTATIONS.iter().any(|row| row.name == key) {
            let message =
                "This is an annotation only: it makes sense on an object, and has no effect here.".to_owned();
            return self.find(key, value, Severity::Fail, "annotation-only", message);
        }
        let Some(unsupported) = Unsupported::key(key) else {
            let names = known.chain(Unsupported::names(unsupported::KEYS));
            let message = report::unknown("key", nearest(key, names));
            return self.find(key, value, Severity::Warn, "unknown-name", message);
        };
        if value.is_empty() || unsupported.is_idle(value) {
            return;
        }
        let (severity, message) = report::unsupported(unsupported, "Every request");
        if unsupported.consequence == Consequence::Refuse {
            self.closed.push(format!("{} in {} is not supported yet", place(key), self.object));
        }
        let shown = if unsupported.hides_value() { "" } else { value };
        self.find(key, shown, severity, "not-supported", message);
    }

    fn finish(mut self) -> (Settings, Vec<Finding>) {
        self.trust();
        let settings = &mut self.settings;
        settings.defaults.origin.next.non_idempotent |= settings.retry_non_idempotent;
        // `0` asks nothing of bodies that are forwarded as they come. Those that are held for their clients keep a bound.
        if let BodyRate::Least(rate) = settings.defaults.body.min_rate {
            settings.edge.body_rate = rate.try_into().unwrap_or(NonZeroU32::MAX);
        }
        settings.defaults.refuse_all = (!self.closed.is_empty()).then(|| self.closed.join("; "));
        self.findings.sort();
        (self.settings, self.findings)
    }

    /// What the trust in peers comes to, once all keys are read.
    fn trust(&mut self) {
        if self.distrust {
            self.settings.trust.address = TrustMode::Ignore;
            self.settings.trust.proxies.clear();
            return;
        }
        let key = match self.settings.trust.address {
            TrustMode::Ignore if self.settings.edge.proxy_protocol.required => "use-proxy-protocol",
            TrustMode::Ignore => return,
            TrustMode::Address => "enable-real-ip",
            TrustMode::All => "use-forwarded-headers",
        };
        let everybody = self.settings.trust.proxies.iter().any(|net| net.prefix_len() == 0);
        if self.settings.trust.proxies.is_empty() {
            let message = "Nobody is believed, because proxy-real-ip-cidr does not name the trusted peers.";
            self.find(key, "true", Severity::Fail, "nobody-trusted", message.to_owned());
        } else if everybody {
            let message = "Every peer is believed: each client can choose its own address and so pass \
                           every limit and list. Name the trusted peers in proxy-real-ip-cidr.";
            self.find(key, "true", Severity::Warn, "everybody-trusted", message.to_owned());
        }
    }

    fn note(&mut self, key: &str, value: &str, note: Note) {
        if let Some(note) = note {
            self.find(key, value, Severity::Warn, "note", report::sentence(&note));
        }
    }

    fn invalid(&mut self, key: &str, value: &str, form: &str, invalid: &Invalid, instead: &str) {
        let message = format!("Expected {form}, but {invalid}. {instead}");
        self.find(key, value, Severity::Fail, "invalid-value", message);
    }

    fn find(&mut self, key: &str, value: &str, severity: Severity, code: &'static str, message: String) {
        self.findings.push(report::finding(self.object, place(key), value, severity, code, message));
    }

    /// Why something is shut.
    fn reason(&self, key: &str, invalid: &Invalid) -> String {
        format!("{} in {} is invalid: {invalid}", place(key), self.object)
    }
}

fn place(key: &str) -> String {
    format!("data[{key}]")
}

#[cfg(test)]
mod tests;
