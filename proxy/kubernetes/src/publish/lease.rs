//! Who of several replicas writes. Pure: time is an argument.
//!
//! The rules are those of client-go's leader election, with a Lease of `coordination.k8s.io/v1`: clocks of different
//! machines are never compared. A lease has expired when it has not changed for its duration by our own clock. A leader
//! that cannot renew stops to be one before anybody else may begin.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use std::time::{Duration, Instant};

/// One replica's view of the election.
#[derive(Debug)]
pub(super) struct Election {
    /// Who we are.
    identity: String,
    /// How long a lease holds.
    ttl: Duration,
    /// The lease as it was last seen to change, and when.
    seen: Option<(Lease, Instant)>,
    /// When we last held it for certain: the moment before the write that succeeded.
    held: Option<Instant>,
}

/// What to do about the lease.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// There is none: make this one.
    Create(Box<Lease>),
    /// It is ours, or free: write this one, if nobody else has written meanwhile.
    Replace(Box<Lease>),
    /// Somebody else holds it.
    Wait,
}

impl Election {
    pub(super) fn new(identity: String, ttl: Duration) -> Self {
        Self { identity, ttl, seen: None, held: None }
    }

    /// How long to wait between two looks: a quarter of a lease, so that a leader has tries to spare.
    pub(super) fn period(&self) -> Duration {
        self.ttl / 4
    }

