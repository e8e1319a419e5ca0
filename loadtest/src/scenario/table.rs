//! The fields of a scenario: the parser reads this table, and the schema is made of it.

use super::shape::{Field, Need, Shape, Variant};
use super::value as v;
use Need::{Optional, Required};
use Shape::{Count, List, Map, Number, Object, OneOf, Several, Text, Texts, Word};

const fn f(name: &'static str, need: Need, shape: &'static Shape, doc: &'static str) -> Field {
    Field { name, shape, need, doc }
}

const fn k(kind: &'static str, doc: &'static str, fields: &'static [Field]) -> Variant {
    Variant { kind, doc, fields }
}

/// A scenario.
pub(super) static SCENARIO: Shape = Object(&[
    f("name", Required, &Text(&v::LINE), "What is shown, in one sentence."),
    f("about", Optional, &Text(&v::TEXT), "Why this is measured, and how to read it."),
    f(
        "seed",
        Optional,
        &Count(0, u64::MAX >> 12),
        "Seed of everything random; by default 1. Equal scenarios and seeds give equal plans.",
    ),
    f("target", Optional, &Text(&v::LINE), "URL of the proxy, when neither --target nor --spawn is given."),
    f("spawn", Optional, &SPAWN, "What --spawn starts, and what the oracle of kind weir reads."),
    f("oracle", Optional, &ORACLE, "What predicts the admitted requests; by default nothing does."),
    f("classes", Required, &List(&CLASS, 32), "Classes of clients."),
    f("phases", Required, &List(&PHASE, 64), "Parts of the run, one after the other."),
    f("expect", Required, &List(&EXPECTATION, 200), "What must come of it."),
    f("generator", Optional, &GENERATOR, "Bounds of the generator itself."),
]);

static SPAWN: Shape = Object(&[
    f("manifests", Required, &Text(&v::TEXT), "Kubernetes objects as YAML."),
    f("arguments", Optional, &List(&Text(&v::LINE), 50), "More arguments of weir serve."),
    f(
        "settings",
        Optional,
        &Map(&Text(&v::LINE), 100),
        "Data of the ConfigMap weir/settings. Without it, caps on sockets of one client are off, for all load comes from one machine.",
    ),
    f(
        "backend",
        Optional,
        &Text(&v::LINE),
        "NAMESPACE/SERVICE:PORT that the origin stands for; by default default/app:80.",
    ),
    f("replicas", Optional, &Count(1, 4), "How many weirs; clients are spread over them. By default 1."),
    f("origin", Optional, &ORIGIN, "How the origin answers."),
]);

static ORIGIN: Shape = Object(&[
    f("delay", Optional, &Text(&v::SPAN), "Time until the answer; by default none."),
    f("size", Optional, &Text(&v::SIZE), "Bytes of the answer's body; by default 2B."),
    f(
        "fault",
        Optional,
        &Word(&[
            "none",
            "drop",
            "delay",
            "status",
            "early-close",
            "stall",
            "reset",
            "duplicate",
            "malformed",
            "refuse",
        ]),
        "What goes wrong: no answer ever; an answer a second late; a 500; a body whose last byte never comes, with the connection closed, open, or reset; two answers to one request; one that is not HTTP; or closed without a word.",
    ),
    f("faulty", Optional, &Text(&v::SHARE), "Share of the requests that the fault hits; by default all."),
]);

static PER: Shape = Word(&["client", "everything"]);
static ORACLE: Shape = OneOf(&[
    k("none", "No prediction.", &[]),
    k("weir", "The plan goes through weir's own core in virtual time, with the manifests of spawn.", &[]),
    k(
        "token-bucket",
        "A bucket of burst tokens that rate tokens a second refill.",
        &[
            f("rate", Required, &RATE, "Tokens a second."),
            f("burst", Required, &Count(1, 1_000_000), "Tokens of a full bucket."),
            f("per", Optional, &PER, "What has a bucket; by default each client."),
        ],
    ),
    k(
        "fixed-window",
        "So many in each window; the first window begins with the client's first request.",
        &[
            f("limit", Required, &Count(1, 1_000_000_000), "Requests a window."),
            f("window", Required, &Text(&v::SPAN), "Length of a window."),
            f("per", Optional, &PER, "What is counted; by default each client."),
        ],
    ),
    k(
        "nginx-leaky-bucket",
        "limit_req of nginx with nodelay.",
        &[
            f("rate", Required, &RATE, "Requests a second."),
            f("burst", Required, &Count(0, 1_000_000), "Its burst."),
            f("per", Optional, &PER, "What has a bucket; by default each client."),
        ],
    ),
]);

static RATE: Shape = Number(0.001, 1_000_000.0);
static RATE_OR_NONE: Shape = Number(0.0, 1_000_000.0);

