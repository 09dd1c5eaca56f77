"""The brokers that a benchmark runs side by side, and what each costs the machine."""
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICKS = os.sysconf("SC_CLK_TCK")
sys.path.append(os.path.join(ROOT, "tests"))
from ports import free_port  # noqa: E402


def answers(port):
    """Whether a Metadata request (v1, no topics) is answered with at least one broker."""
    request = b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x07\xff\xff\0\0\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            reply = b""
            while len(reply) < 12:
                more = connection.recv(4096)
                if not more:
                    return False
                reply += more
            return reply[4:8] == b"\0\0\0\x07" and int.from_bytes(reply[8:12], "big") > 0
    except OSError:
        return False


def descendants(pid):
    """The process and all its children. Threads, kernel workers of io_uring among them, count with their process."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in f.read().split():
                    found += descendants(int(child))
        except OSError:
            continue
    return found


def cpu_seconds_of(process):
    """Of a process with its children, also those already gone."""
    total = 0
    for pid in descendants(process):
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, and those of children already gone
    return total / TICKS


def memory_mib_of(process, key="VmRSS"):
    total = 0
    for pid in descendants(process):
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(key + r":\s+(\d+)", f.read()).group(1))
    return total / 1024


class Broker:
    """A running broker. `start()` returns the seconds until the first answered request."""

    name = "?"

    def __init__(self, directory):
        self.directory = os.path.join(directory, self.name)
        self.port = free_port()
        self.pid = None
        os.makedirs(self.directory)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def wait_for_answer(self, child, began):
        while not answers(self.port):
            if child.poll() not in (None, 0):
                raise RuntimeError(f"{self.name} ended while starting; see {self.directory}")
            if time.monotonic() - began > 120:
                raise RuntimeError(f"{self.name} does not answer; see {self.directory}")
            time.sleep(0.0005)
        return time.monotonic() - began

    def cpu_seconds(self):
        return cpu_seconds_of(self.pid)

    def memory_mib(self, key="VmRSS"):
        return memory_mib_of(self.pid, key)


class Elsewhere(Broker):
    """A broker that somebody else runs, known by its address only."""
    name = "kafka"

    def __init__(self, address):
        self.address = address

    @property
    def bootstrap(self):
        return self.address

    def cpu_seconds(self):
        return math.nan

    def memory_mib(self, key="VmRSS"):
        return math.nan

    def stop(self):
        pass


class Millrace(Broker):
    name = "millrace"
    child = None

    def __init__(self, directory, settings=(), config=None):
        super().__init__(directory)
        self.settings = [word for setting in settings for word in ("--set", setting)]
        if config:
            self.settings += ["--config", config]

    def start(self):
        log = open(os.path.join(self.directory, "log"), "ab")
        began = time.monotonic()
        self.child = subprocess.Popen(
            [os.path.join(ROOT, "build/release/millraced"), "--set", f"listeners=PLAINTEXT://127.0.0.1:{self.port}",
             "--set", f"log.dirs={self.directory}/data", *self.settings], stdout=log, stderr=log)
        self.pid = self.child.pid
        return self.wait_for_answer(self.child, began)

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(60)

    def kill(self):
        self.child.kill()
        self.child.wait(60)


class Kafka(Broker):
    name = "kafka"
    script = os.path.join(ROOT, "tests/peers/kafka/kafka")

    def __init__(self, directory, settings=()):
        super().__init__(directory)
        self.settings = list(settings)

    def start(self):
        began = time.monotonic()
        child = subprocess.Popen([self.script, "start", self.directory, str(self.port), *self.settings], stdout=subprocess.DEVNULL)
        seconds = self.wait_for_answer(child, began)
        if child.wait(120):
            raise RuntimeError(f"kafka did not start; see {self.directory}")
        with open(os.path.join(self.directory, "pid")) as f:
            self.pid = int(f.read())
        return seconds

    def stop(self):
        subprocess.run([self.script, "stop", self.directory], check=True)

    def kill(self):
        subprocess.run([self.script, "kill", self.directory], check=True)

    @staticmethod
    def version():
        with open(os.path.join(ROOT, "tests/peers/kafka/pom.xml")) as f:
            return re.search(r"<kafka.version>(.*?)</", f.read()).group(1)
