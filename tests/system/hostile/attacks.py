"""What hostile or broken peers do to a connection. One coroutine each; each opens, misbehaves and goes."""
import asyncio
import socket
import struct

import wire


async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return reader, writer


def reset(writer):
    """Goes with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def until_closed(reader, seconds):
    """Takes whatever comes until the broker hangs up; None if it does not."""
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while True:
                piece = await reader.read(65536)
                if not piece:
                    return received
                received += piece[:1024]
    except TimeoutError:
        return None
    except OSError:
        return received


async def random_bytes(port, rng):
    reader, writer = await connect(port)
    writer.write(rng.randbytes(rng.choice([1, 3, 4, 16, 200, 5000])))
    await until_closed(reader, rng.uniform(0, 0.2))
    writer.close()


async def impossible_length(port, rng):
    """A frame that is longer than allowed, or negative: the broker must hang up by itself, at once."""
    reader, writer = await connect(port)
    writer.write(struct.pack(">i", rng.choice([-1, -2**31, 2**31 - 1, 104857601, 0x16030100])) + rng.randbytes(64))
    if await until_closed(reader, 20) is None:
        raise AssertionError("a frame of impossible length does not close the connection")
    writer.close()


async def promised_and_not_sent(port, rng):
    """A legal length of up to 100 MiB, of which a little is sent."""
    _, writer = await connect(port)
    writer.write(struct.pack(">i", rng.choice([104857600, 1 << 20, 4096])) + wire.VALID[0][4:40])
    await asyncio.sleep(rng.uniform(0, 0.3))
    reset(writer) if rng.random() < 0.5 else writer.close()


async def cut_off(port, rng):
    """A frame of any API that ends before it should, in its own idea of its length or in fact."""
    reader, writer = await connect(port)
    key = rng.choice(list(wire.NEWEST))
    body = rng.randbytes(rng.choice([0, 1, 2, 7, 40, 400]))
    good = wire.frame(key, rng.randint(0, wire.NEWEST[key]), body)
    writer.write(good if rng.random() < 0.6 else good[:rng.randint(1, len(good))])
    await until_closed(reader, rng.uniform(0, 0.1))
    writer.close()


async def huge_counts(port, rng):
    """Arrays and strings that claim to be enormous."""
    reader, writer = await connect(port)
    good = bytearray(rng.choice(wire.VALID))
    at = rng.randrange(14, len(good)) if len(good) > 15 else len(good) - 1
    if not all(wire.may_spoil(good, i) for i in range(at, at + 4)):
        at = len(good) - 4
    good[at:at + 4] = rng.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x00\x7f\xff\xff", b"\x80\0\0\0"])
    good[0:4] = struct.pack(">i", len(good) - 4)
    writer.write(bytes(good))
    await until_closed(reader, rng.uniform(0, 0.1))
    writer.close()


async def spoiled(port, rng):
    """Good requests with some bits wrong."""
    reader, writer = await connect(port)
    for _ in range(rng.randint(1, 4)):
        good = bytearray(rng.choice(wire.VALID))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(4, len(good))
            if wire.may_spoil(good, at):
                good[at] ^= 1 << rng.randrange(8)
        writer.write(bytes(good))
    await until_closed(reader, rng.uniform(0, 0.1))
    writer.close()


async def slow_loris(port, rng):
    """A byte now and then."""
    _, writer = await connect(port)
    request = rng.choice(wire.VALID)
    try:
        for byte in request[:rng.randint(4, 12)]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(rng.uniform(0.05, 0.4))
    except OSError:
        pass  # hung up on: fair enough
    writer.close()


async def never_reads(port, rng):
    """Asks and asks, and does not take the answers."""
    _, writer = await connect(port)
    writer.transport.pause_reading()
    writer.write(wire.frame(18, 0, b"") * rng.choice([10, 500]))
    await asyncio.sleep(rng.uniform(0, 0.5))
    reset(writer)


async def goes_at_once(port, rng):
    _, writer = await connect(port)
    if rng.random() < 0.5:
        writer.write(rng.choice(wire.VALID))
    reset(writer)


# How often each, in parts.
FAMILIES = [(random_bytes, 4), (impossible_length, 2), (promised_and_not_sent, 3), (cut_off, 6), (huge_counts, 4),
            (spoiled, 6), (slow_loris, 1), (never_reads, 1), (goes_at_once, 4)]
