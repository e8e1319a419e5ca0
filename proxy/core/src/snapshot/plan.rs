//! A policy made ready for requests: rules with identities, address sets, prefixes.

use crate::canonical;
use crate::finding::ObjectRef;
use crate::identity::AddressSet;
use crate::policy::{
    BodyLimit, Burst, KeyPart, LimitHeaders, Limits, MAX_WINDOWS, Mode, Override, Policy, Settings,
};
use crate::route::Prefixes;
use crate::ticket::BodyRule;
use crate::verdict::rule;
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;
use weir_limits::{Quota, QuotaError, Rule, Seed, Window};

/// A policy made ready for requests.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) gates: Gates,
    pub(crate) exempt: AddressSet,
    pub(crate) key: KeyPlan,
    pub(crate) rate_status: u16,
    pub(crate) connections_status: u16,
    pub(crate) headers: LimitHeaders,
    /// The numbers for all paths but those of `overrides`.
    object: Scope,
    /// By path, by segments.
    overrides: Prefixes<Scope>,
}

impl Plan {
    /// The numbers that hold for a canonical path.
    #[inline]
    pub(crate) fn scope(&self, path: &str) -> &Scope {
        if self.overrides.is_empty() {
            return &self.object;
        }
        self.overrides.longest_by_segment(path.as_bytes()).unwrap_or(&self.object)
    }

    /// Whether `allow-paths` lets a canonical path pass.
    pub(crate) fn allows_path(&self, path: &str) -> bool {
        let paths = self.gates.paths.as_ref();
        paths.is_none_or(|paths| paths.longest_by_segment(path.as_bytes()).is_some())
    }

    /// The plan of an object whose own cannot be made. Its locations are broken, so nobody gets as far as these numbers.
    pub(super) fn closed(settings: &Settings) -> Self {
        Self {
            gates: Gates {
                allow: Some(AddressSet::default()),
                deny: AddressSet::default(),
                methods: None,
                allow_field: String::new(),
                paths: None,
                head_max: None,
            },
            exempt: AddressSet::default(),
            key: KeyPlan { parts: vec![KeyPart::Ip], v4_prefix: 32, v6_prefix: 64 },
            rate_status: settings.rate_status,
            connections_status: settings.connections_status,
            headers: LimitHeaders::Refused,
            object: Scope {
                charges: Vec::new(),
                policy_field: Arc::default(),
                body: BodyRule { max: BodyLimit::Bytes(0), rule: rule::BODY, mode: Mode::Enforce },
            },
            overrides: Prefixes::new(Vec::new()),
        }
    }
}

/// Who and what may pass at all.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) allow: Option<AddressSet>,
    pub(crate) deny: AddressSet,
    pub(crate) methods: Option<Vec<String>>,
    /// Value of `Allow` for a 405.
    pub(crate) allow_field: String,
    pub(crate) paths: Option<Prefixes<()>>,
    pub(crate) head_max: Option<NonZeroU32>,
}

/// The numbers that hold for one path.
#[derive(Debug)]
pub(crate) struct Scope {
    /// At most [`weir_limits::MAX_CHARGES`].
    pub(crate) charges: Vec<Planned>,
    /// Value of `RateLimit-Policy`: one item for each window; empty if there is none. `q` is the limit of a window, `w`
    /// its length in seconds, rounded up.
    pub(crate) policy_field: Arc<str>,
    pub(crate) body: BodyRule,
}

/// A rule, and what its parts are called.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) rule: Rule,
    /// The annotation behind each window, by [`Window::index`].
    pub(crate) windows: [&'static str; Window::COUNT],
    /// The annotation behind the limit of requests in flight.
    pub(crate) in_flight: &'static str,
    /// What each window is called in `RateLimit`.
    pub(crate) labels: [Label; Window::COUNT],
}

impl Planned {
    pub(crate) fn has(&self, window: Window) -> bool {
        self.rule.windows().get(window.index()).is_some_and(Option::is_some)
    }

