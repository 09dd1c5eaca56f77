"""The clients of the suite: what each is, how it is installed, what it cannot do by its nature.

`lacks` names the features that a library does not offer at all, with the reason; the table shows them as such. They
are no skips: nothing of Millrace stays untested because of them.
"""
import hashlib
import os
import shutil
import subprocess

import groups

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("MILLRACE_CACHE", os.path.join(ROOT, ".cache"))
KAFKA = os.path.join(ROOT, "tests/peers/kafka/kafka")
GO_BOOTSTRAP = os.path.join(HERE, "go-toolchain")


class Client:
    """One client: `install(target)` fills an empty directory once; `command(target)` is (argv, environment)."""

    def __init__(self, name, title, folder, inputs, install, command, lacks=None):
        self.name, self.title, self.lacks = name, title, lacks or {}
        self.folder = os.path.join(HERE, "clients", folder)
        self.inputs, self._install, self._command = inputs, install, command

    def prepare(self):
        """Installs it unless that was done for the same inputs; the stamp is a hash of their content."""
        digest = hashlib.sha256()
        for name in self.inputs:
            with open(os.path.join(self.folder, name), "rb") as f:
                digest.update(name.encode() + b"\0" + f.read())
        self.target = os.path.join(CACHE, "compat", f"{self.name}-{digest.hexdigest()[:12]}")
        if not os.path.isdir(self.target):
            part = f"{self.target}.part.{os.getpid()}"
            os.makedirs(part)
            try:
                self._install(self, part)
                os.rename(part, self.target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return self

    def command(self):
        argv, env = self._command(self)
        return argv, dict(os.environ, KAFKA=KAFKA, KAFKA_HEAP_OPTS="-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
                          PYTHONDONTWRITEBYTECODE="1", **env)


def shell(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv[:6])} ...: {done.stdout[-1500:]}")


def python(requirements=None):
    """A Python program with its packages in a directory of its own, so that two versions can stand side by side."""
    def install(client, target):
        if requirements:
            shell("python3", "-m", "pip", "install", "--quiet", "--no-compile", "--target", target,
                  "-r", os.path.join(client.folder, requirements))

    def command(client):
        return ["python3", os.path.join(client.folder, "client.py")], {"PYTHONPATH": client.target}
    return dict(inputs=[requirements] if requirements else [], install=install, command=command)


def go():
    def install(client, target):
        environment = subprocess.run([GO_BOOTSTRAP, os.path.join(CACHE, "compat")], check=True, capture_output=True, text=True)
        shell(environment.stdout.strip(), "build", "-o", os.path.join(target, "client"), ".", cwd=client.folder,
              env=dict(os.environ, GOFLAGS="-mod=readonly", CGO_ENABLED="0", GOTOOLCHAIN="local"))
    return dict(inputs=["go.mod", "go.sum", "main.go", "members.go"], install=install,
                command=lambda client: ([os.path.join(client.target, "client")], {}))


def rust():
    def install(client, target):
        shell("cargo", "build", "--locked", "--quiet", cwd=client.folder, env=dict(os.environ, CARGO_TARGET_DIR=target + "/build"))
        shutil.move(target + "/build/debug/rskafka-client", target + "/client")
        shutil.rmtree(target + "/build")
    return dict(inputs=["Cargo.toml", "Cargo.lock", "src/main.rs"], install=install,
                command=lambda client: ([os.path.join(client.target, "client")], {}))


