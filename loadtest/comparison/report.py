"""Rounds become medians, ratios, a Markdown report, and a verdict on what was expected."""

from statistics import median


def summary(rounds):
    """Median, least and greatest of the valid rounds' figures, or None if fewer than half are valid."""
    valid = [r for r in rounds if "invalid" not in r]
    if not valid or 2 * len(valid) < len(rounds):
        return None
    figures = [r["figure"] for r in valid]
    return {"median": median(figures), "min": min(figures), "max": max(figures), "valid": len(valid), "rounds": len(rounds)}


def ratio(rounds, other):
    """Median, least and greatest of figure / other's figure, round by round: neighbours in time share the machine's mood.

    Only rounds valid on both sides count; None if those are fewer than half.
    """
    pairs = [(a["figure"], b["figure"]) for a, b in zip(rounds, other) if "invalid" not in a and "invalid" not in b]
    quotients = [a / b for a, b in pairs if b > 0]
    if not quotients or 2 * len(quotients) < min(len(rounds), len(other)):
        return None
    return {"median": median(quotients), "min": min(quotients), "max": max(quotients)}


def expectations(text, known):
    """`allowed=1.1,idle=6` as a dictionary. ValueError with a sentence if it is not that."""
    wanted = {}
    for part in filter(None, text.split(",")):
        name, equals, number = part.partition("=")
        if name not in known or not equals:
            raise ValueError(f"`{part}` is not CASE=NUMBER with CASE one of {', '.join(known)}")
        try:
            wanted[name] = float(number)
        except ValueError:
            raise ValueError(f"`{number}` is not a number") from None
        if not 0 < wanted[name] < float("inf"):
            raise ValueError(f"`{part}`: the number must be positive")
    return wanted


def shortfalls(wanted, results, subject):
    """What falls short of the expectations, a sentence each.

    `idle` and `tls-idle` are at most so many KiB for each connection; every other case is at least so many times nginx.
    """
    found = []
    for case, number in wanted.items():
        rounds = results.get(case, {})
        if case in MEMORY:
            got = summary(rounds.get(subject, []))
            if got is None:
                found.append(f"{case}: no valid figure for {subject}")
            elif got["median"] > number:
                found.append(f"{case}: {subject} takes {got['median']:.2f} KiB, at most {number:g} expected")
            continue
        got = ratio(rounds.get(subject, []), rounds.get("nginx", []))
        if got is None:
            found.append(f"{case}: no valid ratio of {subject} to nginx")
        elif got["median"] < number:
            found.append(f"{case}: {subject} is {got['median']:.2f} times nginx, at least {number:g} expected")
    return found


def markdown(facts, titles, results, notes):
    """The whole report."""
    lines = ["# Proxies on one core", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- **{note}**" for note in notes]
    for case, by_proxy in results.items():
        lines += ["", f"## {case}: {titles[case]}", ""]
        lines += idle_table(by_proxy) if case in MEMORY else load_table(by_proxy)
        lines += ratio_table(by_proxy)
        for name, rounds in by_proxy.items():
            lines += [f"- {name}, round {n}, does not count: {r['invalid']}" for n, r in enumerate(rounds, 1) if "invalid" in r]
    return "\n".join(lines) + "\n"


def load_table(by_proxy):
    lines = ["| proxy | requests per CPU-second | µs of CPU per request | requests/s | of a core | p50 ms | p99 ms | rounds |",
             "|---|---|---|---|---|---|---|---|"]
    for name, rounds in by_proxy.items():
        got = summary(rounds)
        if got is None:
            lines.append(f"| {name} | no valid figure | | | | | | {count(rounds)} |")
            continue
        valid = [r for r in rounds if "invalid" not in r]
        middle = {key: median(r[key] for r in valid) for key in ("requests_per_second", "cpu_share")}
        lines.append(
            f"| {name} | {got['median']:,.0f} ({got['min']:,.0f}–{got['max']:,.0f}) | {1e6 / got['median']:,.1f} "
            f"| {middle['requests_per_second']:,.0f} | {middle['cpu_share']:.0%} | {latency(valid, 'p50_ms')} | {latency(valid, 'p99_ms')} | {count(rounds)} |")
    return lines


def latency(rounds, key):
    """The median over the rounds; not every load tells one."""
    told = [r[key] for r in rounds if key in r]
    return f"{median(told):.2f}" if told else "–"


def idle_table(by_proxy):
    lines = ["| proxy | KiB per idle connection | connections | rounds |", "|---|---|---|---|"]
    for name, rounds in by_proxy.items():
        got = summary(rounds)
        figure = f"{got['median']:.2f} ({got['min']:.2f}–{got['max']:.2f})" if got else "no valid figure"
        lines.append(f"| {name} | {figure} | {rounds[0]['connections'] if rounds else 0} | {count(rounds)} |")
    return lines


def ratio_table(by_proxy):
    """Everyone against the peers, round by round."""
    peers = [name for name in PEER_NAMES if name in by_proxy]
    others = [name for name in by_proxy if name != "nginx"]
    if not peers or not others:
        return []
    lines = ["", "| ratio | " + " | ".join(f"/ {p}" for p in peers) + " |", "|---" * (1 + len(peers)) + "|"]
    for name in others:
        cells = []
        for peer in peers:
            got = ratio(by_proxy[name], by_proxy[peer]) if peer != name else None
            cells.append(f"{got['median']:.2f} ({got['min']:.2f}–{got['max']:.2f})" if got else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines + [""]


def count(rounds):
    valid = sum("invalid" not in r for r in rounds)
    return str(valid) if valid == len(rounds) else f"{valid} of {len(rounds)}"


PEER_NAMES = ("nginx", "haproxy")
# Cases whose figure is KiB for each connection; less is better.
MEMORY = ("idle", "tls-idle")
