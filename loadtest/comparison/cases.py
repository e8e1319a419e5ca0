"""The cases: one round of one proxy is run, judged, and becomes a dictionary of numbers."""

import http.client
import json
import re
import select
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass

from .processes import Failure
from .proxies import ALLOWED_HOST, KIBIBYTE, MEBIBYTE, PEERS, REFUSED_HOST


@dataclass(frozen=True)
class Load:
    """A case that wrk drives: what is asked, and what share of it must be refused and reach the origin."""

    route: str
    host: str
    path: str
    body_bytes: int
    connections: int
    refused: bool
    title: str
    scheme: str = "http"

    def round(self, proxy, origin, settings):
        """One measured round. The key `invalid` says why its numbers do not count, if they do not."""
        accepted, reached = origin.counters()
        cpu, family = proxy.cpu_seconds()
        wrk = self.drive(proxy, settings.seconds, settings)
        # Closing the clients' connections belongs to the round.
        time.sleep(SETTLE_SECONDS)
        cpu_after, family_after = proxy.cpu_seconds()
        accepted_after, reached_after = origin.counters()
        proxy.check_alive()

        cpu = cpu_after - cpu
        answers, seconds = wrk["requests"], wrk["microseconds"] / 1e6
        result = {
            "figure": answers / cpu if cpu > 0 else 0.0,
            "requests_per_second": answers / seconds,
            "cpu_seconds": cpu,
            "cpu_share": cpu / seconds,
            "p50_ms": wrk["p50"] / 1000, "p90_ms": wrk["p90"] / 1000, "p99_ms": wrk["p99"] / 1000, "max_ms": wrk["max"] / 1000,
            # One of them is the question itself.
            "origin_requests": reached_after - reached - 1,
            "origin_connections": accepted_after - accepted - 1,
            "bytes_per_answer": wrk["bytes"] / answers if answers else 0.0,
            "wrk": wrk,
        }
        reasons = self.objections(result)
        if family != family_after:
            reasons.append("a process of the proxy came or went during the round")
        if reasons:
            result["invalid"] = "; ".join(reasons)
        return result

    def warm_up(self, proxy, origin, settings):
        """Fills connection pools and spends bursts; not measured."""
        del origin
        self.drive(proxy, WARM_UP_SECONDS, settings)

    def drive(self, proxy, seconds, settings):
        """Runs wrk on the load's core; its summary as `peers/report.lua` prints it."""
        argv = ["taskset", "-c", ",".join(map(str, sorted(settings.load_cpus))), "wrk", "-t", "1",
                "-c", str(self.connections), "-d", f"{seconds}s", "--timeout", "2s", "-s", str(PEERS / "report.lua"),
                "-H", f"Host: {self.host}", f"{self.scheme}://127.0.0.1:{proxy.port[self.route]}{self.path}"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + WRK_GRACE_SECONDS, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"wrk against {proxy.name} did not end") from e
        except OSError as e:
            raise Failure(f"cannot start wrk: {e}") from e
        line = re.search(r"^ROUND (\{.*\})$", done.stdout, re.M)
        if not line:
            raise Failure(f"wrk against {proxy.name}: {(done.stderr + done.stdout).strip()[-500:]}")
        return json.loads(line.group(1))

    def objections(self, result):
        """Why the numbers of a round are not those of this case: a list of sentences."""
        wrk = result["wrk"]
        answers = wrk["requests"]
        if answers == 0 or result["cpu_seconds"] <= 0:
            return ["no answers"]
        found = []
        broken = wrk["connect"] + wrk["read"] + wrk["write"] + wrk["timeout"]
        if broken > answers * TOLERATED_SHARE:
            found.append(f"{broken} socket errors or timeouts in {answers} answers")
        # wrk counts 4xx and 5xx here. That a refusal is a 429 is asked before the rounds.
        refused, reached = wrk["status"], result["origin_requests"]
        if self.refused:
            if answers - refused > answers * REFUSED_SLACK:
                found.append(f"{answers - refused} of {answers} were not refused")
            if reached > answers * REFUSED_SLACK:
                found.append(f"the origin saw {reached} of {answers} requests")
        else:
            if refused > answers * TOLERATED_SHARE:
                found.append(f"{refused} of {answers} answered with 4xx or 5xx")
            if reached < answers * (1 - TOLERATED_SHARE):
                found.append(f"the origin saw only {reached} of {answers} requests")
            if result["bytes_per_answer"] < self.body_bytes:
                found.append(f"{result['bytes_per_answer']:.0f} bytes per answer, {self.body_bytes} expected in the body alone")
        return found


