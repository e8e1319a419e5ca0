//! Exchanges as data: what a client sends, what the origin answers, and what each must have got.

use super::{Client, LANES, Lane, Origin, Reaction, Weir, ingress, tls};
use std::collections::HashMap;

/// One exchange. In the texts `@` stands for a field line that names the case.
pub struct Case {
    name: &'static str,
    send: Vec<u8>,
    answer: Vec<u8>,
    origin_closes: bool,
    seen: Option<(&'static str, &'static str, Vec<u8>)>,
    told: Vec<(&'static str, Option<&'static str>)>,
    got: Got,
    fields: Vec<(&'static str, Option<&'static str>)>,
    interim: Vec<u16>,
    then: Then,
}

/// What becomes of the client's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It takes another request.
    Stays,
    Closes,
    /// The express lane passes the end of the origin's connection on; pingora makes chunks of the body.
    ByLane,
}

/// How the client connects.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Http,
    Https,
}

/// What the client gets.
enum Got {
    /// A whole response.
    Whole(u16, Vec<u8>),
    /// A response of this status that breaks off.
    Cut(u16),
}

/// An exchange that gets 200 and `ok`.
pub fn case(name: &'static str) -> Case {
    Case {
        name,
        send: b"GET / HTTP/1.1\r\nHost: a.test\r\n@\r\n".to_vec(),
        answer: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        origin_closes: false,
        seen: None,
        told: Vec::new(),
        got: Got::Whole(200, b"ok".to_vec()),
        fields: Vec::new(),
        interim: Vec::new(),
        then: Then::Stays,
    }
}

impl Case {
    /// What the client sends.
    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.send = bytes.as_ref().to_vec();
        self
    }

    /// What the origin answers.
    pub fn answer(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.answer = bytes.as_ref().to_vec();
        self
    }

    /// The origin closes behind its answer.
    pub fn origin_closes(mut self) -> Self {
        self.origin_closes = true;
        self
    }

    /// What the origin must have seen: method, target, body.
    pub fn seen(mut self, method: &'static str, target: &'static str, body: impl AsRef<[u8]>) -> Self {
        self.seen = Some((method, target, body.as_ref().to_vec()));
        self
    }

    /// A field that the origin must have seen, or must not have seen.
    pub fn told(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.told.push((name, value));
        self
    }

    /// What the client must get.
    pub fn gets(mut self, status: u16, body: impl AsRef<[u8]>) -> Self {
        self.got = Got::Whole(status, body.as_ref().to_vec());
        self
    }

    /// The client must get a response of this status that breaks off.
    pub fn gets_cut(mut self, status: u16) -> Self {
        self.got = Got::Cut(status);
        self.then = Then::Closes;
        self
    }

    /// A field that the client must get, or must not get.
    pub fn field(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Interim responses that the client must get.
    pub fn interim(mut self, statuses: &[u16]) -> Self {
        self.interim = statuses.to_vec();
        self
    }

    /// The connection must be closed afterwards; otherwise it must take another request.
    pub fn closes(mut self) -> Self {
        self.then = Then::Closes;
        self
    }

    /// The origin ends its body by closing. Through the express lane so do we, through pingora's it becomes chunks.
    pub fn until_closed(mut self) -> Self {
        self.origin_closes = true;
        self.then = Then::ByLane;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let at = self.send.iter().position(|&byte| byte == b'@').expect("a case is named");
        [&self.send[..at], b"X-Case: ", self.name.as_bytes(), b"\r\n", &self.send[at + 1..]].concat()
    }

    fn method(&self) -> String {
        String::from_utf8_lossy(self.send.split(|&byte| byte == b' ').next().unwrap()).into_owned()
    }
}

