//! What there is to say about manifests, and how it is said to people who have thousands of them: what objects have in
//! common is said once, and at the end stands what there is to do.

use super::Naming;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use weir_core::engine::EngineConfig;
use weir_core::finding::Severity;
use weir_core::policy::read::OWN_PREFIX;
use weir_core::{Engine, Finding};
use weir_kubernetes::manifests::Loaded;
use weir_kubernetes::objects::{HasMeta, Ingress};
use weir_kubernetes::translate::{self, Options, translate};

/// What there is to say about manifests.
pub(super) struct Report {
    findings: Vec<Finding>,
    /// What was read, and what could not be checked for want of it.
    notes: Vec<String>,
    /// How the annotations of our Ingresses fare, by their keys.
    annotations: BTreeMap<String, Fate>,
    ours: usize,
}

/// What becomes of one annotation, in how many objects.
#[derive(Default)]
struct Fate {
    works: usize,
    warnings: usize,
    errors: usize,
}

impl Report {
    /// `warnings` are those about settings.
    pub(super) fn new(loaded: &Loaded, options: &Options, warnings: Vec<String>) -> Self {
        let (declaration, found) = translate(&loaded.objects, options);
        // What hosts and paths have in common is seen only when they are put together.
        let small = EngineConfig { clients: 1, in_flight: 1, ..EngineConfig::default() };
        let snapshot = Engine::new(small).replace(declaration);
        let problems = loaded.problems.iter().cloned().map(Finding::from);
        let all = problems.chain(found).chain(snapshot.findings.iter().cloned());
        let findings: Vec<Finding> = all.filter(|finding| could_be_checked(loaded, finding)).collect();
        let ours = translate::ours(&loaded.objects, options);
        let annotations = annotations(&ours, options, &findings);
        let mut notes = warnings;
        notes.extend(left_out(loaded, options, &ours));
        notes.extend(unchecked(loaded, options));
        Self { findings, notes, annotations, ours: ours.len() }
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Fail).count()
    }

    /// For people.
    pub(super) fn text(&self, naming: Naming) -> String {
        let mut text = String::new();
        self.write_findings(&mut text, naming);
        self.write_annotations(&mut text);
        self.notes.iter().for_each(|note| line(&mut text, note));
        let (errors, warnings) = (self.errors(), self.findings.len() - self.errors());
        let ours = count(self.ours, "Ingress", "Ingresses");
        let (errors, warnings) = (count(errors, "error", "errors"), count(warnings, "warning", "warnings"));
        line(&mut text, &format!("{ours} would be served; {errors}, {warnings}."));
        text
    }

    fn write_findings(&self, text: &mut String, naming: Naming) {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for finding in &self.findings {
            let Finding { object, field, value, severity, message, .. } = finding;
            groups.entry((Reverse(*severity), field, message)).or_default().push((object, value));
        }
        let most = if naming == Naming::All { usize::MAX } else { NAMED };
        for ((Reverse(severity), field, message), objects) in groups {
            let field = if field.is_empty() { String::new() } else { format!(" {field}") };
            line(text, &format!("{}:{field}", severity.as_str()));
            line(text, &format!("    {message}"));
            for (object, value) in objects.iter().take(most) {
                let value = if value.is_empty() { String::new() } else { format!(" = {value:?}") };
                line(text, &format!("    - {object}{value}"));
            }
            if let Some(more) = objects.len().checked_sub(most).filter(|more| *more > 0) {
                line(text, &format!("    - {more} more (--all names them)"));
            }
            text.push('\n');
        }
    }

    fn write_annotations(&self, text: &mut String) {
        let width = self.annotations.keys().map(String::len).max().unwrap_or_default().max(HEAD.len());
        if !self.annotations.is_empty() {
            let _ = writeln!(text, "{HEAD:width$}  {:>7}  {:>8}  {:>6}", "works", "warnings", "errors");
        }
        for (key, Fate { works, warnings, errors }) in &self.annotations {
            let _ = writeln!(text, "{key:width$}  {works:>7}  {warnings:>8}  {errors:>6}");
        }
        if !self.annotations.is_empty() {
            text.push('\n');
        }
    }
}