    pub(crate) fn has_windows(&self) -> bool {
        self.rule.windows().iter().any(Option::is_some)
    }

    pub(crate) fn window_name(&self, window: Window) -> &'static str {
        self.windows.get(window.index()).copied().unwrap_or_default()
    }

    pub(crate) fn label(&self, window: Window) -> Label {
        self.labels.get(window.index()).copied().unwrap_or(Label::Word("window"))
    }
}

/// What a window is called in `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Word(&'static str),
    /// A window with a period of its own, in seconds.
    Seconds(u64),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Seconds(seconds) => write!(f, "\"{seconds}s\""),
        }
    }
}

/// What tells clients apart.
#[derive(Debug)]
pub(crate) struct KeyPlan {
    pub(crate) parts: Vec<KeyPart>,
    pub(crate) v4_prefix: u8,
    pub(crate) v6_prefix: u8,
}

impl KeyPlan {
    /// The address with the bits behind the prefix cleared.
    #[inline]
    pub(crate) fn cut(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(self.v4_prefix.into()).unwrap_or(0);
                IpAddr::V4((address.to_bits() & !host).into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.v6_prefix.into()).unwrap_or(0);
                IpAddr::V6((address.to_bits() & !host).into())
            }
        }
    }
}

/// Who counts: the identity of the rules of an object, apart from their numbers.
pub(super) struct Identity<'a> {
    pub(super) object: &'a ObjectRef,
    pub(super) uid: &'a str,
    pub(super) seed: &'a Seed,
}

impl Identity<'_> {
    /// A rule that limits nothing yet. The parts are separated by what no name of an object can hold.
    fn rule(&self, key: &[KeyPart], what: &str) -> Rule {
        let ObjectRef { kind, namespace, name } = self.object;
        let uid = self.uid;
        Rule::new(self.seed.rule_id(&format!("{kind}\n{namespace}\n{name}\n{uid}\n{key:?}\n{what}")))
    }
}

/// Why a policy cannot be made ready. Its object refuses everything then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlanError {
    /// A window that the limiter cannot count.
    #[error("{rule}: {error}")]
    Quota { rule: &'static str, error: QuotaError },
    /// A path that cannot be made canonical.
    #[error("{rule}: {path:?}: {error}")]
    Path { rule: &'static str, path: String, error: canonical::PathError },
    /// More windows than a request can be charged to.
    #[error("limit-window: more than {MAX_WINDOWS} windows")]
    Windows,
}

/// Makes a policy ready.
pub(super) fn plan(policy: &Policy, settings: &Settings, identity: &Identity<'_>) -> Result<Plan, PlanError> {
    let limits = &policy.limits;
    if limits.windows.len() > MAX_WINDOWS {
        return Err(PlanError::Windows);
    }
    let key = KeyPlan {
        parts: if limits.key.is_empty() { vec![KeyPart::Ip] } else { limits.key.clone() },
        v4_prefix: limits.ipv4_prefix.unwrap_or(settings.ipv4_prefix).min(32),
        v6_prefix: limits.ipv6_prefix.unwrap_or(settings.ipv6_prefix).min(128),
    };
    let maker = Maker { policy, identity, key: &key.parts };
    let object = maker.scope(None)?;
    let mut overrides = Vec::with_capacity(limits.overrides.len());
    for special in &limits.overrides {
        let path = canonical_prefix(rule::OVERRIDES, &special.path)?;
        overrides.push((path, maker.scope(Some(special))?));
    }
    Ok(Plan {
        gates: gates(policy)?,
        exempt: AddressSet::new(&limits.exempt),
        key,
        rate_status: limits.status.unwrap_or(settings.rate_status),
        connections_status: limits.status.unwrap_or(settings.connections_status),
        headers: limits.headers,
        object,
        overrides: Prefixes::by_segment(overrides),
    })
}

fn gates(policy: &Policy) -> Result<Gates, PlanError> {
    let access = &policy.access;
    let canonical = |path: &String| Ok((canonical_prefix(rule::PATHS, path)?, ()));
    let paths = access.paths.as_ref().map(|paths| paths.iter().map(canonical).collect::<Result<Vec<_>, _>>());
    Ok(Gates {
        allow: access.allow.as_ref().map(AddressSet::new),
        deny: AddressSet::new(&access.deny),
        methods: access.methods.clone(),
        allow_field: access.methods.as_deref().unwrap_or_default().join(", "),
        paths: paths.transpose()?.map(Prefixes::by_segment),
        head_max: policy.max_header_bytes,
    })
}

fn canonical_prefix(rule: &'static str, path: &str) -> Result<String, PlanError> {
    match canonical::path(path.as_bytes()) {
        Ok(canonical) => Ok(canonical.into_owned()),
        Err(error) => Err(PlanError::Path { rule, path: path.to_owned(), error }),
    }
}

/// Makes the rules of one policy.
struct Maker<'a> {
    policy: &'a Policy,
    identity: &'a Identity<'a>,
    key: &'a [KeyPart],
}