/// Runs the cases through both lanes, without and with TLS, each case over a connection of its own.
pub fn run_cases(cases: &[Case], flags: &[&str]) {
    let mut wrong = Vec::new();
    for lane in LANES {
        let answers: HashMap<_, _> = cases
            .iter()
            .map(|case| (case.name.to_owned(), (case.answer.clone(), case.origin_closes)))
            .collect();
        let origin =
            Origin::start(move |request| match request.header("x-case").and_then(|name| answers.get(name)) {
                Some((answer, true)) => Reaction::WriteAndClose(answer.clone()),
                Some((answer, false)) => Reaction::Write(answer.clone()),
                None => Reaction::ok("another"),
            });
        let weir = lane.start(
            &ingress("web", "", origin.address, &[("proxy-next-upstream", "off")]),
            &[&["--https", "127.0.0.1:0"], flags].concat(),
        );
        for (scheme, case) in [Scheme::Http, Scheme::Https]
            .iter()
            .flat_map(|scheme| cases.iter().map(move |case| (*scheme, case)))
        {
            let seen = origin.seen().len();
            if let Err(error) = run(case, lane, scheme, &weir, &origin, seen) {
                wrong.push(format!("{lane:?}, {scheme:?}, {}: {error}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn run(
    case: &Case,
    lane: Lane,
    scheme: Scheme,
    weir: &Weir,
    origin: &Origin,
    seen: usize,
) -> Result<(), String> {
    let closes = match case.then {
        Then::Stays => false,
        Then::Closes => true,
        Then::ByLane => lane == Lane::Auto,
    };
    let mut client = match scheme {
        Scheme::Http => Client::connect(weir.http),
        Scheme::Https => Client::connect_tls(weir.https(), "a.test", tls::trusting()),
    };
    client.send(case.bytes());
    match &case.got {
        Got::Whole(status, body) => {
            let reply = client.try_read(&case.method()).map_err(|error| format!("no response: {error}"))?;
            same("status", &reply.status, status)?;
            // What weir itself says is the business of other tests.
            if *status < 400 || !body.is_empty() {
                same("body", &reply.text(), &String::from_utf8_lossy(body).into_owned())?;
            }
            same("says that it closes", &(reply.header("connection") == Some("close")), &closes)?;
            same("interim responses", &reply.interim, &case.interim)?;
            for (name, value) in &case.fields {
                same(name, &reply.header(name), value)?;
            }
        }
        Got::Cut(status) => {
            let head = client.read_head().map_err(|error| format!("no head: {error}"))?;
            same("status", &head.status, status)?;
            let framed = head.header("content-length").or_else(|| head.header("transfer-encoding"));
            same("announced end", &framed.is_some(), &true)?;
            let rest = client.rest().unwrap_or_default();
            let rest = String::from_utf8_lossy(&rest).into_owned();
            same("end of chunks", &rest.ends_with("0\r\n\r\n"), &false)?;
            if let Some(length) = head.header("content-length") {
                same("less than announced", &(rest.len() < length.parse().unwrap()), &true)?;
            }
            return Ok(());
        }
    }
    if let Some((method, target, body)) = &case.seen {
        let all = origin.seen();
        let mut requests = all[seen..].iter().filter(|request| request.header("x-case") == Some(case.name));
        let Some(request) = requests.next() else { return Err("the origin saw nothing".to_owned()) };
        same("times seen", &(1 + requests.count()), &1)?;
        same("method", &request.method.as_str(), method)?;
        same("target", &request.target.as_str(), target)?;
        same("body seen", &String::from_utf8_lossy(&request.body), &String::from_utf8_lossy(body))?;
        for (name, value) in &case.told {
            same(name, &request.header(name), value)?;
        }
    }
    if closes {
        return same("closed", &client.is_closed(), &true);
    }
    client
        .try_send("GET /another HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .map_err(|error| format!("next request: {error}"))?;
    let next = client.try_read("GET").map_err(|error| format!("no response to the next: {error}"))?;
    same("next response", &(next.status, next.text().as_str()), &(200, "another"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} and not {should:?}")) }
}
