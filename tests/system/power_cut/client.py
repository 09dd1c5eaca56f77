"""As much of a Kafka client as the test needs: it must know to the nanosecond when an answer came."""
import socket
import struct
import threading
import time

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at


def batch(values):
    records = b""
    for i, value in enumerate(values):
        body = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", 0, len(values) - 1, now, now, -1, -1, -1, len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, crc32c(checked)) + checked


def values_of(data):
    """(offset, value) of every record in whole batches."""
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        count, = struct.unpack_from(">i", data, at + 57)
        crc, = struct.unpack_from(">I", data, at + 17)
        if crc != crc32c(data[at + 21:end]):
            raise ValueError(f"the batch at offset {base} has a wrong checksum")
        at += 61
        for _ in range(count):
            _, at = read_varint(data, at)
            _, at = read_varint(data, at + 1)
            delta, at = read_varint(data, at)
            key, at = read_varint(data, at)
            at += max(key, 0)
            size, at = read_varint(data, at)
            yield base + delta, data[at:at + size]
            _, at = read_varint(data, at + size)
        at = end


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


class connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.lock = threading.Lock()

    def close(self):
        self.socket.close()

    def call(self, key, version, body):
        payload = struct.pack(">hhi", key, version, 1) + string("power-cut") + body
        self.socket.sendall(struct.pack(">i", len(payload)) + payload)
        return self.read(struct.unpack(">i", self.read(4))[0])[4:]

    def read(self, size):
        out = b""
        while len(out) < size:
            part = self.socket.recv(size - len(out))
            if not part:
                raise ConnectionError("the broker went away")
            out += part
        return out

    def make_topic(self, name):
        """Asks for the metadata until the topic, made by the asking, has leaders for all its partitions."""
        for _ in range(100):
            answer = self.call(3, 4, struct.pack(">i", 1) + string(name) + b"\1")
            brokers, = struct.unpack_from(">i", answer, 4)
            at = 8
            for _ in range(brokers):
                size, = struct.unpack_from(">h", answer, at + 4)
                at += 4 + 2 + size + 4 + 2
            at += max(struct.unpack_from(">h", answer, at)[0], 0) + 2 + 4 + 4
            error, = struct.unpack_from(">h", answer, at)
            partitions, = struct.unpack_from(">i", answer, at + 2 + 2 + len(name) + 1)
            if error == 0 and partitions > 0:
                return partitions
            time.sleep(0.05)
        raise RuntimeError(f"topic {name} does not come up")

    def produce(self, topic, partition, values):
        """The offset of the first; errors raise."""
        records = batch(values)
        body = (struct.pack(">hhii", -1, -1, 10_000, 1) + string(topic) + struct.pack(">ii", 1, partition)
                + struct.pack(">i", len(records)) + records)
        answer = self.call(0, 3, body)
        error, offset = struct.unpack_from(">hq", answer, 4 + 2 + len(topic) + 4 + 4)
        if error:
            raise RuntimeError(f"produce answered error {error}")
        return offset

    def fetch(self, topic, partition, offset):
        body = (struct.pack(">iiiib", -1, 10, 0, 1 << 24, 0) + struct.pack(">i", 1) + string(topic)
                + struct.pack(">iiqi", 1, partition, offset, 1 << 24))
        answer = self.call(1, 4, body)
        at = 4 + 4 + 2 + len(topic) + 4 + 4
        error, high_watermark, _, aborted = struct.unpack_from(">hqqi", answer, at)
        if error:
            raise RuntimeError(f"fetch answered error {error}")
        at += 22 + max(aborted, 0) * 16
        size, = struct.unpack_from(">i", answer, at)
        return high_watermark, answer[at + 4:at + 4 + max(size, 0)]

    def everything(self, topic, partition):
        """All values by offset, which must be dense from 0 to the high watermark."""
        values = []
        while True:
            high_watermark, data = self.fetch(topic, partition, len(values))
            before = len(values)
            for offset, value in values_of(data):
                if offset < before:
                    continue
                if offset != len(values):
                    raise ValueError(f"after offset {len(values) - 1} comes {offset}")
                values.append(value)
            if len(values) >= high_watermark:
                return values
            if len(values) == before:
                raise ValueError(f"high watermark {high_watermark}, but nothing to read at {before}")
