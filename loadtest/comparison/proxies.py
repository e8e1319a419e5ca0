"""The origin and the proxies: how each is configured, started, and asked whether it does the same as the others."""

import http.client
import os
import re
import subprocess
from pathlib import Path

from .processes import Failure, Process, cpu_seconds, listener_of, resident_kib, wait_until


class Origin:
    """nginx answering from memory, the same for every proxy."""

    def __init__(self, plan):
        self.port = plan.origin_port
        (plan.directory / "1m").write_bytes(b"x" * MEBIBYTE)
        path = plan.write("origin.conf", "origin.conf", PORT=self.port, KIBIBYTE="x" * KIBIBYTE)
        self.process = Process("origin", nginx_argv(plan, path, "origin"), plan.load_cpus, plan.directory)

    def wait(self):
        wait_until(START_SECONDS, lambda: answers(self.port, ALLOWED_HOST, "/api/1k"), self.process.check_alive, "origin")

    def counters(self):
        """Connections accepted and requests answered so far, this question among them."""
        _, _, body = get(self.port, "localhost", "/status")
        accepted, _, requests = re.search(rb"requests\n (\d+) (\d+) (\d+)", body).groups()
        return int(accepted), int(requests)


class Proxy:
    """One proxy of the comparison. `start` may be called again after `stop`: that gives a fresh process."""

    restartable = True

    def __init__(self, name, port, tls_port, plan, argv):
        self.name = name
        self.plan = plan
        self.port = {"allowed": port, "refused": port, "tls": tls_port}
        self.argv = argv
        self.process = None

    def start(self):
        self.process = Process(self.name, self.argv, {self.plan.proxy_cpu}, self.plan.directory)
        self.pid = self.process.pid
        port = self.port["allowed"]
        wait_until(START_SECONDS, lambda: answers(port, ALLOWED_HOST, "/api/1k"), self.process.check_alive, self.name)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def check_alive(self):
        if self.process:
            self.process.check_alive()

    def cpu_seconds(self):
        return cpu_seconds(self.pid)

    def resident_kib(self):
        return resident_kib(self.pid)


class Running(Proxy):
    """A proxy that somebody else started, in front of the origin's fixed port: measured, never stopped."""

    restartable = False

    def __init__(self, name, allowed_port, refused_port, plan):
        super().__init__(name, allowed_port, None, plan, None)
        self.port["refused"] = refused_port
        self.pid = listener_of(allowed_port)

    def start(self):
        if not answers(self.port["allowed"], ALLOWED_HOST, "/api/1k"):
            raise Failure(f"{self.name} does not pass http://{ALLOWED_HOST}/api/1k on to the origin on port {self.plan.origin_port}")


def nginx(plan, port, tls_port):
    log = f"{plan.directory}/nginx-access.log json buffer=64k flush=1s" if plan.access_log else "off"
    path = plan.write("nginx.conf", "nginx.conf", PORT=port, TLS_PORT=tls_port, NGINX_ACCESS_LOG=log, NGINX_ERROR_LOG=plan.nginx_error_log)
    return Proxy("nginx", port, tls_port, plan, nginx_argv(plan, path, "nginx"))


def haproxy(plan, port, tls_port):
    # In the foreground its standard output is a file here, so `log stdout` is an access log in a file.
    log = ("log stdout format raw local0", "log global\n    option httplog") if plan.access_log else ("", "")
    path = plan.write("haproxy.cfg", "haproxy.cfg", PORT=port, TLS_PORT=tls_port, HAPROXY_LOG=log[0], HAPROXY_LOG_DEFAULTS=log[1])
    return Proxy("haproxy", port, tls_port, plan, [plan.program("haproxy"), "-db", "-f", path])


def weir(plan, port, tls_port, binary, arguments):
    manifests = plan.directory / "manifests"
    manifests.mkdir(exist_ok=True)
    plan.write("weir.yaml", "manifests/bench.yaml")
    argv = [binary, "serve", "--source", f"manifests={manifests}", "--backend", f"bench/origin:80=127.0.0.1:{plan.origin_port}",
            "--http", f"127.0.0.1:{port}", "--https", f"127.0.0.1:{tls_port}", "--admin", "127.0.0.1:0", "--workers", "1",
            "--configmap", "bench/settings", *arguments]
    return Proxy("weir", port, tls_port, plan, argv)


def certificate(plan):
    """A self-signed certificate of the kind that weir makes for itself (ECDSA, P-256), for the others."""
    key, chain, both = (plan.directory / name for name in ("key.pem", "certificate.pem", "both.pem"))
    argv = [plan.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", f"/CN={ALLOWED_HOST}", "-addext", f"subjectAltName=DNS:{ALLOWED_HOST}",
            "-keyout", key, "-out", chain]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl made no certificate: {done.stderr.strip()[-500:]}")
    both.write_text(chain.read_text() + key.read_text())
    both.chmod(0o600)


