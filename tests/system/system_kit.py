"""What system suites share: a millraced of their own, a Python environment with a Kafka client, result lines."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from ports import free_port  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR") or ROOT / "build/release")
CLIENT = "confluent-kafka==2.6.1"


def python_with(name, packages):
    """The Python of a virtual environment, .cache/NAME, with these packages of PyPI; made the first time."""
    environment = ROOT / ".cache" / name
    python = environment / "bin/python"
    stamp = environment / "+".join(packages)
    if not stamp.exists():
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        stamp.touch()
    return python


def run_with(script, name, packages):
    """Goes on with that Python."""
    python = python_with(name, packages)
    if pathlib.Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), str(script), *sys.argv[1:]])


def run_with_client(script):
    """Goes on with a Python that has the Kafka client."""
    run_with(script, "venv-system", [CLIENT])


class results:
    """Prints the result lines of a suite and keeps count."""

    def __init__(self):
        self.failures = 0

    def passed(self, what):
        print(f"pass {what}", flush=True)

    def failed(self, what, why):
        self.failures += 1
        print(f"fail {what}: {why}", flush=True)

    def expect(self, what, problem):
        """`problem` is a text, or empty if all is well."""
        if problem:
            self.failed(what, problem)
        else:
            self.passed(what)


class broker:
    """A millraced on a data directory, started and killed as often as one likes; the port stays the same."""

    def __init__(self, directory, processors="", **keys):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.process = None
        self.keys = {"log.dirs": str(self.directory / "data"), "num.partitions": 1, **keys}
        self.config = self.directory / "millrace.toml"
        self.config.write_text(processors)
        self.log = open(self.directory / "millraced.log", "ab")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, seconds=30):
        command = [str(BUILD / "millraced"), "--config", str(self.config),
                   "--set", f"listeners=PLAINTEXT://127.0.0.1:{self.port}"]
        for key, value in self.keys.items():
            command += ["--set", f"{key}={value}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, cwd=self.directory)
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline().decode()
        timer.cancel()
        if not line.startswith("millraced ready:"):
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"millraced did not become ready ({line.strip()!r}); its log ends with:\n{self.last_words()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self, seconds=30):
        """A clean stop; returns the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.process.stdout.close()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def last_words(self, lines=20):
        text = (self.directory / "millraced.log").read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class scratch_directory:
    """A temporary directory; kept, and named, if the suite failed."""

    def __init__(self, name, outcome):
        self.outcome = outcome
        self.path = tempfile.mkdtemp(prefix=f"millrace-{name}-", dir="/tmp")

    def __enter__(self):
        return self.path

    def __exit__(self, kind, *_):
        if kind or self.outcome.failures:
            print(f"left for inspection: {self.path}", flush=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)
