"""The group requests that the suite sends, byte by byte: no client shows what a broker does between two of its steps."""
import socket
import struct

HEARTBEAT, DESCRIBE, COMMIT, FETCH_OFFSETS, LIST_OFFSETS, CREATE, FIND = 68, 69, 8, 9, 2, 19, 10


def unsigned(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def compact(text):
    return unsigned(0) if text is None else unsigned(len(text.encode()) + 1) + text.encode()


def compact_array(items):
    return unsigned(0) if items is None else unsigned(len(items) + 1) + b"".join(items)


def text16(text):
    return struct.pack(">h", len(text)) + text.encode()


class Answer:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def unsigned(self):
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def raw(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def text(self):
        size = self.unsigned()
        return None if size == 0 else self.raw(size - 1).decode()

    def tags(self):
        for _ in range(self.unsigned()):
            self.unsigned()
            self.raw(self.unsigned())


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)

    def call(self, key, version, body, flexible=True):
        message = struct.pack(">hhi", key, version, 1) + text16("wire") + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(message)) + message)
        answer = Answer(self.receive(struct.unpack(">i", self.receive(4))[0]))
        answer.take("i")
        if flexible:
            answer.tags()
        return answer

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data

    def create(self, topic, partitions):
        body = compact_array([compact(topic) + struct.pack(">ih", partitions, 1) + b"\1\1\0"])
        self.call(CREATE, 5, body + struct.pack(">ib", 10000, 0) + b"\0")

    def has_coordinator(self, group):
        return self.call(FIND, 0, text16(group), flexible=False).take("h") == 0

    def heartbeat(self, group, member, epoch, topics=None, regex=None, owned=None, timeout=-1):
        """(error, epoch, assignment: {topic id: partitions} or None)"""
        body = compact(group) + compact(member) + struct.pack(">i", epoch) + b"\0\0" + struct.pack(">i", timeout)
        body += compact_array(None if topics is None else [compact(t) for t in topics]) + compact(regex) + b"\0"
        body += compact_array(None if owned is None else [
            topic + compact_array([struct.pack(">i", p) for p in partitions]) + b"\0"
            for topic, partitions in owned.items()])
        answer = self.call(HEARTBEAT, 1, body + b"\0")
        answer.take("i")
        error = answer.take("h")
        answer.text()
        answer.text()
        reached = answer.take("i")
        answer.take("i")
        if answer.take("b") < 0:
            return error, reached, None
        assignment = {}
        for _ in range(answer.unsigned() - 1):
            topic = answer.raw(16)
            assignment[topic] = [answer.take("i") for _ in range(answer.unsigned() - 1)]
            answer.tags()
        return error, reached, assignment

    def join(self, group, member, topics):
        return self.heartbeat(group, member, 0, topics=topics, owned={}, timeout=30000)

    def commit(self, group, member, epoch, topic, offsets, note=""):
        """The codes, by partition."""
        partitions = [struct.pack(">iqi", p, offset, -1) + compact(note) + b"\0" for p, offset in offsets.items()]
        body = compact(group) + struct.pack(">i", epoch) + compact(member) + b"\0"
        answer = self.call(COMMIT, 9, body + compact_array([compact(topic) + compact_array(partitions) + b"\0"]) + b"\0")
        answer.take("i")
        answer.unsigned()
        answer.text()
        codes = {}
        for _ in range(answer.unsigned() - 1):
            partition = answer.take("i")
            codes[partition] = answer.take("h")
            answer.tags()
        return codes

    def committed(self, group, topic, partition):
        asked = compact(topic) + compact_array([struct.pack(">i", partition)]) + b"\0"
        body = compact_array([compact(group) + b"\0" + struct.pack(">i", -1) + compact_array([asked]) + b"\0"])
        answer = self.call(FETCH_OFFSETS, 9, body + b"\0\0")
        answer.take("i")
        answer.unsigned()
        answer.text()
        answer.unsigned()
        answer.text()
        answer.unsigned()
        answer.take("i")
        return answer.take("q")

    def log_start(self, topic, partition):
        body = struct.pack(">ii", -1, 1) + text16(topic) + struct.pack(">iiq", 1, partition, -2)
        answer = self.call(LIST_OFFSETS, 1, body, flexible=False)
        answer.take("i")
        answer.raw(answer.take("h"))
        answer.take("i")
        answer.take("i")
        answer.take("h")
        answer.take("q")
        return answer.take("q")
