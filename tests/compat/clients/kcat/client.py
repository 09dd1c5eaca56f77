"""kcat, the command line of librdkafka: each command becomes a run of kcat, or a few."""
import itertools
import json
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from pyclient import BIG, answer, serve

END, SPLIT = "\x01", "\x02"  # when producing: between records, and between key and value
# When consuming: one line of facts, then key and value as they are. A length of -1 stands for null.
FORMAT = "%p %o %T %K %S %h\n%k%s\n"


def records_of(out):
    records, at = [], 0
    while at < len(out):
        end = out.index(b"\n", at)
        partition, offset, timestamp, key_size, value_size, headers = out[at:end].split(b" ", 5)
        sizes = [int(key_size), int(value_size)]
        at, parts = end + 1, []
        for size in sizes:
            parts.append(None if size < 0 else out[at:at + size])
            at += max(size, 0)
        at += 1
        pairs = [pair.decode().split("=", 1) for pair in headers.split(b",") if pair]
        pairs = [(name, None if value == "NULL" else value.encode()) for name, value in pairs]
        records.append(answer(int(partition), int(offset), int(timestamp), *parts, pairs))
    return records


class Member:
    """A kcat that stays in its group; what it prints, and what it says about rebalances, is collected."""

    def __init__(self, client, group, topic, assignor=None, instance=None, session_ms=20000, auto_commit=False):
        options = {"auto.offset.reset": "earliest", "session.timeout.ms": session_ms, "heartbeat.interval.ms": 300,
                   "auto.commit.interval.ms": 200, "fetch.wait.max.ms": 100, "reconnect.backoff.max.ms": 500}
        if assignor:
            options["partition.assignment.strategy"] = assignor
        if instance:
            options["group.instance.id"] = instance
        arguments = [x for name, value in options.items() for x in ("-X", f"{name}={value}")]
        self.child = subprocess.Popen(["kcat", "-b", client.bootstrap, "-G", group, "-u", "-E", "-f", "%p %o %T %s\n", *arguments, topic],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.is_incremental = assignor == "cooperative-sticky"
        self.lock, self.records, self.events, self.partitions = threading.Lock(), [], [], set()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.read_records, self.read_words)]
        for thread in self.threads:
            thread.start()

    def read_records(self):
        for line in self.child.stdout:
            partition, offset, timestamp, value = line.rstrip("\n").split(" ", 3)
            with self.lock:
                self.records.append(answer(int(partition), int(offset), int(timestamp), None, value.encode(), []))

    def read_words(self):
        for line in self.child.stderr:
            sys.stderr.write(line)
            match = re.search(r" rebalanced.* (assign|revoke).*?: (.*)", line)
            if match:
                named = {int(p) for p in re.findall(r"\[(\d+)\]", match[2])}
                with self.lock:
                    self.events.append(["assigned" if match[1] == "assign" else "revoked", sorted(named)])
                    if match[1] == "revoke":
                        self.partitions = self.partitions - named if self.is_incremental else set()
                    else:
                        self.partitions = self.partitions | named if self.is_incremental else named


class Client:
    def __init__(self, bootstrap):
        self.bootstrap, self.members = bootstrap, {}

    def join(self, member, **options):
        self.members[member] = Member(self, **options)

    def look(self, member):
        m = self.members[member]
        with m.lock:
            records, m.records = m.records, []
            reply = {"assigned": sorted(m.partitions), "records": records, "events": list(m.events)}
        if m.child.poll() is not None:
            reply["problem"] = f"kcat ended with status {m.child.returncode}"
        return reply

    def leave(self, member):
        m = self.members.pop(member)
        m.child.terminate()  # it commits and leaves
        m.child.wait(20)

    def kcat(self, *arguments, text=b"", seconds=20):
        done = subprocess.run(["kcat", "-b", self.bootstrap, *arguments], input=text, capture_output=True, timeout=seconds + 5)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip() or f"status {done.returncode}")
        return done.stdout

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False):
        options = ["-P", "-t", topic, "-z", codec, "-X", f"acks={acks}", "-X", f"message.max.bytes={BIG}", "-D", END, "-K", SPLIT,
                   "-X", "message.timeout.ms=8000", "-X", "topic.metadata.propagation.max.ms=4000", "-X", "linger.ms=20"]
        if idempotent:
            options += ["-X", "enable.idempotence=true"]
        # Partition, headers and "an empty value is null" hold for a whole run of kcat.
        for (partition, headers, nulls), run in itertools.groupby(records, lambda r: (r.partition, r.headers, r.value is None)):
            which = ["-p", str(partition)] + (["-Z"] if nulls else [])
            for name, value in headers:
                which += ["-H", f"{name}={value.decode()}"]
            text = b""
            for r in run:
                key = b"" if r.key is None else r.key + SPLIT.encode()
                text += key + (r.value or b"") + END.encode()
            self.kcat(*options, *which, text=text)

    def consume(self, topic, partition, offset, count, timeout_ms):
        start = str(offset) if offset >= 0 else "beginning"
        out = self.kcat("-C", "-t", topic, "-p", str(partition), "-o", start, "-c", str(count), "-e", "-q", "-f", FORMAT,
                        "-X", f"fetch.max.bytes={BIG}", "-X", f"receive.message.max.bytes={BIG + 1024}",
                        seconds=timeout_ms / 1000 + 10)
        return {"records": records_of(out)}

    def group(self, group, topic, count, timeout_ms):
        out = self.kcat("-G", group, "-c", str(count), "-q", "-f", FORMAT, "-X", "auto.offset.reset=earliest", topic,
                        seconds=timeout_ms / 1000)
        return {"records": records_of(out)}

    def offset_at(self, topic, partition, timestamp):
        out = self.kcat("-Q", "-t", f"{topic}:{partition}:{timestamp}")
        return {"offset": int(out.split()[-1])}

    def list_topics(self):
        return {"topics": sorted(t["topic"] for t in json.loads(self.kcat("-L", "-J"))["topics"])}


serve(Client)