impl Maker<'_> {
    /// The numbers for the paths of an override, or for those of none.
    ///
    /// A number that the override sets takes the place of the object's and is counted by a rule of its own; in the
    /// object's rule, which keeps its identity and so its counters, the place is empty then.
    fn scope(&self, special: Option<&Override>) -> Result<Scope, PlanError> {
        let limits = &self.policy.limits;
        let own = Numbers::of(limits);
        let mut charges = Vec::new();
        match special {
            None => self.push(&mut charges, self.identity.rule(self.key, "object"), &own, OBJECT_NAMES)?,
            Some(special) => {
                let numbers = Numbers::of_override(special);
                let rest = own.without(&numbers);
                self.push(&mut charges, self.identity.rule(self.key, "object"), &rest, OBJECT_NAMES)?;
                let path = canonical_prefix(rule::OVERRIDES, &special.path)?;
                let what = format!("override {}", path.trim_end_matches('/'));
                self.push(&mut charges, self.identity.rule(self.key, &what), &numbers, OVERRIDE_NAMES)?;
            }
        }
        for window in &limits.windows {
            let what = format!("window {}", window.period.as_nanos());
            let quota = self.quota(window.limit, window.period, rule::WINDOW)?;
            charges.push(Planned {
                rule: self
                    .identity
                    .rule(self.key, &what)
                    .with_window(Window::Second, quota)
                    .with_mode(limiter_mode(limits.mode.rate)),
                windows: [rule::WINDOW; Window::COUNT],
                in_flight: rule::WINDOW,
                labels: [Label::Seconds(seconds_up(window.period)); Window::COUNT],
            });
        }
        let mode = self.policy.limits.mode.body;
        let body = match special.and_then(|special| special.body) {
            Some(max) => BodyRule { max, rule: rule::OVERRIDES, mode },
            None => BodyRule { max: self.policy.body.max, rule: rule::BODY, mode },
        };
        let policy_field = policy_field(&charges).into();
        Ok(Scope { charges, policy_field, body })
    }

    /// Adds what charges the numbers to a rule. One charge, unless rates and concurrency differ in their modes: then
    /// two, of the same identity.
    fn push(
        &self,
        charges: &mut Vec<Planned>,
        rule: Rule,
        numbers: &Numbers,
        (windows, in_flight): Names,
    ) -> Result<(), PlanError> {
        let modes = self.policy.limits.mode;
        let planned = |rule: Rule, mode: Mode| Planned {
            rule: rule.with_mode(limiter_mode(mode)),
            windows,
            in_flight,
            labels: LABELS,
        };
        let mut rated = rule.clone();
        let mut has_windows = false;
        for (window, name) in Window::ALL.into_iter().zip(windows) {
            if let Some(limit) = numbers.windows.get(window.index()).copied().flatten() {
                rated = rated.with_window(window, self.quota(limit, period(window), name)?);
                has_windows = true;
            }
        }
        match (has_windows, numbers.connections) {
            (false, None) => {}
            (true, None) => charges.push(planned(rated, modes.rate)),
            (false, connections) => {
                charges.push(planned(rule.with_in_flight(connections), modes.connections));
            }
            (true, connections) if modes.rate == modes.connections => {
                charges.push(planned(rated.with_in_flight(connections), modes.rate));
            }
            (true, connections) => {
                charges.push(planned(rated, modes.rate));
                charges.push(planned(rule.with_in_flight(connections), modes.connections));
            }
        }
        Ok(())
    }

    /// A limit that is too large for the limiter becomes the largest: stricter, never looser.
    fn quota(&self, limit: NonZeroU64, period: Duration, rule: &'static str) -> Result<Quota, PlanError> {
        let limit = limit.get().min(Quota::LIMIT_MAX);
        let quota = Quota::new(limit, period).map_err(|error| PlanError::Quota { rule, error })?;
        Ok(quota.with_burst(match self.policy.limits.burst {
            Burst::Multiplier(multiplier) => limit.saturating_mul(multiplier.get().into()),
            Burst::Absolute(burst) => burst,
        }))
    }
}

