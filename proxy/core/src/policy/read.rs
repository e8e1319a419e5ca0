//! Annotations of one object → its policy, and everything that is wrong with them.

use super::annotations::ANNOTATIONS;
use super::row::{Heritage, OnInvalid, Row, nearest};
use super::unsupported::{self, Consequence, Unsupported};
use super::value::{Flag, Invalid, Kind};
use super::{Policy, Settings, report};
use crate::finding::{Finding, ObjectRef, Severity};
use std::collections::BTreeMap;

/// Reads the annotations of `object`. What an annotation does not say is as in `settings.defaults`.
///
/// It never fails. All mistakes are reported at once, each with its field, its value, the expected form and what is in
/// force instead; an invalid value never switches a protection off (see [`OnInvalid`]).
#[must_use]
pub fn read(
    object: &ObjectRef,
    annotations: &BTreeMap<String, String>,
    settings: &Settings,
    prefixes: &Prefixes,
) -> (Policy, Vec<Finding>) {
    let written = Written::new(annotations, prefixes);
    let mut reader = Reader {
        object,
        settings,
        policy: settings.defaults.clone(),
        refusals: Vec::new(),
        findings: Vec::new(),
    };
    reader.refusals.extend(settings.defaults.refuse_all.clone());
    for row in ANNOTATIONS.iter().rev() {
        reader.row(row, &written);
    }
    for name in &written.names {
        reader.other(name);
    }
    reader.finish()
}

/// Under which prefixes annotations are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// The configured prefix of the annotations of ingress-nginx, with its slash.
    compatible: String,
}

impl Prefixes {
    /// `weir.dev/` and `compatible`, which stands for ingress-nginx's `--annotations-prefix` and has no slash at its
    /// end (one is ignored).
    #[must_use]
    pub fn new(compatible: &str) -> Self {
        Self { compatible: format!("{}/", compatible.trim_end_matches('/')) }
    }

    /// Splits the key of an annotation.
    fn split<'a>(&self, key: &'a str) -> Option<(Prefix, &'a str)> {
        match key.strip_prefix(OWN_PREFIX) {
            Some(name) => Some((Prefix::Own, name)),
            None => Some((Prefix::Compatible, key.strip_prefix(&self.compatible)?)),
        }
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::new(INGRESS_NGINX_PREFIX)
    }
}

/// Whose prefix an annotation has. The smaller wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Prefix {
    Own,
    Compatible,
}

/// One annotation under one of our prefixes.
struct Name<'a> {
    prefix: Prefix,
    name: &'a str,
    key: &'a str,
    value: &'a str,
}

/// The annotations under our prefixes.
struct Written<'a> {
    names: Vec<Name<'a>>,
}

impl<'a> Written<'a> {
    fn new(annotations: &'a BTreeMap<String, String>, prefixes: &Prefixes) -> Self {
        let ours = annotations.iter().filter_map(|(key, value)| {
            let (prefix, name) = prefixes.split(key)?;
            Some(Name { prefix, name, key, value })
        });
        Self { names: ours.collect() }
    }

    /// What is written for `row`, best first: our prefix before the other, the name before its aliases.
    fn of(&self, row: &Row<Policy>) -> Vec<&Name<'a>> {
        let rank = |written: &&Name<'_>| {
            let readable = written.prefix == Prefix::Own || row.heritage == Heritage::IngressNginx;
            let place = row.names().position(|name| name == written.name)?;
            readable.then_some((written.prefix, place))
        };
        let mut found: Vec<_> = self.names.iter().filter(|written| rank(written).is_some()).collect();
        found.sort_by_key(rank);
        found
    }
}

