//! The origin's loop.

use super::{Shared, faulty};
use crate::drive::Clock;
use crate::drive::parse::has_token;
use crate::drive::poller::Poller;
use crate::scenario::{Fault, OriginBehaviour};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) fn serve(listener: &TcpListener, shared: &Shared) -> io::Result<()> {
    let mut server = Server {
        poller: Poller::new()?,
        clock: Clock::starting_in(Duration::ZERO),
        connections: Vec::new(),
        serials: Vec::new(),
        free: Vec::new(),
        due: BinaryHeap::new(),
        behaviour: OriginBehaviour::default(),
        generation: 0,
        answer: Vec::new(),
        scratch: vec![0; 64 * 1024],
        shared,
    };
    server.poller.watch(listener, LISTENER)?;
    let mut tokens = Vec::new();
    while !shared.ends.load(Ordering::Acquire) {
        let now = server.clock.now();
        while let Some(Reverse((at, slot, serial))) =
            server.due.peek().copied().filter(|next| next.0.0 <= now)
        {
            let _ = at;
            server.due.pop();
            if server.serials.get(slot) == Some(&serial) {
                server.answer(slot);
            }
        }
        let next = server.due.peek().map_or(u64::MAX, |next| next.0.0);
        let longest = Duration::from_nanos(next.saturating_sub(now)).clamp(Duration::from_micros(100), IDLE);
        server.poller.wait(longest, &mut tokens)?;
        for token in tokens.drain(..) {
            match token {
                LISTENER => server.accept(listener)?,
                token => server.turn((token >> 32) as usize, token as u32),
            }
        }
    }
    Ok(())
}

struct Server<'a> {
    poller: Poller,
    clock: Clock,
    connections: Vec<Option<Conn>>,
    serials: Vec<u32>,
    free: Vec<usize>,
    /// Answers that wait.
    due: BinaryHeap<Reverse<(u64, usize, u32)>>,
    behaviour: OriginBehaviour,
    generation: u64,
    /// The answer as it is, made once a change.
    answer: Vec<u8>,
    scratch: Vec<u8>,
    shared: &'a Shared,
}

struct Conn {
    socket: TcpStream,
    input: Vec<u8>,
    /// Bytes of a body that are still to come.
    skip: u64,
    out: Vec<u8>,
    sent: usize,
    /// A request whose answer, or the end of it, waits; nothing is read meanwhile.
    asked: bool,
    closes: bool,
    /// With a reset instead of an end.
    resets: bool,
}

