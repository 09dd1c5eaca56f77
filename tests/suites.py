#!/usr/bin/env python3
"""Runs Millrace's test suites, one after another, and says what each took. Called by `./dev test`.

A suite is either one of those below (house, unit, sim, asan, tsan, fuzz) or an executable `tests/*/run` or
`tests/system/*/run`; tests/README.md tells what such a `run` gets and prints. Installs and builds what a suite
needs; later kinds while earlier suites run. Logs: build/logs/SUITE.log. The last line is `N passed, N failed, N skipped`.
"""
import argparse
import glob
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "logs")
CI = os.environ.get("CI") == "true"
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Suite:
    """A name, the build kinds it runs on, what must be installed, and how to run it on one kind."""

    def __init__(self, name, run, builds=("release",), needs=(), late=False):
        self.name, self.run, self.builds, self.needs, self.late = name, run, list(builds), list(needs), late


class Tally:
    def __init__(self):
        self.passed, self.failures, self.skips = 0, [], []

    def line(self, text):
        """Takes one line of a suite's output; true if it is a result line."""
        match = re.match(r"(pass|fail|skip) (\S.*)$", text)
        if not match:
            return False
        word, what = match.groups()
        if word == "pass":
            self.passed += 1
        elif word == "fail" or CI:
            self.failures.append(what if word == "fail" else f"skipped, which CI does not allow: {what}")
        else:
            self.skips.append(what)
        return True


RUNNING = set()


def end_group(child):
    try:  # nothing is left running behind, whatever became of it
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    RUNNING.discard(child)


def stream(command, log, tally, env):
    """Runs a command, copies its output to the log, shows failures and skips at once; its exit status."""
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, start_new_session=True)
    RUNNING.add(child)
    try:
        for raw in child.stdout:
            text = raw.decode(errors="replace").rstrip("\n")
            log.write(text + "\n")
            log.flush()
            if tally.line(text) and not text.startswith("pass"):
                print("    " + text, flush=True)
        return child.wait()
    finally:
        end_group(child)


class Builds:
    """Makes each kind once. The first is made when it is asked for; while suites run on it the others are made ahead, in
    the order of their use, with what processor time the suites leave: most of them wait more than they work."""

    def __init__(self, kinds, env):
        self.kinds, self.env = list(dict.fromkeys(kinds)), dict(env, FOR_TESTS="1")
        self.status, self.done = {}, {kind: threading.Event() for kind in self.kinds}

    @staticmethod
    def log_path(kind):
        return os.path.join(LOGS, f"build-{kind}.log")

    def make(self, kind, command):
        with open(self.log_path(kind), "w") as log:
            self.status[kind] = stream([*command, ROOT + "/dev", "build", kind], log, Tally(), self.env)
        self.done[kind].set()

    def make_rest(self):
        for kind in self.kinds[1:]:
            self.make(kind, ["nice", "-n", "19"])

    def need(self, kind):
        """Returns when the kind is there: (seconds that took, whether it is good)."""
        began = time.monotonic()
        if kind == self.kinds[0]:
            self.make(kind, [])
            threading.Thread(target=self.make_rest, daemon=True).start()
        self.done[kind].wait()
        return time.monotonic() - began, self.status[kind] == 0


def run_program(path):
    def run(kind, log, tally, env):
        before = len(tally.failures)
        status = stream([path], log, tally, env)
        if status != 0 and len(tally.failures) == before:
            tally.failures.append(f"{os.path.relpath(path, ROOT)} ended with status {status}")
    return run


