//! Clients that ask without end while a cluster changes, and judge every answer.
//!
//! For each host it is known what it was at any time: absent, or served by a pod. A request is lost if it gets anything
//! but an answer of that; it is misrouted if the pod that answers is none that the host had between two moments: when it
//! was last seen to be at least this far, before the request was sent, and when the answer came. So a host never goes
//! back to what it was.

use crate::support::{Client, PATIENCE, Reply, ip};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: 404, and 503 while only some of its objects are there.
    Absent,
    /// Served by the pods of these names.
    At(Vec<String>),
    /// Limited for this client, and over its limit: 429.
    Refused,
}

impl State {
    pub fn at(pod: &str) -> Self {
        Self::At(vec![pod.to_owned()])
    }
}

/// Hosts, and who asks for them.
pub struct Load {
    to: SocketAddr,
    hosts: Vec<Host>,
    stop: AtomicBool,
    asked: AtomicUsize,
}

struct Host {
    name: String,
    history: Mutex<Vec<State>>,
    /// It was at least so far when an answer came.
    seen: AtomicUsize,
}

impl Load {
    pub fn new(to: SocketAddr, hosts: impl IntoIterator<Item = (String, State)>) -> Self {
        let host = |(name, state)| Host { name, history: Mutex::new(vec![state]), seen: AtomicUsize::new(0) };
        Self {
            to,
            hosts: hosts.into_iter().map(host).collect(),
            stop: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        }
    }

    /// The addresses that are asked from.
    pub fn clients() -> impl Iterator<Item = IpAddr> {
        (10..14).map(ip)
    }

    /// Says that a host is about to become this.
    pub fn becomes(&self, host: &str, state: State) {
        self.host(host).history.lock().unwrap().push(state);
    }

    /// Waits until so many more requests were answered.
    pub fn wait(&self, count: usize) {
        let until = self.asked.load(Ordering::SeqCst) + count;
        let began = Instant::now();
        while self.asked.load(Ordering::SeqCst) < until && !self.stop.load(Ordering::SeqCst) {
            assert!(began.elapsed() < PATIENCE, "clients are stuck");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Waits until every host is what it became last; who is refused stays so.
    pub fn settle(&self) {
        for host in &self.hosts {
            let last = host.history.lock().unwrap().last().cloned().unwrap();
            if last == State::Refused {
                continue;
            }
            super::until(&format!("{} is {last:?}", host.name), || {
                let reply = crate::support::get(self.to, &host.name, "/");
                match &last {
                    State::Absent => reply.status == 404,
                    State::At(pods) => reply.status == 200 && pods.contains(&reply.text()),
                    State::Refused => true,
                }
            });
        }
    }

    /// Asks from several threads, half of them over a new connection for each request, while `work` is done. Gives how
    /// many requests were answered, all of them well.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let clients = Self::clients().count();
        std::thread::scope(|scope| {
            let stop = StopAtEnd(&self.stop);
            let threads: Vec<_> =
                (0..clients).map(|client| scope.spawn(move || self.ask(client, clients))).collect();
            let done = work();
            drop(stop);
            // Whatever a client found is told by its own panic.
            threads.into_iter().for_each(|thread| thread.join().expect("no client found a fault"));
            (done, self.asked.load(Ordering::SeqCst))
        })
    }

    fn ask(&self, client: usize, clients: usize) {
        // If one finds a fault nobody need go on.
        let _stop = StopAtEnd(&self.stop);
        let source = Self::clients().nth(client).unwrap();
        let mut kept = None;
        for n in (client * self.hosts.len() / clients).. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let host = &self.hosts[n % self.hosts.len()];
            let floor = host.seen.load(Ordering::SeqCst);
            let connection = kept.get_or_insert_with(|| Client::connect_from(source, self.to));
            let head = format!("GET /{n} HTTP/1.1\r\nHost: {}\r\n\r\n", host.name);
            let reply = connection.try_send(head).and_then(|()| connection.try_read("GET"));
            let reply = reply.unwrap_or_else(|error| panic!("a request to {} is lost: {error}", host.name));
            host.judge(floor, &reply);
            self.asked.fetch_add(1, Ordering::SeqCst);
            if client.is_multiple_of(2) {
                kept = None;
            }
            // Others need the processor too.
            std::thread::park_timeout(Duration::from_micros(500));
        }
    }

    fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).expect("a host of the load")
    }
}

impl Host {
    fn judge(&self, floor: usize, reply: &Reply) {
        let history = self.history.lock().unwrap();
        let possible = &history[floor..];
        let text = reply.text();
        let fits = |state: &State| match state {
            State::Absent => matches!(reply.status, 404 | 503),
            State::At(pods) => reply.status == 200 && pods.contains(&text),
            State::Refused => reply.status == 429,
        };
        let Some(at) = possible.iter().position(fits) else {
            panic!("{} answers {} {text:?}; it was {possible:?}", self.name, reply.status);
        };
        // Partly there is no proof of anything.
        if reply.status != 503 {
            self.seen.fetch_max(floor + at, Ordering::SeqCst);
        }
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
