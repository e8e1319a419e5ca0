//! Findings → Events on the objects they are about. Pure: time is an argument.
//!
//! Each finding has one Event, whose name follows from it: however many replicas there are and however often weir starts,
//! it is written once. When the finding is mended the Event goes. The API server forgets Events after a while (an hour,
//! as a rule), so those that still hold are told again before that.

use crate::objects::{Kind, Scope};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use weir_core::Finding;
use weir_core::finding::{ObjectRef, Severity};

/// Names an Event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventName {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// What there is to do.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Write this Event, or tell it again if there is one of this name.
    Tell(Box<Event>),
    /// Take the Event of this name away.
    Clear(EventName),
}

impl Act {
    fn name(&self) -> EventName {
        match self {
            Self::Tell(event) => name_of(event),
            Self::Clear(name) => name.clone(),
        }
    }
}

/// The Events that were written and those that should be.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What should be told, most severe first and at most [`MOST`].
    wanted: BTreeMap<EventName, Finding>,
    /// What was told, and when last.
    told: BTreeMap<EventName, Instant>,
    /// What the API server did not allow, and when: an API server that has just started denies everything.
    refused: BTreeMap<EventName, Instant>,
}

impl Events {
    /// Says which findings there are now.
    pub(super) fn want(&mut self, findings: &[Finding]) {
        let mut findings: Vec<_> =
            findings.iter().filter(|finding| kind(&finding.object).is_some()).collect();
        findings.sort_by(|a, b| (b.severity, a).cmp(&(a.severity, b)));
        self.wanted =
            findings.into_iter().take(MOST).map(|finding| (name(finding), finding.clone())).collect();
        let Self { wanted, told, refused } = self;
        refused.retain(|name, _| wanted.contains_key(name) || told.contains_key(name));
    }

    /// Says that there is an Event of ours, from another time.
    pub(super) fn found(&mut self, name: EventName, now: Instant) {
        self.told.entry(name).or_insert(now);
    }

    /// The next thing to do, if there is any. `uid` says the uid of an object that is known.
    pub(super) fn next(
        &self,
        now: Instant,
        wall: Timestamp,
        reporter: &str,
        uid: impl Fn(&ObjectRef) -> Option<String>,
    ) -> Option<Act> {
        // Those that are wrong go before new ones come.
        let after = |time: &Instant, pause| now.saturating_duration_since(*time) >= pause;
        let may = |name: &EventName| self.refused.get(name).is_none_or(|refused| after(refused, LATER));
        let mut told = self.told.keys();
        if let Some(name) = told.find(|name| !self.wanted.contains_key(name) && may(name)) {
            return Some(Act::Clear(name.clone()));
        }
        let is_due = |name: &EventName| self.told.get(name).is_none_or(|told| after(told, AGAIN));
        let (name, finding) = self.wanted.iter().find(|(name, _)| is_due(name) && may(name))?;
        Some(Act::Tell(Box::new(event(name, finding, wall, reporter, uid(&finding.object)))))
    }

    /// What was to be done was done.
    pub(super) fn done(&mut self, act: &Act, now: Instant) {
        self.refused.remove(&act.name());
        match act {
            Act::Tell(event) => {
                self.told.insert(name_of(event), now);
            }
            Act::Clear(name) => drop(self.told.remove(name)),
        }
    }

    /// What was to be done is not allowed: others have their turn, and it is tried again later.
    pub(super) fn refused(&mut self, act: &Act, now: Instant) {
        self.refused.insert(act.name(), now);
    }
}

/// The name of an Event that is there.
pub(super) fn name_of(event: &Event) -> EventName {
    EventName {
        namespace: event.metadata.namespace.clone().unwrap_or_default(),
        name: event.metadata.name.clone().unwrap_or_default(),
    }
}

fn kind(object: &ObjectRef) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == object.kind)
}