def run_meson(*meson_suites):
    """Runs the C++ tests of the given meson suites; each GoogleTest case counts as one result."""
    def run(kind, log, tally, env):
        build = os.path.join(ROOT, "build", kind)
        cases = os.path.join(build, "cases")
        for old in glob.glob(cases + "/*.json"):
            os.remove(old)
        env = dict(env, GTEST_OUTPUT=f"json:{cases}/")
        command = ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"]
        if kind in ("asan", "tsan"):
            command += ["--timeout-multiplier", "10"]
        if int(env["MILLRACE_EFFORT"]) > 100:
            command += ["--timeout-multiplier", "0"]  # no limits: they are for the usual effort
        for name in meson_suites:
            command += ["--suite", name]
        listing = subprocess.run(command + ["--list"], cwd=ROOT, capture_output=True, text=True)
        if listing.returncode:  # meson says "No suitable tests defined"
            tally.line(f"skip {' '.join(meson_suites)}: no tests")
            return
        status = stream(command, log, tally, env)
        found_failure = False
        for report in glob.glob(cases + "/*.json"):
            with open(report) as f:
                for group in json.load(f)["testsuites"]:
                    for case in group["testsuite"]:
                        name = f"{group['name']}.{case['name']}"
                        if case.get("failures"):
                            found_failure = True
                            tally.line(f"fail {name}: {case['failures'][0]['failure'].splitlines()[0]}")
                        elif case.get("result") == "SKIPPED":
                            tally.line(f"skip {name}")
                        elif case.get("status") == "RUN":
                            tally.line(f"pass {name}")
        with open(os.path.join(build, "meson-logs", "testlog.json")) as f:
            for entry in map(json.loads, f):
                program = os.path.basename(entry["command"][0])
                counted = os.path.exists(os.path.join(cases, program + ".json"))
                if entry["result"] == "OK" and not counted:
                    tally.line(f"pass {entry['name']}")
                elif entry["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and (not counted or not found_failure):
                    found_failure = True
                    tally.line(f"fail {entry['name']}: {entry['result']}")
        if status != 0 and not found_failure:
            tally.line(f"fail {' '.join(meson_suites)}: meson test ended with status {status}")
        for failure in tally.failures:
            print("    fail " + failure, flush=True)
    return run


def header(path):
    """The `# builds:` and `# needs:` lines at the top of a run program."""
    found = {"builds": ["release"], "needs": []}
    with open(path, errors="replace") as f:
        for line in f.read().splitlines()[:30]:
            match = re.match(r"# (builds|needs): (.*)$", line)
            if match:
                found[match[1]] = match[2].split()
    return found


def discover():
    suites = [
        Suite("house", run_program(os.path.join(ROOT, "tests/house/run")), builds=["debug"], needs=["fmt"]),
        Suite("unit", run_meson("unit", "system", "cli"), builds=["debug"]),
        Suite("sim", run_meson("sim", "faults"), builds=["debug"]),
    ]
    under_sanitizers = {"asan": [], "tsan": []}
    for path in sorted(glob.glob(ROOT + "/tests/*/run") + glob.glob(ROOT + "/tests/system/*/run")):
        name = os.path.basename(os.path.dirname(path))
        if name in ("house", "fuzz", "perf") or not os.access(path, os.X_OK):
            continue
        told = header(path)
        for kind in under_sanitizers:
            if kind in told["builds"]:
                under_sanitizers[kind].append((name, path, told["needs"]))
        builds = [b for b in told["builds"] if b not in under_sanitizers]
        if builds:
            suites.append(Suite(name, run_program(path), builds=builds, needs=told["needs"]))
    for kind, programs in under_sanitizers.items():
        def run(kind, log, tally, env, programs=programs):
            chosen = ("threads",) if kind == "tsan" else ("unit", "system", "cli", "sim")
            run_meson(*chosen)(kind, log, tally, dict(env, MILLRACE_EFFORT=str(max(1, int(env["MILLRACE_EFFORT"]) // 20))))
            for name, path, _ in programs:
                log.write(f"--- {name}\n")
                run_program(path)(kind, log, tally, dict(env, MILLRACE_EFFORT="10"))
        suites.append(Suite(kind, run, builds=[kind], needs=[n for p in programs for n in p[2]]))
    suites.append(Suite("fuzz", run_program(os.path.join(ROOT, "tests/fuzz/run")), builds=["fuzz"]))
    return suites


def seed_base():
    """One seed for the whole run, taken from the committed code: other code explores other cases, texts change nothing."""
    rooms = subprocess.run(["git", "ls-tree", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    code = [line for line in rooms if not line.endswith((".md", "\tdocs"))]
    return str(int(hashlib.sha256("\n".join(code).encode()).hexdigest()[:12], 16))


def clock(seconds):
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def in_rounds(chosen, minutes, env, total, started):
    """The suites, and again with other seeds until the time is over or something has failed."""
    while True:
        yield from chosen
        if total.failures or time.monotonic() - started >= minutes * 60:
            return
        env["MILLRACE_SEED"] = str(int(env["MILLRACE_SEED"]) + 1_000_000)
        print(f"next round, seed {env['MILLRACE_SEED']}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev test", description="Builds and runs the test suites.")
    parser.add_argument("suite", nargs="*", help="which to run (default: all)")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    parser.add_argument("--effort", type=int, help="percent of the usual effort for randomised tests (100; 1000 in a soak)")
    parser.add_argument("--soak", action="store_true", help="round after round with new seeds; without a suite, sim")
    parser.add_argument("--minutes", type=float, help="begin no new round after so long (60 in a soak)")
    args = parser.parse_args()
    args.effort = args.effort or (1000 if args.soak else 100)
    if args.minutes is None:
        args.minutes = 60 if args.soak else 0
    if args.soak and not args.suite:
        args.suite = ["sim"]
    suites = {suite.name: suite for suite in discover()}
    if args.list:
        for suite in suites.values():
            print(f"{suite.name:12} on {' '.join(suite.builds)}")
        return 0
    for name in args.suite:
        if name not in suites:
            parser.error(f"no suite '{name}'; there are: {' '.join(suites)}")
    chosen = [suites[name] for name in args.suite] or list(suites.values())

    os.makedirs(LOGS, exist_ok=True)
    env = dict(os.environ, MILLRACE_EFFORT=str(args.effort), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    env.setdefault("MILLRACE_SEED", seed_base())
    rows, total, built = [], Tally(), {}
    builds = Builds([kind for suite in chosen for kind in suite.builds], env)
    started = time.monotonic()

    for suite in in_rounds(chosen, args.minutes, env, total, started):
        if suite.needs and subprocess.run([ROOT + "/dev", "needs", *sorted(set(suite.needs))]).returncode:
            print(f"{suite.name}: could not install its needs", flush=True)
        for kind in suite.builds:
            tally = Tally()
            label = suite.name if len(suite.builds) == 1 else f"{suite.name} on {kind}"
            if kind not in built:
                print(f"build {kind} ...", flush=True)
                waited, built[kind] = builds.need(kind)
                rows.append((f"build {kind}", waited, None))
                if not built[kind]:
                    with open(builds.log_path(kind)) as log:
                        print("".join(log.readlines()[-40:]), end="")
                    total.failures.append(f"build {kind}")
            if not built[kind]:
                total.failures.append(f"{suite.name}: not run, the {kind} build failed")
                continue
            print(f"{label} ...", flush=True)
            suite_env = dict(env, BUILD_KIND=kind, BUILD_DIR=os.path.join(ROOT, "build", kind))
            if kind in ("asan", "tsan"):
                suite_env.update(SANITIZER_ENV)
            began = time.monotonic()
            log_path = os.path.join(LOGS, label.replace(" ", "-") + ".log")
            with open(log_path, "w") as log:
                suite.run(kind, log, tally, suite_env)
            took = time.monotonic() - began
            rows.append((label, took, tally))
            if tally.failures:
                print(f"    ({os.path.relpath(log_path, ROOT)} has the details; its end:)")
                with open(log_path) as log:
                    print("".join("    | " + line for line in log.readlines()[-25:]), end="")
            total.passed += tally.passed
            total.failures += [f"{label}: {failure}" for failure in tally.failures]
            total.skips += [f"{label}: {skip}" for skip in tally.skips]

    print()
    for name, took, tally in rows:
        counts = f"{tally.passed:6d} passed {len(tally.failures):4d} failed {len(tally.skips):4d} skipped" if tally else ""
        print(f"{name:24}{clock(took)}{counts}")
    print(f"{'all':24}{clock(time.monotonic() - started)}")
    for skip in total.skips:
        print(f"skipped: {skip}")
    for failure in total.failures:
        print(f"FAILED: {failure}")
    print(f"{total.passed} passed, {len(total.failures)} failed, {len(total.skips)} skipped")
    return 1 if total.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        for running in list(RUNNING):
            end_group(running)
