"""Requests of many APIs, well formed, for others to spoil. Non-flexible versions only: they are the easiest to aim at."""
import struct


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def array(*items):
    return struct.pack(">i", len(items)) + b"".join(items)


def frame(key, version, body, client="hostile", correlation=7):
    payload = struct.pack(">hhi", key, version, correlation) + string(client) + body
    return struct.pack(">i", len(payload)) + payload


def blob(data):
    return struct.pack(">i", len(data)) + data


# A record batch with nothing right but its shape: length, magic 2, one record.
BATCH = (struct.pack(">qiib", 0, 57, -1, 2) + struct.pack(">Ihiqqqhii", 0xDEADBEEF, 0, 0, 0, 0, -1, -1, -1, 1)
         + b"\x10\0\0\0\1\4ab\0")

# Topics and groups named here are nobody else's.
VALID = [
    frame(0, 3, struct.pack(">h", -1) + struct.pack(">hi", 1, 1000)
          + array(string("bait") + array(struct.pack(">i", 0) + blob(BATCH)))),
    frame(1, 4, struct.pack(">iiiib", -1, 500, 1, 1 << 20, 0)
          + array(string("bait") + array(struct.pack(">iqi", 0, 0, 1 << 20)))),
    frame(2, 1, struct.pack(">i", -1) + array(string("bait") + array(struct.pack(">iq", 0, -1)))),
    frame(3, 1, array(string("bait"))),
    frame(8, 2, string("bait-group") + struct.pack(">i", -1) + string("") + struct.pack(">q", -1)
          + array(string("bait") + array(struct.pack(">iq", 0, 5) + string("note")))),
    frame(9, 1, string("bait-group") + array(string("bait") + array(struct.pack(">i", 0)))),
    frame(10, 0, string("bait-group")),
    frame(11, 0, string("bait-group") + struct.pack(">i", 6000) + string("") + string("consumer")
          + array(string("range") + blob(b"\0\0"))),
    frame(12, 0, string("bait-group") + struct.pack(">i", 1) + string("nobody")),
    frame(13, 0, string("bait-group") + string("nobody")),
    frame(14, 0, string("bait-group") + struct.pack(">i", 1) + string("nobody") + array(string("x") + blob(b"y"))),
    frame(15, 0, array(string("bait-group"))),
    frame(16, 0, b""),
    frame(18, 0, b""),
    frame(22, 0, struct.pack(">hi", -1, 60000)),
    frame(23, 2, array(string("bait") + array(struct.pack(">iii", 0, -1, 0)))),
    frame(32, 0, array(struct.pack(">b", 2) + string("bait") + struct.pack(">i", -1))),
    frame(42, 0, array(string("bait-group"))),
    frame(60, 0, b"\0\0"),
]

# Every API a broker may serve, with the newest version anybody speaks.
NEWEST = {0: 13, 1: 18, 2: 11, 3: 13, 8: 10, 9: 10, 10: 6, 11: 9, 12: 4, 13: 5, 14: 5, 15: 6, 16: 5, 17: 1, 18: 5,
          19: 7, 20: 6, 21: 2, 22: 6, 23: 4, 24: 5, 25: 4, 26: 5, 27: 2, 28: 6, 29: 3, 32: 4, 33: 2, 35: 5, 36: 2,
          37: 3, 42: 3, 43: 2, 44: 1, 45: 1, 46: 0, 47: 0, 48: 1, 49: 1, 60: 2, 61: 0, 65: 0, 66: 2, 68: 1, 69: 1,
          75: 0, 76: 1, 78: 2, 79: 2}


# A wait that the broker honours (a Fetch's, a member's session) would outlast the test if it became an hour.
WAITS = {1: range(21, 29), 11: range(21, 37)}


def may_spoil(request, at):
    """Whether the byte there is fair game: not the length, nor what keeps a request waiting, nor its version."""
    key = int.from_bytes(request[4:6], "big")
    if at < 8:
        return at in (4, 5) and key not in WAITS
    return at not in WAITS.get(key, ())