class Handshakes:
    """New TLS connections with one request each, nothing resumed: what h2load opens is a full handshake."""

    title = "full TLS handshakes, one request each"

    def round(self, proxy, origin, settings):
        """One measured round: batches of connections until its time is over."""
        del origin
        cpu, _ = proxy.cpu_seconds()
        began, done = time.monotonic(), 0
        while time.monotonic() - began < settings.seconds:
            done += self.batch(proxy, settings)
        seconds = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        cpu_after, _ = proxy.cpu_seconds()
        proxy.check_alive()
        cpu = cpu_after - cpu
        result = {"figure": done / cpu if cpu > 0 else 0.0, "requests_per_second": done / seconds, "cpu_seconds": cpu,
                  "cpu_share": cpu / seconds, "handshakes": done}
        if done == 0 or cpu <= 0:
            result["invalid"] = "no handshakes"
        return result

    def warm_up(self, proxy, origin, settings):
        """One batch; not measured."""
        del origin
        self.batch(proxy, settings)

    def batch(self, proxy, settings):
        """Connections that were opened, used once and closed."""
        port = proxy.port["tls"]
        argv = ["taskset", "-c", ",".join(map(str, sorted(settings.load_cpus))), "h2load", "--h1", "-t", "1",
                "-c", str(HANDSHAKE_BATCH), "-n", str(HANDSHAKE_BATCH), f"--connect-to=127.0.0.1:{port}",
                f"https://{ALLOWED_HOST}:{port}/api/1k"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=WRK_GRACE_SECONDS, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"h2load against {proxy.name} did not end") from e
        except OSError as e:
            raise Failure(f"cannot start h2load: {e}") from e
        return handshakes_in(done.stdout, proxy.name)


def handshakes_in(summary, name):
    """What a summary of h2load counts, if all of it succeeded."""
    counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed", summary, re.M)
    status = re.search(r"^status codes: (\d+) 2xx", summary, re.M)
    if not counts or not status or int(counts.group(2)) or int(status.group(1)) != int(counts.group(1)):
        raise Failure(f"h2load against {name}: {summary.strip()[-500:]}")
    return int(counts.group(1))


class Idle:
    """Resident memory of the proxy for each idle keep-alive connection that has had one answer."""

    title = "memory per idle connection"
    connect = staticmethod(lambda proxy, n: idle_connection(proxy, n))

    def round(self, proxy, origin, settings):
        """One measured round. It wants a fresh process: freed memory would hide what connections cost."""
        del origin
        count = settings.idle_connections
        held = []
        try:
            for n in range(IDLE_WARM_UP):
                held.append(self.connect(proxy, n))
            time.sleep(IDLE_SETTLE_SECONDS)
            before = proxy.resident_kib()
            for n in range(count):
                held.append(self.connect(proxy, n))
            time.sleep(IDLE_SETTLE_SECONDS)
            after = proxy.resident_kib()
            gone = closed_among(held)
        finally:
            for one in held:
                one.close()
        result = {"figure": (after - before) / count, "before_kib": before, "after_kib": after, "connections": count}
        if gone:
            result["invalid"] = f"{gone} of {len(held)} connections were closed by the proxy"
        return result

    def warm_up(self, proxy, origin, settings):
        """None: see `round`."""


class IdleTls(Idle):
    """The same over TLS."""

    title = "memory per idle TLS connection"
    connect = staticmethod(lambda proxy, n: idle_connection(proxy, n, TLS_CLIENT))


def tls_client():
    """A client that takes any certificate: nobody's identity is measured here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def idle_connection(proxy, n, tls=None):
    """A connection that has had one answer. Clients spread over many addresses, as they do outside."""
    source = f"127.0.1.{1 + n % IDLE_CLIENTS}"
    port = proxy.port["tls" if tls else "allowed"]
    s = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
    if tls:
        s = tls.wrap_socket(s, server_hostname=ALLOWED_HOST)
    s.sendall(f"GET /api/1k HTTP/1.1\r\nHost: {ALLOWED_HOST}\r\n\r\n".encode())
    response = http.client.HTTPResponse(s, method="GET")
    response.begin()
    body = response.read()
    if response.status != 200 or len(body) != KIBIBYTE:
        raise Failure(f"{proxy.name}: connection {n} to be held idle was answered with {response.status} and {len(body)} bytes")
    return s


def closed_among(connections):
    """How many of them the other side has ended: an idle connection has nothing to read."""
    poller = select.poll()
    for s in connections:
        poller.register(s, select.POLLIN | select.POLLRDHUP)
    return len(poller.poll(0))


def cases(settings):
    """All cases by name, in the order in which they run: idle first, while every proxy is fresh."""
    many = settings.connections
    return {
        "idle": Idle(),
        "tls-idle": IdleTls(),
        "allowed": Load("allowed", ALLOWED_HOST, "/api/1k", KIBIBYTE, many, False, f"1 KiB answers, {many} connections"),
        "refused": Load("refused", REFUSED_HOST, "/api/1k", 0, many, True, f"429, {many} connections"),
        "tls": Load("tls", ALLOWED_HOST, "/api/1k", KIBIBYTE, many, False, f"1 KiB answers over TLS, {many} connections", "https"),
        "handshake": Handshakes(),
        "body": Load("allowed", ALLOWED_HOST, "/api/1m", MEBIBYTE, BODY_CONNECTIONS, False, f"1 MiB answers, {BODY_CONNECTIONS} connections"),
    }


# A few answers may be lost where a round begins and ends.
TOLERATED_SHARE = 0.001
# The allowance of the refused host is a few requests a second.
REFUSED_SLACK = 0.01
SETTLE_SECONDS = 0.2
WARM_UP_SECONDS = 1
WRK_GRACE_SECONDS = 20
# Connections of one call of h2load.
HANDSHAKE_BATCH = 100
TLS_CLIENT = tls_client()
# Fewer clients move the same bytes with less memory traffic between them.
BODY_CONNECTIONS = 16
IDLE_CLIENTS = 50
IDLE_WARM_UP = 8
IDLE_SETTLE_SECONDS = 1.0