/// The numbers that one rule can hold.
struct Numbers {
    windows: [Option<NonZeroU64>; Window::COUNT],
    connections: Option<NonZeroU32>,
}

impl Numbers {
    fn of(limits: &Limits) -> Self {
        let windows = [limits.per_second, limits.per_minute, limits.per_hour, limits.per_day];
        Self { windows, connections: limits.connections }
    }

    fn of_override(special: &Override) -> Self {
        let windows = [special.per_second, special.per_minute, special.per_hour, None];
        Self { windows, connections: special.connections }
    }

    /// Those that `other` does not set.
    fn without(&self, other: &Self) -> Self {
        let keep = |at: usize| match other.windows.get(at) {
            Some(Some(_)) => None,
            _ => self.windows.get(at).copied().flatten(),
        };
        let connections = if other.connections.is_some() { None } else { self.connections };
        Self { windows: std::array::from_fn(keep), connections }
    }
}

fn policy_field(charges: &[Planned]) -> String {
    let windows = |planned: &Planned| {
        let quotas = Window::ALL.into_iter().zip(*planned.rule.windows());
        let item = |(window, quota): (Window, Option<Quota>)| {
            let quota = quota?;
            let label = planned.label(window);
            Some(format!("{label};q={};w={}", quota.limit(), seconds_up(quota.period())))
        };
        quotas.filter_map(item).collect::<Vec<_>>()
    };
    charges.iter().flat_map(windows).collect::<Vec<_>>().join(", ")
}

fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn period(window: Window) -> Duration {
    Duration::from_secs(match window {
        Window::Second => 1,
        Window::Minute => 60,
        Window::Hour => 3_600,
        Window::Day => 86_400,
    })
}

fn limiter_mode(mode: Mode) -> weir_limits::Mode {
    match mode {
        Mode::Enforce => weir_limits::Mode::Enforce,
        Mode::Observe => weir_limits::Mode::Observe,
    }
}

/// Names of the windows, and of the limit of requests in flight.
type Names = ([&'static str; Window::COUNT], &'static str);

const OBJECT_NAMES: Names = ([rule::RPS, rule::RPM, rule::RPH, rule::RPD], rule::CONNECTIONS);

const OVERRIDE_NAMES: Names = ([rule::OVERRIDES; Window::COUNT], rule::OVERRIDES);

const LABELS: [Label; Window::COUNT] =
    [Label::Word("second"), Label::Word("minute"), Label::Word("hour"), Label::Word("day")];

// The object's rule and an override's, each in two modes, and the windows: all must fit in one decision.
const _: () = assert!(4 + MAX_WINDOWS <= weir_limits::MAX_CHARGES);