static CLASS: Shape = Object(&[
    f("name", Required, &Text(&v::NAME), "Its name."),
    f("clients", Optional, &Count(1, 10_000_000), "How many clients; by default 1."),
    f("identity", Optional, &IDENTITY, "How they differ; by default not at all."),
    f(
        "arrivals",
        Optional,
        &ARRIVALS,
        "When requests come, in phases that say nothing else; by default none do.",
    ),
    f("request", Optional, &REQUEST, "What is asked for."),
    f("behaviour", Optional, &BEHAVIOUR, "What an arrival is; by default a request."),
]);

static IDENTITY: Shape = OneOf(&[
    k("shared", "All come from 127.0.0.1 and say nothing.", &[]),
    k(
        "source",
        "Each has a source address, by which the target sees it.",
        &[f("network", Required, &Text(&v::NETWORK), "Out of 127.0.0.0/8.")],
    ),
    k(
        "forwarded-for",
        "Each is named by X-Forwarded-For.",
        &[f("network", Required, &Text(&v::NETWORK), "Any network.")],
    ),
    k(
        "proxy-header",
        "Each is named by a PROXY header of version 1.",
        &[f("network", Required, &Text(&v::NETWORK), "Any network.")],
    ),
    k(
        "api-key",
        "Each has a key in a header field.",
        &[
            f("header", Required, &Text(&v::TOKEN), "Name of the field."),
            f("prefix", Required, &Text(&v::TOKEN), "What the keys begin with; a number follows."),
        ],
    ),
]);

static ARRIVALS: Shape = OneOf(&[
    k("none", "Nobody comes.", &[]),
    k(
        "constant",
        "Equal distances; clients take turns.",
        &[f("rate", Required, &RATE, "Requests a second.")],
    ),
    k(
        "poisson",
        "Exponential distances; clients at random.",
        &[f("rate", Required, &RATE, "Requests a second.")],
    ),
    k(
        "burst",
        "Many at one moment; clients take turns.",
        &[
            f("size", Required, &Count(1, 1_000_000), "Requests at one moment."),
            f("every", Required, &Text(&v::SPAN), "Time between bursts."),
        ],
    ),
    k(
        "ramp",
        "A rate that grows or falls evenly over the phase; clients take turns.",
        &[
            f("from", Required, &RATE_OR_NONE, "Requests a second at its start."),
            f("to", Required, &RATE_OR_NONE, "Requests a second at its end."),
        ],
    ),
    k(
        "step",
        "The phase in equal parts, each with its rate; clients take turns.",
        &[f("rates", Required, &List(&RATE_OR_NONE, 100), "Requests a second of each part.")],
    ),
]);

static REQUEST: Shape = Object(&[
    f("method", Optional, &Text(&v::TOKEN), "By default GET."),
    f(
        "host",
        Optional,
        &Several(&v::TOKEN, 100),
        "Each client asks for each of them in turn, and has a connection for each; by default app.example.",
    ),
    f(
        "path",
        Optional,
        &Several(&v::PATH, 100),
        "With the query. Each client asks each host for each of them in turn; by default /.",
    ),
    f("headers", Optional, &Texts(&v::LINE, 50), "More header fields."),
    f("body", Optional, &BODY, "By default none."),
    f("protocol", Optional, &Word(&["http1", "http2"]), "By default http1."),
    f("transport", Optional, &Word(&["plain", "tls"]), "By default plain. Certificates are not verified."),
    f(
        "connection",
        Optional,
        &Word(&["keep-alive", "close"]),
        "What becomes of a connection of HTTP/1.1 after a response; by default keep-alive.",
    ),
]);

static BODY: Shape = OneOf(&[
    k("none", "No body.", &[]),
    k("sized", "With Content-Length.", &[f("size", Required, &BODY_SIZE, "Its bytes.")]),
    k(
        "chunked",
        "With Transfer-Encoding: chunked, or in HTTP/2 without a length.",
        &[f("size", Required, &BODY_SIZE, "Its bytes.")],
    ),
]);
static BODY_SIZE: Shape = Text(&v::SIZE);

static TIME: Shape = Text(&v::SPAN);
const EVERY_FIELD: Field = f("every", Required, &TIME, "Time between bytes.");
const LASTS_FIELD: Field = f("lasts", Required, &TIME, "When the client gives up.");
static BEHAVIOUR: Shape = OneOf(&[
    k("request", "A request.", &[]),
    k("slow-head", "A head that comes byte by byte.", &[EVERY_FIELD, LASTS_FIELD]),
    k("slow-body", "A body that comes byte by byte.", &[EVERY_FIELD, LASTS_FIELD]),
    k("slow-read", "An answer that is read byte by byte.", &[EVERY_FIELD, LASTS_FIELD]),
    k("connection-flood", "A connection that says nothing.", &[LASTS_FIELD]),
    k("handshake-flood", "A full TLS handshake and nothing after it.", &[LASTS_FIELD]),
    k(
        "rapid-reset",
        "Streams of HTTP/2 that are reset as soon as they are opened.",
        &[f("streams", Required, &Count(1, 100_000), "Streams of a connection."), LASTS_FIELD],
    ),
    k("huge-head", "A head of many fields.", &[f("size", Required, &BODY_SIZE, "Its bytes."), LASTS_FIELD]),
    k(
        "chunked-over-size",
        "A chunked body, whatever is answered meanwhile.",
        &[f("size", Required, &BODY_SIZE, "Its bytes."), LASTS_FIELD],
    ),
]);

