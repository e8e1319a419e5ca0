//! The cases: what is asked of every proxy, in one table.

use super::peers::{ALLOWED_HOST, KIBIBYTE, MEBIBYTE, REFUSED_HOST, SPRAY_HOST};
use std::fmt;
use std::str::FromStr;

/// One of the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Case {
    /// Answers of 1 KiB on kept connections.
    Allowed,
    /// 429 on kept connections.
    Refused,
    /// A connection for each request.
    Connect,
    /// Answers of 1 MiB.
    Body,
    /// [`Case::Allowed`] over TLS.
    Tls,
    /// A whole handshake for each request.
    Handshake,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS.
    H2c,
    /// Memory for each idle connection.
    Idle,
    /// The same over TLS.
    TlsIdle,
    /// The same over TLS with HTTP/2.
    H2Idle,
    /// A million client addresses.
    Spray,
    /// A thousand routes.
    Routes1k,
    /// Ten thousand routes.
    Routes10k,
}

/// How a case is configured, driven and judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    /// As `--case` has it.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) setup: Setup,
    pub(crate) load: Load,
    pub(crate) expected: Expected,
}

/// What the proxies are configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// The hosts of `peers/`.
    Standard,
    /// The same; every client is believed what `X-Forwarded-For` says, and tables hold a million of them.
    Spray,
    /// The same, and so many more hosts with ten routes each.
    Routes { hosts: usize },
}

/// Who makes the load, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// `wrk`.
    Wrk { scheme: Scheme, host: &'static str, path: &'static str, connections: Connections, asks: Asks },
    /// `h2load` with HTTP/2.
    Http2 { scheme: Scheme },
    /// `h2load` with a new connection for each request.
    Handshakes,
    /// Our own connections, which have had one answer each.
    Idle { transport: Transport },
    /// Our own requests, each from another client.
    Spray,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
    Http2Tls,
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// As many as `--connections` says.
    Many,
    /// Fewer clients move the same bytes with less memory traffic between them.
    Few,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// On a kept connection.
    Kept,
    /// On a new one each time.
    New,
    /// On a kept connection, one route after the other.
    EachRoute,
}

/// What must come of the requests of a round, for the round to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Forwarded and answered, with at least so many bytes each.
    Forwarded { bytes: u64 },
    /// Refused before the origin sees them.
    Refused,
    /// No requests are counted: memory is.
    Held,
}

impl Case {
    /// All, in the order of the tables.
    pub const ALL: [Self; 14] = [
        Self::Allowed,
        Self::Refused,
        Self::Connect,
        Self::Body,
        Self::Tls,
        Self::Handshake,
        Self::H2,
        Self::H2c,
        Self::Idle,
        Self::TlsIdle,
        Self::H2Idle,
        Self::Spray,
        Self::Routes1k,
        Self::Routes10k,
    ];

    /// As `--case` has it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// For people.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// Whether its figure is memory for each connection, of which less is better.
    pub fn is_memory(self) -> bool {
        matches!(self.row().load, Load::Idle { .. })
    }

    /// Whether each round wants a fresh process: freed memory would hide what is measured.
    pub(crate) fn is_fresh(self) -> bool {
        matches!(self.row().load, Load::Idle { .. } | Load::Spray)
    }

    pub(crate) fn row(self) -> &'static Row {
        // Each has its row; see the test.
        ROWS.iter().find(|row| row.case == self).unwrap_or(&ROWS[0])
    }
}

