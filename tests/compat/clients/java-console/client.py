"""kafka-console-producer, kafka-console-consumer, kafka-topics and kafka-get-offsets of Apache Kafka, as shipped."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from pyclient import BIG, answer, serve

KAFKA = os.environ["KAFKA"]
TAB, NULL = "\t", "<null>"


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def tool(self, name, *arguments, text=None, fine=(0,)):
        done = subprocess.run([KAFKA, "run", "org.apache.kafka.tools." + name, "--bootstrap-server", self.bootstrap, *arguments],
                              input=text, capture_output=True, text=True, timeout=40)
        failed = done.returncode not in fine or "ERROR" in done.stderr and not done.stdout
        if failed and "Processed a total of 0 messages" not in done.stderr:  # the console consumer's way to say: none
            raise RuntimeError((done.stderr or done.stdout).strip())
        return done.stdout

    def produce(self, topic, records, codec="none", acks=-1, idempotent=None):
        lines = []
        for r in records:
            headers = ",".join(f"{name}:{NULL if value is None else value.decode()}" for name, value in r.headers)
            parts = [headers or NULL] + [NULL if part is None else part.decode() for part in (r.key, r.value)]
            lines.append(TAB.join(parts) + "\n")
        options = ["linger.ms=20", f"max.request.size={BIG}", "max.block.ms=5000", "request.timeout.ms=5000", "delivery.timeout.ms=8000"]
        if idempotent is not None:
            options.append(f"enable.idempotence={str(idempotent).lower()}")
        arguments = ["--topic", topic, "--compression-codec", codec, "--request-required-acks", str(acks)]
        for option in options:
            arguments += ["--command-property", option]
        for option in ["parse.key=true", "parse.headers=true", f"null.marker={NULL}"]:
            arguments += ["--reader-property", option]
        self.tool("ConsoleProducer", *arguments, text="".join(lines))

    def printed(self, count, timeout_ms, *arguments):
        shown = ["partition", "offset", "timestamp", "headers", "key"]
        for what in shown:
            arguments += ("--formatter-property", f"print.{what}=true")
        arguments += ("--formatter-property", f"null.literal={NULL}")
        out = self.tool("consumer.ConsoleConsumer", *arguments, "--max-messages", str(count), "--timeout-ms", str(timeout_ms),
                        "--command-property", f"max.partition.fetch.bytes={BIG}", fine=(0, 1))
        records = []
        for line in out.splitlines():
            timestamp, partition, offset, headers, key, value = line.split(TAB)
            pairs = [pair.split(":", 1) for pair in headers.split(",")] if headers != "NO_HEADERS" else []
            data = [None if part == NULL else part.encode() for part in (key, value)]
            pairs = [(name, None if text == NULL else text.encode()) for name, text in pairs]
            records.append(answer(int(partition.split(":")[1]), int(offset.split(":")[1]), int(timestamp.split(":")[1]),
                                  *data, pairs))
        return {"records": records}

    def consume(self, topic, partition, offset, count, timeout_ms):
        return self.printed(count, timeout_ms, "--topic", topic, "--partition", str(partition), "--offset",
                            str(offset) if offset >= 0 else "earliest")

    def group(self, group, topic, count, timeout_ms):
        return self.printed(count, timeout_ms, "--topic", topic, "--group", group, "--from-beginning")

    def offset_at(self, topic, partition, timestamp):
        out = self.tool("GetOffsetShell", "--topic-partitions", f"{topic}:{partition}", "--time", str(timestamp)).strip()
        return {"offset": int(out.split(":")[2] or -1) if out else -1}

    def create_topics(self, topics, partitions):
        for topic in topics:
            self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions))

    def list_topics(self):
        return {"topics": self.tool("TopicCommand", "--list").split()}


serve(Client)