def node():
    def install(client, target):
        for name in ("package.json", "package-lock.json", "client.mjs", "members.mjs"):
            shutil.copy(os.path.join(client.folder, name), target)
        shell("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=target)
    return dict(inputs=["package.json", "package-lock.json", "client.mjs", "members.mjs"], install=install,
                command=lambda client: (["node", os.path.join(client.target, "client.mjs")], {}))


def java():
    def classpath():
        return subprocess.run([KAFKA, "classpath"], check=True, capture_output=True, text=True).stdout.strip()

    def install(client, target):
        shell("javac", "-cp", classpath(), "-d", target, *(os.path.join(client.folder, name) for name in ("Client.java", "Members.java")))
    return dict(inputs=["Client.java", "Members.java"], install=install, command=lambda client: (
        ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR", "-cp", f"{client.target}:{classpath()}", "Client"], {}))


NO_NULL_HEADERS = "header values are never null"
NO_ADMINISTRATION = {"configs": "cannot read or change configuration", "delete-records": "cannot delete records"}
NO_NEW_GROUPS = dict.fromkeys(groups.NEW, "has the classic group protocol only")
CLIENTS = [
    Client("kafka-python-2.0.2", "kafka-python 2.0.2", "kafka-python", **python("requirements-2.0.2.txt"),
           lacks={"idempotent": "has no idempotent producer", "null-header": NO_NULL_HEADERS, "static": "has no static members",
                  "delete-records": "cannot delete records",
                  "sticky": "its assignor fails by itself on Python 3.11", "cooperative": "has no such assignor", **NO_NEW_GROUPS}),
    Client("kafka-python", "kafka-python 3.0.12", "kafka-python", **python("requirements.txt"),
           lacks={"null-header": NO_NULL_HEADERS, **NO_NEW_GROUPS}),
    Client("aiokafka", "aiokafka 0.14.0", "aiokafka", **python("requirements.txt"),
           lacks={"cooperative": "has no such assignor", **NO_NEW_GROUPS}),
    Client("confluent-kafka", "librdkafka (confluent-kafka 2.16.1)", "confluent-kafka", **python("requirements.txt"),
           lacks={"sticky": "has no such assignor"}),
    Client("kcat", "librdkafka (kcat 1.7.1, Debian)", "kcat", **python(),
           lacks={"timestamps": "cannot set timestamps", "create": "cannot create topics", **NO_ADMINISTRATION, "bytes": "takes keys and headers as text",
                  "null-header": "headers are text", "sticky": "has no such assignor", "pause": "cannot be told while it runs",
                  "seek": "cannot be told while it runs", "commit-sync": "commits by itself only",
                  "commit-async": "commits by itself only", **NO_NEW_GROUPS}),
    Client("java", "Apache Kafka 4.3.1 Java clients", "java", **java()),
    Client("java-console", "Apache Kafka 4.3.1 console tools", "java-console", **python(),
           lacks={"timestamps": "cannot set timestamps", "partitions": "cannot choose the partition",
                  "bytes": "records are lines of text", "empty": "cannot tell an empty value",
                  **dict.fromkeys(NO_ADMINISTRATION, "kafka-configs and the like: see tests/system/kafka_tools"),
                  **dict.fromkeys(groups.FEATURES, "is the Java client, see there")}),
    Client("franz-go", "franz-go 1.22.2", "franz-go", **go(),
           lacks={"new-static": "a static member that is closed gives its partitions to the others, with Kafka as well"}),
    Client("sarama", "sarama 1.61.1", "sarama", **go(),
           lacks={"commit-async": "commits sync or by itself", **NO_NEW_GROUPS}),
    Client("kafkajs", "kafkajs 2.2.4", "kafkajs", **node(),
           lacks={"null-header": NO_NULL_HEADERS, "range": "has no such assignor", "sticky": "has no such assignor",
                  "cooperative": "has no such assignor", "static": "has no static members", **NO_NEW_GROUPS}),
    Client("rskafka", "rskafka 0.6.0", "rskafka", **rust(),
           lacks={"group": "has no consumer groups", "idempotent": "has no idempotent producer", "acks": "always acks=all",
                  **NO_ADMINISTRATION,
                  "null-header": NO_NULL_HEADERS, "repeated-header": "header names are unique",
                  **dict.fromkeys(groups.FEATURES, "has no consumer groups")}),
]
NEEDS = ["python", "java", "go", "rust", "node", "kcat"]
