//! An origin that reads whatever can somehow be read, and tells which requests it saw.
//!
//! Every habit in here was found in a server that people used. Where two readings are possible its [`Taste`] chooses,
//! so a proxy that lets an ambiguous message pass meets an origin that reads it in the way that hurts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What an origin makes of messages with more than one reading.
#[derive(Clone, Copy, Debug)]
pub struct Taste {
    /// Which field ends a body that has both.
    pub framing: Prefer,
    /// Which of several values counts.
    pub among: Pick,
    /// Whether a CR alone ends a line too.
    pub lone_cr: bool,
    /// Whether bodies of methods that need none are taken for the next request.
    pub ignores_bodies: bool,
    /// Whether it answers a client that waits for `100 Continue` at once, and for good.
    pub never_continues: bool,
}

/// Which field ends a body that has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    Coding,
    Length,
}

/// Which of several values counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    First,
    Last,
}

/// A request as the origin read it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Names in lower case, with `-` for `_`; trailer fields among them.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The origin.
pub struct Lax {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Lax {
    pub fn start(taste: Taste) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = log.clone();
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let mut reader = Reader { stream, ahead: Vec::new(), at: 0, taste };
                    while reader.serve(&log).is_some() {}
                });
            }
        });
        Self { address, seen }
    }

    /// Everything seen so far. What was no request at all has an empty method.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

struct Reader {
    stream: TcpStream,
    ahead: Vec<u8>,
    at: usize,
    taste: Taste,
}

impl Reader {
    /// One request; `None` when the connection is over.
    fn serve(&mut self, log: &Mutex<Vec<Seen>>) -> Option<()> {
        let line = loop {
            let line = self.line()?;
            if !line.trim().is_empty() {
                break line;
            }
        };
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut request = match words[..] {
            [method, target, ..] if method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') => {
                Seen { method: method.into(), target: target.into(), fields: Vec::new(), body: Vec::new() }
            }
            _ => {
                let target = line.clone();
                log.lock().unwrap().push(Seen {
                    method: String::new(),
                    target,
                    fields: Vec::new(),
                    body: Vec::new(),
                });
                return None;
            }
        };
        self.fields(&mut request.fields)?;
        let final_at_once = self.expect(&request)?;
        if !final_at_once {
            self.body(&mut request)?;
        }
        let old = words.last().is_some_and(|version| *version == "HTTP/1.0");
        let connection = self.values(&request, "connection").join(",").to_ascii_lowercase();
        let closes = connection.contains("close") || (old && !connection.contains("keep-alive"));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-Saw: {} {}\r\nContent-Length: 0\r\n{}\r\n",
            request.method,
            request.target.split('?').next().unwrap_or_default(),
            if closes { "Connection: close\r\n" } else { "" },
        );
        log.lock().unwrap().push(request);
        self.stream.write_all(answer.as_bytes()).ok()?;
        (!closes).then_some(())
    }

    /// Tells the client to continue, or says that it will not be.
    fn expect(&mut self, request: &Seen) -> Option<bool> {
        let expects = self.values(request, "expect").iter().any(|value| value.contains("100"));
        if expects && self.taste.never_continues {
            return Some(true);
        }
        if expects {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        Some(false)
    }

    fn fields(&mut self, fields: &mut Vec<(String, String)>) -> Option<()> {
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(());
            }
            match (line.split_once(':'), fields.last_mut()) {
                (_, Some((_, value))) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                (Some((name, value)), _) => {
                    let name = name.trim_matches(is_blank).to_ascii_lowercase().replace('_', "-");
                    fields.push((name, value.trim_matches(is_blank).to_owned()));
                }
                _ => {}
            }
        }
    }

    fn body(&mut self, request: &mut Seen) -> Option<()> {
        if self.taste.ignores_bodies
            && ["GET", "HEAD", "DELETE", "OPTIONS"].contains(&request.method.as_str())
        {
            return Some(());
        }
        let coding = self.values(request, "transfer-encoding");
        let chunked = coding.iter().any(|value| value.to_ascii_lowercase().contains("chunked"));
        let lengths = self.values(request, "content-length");
        let length = lengths.iter().flat_map(|value| value.split(',')).map(number);
        let length = match self.taste.among {
            Pick::First => length.clone().next(),
            Pick::Last => length.clone().next_back(),
        };
        match (chunked, length) {
            (true, None) => self.chunks(request),
            (true, Some(_)) if self.taste.framing == Prefer::Coding => self.chunks(request),
            (_, Some(length)) => {
                request.body = self.exactly(length)?;
                Some(())
            }
            (false, None) => Some(()),
        }
    }

    fn chunks(&mut self, request: &mut Seen) -> Option<()> {
        loop {
            let line = self.line()?;
            let digits = line.trim_matches(is_blank).trim_start_matches("0x").trim_start_matches('+');
            // Overflows are not noticed.
            let size = digits
                .chars()
                .map_while(|digit| digit.to_digit(16))
                .fold(0_u32, |size, digit| size.wrapping_shl(4) | digit);
            if size == 0 {
                return self.fields(&mut request.fields);
            }
            let mut chunk = self.exactly(size as usize)?;
            request.body.append(&mut chunk);
            // Two bytes behind the data, whatever they are; or one, if that is a line end.
            if self.byte()? != b'\n' {
                self.byte()?;
            }
        }
    }

    fn values(&self, request: &Seen, name: &str) -> Vec<String> {
        let values = request.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone());
        values.collect()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                b'\r' if self.taste.lone_cr => {
                    if self.peek() == Some(b'\n') {
                        self.byte();
                    }
                    break;
                }
                byte => line.push(byte),
            }
        }
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        (0..length).map(|_| self.byte()).collect()
    }

    /// What comes next, if it is there already.
    fn peek(&self) -> Option<u8> {
        self.ahead.get(self.at).copied()
    }

    fn byte(&mut self) -> Option<u8> {
        if self.at == self.ahead.len() {
            let mut block = [0; 16 * 1024];
            let read = self.stream.read(&mut block).ok().filter(|n| *n > 0)?;
            (self.ahead, self.at) = (block[..read].to_vec(), 0);
        }
        self.at += 1;
        Some(self.ahead[self.at - 1])
    }
}

/// What some take for a blank.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character.is_ascii_control() || character == '\u{a0}'
}

/// A number as `strtol` reads it: blanks and a sign in front, and whatever behind.
fn number(text: &str) -> usize {
    let text = text.trim_matches(is_blank).trim_start_matches(['+', '"']);
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    digits
        .chars()
        .map_while(|digit| digit.to_digit(radix))
        .fold(0_u32, |number, digit| number.wrapping_mul(radix).wrapping_add(digit)) as usize
}