impl Server<'_> {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Out of descriptors, or gone already.
                Err(_) => return Ok(()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.serials.push(0);
                self.connections.len() - 1
            });
            let serial = self.serials.get(slot).copied().unwrap_or_default();
            self.poller.watch(&socket, (slot as u64) << 32 | u64::from(serial))?;
            let conn = Conn {
                socket,
                input: Vec::new(),
                skip: 0,
                out: Vec::new(),
                sent: 0,
                asked: false,
                closes: false,
                resets: false,
            };
            if let Some(place) = self.connections.get_mut(slot) {
                *place = Some(conn);
            }
        }
    }

    fn turn(&mut self, slot: usize, serial: u32) {
        if self.serials.get(slot) == Some(&serial) {
            self.go_on(slot);
        }
    }

    fn go_on(&mut self, slot: usize) {
        loop {
            let Some(Some(conn)) = self.connections.get_mut(slot) else { return };
            if !conn.write() || (conn.closes && conn.out.is_empty() && !conn.asked) {
                return self.close(slot);
            }
            if conn.asked || !conn.out.is_empty() {
                return;
            }
            match conn.take_request() {
                Next::Request => {
                    self.request(slot);
                    continue;
                }
                Next::Bad => return self.close(slot),
                Next::More => {}
            }
            match conn.socket.read(&mut self.scratch) {
                Ok(0) => return self.close(slot),
                Ok(count) => conn.input.extend_from_slice(self.scratch.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.close(slot),
            }
        }
    }

    fn request(&mut self, slot: usize) {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.behaviour = self.shared.behaviour.read().clone();
            self.answer = answer("200 OK", self.behaviour.size.map_or(2, |size| size.0));
        }
        let serial = self.serials.get(slot).copied().unwrap_or_default();
        let Some(Some(conn)) = self.connections.get_mut(slot) else { return };
        let mut delay = self.behaviour.delay.map_or(Duration::ZERO, |delay| delay.0);
        if faulty(&self.behaviour, number) {
            match self.behaviour.fault {
                Fault::None => {}
                Fault::Drop => {
                    conn.asked = true;
                    return;
                }
                Fault::Delay => delay += LATE,
                Fault::Status => {
                    conn.out = answer("500 Internal Server Error", 2);
                    return;
                }
                Fault::EarlyClose | Fault::Stall | Fault::Reset => {
                    conn.out = answer("200 OK", self.behaviour.size.map_or(2, |size| size.0).max(2));
                    conn.out.pop();
                    conn.closes = self.behaviour.fault != Fault::Stall;
                    conn.resets = self.behaviour.fault == Fault::Reset;
                    conn.asked = self.behaviour.fault == Fault::Stall;
                    return;
                }
                Fault::Duplicate => conn.out.extend_from_slice(&self.answer),
                Fault::Malformed => {
                    conn.out = b"Hello!\r\n\r\n".to_vec();
                    return;
                }
                Fault::Refuse => {
                    conn.closes = true;
                    return;
                }
            }
        }
        if delay.is_zero() {
            conn.out.extend_from_slice(&self.answer);
        } else {
            conn.asked = true;
            let at = self.clock.now() + u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX / 2);
            self.due.push(Reverse((at, slot, serial)));
        }
    }

    fn answer(&mut self, slot: usize) {
        if let Some(Some(conn)) = self.connections.get_mut(slot) {
            conn.asked = false;
            conn.out.extend_from_slice(&self.answer);
        }
        self.go_on(slot);
    }

    fn close(&mut self, slot: usize) {
        if let Some(conn) = self.connections.get_mut(slot).and_then(Option::take) {
            if conn.resets {
                // Whatever is not sent is dropped with it: that is what a reset is.
                let _ = socket2::SockRef::from(&conn.socket).set_linger(Some(Duration::ZERO));
            }
            if let Some(serial) = self.serials.get_mut(slot) {
                *serial = serial.wrapping_add(1);
            }
            self.free.push(slot);
        }
    }
}

enum Next {
    Request,
    More,
    Bad,
}

impl Conn {
    /// False if the connection is of no use any more.
    fn write(&mut self) -> bool {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.out.clear();
        self.sent = 0;
        true
    }

    /// Takes a request out of what has come, with its body.
    fn take_request(&mut self) -> Next {
        if self.skip > 0 {
            let used = self.skip.min(self.input.len() as u64);
            self.input.drain(..used as usize);
            self.skip -= used;
            return if self.skip == 0 { Next::Request } else { Next::More };
        }
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut fields);
        let head = match request.parse(&self.input) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if self.input.len() > LONGEST => return Next::Bad,
            Ok(httparse::Status::Partial) => return Next::More,
            Err(_) => return Next::Bad,
        };
        let (mut length, mut chunked, mut closes) = (0, false, false);
        for field in request.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(field.value).unwrap_or_default();
                length = text.trim().parse().unwrap_or(0);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                closes = has_token(field.value, b"close");
            }
        }
        if chunked {
            // Bodies are of the letter x: the end of the last chunk is nowhere else.
            let body = self.input.get(head..).unwrap_or_default();
            if body.starts_with(END) {
                self.input.drain(..head + END.len());
            } else {
                let found = body.windows(END.len() + 2).position(|window| window == b"\r\n0\r\n\r\n");
                match found {
                    Some(at) => drop(self.input.drain(..head + at + 2 + END.len())),
                    None if self.input.len() > LONGEST_BODY => return Next::Bad,
                    None => return Next::More,
                }
            }
            self.closes |= closes;
            return Next::Request;
        }
        self.input.drain(..head);
        self.closes |= closes;
        self.skip = length;
        if length == 0 { Next::Request } else { self.take_request() }
    }
}

fn answer(status: &str, size: u64) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + size as usize, b'y');
    answer
}

const END: &[u8] = b"0\r\n\r\n";
const LISTENER: u64 = u64::MAX - 1;
const IDLE: Duration = Duration::from_millis(50);
/// How late a delayed answer is.
const LATE: Duration = Duration::from_secs(1);
const LONGEST: usize = 64 * 1024;
const LONGEST_BODY: usize = 64 * 1024 * 1024;