def nginx_argv(plan, path, name):
    (plan.directory / f"{name}-temp").mkdir(exist_ok=True)
    return [plan.program("nginx"), "-p", plan.directory, "-e", plan.directory / f"{name}-error.log", "-c", path]


class Plan:
    """Where files go, who runs on which core, and how templates of `peers/` are filled."""

    def __init__(self, directory, origin_port, proxy_cpu, load_cpus, connections, access_log, nginx_error_log="error"):
        self.directory = Path(directory)
        self.origin_port = origin_port
        self.proxy_cpu = proxy_cpu
        self.load_cpus = load_cpus
        self.connections = connections
        self.access_log = access_log
        self.nginx_error_log = nginx_error_log

    def write(self, template, name, **values):
        """Fills `peers/TEMPLATE` and writes it; a name without a value is a mistake of ours and fails."""
        values |= {
            "DIR": self.directory, "ORIGIN_PORT": self.origin_port,
            # Workers of nginx keep the caller's user, who owns the temporary directory.
            "USER": "user root;" if os.geteuid() == 0 else "",
            "CONNECTIONS": self.connections, "UPSTREAM_KEEPALIVE": UPSTREAM_KEEPALIVE, "CONCURRENCY": CONCURRENCY,
            "HIGH_RATE": HIGH_RATE, "HIGH_BURST": HIGH_RATE * BURST_MULTIPLIER,
            "ALLOWED_HOST": ALLOWED_HOST, "REFUSED_HOST": REFUSED_HOST,
        }
        path = self.directory / name
        path.write_text(re.sub(r"@([A-Z_]+)@", lambda m: str(values[m.group(1)]), (PEERS / template).read_text()))
        return path

    @staticmethod
    def program(name):
        """The path of a Debian program; sbin is not on everybody's PATH."""
        for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/usr/local/sbin"]:
            if folder and os.access(f"{folder}/{name}", os.X_OK):
                return f"{folder}/{name}"
        raise Failure(f"{name} is not installed (apt-get install nginx haproxy wrk nghttp2-client openssl)")


def version_of(argv):
    """The first line a program says about its version."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]


def get(port, host, path):
    """One request on a connection of its own: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def answers(port, host, path):
    """True if the request is answered with 200."""
    try:
        return get(port, host, path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def differences(proxy):
    """What this proxy does less than the comparison asks for: a list of sentences, empty if nothing."""
    found = []
    port = proxy.port["allowed"]
    for path, size in (("/api/1k", KIBIBYTE), ("/api/1m", MEBIBYTE)):
        status, _, body = get(port, ALLOWED_HOST, path)
        if (status, len(body)) != (200, size):
            found.append(f"`{path}` is answered with {status} and {len(body)} bytes, not 200 and {size}")
    _, _, told = get(port, ALLOWED_HOST, "/api/headers")
    missing = [line[:-1] for line in told.decode(errors="replace").splitlines() if line.endswith("=")]
    if missing:
        found.append(f"the origin is not told {', '.join(missing)}")
    if get(port, "unknown.bench.example", "/api/1k")[0] == 200:
        found.append("an unknown host is forwarded")
    if get(port, ALLOWED_HOST, "/elsewhere")[0] == 200:
        found.append("an unknown path is forwarded")
    refusal = first_refusal(proxy)
    if refusal is None:
        found.append(f"`{REFUSED_HOST}` is not limited")
    elif not refusal.get("Retry-After"):
        found.append("the refusal has no Retry-After")
    return found


def first_refusal(proxy):
    """Spends the refused host's allowance; the headers of the first 429, or None if it does not come."""
    for _ in range(REFUSAL_ATTEMPTS):
        status, headers, _ = get(proxy.port["refused"], REFUSED_HOST, "/api/1k")
        if status == 429:
            return headers
    return None


PEERS = Path(__file__).resolve().parent.parent / "peers"
ALLOWED_HOST = "allowed.bench.example"
REFUSED_HOST = "refused.bench.example"
KIBIBYTE = 1024
MEBIBYTE = 1024 * 1024
# No proxy answers a million requests a second on one core, so a client under this rate is never refused.
HIGH_RATE = 1_000_000
# Of `limit-burst-multiplier`.
BURST_MULTIPLIER = 5
# More than wrk has connections, so the concurrency limit is looked at and never reached.
CONCURRENCY = 1000
# At least as many as there are clients: a smaller pool costs reconnects, which is another comparison.
UPSTREAM_KEEPALIVE = 256
REFUSAL_ATTEMPTS = 50
START_SECONDS = 10