/// Follows from what the finding says, so that the same finding always has the same name.
fn name(finding: &Finding) -> EventName {
    let Finding { object, field, value, severity, code, message } = finding;
    let mut hash = FNV_OFFSET;
    let severity = match severity {
        Severity::Warn => "warn",
        Severity::Fail => "fail",
    };
    for part in [object.kind.as_str(), field, value, severity, code, message] {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    // A name has 253 bytes at most.
    let stem: String = object.name.chars().take(200).collect();
    EventName { namespace: namespace(object), name: format!("{stem}.weir-{hash:016x}") }
}

/// Events about objects of the whole cluster live in this namespace.
fn namespace(object: &ObjectRef) -> String {
    match kind(object).map(Kind::scope) {
        Some(Scope::Cluster) | None => "default".to_owned(),
        Some(Scope::Namespace) => object.namespace.clone(),
    }
}

fn event(name: &EventName, finding: &Finding, wall: Timestamp, reporter: &str, uid: Option<String>) -> Event {
    let Finding { object, field, value, message, code, .. } = finding;
    let text = match (field.is_empty(), value.is_empty()) {
        (true, _) => message.clone(),
        (false, true) => format!("{field}: {message}"),
        (false, false) => format!("{field}: {message} (found {value:?})"),
    };
    Event {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: kind(object).map(|kind| kind.api_version().to_owned()),
            kind: Some(object.kind.to_string()),
            namespace: Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(object.name.clone()),
            uid,
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(reason(code)),
        // The API server takes 1,024 bytes.
        message: Some(cut(&text, 1000)),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), ..EventSource::default() }),
        reporting_component: Some(COMPONENT.to_owned()),
        reporting_instance: Some(cut(reporter, 128)),
        first_timestamp: Some(Time(wall)),
        last_timestamp: Some(Time(wall)),
        count: Some(1),
        ..Event::default()
    }
}

/// `invalid-limit` → `InvalidLimit`, the form that reasons of Events have.
fn reason(code: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    code.split('-').map(word).collect()
}

fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Whose Events these are, in `reportingComponent`.
pub(super) const COMPONENT: &str = "weir.dev/ingress-controller";
/// Events at once; `/api/findings` has all findings.
const MOST: usize = 1000;
/// How often an Event that still holds is told.
const AGAIN: Duration = Duration::from_secs(30 * 60);
/// How long what was refused is not tried again: where it is never allowed, a thousand are no load.
const LATER: Duration = Duration::from_secs(5 * 60);
/// Fowler, Noll and Vo's hash of 64 bits (FNV-1a): names need to be equal wherever they are made, not secret.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: &'static str, name: &str, message: &str) -> Finding {
        Finding {
            object: ObjectRef::new(kind, if kind == "IngressClass" { "" } else { "shop" }, name),
            field: "metadata.annotations[weir.dev/limit-rps]".to_owned(),
            value: "many".to_owned(),
            severity: Severity::Fail,
            code: "invalid-limit",
            message: message.to_owned(),
        }
    }

    /// Does all there is to do, and gives what was told and what was cleared.
    fn all(events: &mut Events, now: Instant) -> (Vec<Event>, Vec<EventName>) {
        let (mut told, mut cleared) = (Vec::new(), Vec::new());
        while let Some(act) = events.next(now, Timestamp::UNIX_EPOCH, "weir-0", |_| Some("u".to_owned())) {
            events.done(&act, now);
            match act {
                Act::Tell(event) => told.push(*event),
                Act::Clear(name) => cleared.push(name),
            }
        }
        (told, cleared)
    }

    #[test]
    fn a_finding_is_told_once_again_before_it_is_forgotten_and_cleared_when_mended() {
        let mut events = Events::default();
        let start = Instant::now();
        let (a, b) = (finding("Ingress", "a", "is no number"), finding("Ingress", "b", "is no number"));
        events.want(&[a.clone(), b.clone(), a.clone()]);
        let (told, cleared) = all(&mut events, start);
        assert_eq!((told.len(), cleared.len()), (2, 0));
        events.want(&[a.clone(), b]);
        assert_eq!(all(&mut events, start + Duration::from_secs(60)).0.len(), 0);
        assert_eq!(all(&mut events, start + AGAIN).0.len(), 2);
        events.want(&[a]);
        let (told, cleared) = all(&mut events, start + AGAIN);
        assert_eq!((told.len(), cleared.len()), (0, 1));
        assert!(cleared[0].name.starts_with("b.weir-") && cleared[0].namespace == "shop");
        events.want(&[]);
        assert_eq!(all(&mut events, start + AGAIN).1.len(), 1);
    }

    #[test]
    fn what_was_refused_is_tried_again_later_and_keeps_no_other_waiting() {
        let mut events = Events::default();
        let start = Instant::now();
        let (a, b) = (finding("Ingress", "a", "x"), finding("Ingress", "b", "x"));
        events.want(&[a.clone(), b.clone()]);
        let next = |events: &Events, now| events.next(now, Timestamp::UNIX_EPOCH, "weir-0", |_| None);
        let first = next(&events, start).unwrap();
        events.refused(&first, start);
        assert_eq!(all(&mut events, start).0.len(), 1, "the other");
        let (told, _) = all(&mut events, start + LATER);
        assert_eq!(told.iter().map(name_of).collect::<Vec<_>>(), [first.name()]);
        // So it is with what is to be cleared.
        let now = start + LATER;
        events.want(&[]);
        let first = next(&events, now).unwrap();
        events.refused(&first, now);
        assert_eq!(all(&mut events, now).1.len(), 1, "the other");
        assert_eq!(all(&mut events, now + LATER).1, [first.name()]);
        // What nobody wants any more is forgotten.
        events.want(std::slice::from_ref(&a));
        let act = next(&events, now).unwrap();
        events.refused(&act, now);
        events.want(&[b]);
        assert!(events.refused.is_empty());
    }

    #[test]
    fn events_of_another_time_that_hold_no_more_are_cleared() {
        let mut events = Events::default();
        let now = Instant::now();
        let (stays, goes) = (finding("Ingress", "a", "stays"), finding("Ingress", "a", "goes"));
        [&stays, &goes].into_iter().for_each(|finding| events.found(name(finding), now));
        events.want(std::slice::from_ref(&stays));
        let (told, cleared) = all(&mut events, now);
        assert_eq!((told.len(), cleared), (0, vec![name(&goes)]));
    }

    #[test]
    fn an_event_says_what_where_and_who() {
        let mut events = Events::default();
        events.want(&[finding("Ingress", "cart", "expected a whole number")]);
        let (told, _) = all(&mut events, Instant::now());
        let event = &told[0];
        assert_eq!(event.reason.as_deref(), Some("InvalidLimit"));
        let message = "metadata.annotations[weir.dev/limit-rps]: expected a whole number (found \"many\")";
        assert_eq!(event.message.as_deref(), Some(message));
        let about = &event.involved_object;
        assert_eq!(about.api_version.as_deref(), Some("networking.k8s.io/v1"));
        assert_eq!((about.name.as_deref(), about.uid.as_deref()), (Some("cart"), Some("u")));
        assert_eq!(event.reporting_instance.as_deref(), Some("weir-0"));
    }

    #[test]
    fn events_about_the_whole_cluster_live_in_the_default_namespace_and_findings_about_no_object_have_none() {
        let mut events = Events::default();
        events.want(&[finding("IngressClass", "a", "x"), finding("Settings", "b", "x")]);
        let (told, _) = all(&mut events, Instant::now());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].metadata.namespace.as_deref(), Some("default"));
        assert_eq!(told[0].involved_object.namespace, None);
    }

    #[test]
    fn there_are_no_more_events_than_an_api_server_can_bear() {
        let mut events = Events::default();
        let many: Vec<_> = (0..3 * MOST).map(|n| finding("Ingress", &format!("i{n}"), "x")).collect();
        events.want(&many);
        assert_eq!(all(&mut events, Instant::now()).0.len(), MOST);
        assert_eq!(cut("aä", 2), "a");
    }
}