    /// How long to wait for the next look: who does not lead looks more often, so that a lease that was given up is taken
    /// at once.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        if self.is_leader(now) { self.period() } else { self.period().min(CANDIDATE) }
    }

    /// Whether we may write.
    pub(super) fn is_leader(&self, now: Instant) -> bool {
        // Less than a lease, for others begin after a whole one.
        self.held.is_some_and(|held| now.saturating_duration_since(held) < self.ttl * 2 / 3)
    }

    /// Says what to do, given the lease as it is now; `wall` is the time of day, for others to read.
    pub(super) fn step(&mut self, lease: Option<Lease>, now: Instant, wall: Timestamp) -> Step {
        let Some(lease) = lease else {
            // It was deleted. Whoever held it makes it again and does not know yet that it must: others give it the time
            // that the lease would have had.
            if self.seen.as_ref().is_some_and(|(seen, since)| !self.may_take(seen, *since, now)) {
                return Step::Wait;
            }
            self.seen = None;
            return Step::Create(Box::new(self.taken(ObjectMeta::default(), None, wall)));
        };
        let changed = self
            .seen
            .as_ref()
            .is_none_or(|(seen, _)| seen.metadata.resource_version != lease.metadata.resource_version);
        if changed {
            self.seen = Some((lease.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        if !self.may_take(&lease, since, now) {
            self.held = None;
            return Step::Wait;
        }
        let spec = lease.spec.unwrap_or_default();
        Step::Replace(Box::new(self.taken(lease.metadata, Some(spec), wall)))
    }

    /// Whether a lease is ours, or nobody's; `since` is when it changed last.
    fn may_take(&self, lease: &Lease, since: Instant, now: Instant) -> bool {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.ttl, Duration::from_secs);
        holder == self.identity || holder.is_empty() || now.saturating_duration_since(since) >= duration
    }

    /// The lease was written; `began` is when the write began.
    pub(super) fn written(&mut self, lease: Lease, began: Instant) {
        self.held = Some(began);
        self.seen = Some((lease, began));
    }

    /// The lease with nobody holding it, if we do: the next replica need not wait for its end.
    pub(super) fn released(&mut self, now: Instant, wall: Timestamp) -> Option<Lease> {
        let leads = self.is_leader(now);
        self.held = None;
        let (lease, _) = self.seen.take().filter(|_| leads)?;
        let spec = lease.spec.unwrap_or_default();
        Some(Lease {
            metadata: lease.metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                // Zero is not allowed.
                lease_duration_seconds: Some(1),
                renew_time: Some(MicroTime(wall)),
                ..spec
            }),
        })
    }

    fn taken(&self, metadata: ObjectMeta, before: Option<LeaseSpec>, wall: Timestamp) -> Lease {
        let before = before.unwrap_or_default();
        let stays = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or_default();
        let acquired = before.acquire_time.clone().filter(|_| stays);
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(self.ttl.as_secs()).ok(),
                acquire_time: Some(acquired.unwrap_or(MicroTime(wall))),
                renew_time: Some(MicroTime(wall)),
                lease_transitions: Some(if stays { transitions } else { transitions.saturating_add(1) }),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// As client-go has it.
const CANDIDATE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    /// A lease somewhere, written under optimistic concurrency by several replicas.
    #[derive(Default)]
    struct Server {
        lease: Option<Lease>,
        version: u64,
    }

    impl Server {
        /// One look of a replica, and the write that follows from it. Says whether it wrote.
        fn turn(&mut self, replica: &mut Election, now: Instant) -> bool {
            let lease = match replica.step(self.lease.clone(), now, Timestamp::UNIX_EPOCH) {
                Step::Create(lease) | Step::Replace(lease) => *lease,
                Step::Wait => return false,
            };
            replica.written(self.write(lease), now);
            true
        }

        fn write(&mut self, mut lease: Lease) -> Lease {
            self.version += 1;
            lease.metadata.resource_version = Some(self.version.to_string());
            self.lease = Some(lease.clone());
            lease
        }

        fn holder(&self) -> &str {
            self.lease.as_ref().unwrap().spec.as_ref().unwrap().holder_identity.as_deref().unwrap()
        }

        fn transitions(&self) -> i32 {
            self.lease.as_ref().unwrap().spec.as_ref().unwrap().lease_transitions.unwrap()
        }
    }

    fn replica(name: &str) -> Election {
        Election::new(name.to_owned(), TTL)
    }

    #[test]
    fn one_leads_and_the_other_waits_until_it_has_been_silent_for_a_lease() {
        let (mut server, mut a, mut b) = (Server::default(), replica("a"), replica("b"));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(server.turn(&mut a, at(0)) && a.is_leader(at(0)));
        for seconds in [1, 8, 15] {
            assert!(!server.turn(&mut b, at(seconds)) && !b.is_leader(at(seconds)));
            assert!(server.turn(&mut a, at(seconds)) && a.is_leader(at(seconds)));
        }
        assert_eq!((server.holder(), server.transitions()), ("a", 1));
        // From here on a is silent. It stops before b begins.
        assert!(!server.turn(&mut b, at(16)));
        assert!(a.is_leader(at(34)) && !a.is_leader(at(35)));
        assert!(!server.turn(&mut b, at(45)));
        assert!(server.turn(&mut b, at(46)) && b.is_leader(at(46)));
        assert_eq!((server.holder(), server.transitions()), ("b", 2));
        // It comes back and sees that it is over.
        assert!(!server.turn(&mut a, at(47)) && !a.is_leader(at(47)));
    }

    #[test]
    fn never_do_two_lead_whatever_the_order_of_turns_and_the_length_of_silences() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut server = Server::default();
            let mut replicas = [replica("a"), replica("b"), replica("c")];
            let mut now = Instant::now();
            for _ in 0..200 {
                now += Duration::from_millis(random.u64(0..20_000));
                let turn = random.usize(0..replicas.len());
                server.turn(&mut replicas[turn], now);
                let leaders = replicas.iter().filter(|replica| replica.is_leader(now)).count();
                assert!(leaders <= 1, "seed {seed}: {leaders} lead");
            }
        }
    }

    #[test]
    fn who_leaves_well_is_followed_at_once() {
        let (mut server, mut a, mut b) = (Server::default(), replica("a"), replica("b"));
        let now = Instant::now();
        server.turn(&mut a, now);
        assert!(!server.turn(&mut b, now));
        assert_eq!(b.released(now, Timestamp::UNIX_EPOCH), None, "it is not b's to give");
        let released = a.released(now, Timestamp::UNIX_EPOCH).unwrap();
        server.write(released);
        assert!(!a.is_leader(now));
        assert!(server.turn(&mut b, now) && b.is_leader(now));
        assert_eq!(server.transitions(), 2);
    }

    #[test]
    fn a_lease_that_was_deleted_is_made_again_by_who_held_it() {
        let (mut server, mut a, mut b) = (Server::default(), replica("a"), replica("b"));
        let now = Instant::now();
        server.turn(&mut a, now);
        assert!(!server.turn(&mut b, now));
        server.lease = None;
        assert!(!server.turn(&mut b, now) && a.is_leader(now), "a does not know yet");
        assert!(server.turn(&mut a, now) && a.is_leader(now));
        assert!(!server.turn(&mut b, now));
        // If nobody does, another does.
        server.lease = None;
        assert!(!server.turn(&mut b, now + TTL / 2));
        assert!(server.turn(&mut b, now + TTL) && b.is_leader(now + TTL));
        // Whoever has seen none need not wait.
        server.lease = None;
        assert!(server.turn(&mut replica("c"), now + TTL));
    }
}
