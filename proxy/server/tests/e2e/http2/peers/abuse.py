"""A client of HTTP/2 that does what no client should, on the library h2 with its checks switched off.

Arguments: the address, and what to do. Prints what became of it: `status N`, `reset N`, `goaway N` or `closed`, and
how many times it was done.
"""

import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

MOST = 5000
HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST")] + HEAD[1:]


class Client:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2"])
        tcp = socket.create_connection((host, int(port)), timeout=20)
        self.socket = context.wrap_socket(tcp, server_hostname="a.test")
        assert self.socket.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(
            client_side=True,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding="utf-8",
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.verdict = None
        self.received = b""
        self.flush()
        # Frames of our own making must not fall between those that the library makes.
        while not any(isinstance(event, h2.events.SettingsAcknowledged) for event in self.events()):
            pass
        self.flush()

    def flush(self):
        self.raw(self.connection.data_to_send())

    def raw(self, data):
        if self.verdict is None:
            self.socket.settimeout(20)
            try:
                self.socket.sendall(data)
            except (OSError, ssl.SSLError):
                # What the other side had to say is still to be read.
                self.wait()

    def events(self, block=True):
        self.socket.settimeout(20 if block else 0.0001)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, socket.timeout, ssl.SSLWantReadError):
            assert not block, "nothing comes"
            return []
        except OSError:
            data = b""
        if not data:
            self.verdict = self.verdict or "closed"
            return []
        self.look_for_goaway(data)
        try:
            return self.connection.receive_data(data)
        except h2.exceptions.ProtocolError:
            # The library takes offence at frames behind a goodbye, and loses it with them.
            if self.verdict is None:
                raise
            return []

    def look_for_goaway(self, data):
        self.received += data
        while len(self.received) >= 9:
            end = 9 + int.from_bytes(self.received[:3], "big")
            if len(self.received) < end:
                return
            frame, self.received = self.received[:end], self.received[end:]
            code = int.from_bytes(frame[13:17], "big")
            if frame[3] == 7 and code != 0:
                self.verdict = f"goaway {code}"

    def wait(self):
        while self.verdict is None:
            self.events()

    def answer(self, stream):
        """What becomes of a stream."""
        while self.verdict is None:
            for event in self.events():
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    return "status " + dict(event.headers)[":status"]
                if isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    return f"reset {int(event.error_code)}"
            self.flush()
        return self.verdict

    def again(self, act):
        """Does it until it is over."""
        for n in range(MOST):
            act(n)
            self.flush()
            self.events(block=False)
            if self.verdict:
                return f"{self.verdict} after {n + 1}"
        return f"nothing after {MOST}"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def rapid_reset(client):
    def act(n):
        client.connection.send_headers(2 * n + 1, HEAD, end_stream=True)
        client.connection.reset_stream(2 * n + 1, 8)

    return client.again(act)


def made_you_reset(spoil):
    """The server must reset a stream that is spoilt."""

    def act(client):
        def once(n):
            client.connection.send_headers(2 * n + 1, POST + [("content-length", "3")])
            client.flush()
            client.raw(spoil(2 * n + 1))

        return client.again(once)

    return act


def settings_flood(client):
    return client.again(lambda n: client.raw(frame(4, 0, 0)))


def ping_flood(client):
    return client.again(lambda n: client.connection.ping(b"abcdefgh"))


def empty_data(client):
    client.connection.send_headers(1, POST)
    client.flush()
    return client.again(lambda n: client.raw(frame(0, 0, 1)))


def window_updates(client):
    return client.again(lambda n: client.raw(frame(8, 0, 0, b"\0\0\0\1")))


def priorities(client):
    return client.again(lambda n: client.raw(frame(2, 0, 2 * n + 1, b"\0\0\0\0\7")))


def continuations(client):
    client.raw(frame(1, 0, 1, client.connection.encoder.encode(HEAD)))
    piece = b"\x10\x01x\x01y"
    return client.again(lambda n: client.raw(frame(9, 0, 1, piece)))


def header_bomb(client):
    # One entry of the table, named thousands of times: a small block, and a large list.
    client.connection.send_headers(1, HEAD + [("bomb", "x" * 3900)], end_stream=True)
    block = client.connection.data_to_send()[9:] + b"\xbe" * 2000
    client.raw(frame(1, 5, 1, block))
    return client.answer(1)