/// How the annotations under our prefixes fare.
fn annotations(ours: &[&Ingress], options: &Options, findings: &[Finding]) -> BTreeMap<String, Fate> {
    let mut worst = BTreeMap::new();
    for Finding { object, field, severity, .. } in findings {
        if let Some(key) = field.strip_prefix("metadata.annotations[").and_then(|key| key.strip_suffix(']')) {
            let worst =
                worst.entry((object.namespace.as_str(), object.name.as_str(), key)).or_insert(*severity);
            *worst = (*worst).max(*severity);
        }
    }
    let compatible = format!("{}/", options.annotation_prefix);
    let mut fates = BTreeMap::<String, Fate>::new();
    for object in ours {
        let keys = object.metadata.annotations.iter().flatten().map(|(key, _)| key.as_str());
        for key in keys {
            let Some(name) = key.strip_prefix(OWN_PREFIX).or_else(|| key.strip_prefix(&compatible)) else {
                continue;
            };
            let found = |key| worst.get(&(object.namespace(), object.name(), key)).copied();
            // What is found where hosts are put together has no prefix.
            let fate = fates.entry(key.to_owned()).or_default();
            match found(key).max(found(name)) {
                None => fate.works += 1,
                Some(Severity::Warn) => fate.warnings += 1,
                Some(Severity::Fail) => fate.errors += 1,
            }
        }
    }
    fates
}

/// Whether a finding says more than that a kind was left out of the input: who asks about Ingresses need not bring
/// everything, and Secrets least of all.
fn could_be_checked(loaded: &Loaded, finding: &Finding) -> bool {
    let objects = &loaded.objects;
    match finding.code {
        "missing-service" => !objects.services.is_empty(),
        "no-endpoints" => !objects.endpoint_slices.is_empty(),
        "no-certificate" => !objects.secrets.is_empty(),
        // Without a value they are about annotations that are missing.
        "no-authority" | "no-origin-tls" => !objects.secrets.is_empty() || finding.value.is_empty(),
        _ => true,
    }
}

/// What was read, and what of it is not ours.
fn left_out(loaded: &Loaded, options: &Options, ours: &[&Ingress]) -> Vec<String> {
    let mut notes = Vec::new();
    let others = loaded.objects.ingresses.len() - ours.len();
    if others > 0 {
        let (ingresses, are) =
            (count(others, "Ingress", "Ingresses"), if others == 1 { "is" } else { "are" });
        notes.push(format!("{ingresses} {are} of classes that are not served here."));
    }
    for map in loaded.objects.config_maps.iter().filter(|map| SETTINGS.contains(&map.name())) {
        let name = format!("{}/{}", map.namespace(), map.name());
        if options.config_map.as_ref().is_none_or(|named| named.to_string() != name) {
            notes.push(format!("ConfigMap {name} was not read for settings: add -- --configmap={name}"));
        }
    }
    notes
}

/// What was not checked because nothing of its kind was read.
fn unchecked(loaded: &Loaded, options: &Options) -> Vec<String> {
    let objects = &loaded.objects;
    let named = options.config_map.is_some() || objects.config_maps.is_empty();
    let kinds = [
        (objects.services.is_empty(), "Services", "whether backends are there"),
        (objects.endpoint_slices.is_empty(), "EndpointSlices", "whether backends have endpoints"),
        (objects.secrets.is_empty(), "Secrets", "certificates and authorities"),
        (named && options.config_map.is_none(), "ConfigMap", "defaults of all objects"),
    ];
    let missing = kinds.into_iter().filter(|(missing, ..)| *missing);
    missing.map(|(_, kind, what)| format!("No {kind} given: not checked {what}.")).collect()
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Head of the column of annotations.
const HEAD: &str = "ANNOTATION, IN HOW MANY OBJECTS IT";
/// Objects that are named with a finding that many have.
const NAMED: usize = 5;
/// What ingress-nginx's manifests and charts call the ConfigMap with its settings.
const SETTINGS: [&str; 2] = ["ingress-nginx-controller", "nginx-configuration"];
