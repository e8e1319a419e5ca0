//! Where connections and requests can end, and where each end is seen: one table for the page.

use crate::abort::{ACCEPT, HANDSHAKE, PROXY_PROTOCOL, Stage};
use crate::arrivals::Shed;
use crate::lane::grammar::Malformed;
use crate::lane::h2::{Ended, Rejected};
use crate::respond::GatewayError;
use crate::tls::Failure;
use weir_core::account::{End, UpstreamResult};
use weir_core::verdict::Reason;

/// What can happen at a stage.
pub(super) struct Ending {
    /// What was going on.
    pub(super) stage: &'static str,
    /// What happened.
    pub(super) what: &'static str,
    /// The family that counts it, and the label that says why.
    pub(super) family: (&'static str, &'static str),
    /// Another label and its value, if the family is that of several stages.
    pub(super) within: Option<(&'static str, &'static str)>,
    /// The reasons: all of them.
    pub(super) reasons: fn() -> Vec<&'static str>,
    /// Where the access log has it.
    pub(super) log: &'static str,
}

const fn abort(stage: Stage, name: &'static str, reasons: fn() -> Vec<&'static str>) -> Ending {
    let (what, log) = match stage {
        Stage::Idle => ("the client's side broke off", "no line: there is no request"),
        _ => ("the client's side broke off", "`abort`, `abort_reason`"),
    };
    let within = Some(("stage", name));
    Ending { stage: name, what, family: ("weir_client_aborts_total", "reason"), within, reasons, log }
}

/// In the order in which they can happen.
pub(super) static ENDINGS: &[Ending] = &[
    Ending {
        stage: ACCEPT,
        what: "sent away",
        family: SHED,
        within: None,
        reasons: || sheds(false),
        log: UNSERVED,
    },
    Ending {
        stage: PROXY_PROTOCOL,
        what: "no header of the PROXY protocol that may be believed",
        family: SHED,
        within: None,
        reasons: || sheds(true),
        log: UNSERVED,
    },
    Ending {
        stage: HANDSHAKE,
        what: "no TLS",
        family: ("weir_tls_handshakes_total", "result"),
        within: None,
        reasons: || Failure::ALL.iter().map(|failure| failure.as_str()).collect(),
        log: UNSERVED,
    },
    Ending {
        stage: "HTTP/2",
        what: "a connection of HTTP/2 as a whole",
        family: ("weir_h2_connections_ended_total", "reason"),
        within: None,
        reasons: || Ended::ALL.iter().map(|ended| ended.as_str()).collect(),
        log: "no line: its streams have theirs",
    },
    Ending {
        stage: "HTTP/2",
        what: "a stream that ends before anybody looks at it",
        family: ("weir_h2_streams_rejected_total", "reason"),
        within: None,
        reasons: || Rejected::ALL.iter().map(|why| why.as_str()).collect(),
        log: "no line where it has no head",
    },
    abort(Stage::Idle, "idle", || causes(Stage::Idle)),
    abort(Stage::Head, "head", || causes(Stage::Head)),
    Ending {
        stage: "head",
        what: "a head without one reading",
        family: ("weir_malformed_requests_total", "fault"),
        within: None,
        reasons: || Malformed::ALL.iter().map(|fault| fault.as_str()).collect(),
        log: "`fault`",
    },
    Ending {
        stage: "admission",
        what: "refused by a rule",
        family: ("weir_refusals_total", "reason"),
        within: None,
        reasons: || Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
        log: "`reason`, `rule`, `rule_reason`, `mode`",
    },
    abort(Stage::Body, "body", || causes(Stage::Body)),
    abort(Stage::Wait, "wait", || causes(Stage::Wait)),
    Ending {
        stage: "wait, response",
        what: "the exchange with the origin",
        family: ("weir_upstream_results_total", "result"),
        within: None,
        reasons: || UpstreamResult::ALL.iter().map(|result| result.as_str()).collect(),
        log: "`upstream_result`",
    },
    Ending {
        stage: "head to wait",
        what: "answered here, by no rule",
        family: ("weir_gateway_errors_total", "reason"),
        within: None,
        reasons: || GatewayError::ALL.iter().map(|error| error.as_str()).collect(),
        log: "`reason`",
    },
    abort(Stage::Response, "response", || causes(Stage::Response)),
    Ending {
        stage: "end",
        what: "every request that was admitted or refused",
        family: ("weir_requests_ended_total", "end"),
        within: None,
        reasons: || End::ALL.iter().map(|end| end.as_str()).collect(),
        log: "`end`",
    },
];

fn sheds(of_proxy_protocol: bool) -> Vec<&'static str> {
    let sheds = Shed::ALL.iter().filter(|shed| shed.is_of_proxy_protocol() == of_proxy_protocol);
    sheds.map(|shed| shed.as_str()).collect()
}

fn causes(stage: Stage) -> Vec<&'static str> {
    stage.causes().iter().map(|cause| cause.as_str()).collect()
}

const SHED: (&str, &str) = ("weir_connections_shed_total", "reason");
const UNSERVED: &str = "`abort`, `abort_reason`";