/// A policy in the making.
struct Reader<'a> {
    object: &'a ObjectRef,
    settings: &'a Settings,
    policy: Policy,
    refusals: Vec<String>,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn row(&mut self, row: &Row<Policy>, written: &Written<'_>) {
        let (empty, mut found): (Vec<_>, Vec<_>) =
            written.of(row).into_iter().partition(|name| name.value.is_empty());
        if row.on_invalid != OnInvalid::Default {
            for name in empty {
                self.find(name, Severity::Warn, "empty-value", "An empty value sets nothing.".to_owned());
            }
        }
        if found.is_empty() {
            if let Some(why) = self.settings.broken.get(row.name) {
                self.refusals.push(why.clone());
            }
            return;
        }
        let best = found.remove(0);
        for other in found {
            let message = format!("{} is set too and is the one that is read; remove one of them.", best.key);
            self.find(other, Severity::Warn, "shadowed", message);
        }
        match row.read_under(self.settings.profile, &mut self.policy, best.value) {
            Ok(None) => {}
            Ok(Some(note)) => self.find(best, Severity::Warn, "note", report::sentence(&note)),
            Err(invalid) => self.invalid(row, best, &invalid),
        }
    }

    fn invalid(&mut self, row: &Row<Policy>, name: &Name<'_>, invalid: &Invalid) {
        let default = row.print(&self.settings.defaults);
        let refuse = match row.on_invalid {
            OnInvalid::Deny => {
                let why = format!("{} is invalid: {invalid}", name.key);
                self.policy.tls.client.denied.get_or_insert(why);
                let message = format!(
                    "Expected {}, but {invalid}. Every path of its hosts answers 403 until it is mended.",
                    row.form()
                );
                return self.find(name, Severity::Fail, "invalid-value", message);
            }
            _ if self.settings.broken.contains_key(row.name) => true,
            OnInvalid::Refuse | OnInvalid::TrustNobody => true,
            OnInvalid::DefaultOrRefuse => default.is_none(),
            OnInvalid::Default => false,
        };
        let instead = if refuse {
            self.refusals.push(format!("{} is invalid: {invalid}", name.key));
            "Every path of this object answers 503 until it is mended.".to_owned()
        } else {
            report::in_force(row.print(&self.policy))
        };
        let message = format!("Expected {}, but {invalid}. {instead}", row.form());
        self.find(name, Severity::Fail, "invalid-value", message);
    }

    /// A name that may have no row.
    fn other(&mut self, name: &Name<'_>) {
        if let Some(row) = ANNOTATIONS.iter().find(|row| row.names().any(|known| known == name.name)) {
            if row.heritage == Heritage::Weir && name.prefix == Prefix::Compatible {
                let message = format!(
                    "This is an annotation of weir alone: write {OWN_PREFIX}{}. It is not in force.",
                    row.name
                );
                self.find(name, Severity::Fail, "wrong-prefix", message);
            }
        } else if let Some(known) = Unsupported::annotation(name.name) {
            if !name.value.is_empty() && !known.is_idle(name.value) {
                self.unsupported(name, known);
            }
        } else {
            let severity = match name.prefix {
                Prefix::Own => Severity::Fail,
                Prefix::Compatible => Severity::Warn,
            };
            let rows = ANNOTATIONS
                .iter()
                .filter(|row| row.heritage == Heritage::IngressNginx || name.prefix == Prefix::Own);
            let names = rows.flat_map(Row::names).chain(Unsupported::names(unsupported::ANNOTATIONS));
            let message = report::unknown("annotation", nearest(name.name, names));
            self.find(name, severity, "unknown-name", message);
        }
    }

    fn unsupported(&mut self, name: &Name<'_>, known: &Unsupported) {
        let (mut severity, mut message) = report::unsupported(known, "Every path of this object");
        match known.consequence {
            Consequence::Ignore | Consequence::Miss => {}
            Consequence::Refuse => self.refusals.push(format!("{} is not supported yet", name.key)),
            Consequence::Regex => self.policy.regex = true,
            Consequence::Canary => {
                if Flag::read(&mut self.policy.canary, name.value).is_err() {
                    severity = Severity::Fail;
                    message = format!(
                        "Expected {}; the object is taken as no canary, as in ingress-nginx.",
                        Flag::FORM
                    );
                }
            }
        }
        let value = if known.hides_value() { "" } else { name.value };
        self.find(&Name { value, ..*name }, severity, "not-supported", message);
    }

    fn find(&mut self, name: &Name<'_>, severity: Severity, code: &'static str, message: String) {
        let field = format!("metadata.annotations[{}]", name.key);
        self.findings.push(report::finding(self.object, field, name.value, severity, code, message));
    }

    fn finish(mut self) -> (Policy, Vec<Finding>) {
        if self.settings.retry_non_idempotent {
            self.policy.origin.next.non_idempotent = true;
        }
        self.policy.refuse_all = (!self.refusals.is_empty()).then(|| self.refusals.join("; "));
        self.findings.sort();
        (self.policy, self.findings)
    }
}

/// The prefix of weir's own annotations.
pub const OWN_PREFIX: &str = "weir.dev/";
/// The prefix of the annotations of ingress-nginx, unless it is configured otherwise.
pub const INGRESS_NGINX_PREFIX: &str = "nginx.ingress.kubernetes.io";

#[cfg(test)]
mod tests;
