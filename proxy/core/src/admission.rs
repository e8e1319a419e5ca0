//! Policy, client and route joined: from facts to a verdict.
//!
//! The checks come one after the other; the first that says no ends the matter, and limits are charged by the last. So
//! under the profile `weir` a refused request spends nothing. Under `ingress-nginx` the order is nginx's, in which
//! addresses are looked at after the limits have been charged.

mod fields;
mod https;
mod key;

use crate::account::Account;
use crate::canonical;
use crate::facts::Facts;
use crate::identity::Client;
use crate::policy::{BodyLimit, LimitHeaders, Mode, Profile};
use crate::snapshot::{Basis, Location, Plan, Planned, Scope, Snapshot};
use crate::ticket::Ticket;
use crate::verdict::{RateLimitFields, Reason, Refusal, RuleHit, Verdict, rule};
use key::ClientKey;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use weir_limits::{Cause, Charge, Decision, Denial, Grant, Instant, Limiter, MAX_CHARGES, Window};

/// Says what becomes of a request.
pub(crate) fn admit(snapshot: &Snapshot, limiter: &Limiter, now: Instant, facts: &Facts<'_>) -> Verdict {
    let client = snapshot.identification().identify(facts);
    let unrouted = |reason| {
        let account = Account::open_unrouted(now, client, Arc::clone(snapshot.unrouted()));
        Verdict::Refuse(refuse(account, Stop::reason(reason), None))
    };
    let (Ok(host), Ok(path)) = (canonical::host(facts.host), canonical::path(facts.path)) else {
        return unrouted(Reason::BadRequest);
    };
    let Some(location) = snapshot.find(&host, &path) else {
        return unrouted(match snapshot.basis() {
            Basis::Nothing => Reason::NoConfiguration,
            Basis::Declaration => Reason::NoRoute,
        });
    };
    let account = Account::open(now, client, Arc::clone(location));
    let plan = location.owner().plan();
    let scope = plan.scope(&path);
    // An origin may take an encoded slash for a slash, or for a part of a name. Where that makes a difference to what is
    // asked for, nobody can say which rules hold.
    let alike = |other: &str| {
        snapshot.find(&host, other).is_some_and(|found| Arc::ptr_eq(found, location))
            && std::ptr::eq(plan.scope(other), scope)
            && plan.allows_path(other) == plan.allows_path(&path)
    };
    if canonical::path_with_slashes(facts.path).is_some_and(|other| !other.is_ok_and(|other| alike(&other))) {
        return unrouted(Reason::BadRequest);
    }
    let mut check = Check {
        snapshot,
        limiter,
        now,
        facts,
        client,
        host: &host,
        path: &path,
        location,
        plan,
        scope,
        account,
    };
    let granted = match snapshot.settings.profile {
        Profile::Weir => check.in_weirs_order(),
        Profile::IngressNginx => check.in_nginx_order(),
    };
    match granted {
        Ok(granted) => Verdict::Forward(Ticket::new(
            check.account,
            Arc::clone(location),
            granted.grant,
            scope.body,
            granted.fields,
        )),
        Err(stop) => {
            let allow = (stop.reason == Reason::Method).then(|| plan.gates.allow_field.clone());
            Verdict::Refuse(refuse(check.account, stop, allow))
        }
    }
}

/// One request on its way through the checks.
struct Check<'a> {
    snapshot: &'a Snapshot,
    limiter: &'a Limiter,
    now: Instant,
    facts: &'a Facts<'a>,
    client: Client,
    /// Canonical.
    host: &'a str,
    /// Canonical.
    path: &'a str,
    location: &'a Location,
    plan: &'a Plan,
    scope: &'a Scope,
    account: Account,
}

/// What the limits gave.
struct Granted {
    grant: Option<Grant>,
    fields: Option<RateLimitFields>,
}

/// Why a request goes no further.
struct Stop {
    reason: Reason,
    /// Empty when no annotation asked for it.
    rule: &'static str,
    status: u16,
    retry_after: Option<NonZeroU32>,
    fields: Option<RateLimitFields>,
    location: Option<String>,
}

