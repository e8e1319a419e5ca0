//! How long things may take: what the flags say, and else what the configuration in force says.

use crate::deadline;
use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;
use weir_core::Engine;
use weir_core::policy::{Edge, HeadBounds};

/// How long things may take that no policy of an object decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// An idle connection, before its first request and between requests.
    pub idle: Duration,
    /// A request head, from its first byte to its last.
    pub head: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// Least bytes per second of a body that is held or dropped.
    pub body_rate: NonZeroU32,
    /// Between two writes to a client that does not read.
    pub write: Duration,
    /// A TLS handshake, from the first byte of the connection to its end.
    pub handshake: Duration,
    /// Most requests of one connection: of its many deadlines the one that is no time.
    pub requests: u32,
    /// How large a request head may be.
    pub head_bounds: HeadBounds,
}

/// What the flags say. It wins over the ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// See [`Timeouts::idle`].
    pub idle: Option<Duration>,
    /// See [`Timeouts::head`].
    pub head: Option<Duration>,
    /// See [`Timeouts::body`].
    pub body: Option<Duration>,
    /// See [`Timeouts::write`].
    pub write: Option<Duration>,
    /// See [`Timeouts::handshake`].
    pub handshake: Option<Duration>,
    /// Between the signal to end and the end of accepting.
    pub shutdown_delay: Duration,
    /// Requests in flight, after accepting has ended.
    pub shutdown: Duration,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            idle: None,
            head: None,
            body: None,
            write: None,
            handshake: None,
            shutdown_delay: Duration::ZERO,
            shutdown: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// What is given, and else what `edge` says.
    pub fn of(given: &Given, edge: &Edge) -> Self {
        Self {
            idle: given.idle.unwrap_or(edge.idle_timeout),
            head: given.head.unwrap_or(edge.head_timeout),
            body: given.body.unwrap_or(edge.body_timeout),
            body_rate: edge.body_rate,
            write: given.write.unwrap_or(edge.send_timeout),
            handshake: given.handshake.unwrap_or(edge.handshake_timeout),
            requests: edge.requests_per_connection.get(),
            head_bounds: edge.head,
        }
    }

    /// How long a connection may be idle before its first request. Where none is kept alive, it may still take its time.
    pub fn first(&self) -> Duration {
        if self.idle.is_zero() { self.head } else { self.idle }
    }
}

/// As in force now, or a tick of the deadlines ago: a deadline cannot be told more exactly, and several are asked for
/// in each request.
pub(crate) fn of(engine: &Engine, given: &Given) -> Timeouts {
    let tick = deadline::tick();
    let engine_place = std::ptr::from_ref(engine).addr();
    match LAST.get() {
        Some(last) if last.tick == tick && last.engine == engine_place && last.given == *given => {
            last.timeouts
        }
        _ => {
            let timeouts = Timeouts::of(given, &engine.current().settings.edge);
            LAST.set(Some(Last { tick, engine: engine_place, given: *given, timeouts }));
            timeouts
        }
    }
}

#[derive(Clone, Copy)]
struct Last {
    tick: u64,
    /// Which engine's; several may be used on one thread where tests are run.
    engine: usize,
    given: Given,
    timeouts: Timeouts,
}

thread_local! {
    static LAST: Cell<Option<Last>> = const { Cell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::declaration::Declaration;

    #[test]
    fn flags_win_over_the_configuration_and_that_holds_within_a_tick() {
        let engine = Engine::default();
        let given = Given { head: Some(Duration::from_secs(3)), ..Given::default() };
        assert_eq!(of(&engine, &given), Timeouts::of(&given, &Edge::default()));
        assert_eq!(of(&engine, &given).head, Duration::from_secs(3));
        let mut declaration = Declaration::default();
        declaration.settings.edge.body_timeout = Duration::from_secs(7);
        declaration.settings.edge.head_timeout = Duration::from_secs(8);
        engine.replace(declaration);
        deadline::sweep();
        let timeouts = of(&engine, &given);
        assert_eq!((timeouts.head, timeouts.body), (Duration::from_secs(3), Duration::from_secs(7)));
    }
}