impl Row {
    /// Whether it is for the route that refuses.
    pub(crate) fn is_refused(&self) -> bool {
        self.expected == Expected::Refused
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ROWS.iter().find(|row| row.name == text).map(|row| row.case);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|case| case.name()).collect();
            format!("no such case; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const fn wrk(scheme: Scheme, host: &'static str, path: &'static str, asks: Asks) -> Load {
    Load::Wrk { scheme, host, path, connections: Connections::Many, asks }
}

const SMALL: Expected = Expected::Forwarded { bytes: KIBIBYTE as u64 };

static ROWS: [Row; 14] = [
    Row {
        case: Case::Allowed,
        name: "allowed",
        title: "1 KiB answers, kept connections",
        setup: Setup::Standard,
        load: wrk(Scheme::Http, ALLOWED_HOST, "/api/1k", Asks::Kept),
        expected: SMALL,
    },
    Row {
        case: Case::Refused,
        name: "refused",
        title: "429, kept connections",
        setup: Setup::Standard,
        load: wrk(Scheme::Http, REFUSED_HOST, "/api/1k", Asks::Kept),
        expected: Expected::Refused,
    },
    Row {
        case: Case::Connect,
        name: "connect",
        title: "1 KiB answers, a new connection for each request",
        setup: Setup::Standard,
        load: wrk(Scheme::Http, ALLOWED_HOST, "/api/1k", Asks::New),
        expected: SMALL,
    },
    Row {
        case: Case::Body,
        name: "body",
        title: "1 MiB answers, kept connections",
        setup: Setup::Standard,
        load: Load::Wrk {
            scheme: Scheme::Http,
            host: ALLOWED_HOST,
            path: "/api/1m",
            connections: Connections::Few,
            asks: Asks::Kept,
        },
        expected: Expected::Forwarded { bytes: MEBIBYTE as u64 },
    },
    Row {
        case: Case::Tls,
        name: "tls",
        title: "1 KiB answers over TLS, kept connections",
        setup: Setup::Standard,
        load: wrk(Scheme::Https, ALLOWED_HOST, "/api/1k", Asks::Kept),
        expected: SMALL,
    },
    Row {
        case: Case::Handshake,
        name: "handshake",
        title: "whole TLS handshakes with one request each",
        setup: Setup::Standard,
        load: Load::Handshakes,
        expected: SMALL,
    },
    Row {
        case: Case::H2,
        name: "h2",
        title: "1 KiB answers with HTTP/2 over TLS",
        setup: Setup::Standard,
        load: Load::Http2 { scheme: Scheme::Https },
        expected: SMALL,
    },
    Row {
        case: Case::H2c,
        name: "h2c",
        title: "1 KiB answers with HTTP/2 without TLS",
        setup: Setup::Standard,
        load: Load::Http2 { scheme: Scheme::Http },
        expected: SMALL,
    },
    Row {
        case: Case::Idle,
        name: "idle",
        title: "memory for each idle connection",
        setup: Setup::Standard,
        load: Load::Idle { transport: Transport::Plain },
        expected: Expected::Held,
    },
    Row {
        case: Case::TlsIdle,
        name: "tls-idle",
        title: "memory for each idle TLS connection",
        setup: Setup::Standard,
        load: Load::Idle { transport: Transport::Tls },
        expected: Expected::Held,
    },
    Row {
        case: Case::H2Idle,
        name: "h2-idle",
        title: "memory for each idle HTTP/2 connection over TLS",
        setup: Setup::Standard,
        load: Load::Idle { transport: Transport::Http2Tls },
        expected: Expected::Held,
    },
    Row {
        case: Case::Spray,
        name: "spray",
        title: "requests that come from another client address each",
        setup: Setup::Spray,
        load: Load::Spray,
        expected: SMALL,
    },
    Row {
        case: Case::Routes1k,
        name: "routes-1k",
        title: "1 KiB answers spread over 1,000 routes of 100 hosts",
        setup: Setup::Routes { hosts: 100 },
        load: wrk(Scheme::Http, SPRAY_HOST, "/", Asks::EachRoute),
        expected: SMALL,
    },
    Row {
        case: Case::Routes10k,
        name: "routes-10k",
        title: "1 KiB answers spread over 10,000 routes of 1,000 hosts",
        setup: Setup::Routes { hosts: 1000 },
        load: wrk(Scheme::Http, SPRAY_HOST, "/", Asks::EachRoute),
        expected: SMALL,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_row_and_its_name_is_read_back() {
        for case in Case::ALL {
            assert_eq!(case.row().case, case);
            assert_eq!(case.name().parse(), Ok(case));
        }
        assert!("allowd".parse::<Case>().unwrap_err().contains("allowed, refused"));
    }
}
