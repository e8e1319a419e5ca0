#!/usr/bin/env python3
"""Measures weir beside nginx and HAProxy in one interleaved run. See README.md for the method.

Exit code: 0 done and as expected, 1 not measured or short of --expect, 2 bad usage.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from comparison import proxies, report
from comparison.cases import WARM_UP_SECONDS, cases
from comparison.processes import Failure, free_ports, raise_file_limit

# In the order of the tables.
CASES = ("allowed", "refused", "body", "tls", "handshake", "idle", "tls-idle")
# Those that need a fresh process for each round.
FRESH = ("idle", "tls-idle")
# Those that a proxy of --extra, of which only plain ports are known, is left out of.
TLS = ("tls", "handshake", "tls-idle")
IDLE_ROUNDS_MAX = 3
# wrk's connections, probes and what a proxy opens for itself.
SPARE_FILES = 1024
IDLE_CONNECTIONS_FEW = 2000


def main():
    settings = arguments()
    # Every way out passes through the same cleaning up.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda n, _: interrupted(signal.Signals(n).name))
    signal.signal(signal.SIGALRM, lambda *_: interrupted(f"the time limit of {settings.time_limit} s"))
    signal.alarm(settings.time_limit)
    try:
        results, facts, notes = compare(settings)
    except Failure as e:
        print(f"compare.py: {e}", file=sys.stderr)
        return 1
    signal.alarm(0)

    short = [s for subject in settings.subjects for s in report.shortfalls(settings.expect, results, subject)]
    if settings.json:
        settings.json.write_text(json.dumps({"facts": facts, "notes": notes, "rounds": results, "shortfalls": short}, indent=1) + "\n")
    print(report.markdown(facts, settings.titles, results, notes))
    for sentence in short:
        print(f"compare.py: {sentence}", file=sys.stderr)
    return 1 if short else 0


def compare(settings):
    """Starts everything, runs all rounds, stops everything. Results: case -> proxy -> rounds."""
    with ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="weir-compare-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        ports = free_ports(7)
        plan = proxies.Plan(directory, settings.origin_port or ports[0], settings.proxy_cpu, settings.load_cpus,
                            settings.idle_connections + SPARE_FILES, settings.access_log,
                            settings.nginx_error_log)
        proxies.certificate(plan)
        origin = proxies.Origin(plan)
        stack.enter_context(origin.process)
        origin.wait()

        contestants = contestants_of(settings, plan, ports[1:])
        notes = []
        for proxy in contestants:
            stack.callback(proxy.stop)
            proxy.start()
            notes += [f"{proxy.name}: {d}" for d in proxies.differences(proxy)]
        for note in notes:
            print(f"compare.py: warning: {note}", file=sys.stderr)

        known = cases(settings)
        settings.titles = {name: case.title for name, case in known.items()}
        results = {name: rounds_of(name, known[name], contestants, origin, settings) for name in known if name in settings.case}
        return {name: results[name] for name in CASES if name in results}, facts_of(settings, contestants), notes


def contestants_of(settings, plan, ports):
    makers = {"nginx": proxies.nginx, "haproxy": proxies.haproxy}
    found = [proxies.weir(plan, ports[4], ports[5], settings.weir, settings.weir_arg)] if settings.weir else []
    found += [proxies.Running(name, allowed, refused, plan) for name, allowed, refused in settings.extra]
    pairs = zip(settings.peers, ports[0::2], ports[1::2])
    return found + [makers[name](plan, port, tls_port) for name, port, tls_port in pairs]


def rounds_of(name, case, contestants, origin, settings):
    """All rounds of one case: A B C, B C A, C A B, ... so that nobody always goes first."""
    if name in TLS:
        contestants = [proxy for proxy in contestants if proxy.port["tls"]]
    results = {proxy.name: [] for proxy in contestants}
    if name not in FRESH:
        for proxy in contestants:
            case.warm_up(proxy, origin, settings)
    for n in range(min(settings.rounds, IDLE_ROUNDS_MAX) if name in FRESH else settings.rounds):
        turn = n % len(contestants)
        for proxy in contestants[turn:] + contestants[:turn]:
            if name in FRESH and n > 0:
                if not proxy.restartable:
                    continue
                proxy.stop()
                proxy.start()
            one = case.round(proxy, origin, settings)
            results[proxy.name].append(one)
            print(f"{name} {n + 1} {proxy.name}: {one['figure']:,.1f} {one.get('invalid', '')}", file=sys.stderr)
    return results


def facts_of(settings, contestants):
    """What a reader must know to judge the numbers."""
    asked = {"nginx": "-v", "haproxy": "-v"}
    versions = [proxies.version_of([proxies.Plan.program(p), asked[p]]) for p in settings.peers]
    if settings.weir:
        versions.insert(0, proxies.version_of([str(settings.weir), "--version"]))
    return {
        "proxies": "; ".join(versions + [p.name for p in contestants if not p.restartable]),
        "machine": f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} cores; "
                   f"proxy on core {settings.proxy_cpu}, origin and wrk on {','.join(map(str, sorted(settings.load_cpus)))}",
        "load average at the end": " ".join(f"{x:.2f}" for x in os.getloadavg()),
        "rounds": f"{settings.rounds} of {settings.seconds} s, interleaved; median (least–greatest)",
        "access log": "to a file" if settings.access_log else "off",
        "error log of nginx": settings.nginx_error_log,
    }


def arguments():
    parser = argparse.ArgumentParser(description="Measure weir beside nginx and HAProxy: requests per CPU-second of the proxy.")
    add = parser.add_argument
    add("--weir", type=Path, metavar="PATH", help="the weir binary (release build); without it only the others run")
    add("--weir-arg", action="append", default=[], metavar="ARG", help="one more argument for `weir serve`; repeatable")
    add("--peers", type=listed("nginx", "haproxy"), default=["nginx", "haproxy"], metavar="LIST", help="default: nginx,haproxy")
    add("--extra", action="append", default=[], type=extra, metavar="NAME=PORT[/REFUSED]",
        help="a proxy that runs already in front of --origin-port, by the port of the allowed (and of the refused) route; repeatable")
    add("--case", type=listed(*CASES), default=list(CASES), metavar="LIST", help=f"default: {','.join(CASES)}")
    add("--rounds", type=within(1, 99), default=7, metavar="N", help="rounds of each proxy and case (default 7; idle at most 3)")
    add("--seconds", type=within(1, 60), default=3, metavar="S", help="length of a round (default 3)")
    add("--connections", type=within(1, 256), default=64, metavar="N", help="of wrk (default 64)")
    add("--idle-connections", type=within(1, 50000), default=5000, metavar="N",
        help=f"default 5000, or {IDLE_CONNECTIONS_FEW} if the limit of open files asks for it")
    add("--proxy-cpu", type=within(0, 4095), metavar="CPU", help="default: the first core that may be used")
    add("--load-cpus", type=cpu_list, metavar="CPU,...", help="default: the second")
    add("--nginx-error-log", metavar="LEVEL", default="error",
        help="level of nginx's error log (default error, as nginx is shipped: a line for each refusal; crit: none)")
    add("--access-log", action="store_true", help="nginx and HAProxy log every request to a file; for weir say so with --weir-arg")
    add("--origin-port", type=within(1, 65535), metavar="PORT", help="default: any free one")
    add("--json", type=Path, metavar="FILE", help="all rounds, with what wrk and the origin counted")
    add("--expect", default="", metavar="CASE=N,...", help="exit 1 if less than N times nginx (idle: if more than N KiB)")
    add("--time-limit", type=within(1, 7200), metavar="S", help="give up after so long (default: generous for the rounds asked for)")
    settings = parser.parse_args()

    try:
        settings.expect = report.expectations(settings.expect, CASES)
    except ValueError as e:
        parser.error(f"--expect: {e}")
    if missing := [name for name in settings.expect if name not in settings.case]:
        parser.error(f"--expect: {', '.join(missing)} is not among --case")
    settings.subjects = (["weir"] if settings.weir else []) + [name for name, _, _ in settings.extra]
    if settings.expect and (not settings.subjects or "nginx" not in settings.peers):
        parser.error("--expect compares weir or an --extra with nginx")
    if settings.extra and not settings.origin_port:
        parser.error("--extra needs --origin-port, the port it forwards to")
    if len(set(names := settings.subjects + settings.peers)) != len(names) or not names:
        parser.error("every proxy needs a name of its own, and at least one must be there")
    settle_cpus(parser, settings)
    settle_idle_connections(parser, settings)
    if settings.time_limit is None:
        one = settings.seconds + WARM_UP_SECONDS + 2
        settings.time_limit = 120 + 2 * settings.rounds * one * len(names) * len(settings.case)
    if settings.weir:
        settings.weir = settings.weir.resolve()
    return settings


def settle_cpus(parser, settings):
    """Proxy and load on different cores, if there are two."""
    usable = sorted(os.sched_getaffinity(0))
    if settings.proxy_cpu is None:
        settings.proxy_cpu = usable[0]
    if settings.load_cpus is None:
        settings.load_cpus = set([c for c in usable if c != settings.proxy_cpu][:1] or usable)
    if absent := ({settings.proxy_cpu} | settings.load_cpus) - set(usable):
        parser.error(f"core {', '.join(map(str, sorted(absent)))} may not be used here; usable: {', '.join(map(str, usable))}")
    if settings.proxy_cpu in settings.load_cpus:
        print("compare.py: warning: proxy and load share a core", file=sys.stderr)


def settle_idle_connections(parser, settings):
    """HAProxy wants two files for each connection that it may hold; the others one for each that there is."""
    def needed(n):
        return (2 if "haproxy" in settings.peers else 1) * (n + SPARE_FILES) + SPARE_FILES
    limit = raise_file_limit(needed(settings.idle_connections))
    if limit < needed(settings.idle_connections):
        settings.idle_connections = min(settings.idle_connections, IDLE_CONNECTIONS_FEW)
        print(f"compare.py: warning: {limit} open files allowed, so {settings.idle_connections} idle connections", file=sys.stderr)
    if limit < needed(settings.idle_connections):
        parser.error(f"{limit} open files allowed, {needed(settings.idle_connections)} needed; see --idle-connections")


def interrupted(by):
    # Once is enough: cleaning up is not to be interrupted.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    raise Failure(f"stopped by {by}")


def listed(*known):
    def parse(text):
        names = text.split(",")
        if unknown := [n for n in names if n not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names
    return parse


def within(least, most):
    def parse(text):
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from {least} to {most}")
        return int(text)
    return parse


def cpu_list(text):
    return {within(0, 4095)(part) for part in text.split(",")}


def extra(text):
    name, _, where = text.partition("=")
    allowed, slash, refused = where.partition("/")
    if not name:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=PORT or NAME=PORT/REFUSED")
    port = within(1, 65535)
    return name, port(allowed), port(refused) if slash else port(allowed)


if __name__ == "__main__":
    sys.exit(main())