impl Stop {
    fn reason(reason: Reason) -> Self {
        Self { reason, rule: "", status: status(reason), retry_after: None, fields: None, location: None }
    }
}

impl Check<'_> {
    fn in_weirs_order(&mut self) -> Result<Granted, Stop> {
        self.closed_host()?;
        self.whole_policy()?;
        self.addresses()?;
        self.redirect()?;
        self.plain_text()?;
        self.handshake()?;
        self.paths()?;
        self.methods()?;
        self.head()?;
        self.body()?;
        self.endpoint()?;
        self.limits()
    }

    /// Certificates, body, redirects, no endpoints, then limits, then addresses; what nginx has not is where it costs a
    /// client the least.
    fn in_nginx_order(&mut self) -> Result<Granted, Stop> {
        self.handshake()?;
        self.closed_host()?;
        self.body()?;
        self.whole_policy()?;
        self.redirect()?;
        self.plain_text()?;
        self.endpoint()?;
        self.paths()?;
        self.methods()?;
        self.head()?;
        let granted = self.limits()?;
        self.addresses()?;
        Ok(granted)
    }

    fn whole_policy(&self) -> Result<(), Stop> {
        if self.location.broken.is_some() {
            return Err(Stop::reason(Reason::BrokenPolicy));
        }
        Ok(())
    }

    fn addresses(&mut self) -> Result<(), Stop> {
        let address = self.client.address;
        let gates = &self.plan.gates;
        if self.snapshot.block().contains(address) {
            // Of the whole proxy, so no object's mode applies.
            self.say_no(Reason::Address, rule::BLOCK, Mode::Enforce)?;
        }
        let mode = self.location.policy.limits.mode.addresses;
        if gates.deny.contains(address) {
            self.say_no(Reason::Address, rule::DENY, mode)?;
        }
        if gates.allow.as_ref().is_some_and(|allow| !allow.contains(address)) {
            self.say_no(Reason::Address, rule::ALLOW, mode)?;
        }
        Ok(())
    }

    fn paths(&mut self) -> Result<(), Stop> {
        if self.plan.allows_path(self.path) {
            return Ok(());
        }
        self.say_no(Reason::Path, rule::PATHS, self.location.policy.limits.mode.paths)
    }

    fn methods(&mut self) -> Result<(), Stop> {
        let Some(methods) = &self.plan.gates.methods else { return Ok(()) };
        if methods.iter().any(|method| method == self.facts.method) {
            return Ok(());
        }
        self.say_no(Reason::Method, rule::METHODS, self.location.policy.limits.mode.methods)
    }

    fn head(&mut self) -> Result<(), Stop> {
        let most = self.plan.gates.head_max.and_then(|most| usize::try_from(most.get()).ok());
        match most {
            Some(most) if self.facts.head_bytes > most => {
                self.say_no(Reason::Head, rule::HEAD, Mode::Enforce)
            }
            _ => Ok(()),
        }
    }

    fn body(&mut self) -> Result<(), Stop> {
        let body = self.scope.body;
        match (body.max, self.facts.content_length) {
            (BodyLimit::Bytes(most), Some(length)) if length > most => {
                self.say_no(Reason::Body, body.rule, body.mode)
            }
            _ => Ok(()),
        }
    }

    fn endpoint(&self) -> Result<(), Stop> {
        if self.location.backend.is_none() {
            return Err(Stop::reason(Reason::NoBackend));
        }
        if !self.location.target().is_present() {
            return Err(Stop::reason(Reason::NoEndpoint));
        }
        Ok(())
    }

    fn limits(&mut self) -> Result<Granted, Stop> {
        let planned = self.scope.charges.as_slice();
        let (Some(first), false) = (planned.first(), self.plan.exempt.contains(self.client.address)) else {
            return Ok(Granted { grant: None, fields: None });
        };
        let seed = self.limiter.seed();
        let client =
            ClientKey::of(seed, &self.plan.key, self.client.address, self.host, self.path, self.facts);
        let charge = |planned: &'_ Planned| client.key(seed, planned.rule.id());
        let mut charges = [Charge { rule: &first.rule, key: charge(first) }; MAX_CHARGES];
        for (place, planned) in charges.iter_mut().zip(planned).skip(1) {
            *place = Charge { rule: &planned.rule, key: charge(planned) };
        }
        let charges = charges.get(..planned.len()).unwrap_or_default();
        match self.limiter.decide(self.now, charges) {
            Decision::Grant(grant) => {
                for denial in grant.observed() {
                    if let Some(planned) = planned.get(denial.charge) {
                        let (reason, rule) = culprit(planned, denial.cause);
                        self.account.note(RuleHit { rule, reason, mode: Mode::Observe });
                    }
                }
                let fields = (self.plan.headers == LimitHeaders::Always)
                    .then(|| fields::fields(self.limiter, self.now, self.scope, charges));
                Ok(Granted { grant: Some(grant), fields: fields.flatten() })
            }
            Decision::Deny(denial) => Err(self.denied(&denial, planned, charges)),
        }
    }

    fn denied(&mut self, denial: &Denial, planned: &[Planned], charges: &[Charge<'_>]) -> Stop {
        let (reason, rule) =
            planned.get(denial.charge).map_or((Reason::Rate, ""), |planned| culprit(planned, denial.cause));
        let wants_fields = self.plan.headers != LimitHeaders::Never;
        Stop {
            reason,
            rule,
            status: match denial.cause {
                Cause::InFlight | Cause::InFlightTableFull => self.plan.connections_status,
                _ => self.plan.rate_status,
            },
            retry_after: Some(seconds(denial.retry_after)),
            fields: wants_fields
                .then(|| fields::fields(self.limiter, self.now, self.scope, charges))
                .flatten(),
            location: None,
        }
    }

    /// A rule says no; whether that ends the matter is up to its mode.
    fn say_no(&mut self, reason: Reason, rule: &'static str, mode: Mode) -> Result<(), Stop> {
        match mode {
            Mode::Enforce => Err(Stop { rule, ..Stop::reason(reason) }),
            Mode::Observe => {
                self.account.note(RuleHit { rule, reason, mode });
                Ok(())
            }
        }
    }
}

