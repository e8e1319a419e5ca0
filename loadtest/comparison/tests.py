"""Tests of what decides without measuring: `python3 -m unittest comparison.tests` in `loadtest/`."""

import tempfile
import unittest
from unittest import mock

from . import cases, proxies, report
from .processes import Failure, Stat


def rounds(*figures):
    return [{"figure": f} if f else {"figure": 0, "invalid": "why"} for f in figures]


class StatTest(unittest.TestCase):
    def test_name_with_spaces_and_parentheses(self):
        rest = " ".join(str(n) for n in range(4, 53))
        stat = Stat(f"17 (a) S b (c)) S {rest}")
        self.assertEqual((stat.state, stat.parent, stat.cpu_ticks, stat.start), ("S", 4, 14 + 15, 22))


class ReportTest(unittest.TestCase):
    def test_summary_leaves_invalid_rounds_out(self):
        self.assertEqual(report.summary(rounds(3, None, 1, 2)), {"median": 2, "min": 1, "max": 3, "valid": 3, "rounds": 4})

    def test_summary_needs_half_of_the_rounds(self):
        self.assertIsNotNone(report.summary(rounds(1, None)))
        self.assertIsNone(report.summary(rounds(1, None, None)))
        self.assertIsNone(report.summary([]))

    def test_ratio_pairs_rounds(self):
        # The machine slows down by ten in the second round, for both: the ratio does not notice.
        self.assertEqual(report.ratio(rounds(20, 2), rounds(10, 1)), {"median": 2, "min": 2, "max": 2})

    def test_ratio_drops_a_pair_with_an_invalid_round(self):
        self.assertEqual(report.ratio(rounds(20, 99, 30), rounds(10, None, 10))["max"], 3)
        self.assertIsNone(report.ratio(rounds(20, None, None), rounds(10, 10, None)))

    def test_expectations(self):
        self.assertEqual(report.expectations("allowed=1.1,idle=6", ("allowed", "idle")), {"allowed": 1.1, "idle": 6})
        self.assertEqual(report.expectations("", ("allowed",)), {})
        for wrong in ("allowed", "allowed=", "allowed=x", "allowed=nan", "allowed=0", "allowed=-1", "other=1", "allowed=inf"):
            with self.assertRaises(ValueError, msg=wrong):
                report.expectations(wrong, ("allowed",))

    def test_shortfall_of_a_ratio(self):
        results = {"allowed": {"weir": rounds(11), "nginx": rounds(10)}}
        self.assertEqual(report.shortfalls({"allowed": 1.1}, results, "weir"), [])
        self.assertEqual(len(report.shortfalls({"allowed": 1.11}, results, "weir")), 1)

    def test_idle_is_an_upper_bound(self):
        results = {"idle": {"weir": rounds(6)}}
        self.assertEqual(report.shortfalls({"idle": 6}, results, "weir"), [])
        self.assertEqual(len(report.shortfalls({"idle": 5.9}, results, "weir")), 1)

    def test_no_valid_figure_falls_short(self):
        results = {"allowed": {"weir": rounds(None), "nginx": rounds(10)}, "idle": {"weir": rounds(None)}}
        self.assertEqual(len(report.shortfalls({"allowed": 1, "idle": 6, "refused": 1}, results, "weir")), 3)

    def test_markdown_names_invalid_rounds(self):
        text = report.markdown({"a": "b"}, {"allowed": "title"}, {"allowed": {"nginx": rounds(None)}}, ["note"])
        self.assertIn("no valid figure", text)
        self.assertIn("nginx, round 1, does not count: why", text)


class ObjectionsTest(unittest.TestCase):
    settings = type("Settings", (), {"connections": 64})

    def objections(self, case, **changes):
        wrk = {"requests": 10000, "connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}
        result = {"cpu_seconds": 1.0, "origin_requests": 10000, "bytes_per_answer": 1200.0}
        for key, value in changes.items():
            (wrk if key in wrk else result)[key] = value
        return cases.cases(self.settings)[case].objections(result | {"wrk": wrk})

    def test_allowed(self):
        self.assertEqual(self.objections("allowed"), [])
        self.assertEqual(self.objections("allowed", status=10, timeout=10), [])
        for wrong in ({"status": 11}, {"timeout": 11}, {"origin_requests": 9000}, {"bytes_per_answer": 1000.0}, {"requests": 0},
                      {"cpu_seconds": 0.0}):
            self.assertEqual(len(self.objections("allowed", **wrong)), 1, wrong)

    def test_refused(self):
        refused = {"status": 9995, "origin_requests": 5, "bytes_per_answer": 200.0}
        self.assertEqual(self.objections("refused", **refused), [])
        self.assertEqual(len(self.objections("refused", **refused | {"status": 9000})), 1)
        self.assertEqual(len(self.objections("refused", **refused | {"origin_requests": 101})), 1)


class HandshakesTest(unittest.TestCase):
    GOOD = ("requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n"
            "status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx\n")

    def test_all_that_succeeded_count(self):
        self.assertEqual(cases.handshakes_in(self.GOOD, "x"), 100)

    def test_a_failure_or_another_status_is_no_figure(self):
        for wrong in (self.GOOD.replace("0 failed", "1 failed"), self.GOOD.replace("100 2xx", "99 2xx"), ""):
            with self.assertRaises(Failure):
                cases.handshakes_in(wrong, "x")

    def test_a_summary_without_latency_is_reported(self):
        text = report.markdown({}, {"handshake": "t"}, {"handshake": {"nginx": [
            {"figure": 1.0, "requests_per_second": 1.0, "cpu_share": 0.5}]}}, [])
        self.assertIn("| – | – |", text)


class TemplatesTest(unittest.TestCase):
    def test_every_name_in_a_template_gets_its_value(self):
        for access_log in (False, True):
            with tempfile.TemporaryDirectory() as directory, mock.patch.object(proxies.Plan, "program", lambda _, name: name):
                plan = proxies.Plan(directory, 1001, 0, {1}, 6000, access_log)
                for proxy in (proxies.nginx(plan, 1002, 2002), proxies.haproxy(plan, 1003, 2003), proxies.weir(plan, 1004, 2004, "weir", ["--more"])):
                    self.assertTrue(any("100" in str(a) or directory in str(a) for a in proxy.argv), proxy.name)
                written = {p.name: p.read_text() for p in plan.directory.rglob("*") if p.is_file()}
                self.assertEqual(set(written), {"nginx.conf", "haproxy.cfg", "bench.yaml"})
                for name, text in written.items():
                    self.assertNotIn("@", text, name)
                    self.assertIn(proxies.ALLOWED_HOST, text, name)
                    self.assertIn(str(proxies.HIGH_RATE), text, name)
                self.assertEqual("access_log off;" in written["nginx.conf"], not access_log)
                self.assertEqual("log stdout" in written["haproxy.cfg"], access_log)


if __name__ == "__main__":
    unittest.main()
