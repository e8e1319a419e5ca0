//! One line of a block of requests.
//!
//! ```text
//! profile ingress-nginx                before the first request: which profile
//! clients 100                          before the first request: how many clients the table holds
//! finding error CODE FIELD             the configuration above was answered with this
//! at 1.5s                              moves the clock
//! GET http://HOST/PATH from ADDRESS -> pass
//! 26 x GET http://HOST/PATH from ADDRESS -> 429 by limit-rps
//! hold 8 x GET http://HOST/PATH from ADDRESS -> pass
//! release 8                            ends the requests held first
//! < Retry-After: 1                     a field of the last answer
//! < no RateLimit                       a field that it has not
//! ```
//!
//! Before `->`: `with "NAME: VALUE"` for a header, `body N` for a `Content-Length`, `chunked N` for a body without one,
//! `head N` for the size of the head. `from 10.0.0.0/8` gives each request another address.
//! Behind it: `pass` or a status with `by RULE` or `for REASON`; then `observed RULE` and `as ADDRESS`.

use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    Profile(String),
    Clients(usize),
    Finding(String),
    At(Duration),
    Request(Box<Request>),
    Release(usize),
    /// Name and value; `None` is a field that must not be there.
    Field(String, Option<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) then: Then,
    pub(crate) times: usize,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) from: IpNet,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) head: usize,
    pub(crate) expected: Expected,
}

/// What becomes of a request that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It ends at once.
    End,
    /// It goes on until it is released.
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    /// With a `Content-Length`.
    Sized(u64),
    /// Without one.
    Chunked(u64),
}

/// What must become of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// `pass`, `429 by limit-rps` or `404 for no-route`.
    pub(crate) verdict: String,
    /// Rule that would have refused.
    pub(crate) observed: Option<String>,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
}

/// Reads a line; `None` if there is nothing in it.
pub(crate) fn read(text: &str) -> Result<Option<Line>, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let line = match word {
        "" | "#" => return Ok(None),
        "profile" => Line::Profile(rest.to_owned()),
        "clients" => Line::Clients(number(rest)?),
        "finding" => Line::Finding(rest.to_owned()),
        "at" => Line::At(moment(rest)?),
        "release" => Line::Release(number(rest)?),
        "<" => field(rest)?,
        _ => Line::Request(Box::new(request(text)?)),
    };
    Ok(Some(line))
}

fn field(text: &str) -> Result<Line, String> {
    if let Some(name) = text.strip_prefix("no ") {
        return Ok(Line::Field(name.to_owned(), None));
    }
    let (name, value) = text.split_once(": ").ok_or("expected `< NAME: VALUE` or `< no NAME`")?;
    Ok(Line::Field(name.to_owned(), Some(value.to_owned())))
}

fn request(text: &str) -> Result<Request, String> {
    let (left, right) = text.split_once(" -> ").ok_or("expected ` -> ` and what becomes of the request")?;
    let mut words = words(left)?.into_iter().peekable();
    let then = if words.next_if(|word| word == "hold").is_some() { Then::Hold } else { Then::End };
    let mut next = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
    let mut method = next("the method")?;
    let mut times = 1;
    if method.bytes().all(|byte| byte.is_ascii_digit()) {
        times = number(&method)?;
        if next("x")? != "x" {
            return Err("expected `x` behind the number of requests".to_owned());
        }
        method = next("the method")?;
    }
    let url = next("the URL")?;
    let rest = url.strip_prefix("http://").ok_or("expected a URL with http://")?;
    let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if next("from")? != "from" {
        return Err("expected `from` behind the URL".to_owned());
    }
    let from = next("the address")?;
    let mut request = Request {
        then,
        times,
        method,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        from: network(&from)?,
        headers: Vec::new(),
        body: Body::None,
        head: USUAL_HEAD,
        expected: expected(right)?,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "with" => {
                let (name, value) = value.split_once(": ").ok_or("expected with \"NAME: VALUE\"")?;
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            "body" => request.body = Body::Sized(number(&value)?),
            "chunked" => request.body = Body::Chunked(number(&value)?),
            "head" => request.head = number(&value)?,
            _ => return Err(format!("unknown word {word:?}")),
        }
    }
    Ok(request)
}

fn expected(text: &str) -> Result<Expected, String> {
    let mut words = text.split_whitespace();
    let mut expected =
        Expected { verdict: words.next().unwrap_or_default().to_owned(), ..Expected::default() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word {
            "by" | "for" => expected.verdict = format!("{} {word} {value}", expected.verdict),
            "observed" => expected.observed = Some(value.to_owned()),
            "as" => expected.client = Some(value.parse().map_err(|_| "no address behind `as`")?),
            _ => return Err(format!("unknown word {word:?} behind ->")),
        }
    }
    if expected.verdict != "pass" && !expected.verdict.contains(' ') {
        return Err("a refusal names its rule (`by limit-rps`) or its reason (`for no-route`)".to_owned());
    }
    Ok(expected)
}

/// A network, or an address as one.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or(address).map_err(|_| format!("{text:?} is no address"))
}

/// Words, where what stands in quotes is one.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    if text.matches('"').count() % 2 == 1 {
        return Err("a quote has no end".to_owned());
    }
    Ok(words)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// `90s`, `0.2s`, `10m`, `1h`, `1d`
fn moment(text: &str) -> Result<Duration, String> {
    let units = [("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    let found = units.into_iter().find_map(|(unit, seconds)| {
        let count: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(count * seconds).ok()
    });
    found.ok_or_else(|| format!("{text:?} is no time"))
}

/// Bytes of a request head, unless a line says otherwise.
const USUAL_HEAD: usize = 200;
