"""What the Python client programs share: reading commands, answering them, records as JSON.

A client program is a class with one method per command; `serve(Client)` feeds it. See ../README.md for the commands.
"""
import base64
import json
import os
import sys
import time
import traceback

BIG = 16 * 1024 * 1024  # message size limits are raised to this for the 10 MiB messages


def unpack(text):
    return None if text is None else base64.b64decode(text)


def pack(data):
    return None if data is None else base64.b64encode(data).decode()


class Record:
    """One record to produce, with bytes instead of base64."""

    def __init__(self, fields):
        self.partition = fields.get("partition", 0)
        self.key, self.value = unpack(fields.get("key")), unpack(fields.get("value"))
        self.headers = [(name, unpack(value)) for name, value in fields.get("headers", [])]
        self.timestamp = fields.get("timestamp")


def answer(partition, offset, timestamp, key, value, headers):
    return {"partition": partition, "offset": offset, "timestamp": timestamp, "key": pack(key), "value": pack(value),
            "headers": [[name, pack(data)] for name, data in headers or []]}


class Deadline:
    def __init__(self, timeout_ms):
        self.end = time.monotonic() + timeout_ms / 1000

    def left(self):
        return max(0.0, self.end - time.monotonic())


def serve(make_client):
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not disturb the answers
    client = make_client(os.environ["BOOTSTRAP"])
    for line in sys.stdin:
        command = json.loads(line)
        if "records" in command:
            command["records"] = [Record(r) for r in command["records"]]
        verb = command.pop("do")
        try:
            reply = getattr(client, verb)(**command)
        except Exception as problem:  # every failure is an answer, the suite judges it
            traceback.print_exc()
            reply = {"error": f"{type(problem).__name__}: {problem}"}
        out.write(json.dumps(reply or {}) + "\n")
        out.flush()