fn refuse(mut account: Account, stop: Stop, allow: Option<String>) -> Refusal {
    let Stop { reason, rule, status, retry_after, fields, location } = stop;
    match rule {
        "" => account.note_reason(reason),
        rule => account.note(RuleHit { rule, reason, mode: Mode::Enforce }),
    }
    Refusal { status, reason, retry_after, rate_limit: fields, allow, location, account }
}

/// Which annotation a denial comes from, and what to call it.
fn culprit(planned: &Planned, cause: Cause) -> (Reason, &'static str) {
    let first_window = || {
        let window = Window::ALL.into_iter().find(|window| planned.has(*window));
        window.map_or(planned.in_flight, |window| planned.window_name(window))
    };
    match cause {
        Cause::Window(window) => (Reason::Rate, planned.window_name(window)),
        Cause::InFlight => (Reason::Connections, planned.in_flight),
        Cause::InFlightTableFull => (Reason::TableFull, planned.in_flight),
        _ => (Reason::TableFull, first_window()),
    }
}

/// Whole seconds, rounded up, never 0.
fn seconds(duration: Duration) -> NonZeroU32 {
    let up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(up).map_or(NonZeroU32::MAX, |up| NonZeroU32::new(up).unwrap_or(NonZeroU32::MIN))
}

fn status(reason: Reason) -> u16 {
    match reason {
        Reason::BadRequest => 400,
        Reason::NoRoute | Reason::NoBackend | Reason::Path => 404,
        Reason::NoConfiguration | Reason::NoEndpoint | Reason::BrokenPolicy => 503,
        Reason::Address => 403,
        Reason::Method => 405,
        Reason::Head => 431,
        Reason::Body => 413,
        Reason::Rate | Reason::Connections | Reason::TableFull => 429,
        Reason::HttpsOnly => 308,
        Reason::ClientCertificate => 400,
        Reason::Misdirected => 421,
    }
}
