"""Every target finds the section, figure and contestant it names, in a run that measures everything."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import growth_works  # noqa: E402
import report  # noqa: E402
import stream_works  # noqa: E402
import targets  # noqa: E402
import works  # noqa: E402

FACTORS = {"millrace": 1, "millrace, os": 2, "kafka": 30, "kafka, flush": 40, "kafka + streams": 50}


def everything():
    """The tables of a run where each contestant's figures are all its factor."""
    titles = {work.title: (work.figures, work.variants) for work in works.WORKS}
    titles |= {work.title: (work.figures, ("millrace", "kafka + streams")) for work, _ in stream_works.WORKS}
    # Titles that are made when they are measured.
    for title, figures in (("Catch-up, warm: 10 GiB", works.RATE), ("Catch-up, cold: 10 GiB", works.RATE),
                           ("5,000 partitions: made", ("restart_ms", "restarted_mib")),
                           ("Restart after kill -9: 10 GiB", ("restart_ms",)),
                           ("Starting, resting", ("start_ms", "idle_mib")),
                           (f"{growth_works.TITLES['connections']}: 1,000", ("kib_per_connection",))):
        titles[title] = (figures, works.TWO)
    return [(title, {c: [dict.fromkeys(figures, FACTORS[c])] for c in contestants}) for title, (figures, contestants) in titles.items()]


def lines(tables):
    return list(targets.lines(tables, lambda key: report.FIGURES[key][0], str))


class Targets(unittest.TestCase):
    def test_all_are_judged_in_a_whole_run(self):
        found = lines(everything())
        self.assertEqual(len(found), len(targets.TARGETS))
        self.assertEqual([line for line in found if targets.UNKNOWN in line], [])

    def test_all_are_named_where_nothing_was_measured(self):
        found = lines([])
        self.assertEqual(len(found), len(targets.TARGETS))
        self.assertTrue(all(targets.UNKNOWN in line for line in found))

    def test_processors_are_compared_with_streams(self):
        found = [line for line in lines(everything()) if line.startswith("| Windowed count by key: ")]
        self.assertEqual(len(found), 1)
        self.assertIn("| 1/50 | met |", found[0])

    def test_the_bound_itself_is_met_and_beyond_it_is_not(self):
        for median, verdict in ((3.0, "| 3× | met |"), (2.9, "| 2.9× | **not met** |")):
            table = (targets.SMALL, {"millrace": [{"records_per_second": median}], "kafka": [{"records_per_second": 1}]})
            self.assertIn(verdict, lines([table])[0])

    def test_a_ratio_is_three_digits_or_a_whole_number(self):
        self.assertEqual([targets.times(r) for r in (1, 1.234, 0.5, 0.25, 123.4, 1234.5, 1 / 2345)],
                         ["1×", "1.23×", "0.5×", "1/4", "123×", "1,234×", "1/2,345"])


if __name__ == "__main__":
    unittest.main()
