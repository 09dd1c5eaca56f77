"""What the tests of `millrace` share: running it, comparing, golden files."""
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))

BUILD = os.environ.get("BUILD_DIR", os.path.join(ROOT, "build", "release"))
MILLRACE = os.path.join(BUILD, "millrace")
UPDATE = "--update" in sys.argv


class Failure(Exception):
    pass


def expect(condition, why):
    if not condition:
        raise Failure(why)


def same_soon(ask, wanted, what):
    """A Kafka answers a change a moment before it shows it."""
    end = time.monotonic() + 20
    while (got := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    same(got, wanted, what)


def same(got, wanted, what):
    expect(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def lines(self):
        return self.out.splitlines()

    def json(self):
        return json.loads(self.out)


def millrace(*arguments, stdin=b"", bootstrap=None, code=0, timeout=60, env=None):
    """Runs the tool; fails unless it ends with `code`."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MILLRACE_BOOTSTRAP", "MILLRACE_PROFILE")}
    environment.update({"MILLRACE_CONFIG": "/dev/null", **(env or {})})
    if bootstrap:
        environment["MILLRACE_BOOTSTRAP"] = bootstrap
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([MILLRACE, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                          env=environment)
    outcome = Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    expect(done.returncode == code,
           f"`millrace {' '.join(map(str, arguments))}` ended with {done.returncode}, not {code}: {outcome.err.strip()}")
    for trace in ("terminate called", "assertion failed", "Sanitizer"):
        expect(trace not in outcome.err, f"{trace} in: {outcome.err}")
    return outcome


def golden(name, text):
    path = os.path.join(HERE, "golden", name + ".txt")
    if UPDATE:
        with open(path, "w") as f:
            f.write(text)
        return
    with open(path) as f:
        wanted = f.read()
    expect(text == wanted, f"differs from golden/{name}.txt:\n{text}\n(`{os.path.relpath(__file__)} --update` rewrites it)")


def without_times(text):
    text = re.sub(r'"timestamp":\d{13}', '"timestamp":"<time>"', text)
    text = re.sub(r'"seconds":[\d.e-]+', '"seconds":"<seconds>"', text)
    return re.sub(r"in [\d.]+ s\b", "in <seconds> s", text)