def tiny_windows(client):
    """Takes a large response a byte at a time."""
    client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1})
    client.flush()
    while not any(isinstance(event, h2.events.SettingsAcknowledged) for event in client.events()):
        pass
    client.connection.send_headers(1, HEAD[:3] + [(":path", "/large")], end_stream=True)

    for n in range(MOST):
        client.flush()
        if any(isinstance(event, h2.events.DataReceived) for event in client.events()):
            client.connection.increment_flow_control_window(1, 1)
        if client.verdict:
            return f"{client.verdict} after {n + 1}"
    return f"nothing after {MOST}"


def ask(fields, body=None):
    def act(client):
        client.connection.send_headers(1, fields, end_stream=body is None)
        if body is not None:
            client.connection.send_data(1, body, end_stream=True)
        client.flush()
        return client.answer(1)

    return act


def with_field(*field):
    return ask(HEAD + [field])


ACTS = {
    "plain": ask(HEAD),
    "rapid-reset": rapid_reset,
    "made-you-reset by windows": made_you_reset(lambda stream: frame(8, 0, stream, b"\x7f\xff\xff\xff")),
    "made-you-reset by length": made_you_reset(lambda stream: frame(0, 1, stream, b"more")),
    "made-you-reset after the end": made_you_reset(lambda stream: frame(0, 1, stream, b"abc") * 2),
    "settings": settings_flood,
    "pings": ping_flood,
    "empty-data": empty_data,
    "window-updates": window_updates,
    "priorities": priorities,
    "continuations": continuations,
    "header-bomb": header_bomb,
    "tiny-windows": tiny_windows,
    # Malformed: RFC 9113 sections 8.1 to 8.3.
    "upper-case name": with_field("X-Upper", "1"),
    "connection": with_field("connection", "close"),
    "transfer-encoding": with_field("transfer-encoding", "chunked"),
    "upgrade": with_field("upgrade", "websocket"),
    "te": with_field("te", "gzip"),
    "line feed in a value": with_field("x", "a\nb: c"),
    "NUL in a value": with_field("x", "a\0b"),
    "blank around a value": with_field("x", " a"),
    "line feed in a name": with_field("x\r\ny", "1"),
    "line feed in a path": ask(HEAD[:3] + [(":path", "/ HTTP/1.1\r\nHost: b.test\r\n\r\n")]),
    "blank in a path": ask(HEAD[:3] + [(":path", "/a b")]),
    "fragment in a path": ask(HEAD[:3] + [(":path", "/a#b")]),
    "blank in an authority": ask(HEAD[:2] + [(":authority", "a.test b"), (":path", "/")]),
    "a line in a method": ask([(":method", "GET / HTTP/1.1\r\nHost: b.test\r\n\r\nGET")] + HEAD[1:]),
    "two hosts": with_field("host", "b.test"),
    "colon in a name": with_field("x:y", "1"),
    "no method": ask(HEAD[1:]),
    "no scheme": ask([HEAD[0]] + HEAD[2:]),
    "no path": ask(HEAD[:3]),
    "empty path": ask(HEAD[:3] + [(":path", "")]),
    "no authority": ask(HEAD[:2] + HEAD[3:]),
    "two paths": ask(HEAD + [(":path", "/b")]),
    "late pseudo-header": ask([("x", "1")] + HEAD),
    "unknown pseudo-header": ask(HEAD + [(":x", "1")]),
    "status in a request": ask(HEAD + [(":status", "200")]),
    "absolute path": ask(HEAD[:3] + [(":path", "https://b.test/")]),
    "userinfo": ask(HEAD[:2] + [(":authority", "b@a.test"), (":path", "/")]),
    "connect": ask([(":method", "CONNECT"), (":authority", "a.test:443")]),
    "extended connect": ask([(":method", "CONNECT"), (":protocol", "websocket")] + HEAD[1:]),
    "trace": ask([(":method", "TRACE")] + HEAD[1:]),
    "lower-case method": ask([(":method", "get")] + HEAD[1:]),
    "length too long": ask(POST + [("content-length", "5")], b"abc"),
    "length too short": ask(POST + [("content-length", "1")], b"abc"),
    "two lengths": ask(POST + [("content-length", "3"), ("content-length", "3")], b"abc"),
    "list of lengths": ask(POST + [("content-length", "3, 3")], b"abc"),
    "many fields": ask(HEAD + [("x", "y")] * 300),
    "a long head": ask(HEAD + [(f"x{n}", "y" * 3000) for n in range(20)]),
}


def main():
    address = sys.argv[1]
    for name in sys.argv[2:] or list(ACTS):
        print(f"{name}: {ACTS[name](Client(address))}", flush=True)


main()