static PHASE: Shape = Object(&[
    f("name", Required, &Text(&v::NAME), "Its name."),
    f("duration", Required, &Text(&v::SPAN), "How long it lasts; all together at most an hour."),
    f("arrivals", Optional, &Map(&ARRIVALS, 32), "Arrivals of classes by name, in place of the class's own."),
    f("manifests", Optional, &Text(&v::TEXT), "Replaces the manifests of spawn when the phase begins."),
    f("origin", Optional, &ORIGIN, "How the origin answers from now on."),
    f(
        "restart",
        Optional,
        &Count(0, 3),
        "Number of the replica that is taken out, stopped, and replaced meanwhile.",
    ),
]);

static CLASS_NAME: Shape = Text(&v::NAME);
static EXPECTATION: Shape = OneOf(&[
    k(
        "admitted",
        "In each second, the admitted requests of a class up to then are as many as predicted. Of connection floods and handshake floods, connections are admitted that last until the client gives up.",
        &[
            f("class", Required, &CLASS_NAME, "The class."),
            f("within", Required, &Text(&v::SHARE), "Difference that is allowed, of the prediction."),
            f(
                "slack",
                Optional,
                &Count(0, 1_000_000_000),
                "Difference that is allowed besides, in requests; by default 0.",
            ),
        ],
    ),
    k(
        "status",
        "The share of a status among the planned requests of a class.",
        &[
            f("class", Required, &CLASS_NAME, "The class."),
            f("status", Required, &Shape::Status, "A status, or 2xx."),
            f("at-least", Optional, &Text(&v::SHARE), "The least share."),
            f("at-most", Optional, &Text(&v::SHARE), "The greatest share."),
        ],
    ),
    k(
        "latency",
        "A percentile of the time from the planned moment to the whole answer, errors left out.",
        &[
            f("class", Required, &CLASS_NAME, "The class."),
            f("percentile", Required, &Number(0.0, 100.0), "E.g. 99.9."),
            f("at-most", Required, &Text(&v::SPAN), "The longest time."),
        ],
    ),
    k(
        "errors",
        "Requests of a class without a whole answer, answers of 5xx that are not 503, and answers that nobody had asked for.",
        &[
            f("class", Required, &CLASS_NAME, "The class."),
            f("at-most", Optional, &Count(0, 1_000_000_000), "By default 0."),
        ],
    ),
    k(
        "retried",
        "Requests of all classes that were sent again, once each, for their connection was closed when they came, or their stream refused.",
        &[f("at-most", Optional, &Count(0, 1_000_000_000), "By default 0.")],
    ),
    k(
        "ended",
        "How the connections of a hostile class ended.",
        &[
            f("class", Required, &CLASS_NAME, "The class."),
            f(
                "how",
                Required,
                &Word(&["closed", "refused", "answered", "endured"]),
                "By the target without an answer; with a status of 4xx or 503; with another answer; or not until the client gave up.",
            ),
            f("at-least", Required, &Text(&v::SHARE), "The least share."),
        ],
    ),
    k(
        "memory",
        "The most resident memory of the target's process.",
        &[f("at-most", Required, &Text(&v::SIZE), "The most.")],
    ),
    k(
        "cpu",
        "Processor time of the target's process per second of the run.",
        &[f("at-most", Required, &Text(&v::SHARE), "Of one core.")],
    ),
    k(
        "metric",
        "A metric of the target at the end, from its page of metrics.",
        &[
            f("series", Required, &Text(&v::LINE), "Name and labels as printed."),
            f("at-least", Optional, &Number(0.0, 1e15), "The least value."),
            f("at-most", Optional, &Number(0.0, 1e15), "The greatest value."),
        ],
    ),
]);

static GENERATOR: Shape = Object(&[
    f(
        "threads",
        Optional,
        &Count(1, 16),
        "Threads that send requests of HTTP/1.1, and as many that send those of HTTP/2, and for hostile classes; each client stays with one. By default 1.",
    ),
    f(
        "connections",
        Optional,
        &Count(1, 50_000),
        "Most connections at once of HTTP/1.1, of HTTP/2, and of hostile classes, each; by default 1000.",
    ),
    f(
        "timeout",
        Optional,
        &Text(&v::SPAN),
        "How long an answer may take after it was asked for; by default 10s.",
    ),
    f(
        "lag",
        Optional,
        &Text(&v::SPAN),
        "The generator's own lag above which a run is invalid: at the 99th percentile, or of half of the requests of any second. By default the least of 100 ms; a tenth of each latency that is expected; and for each class that is admitted in part, the time in which its admitted requests (with fixed windows all) come to half of what may differ in its first second, at the rate of its busiest. At least 1 ms.",
    ),
]);
