"""The table: produce batches that are wrong, each in one way, and some that only look it."""

import dataclasses
import struct

from forge import (GZIP, LZ4, NONE, SNAPPY, XERIAL, ZSTD, TIME_MS, batch, gzip, lz4, record, records, sized, snappy_block,
                   varint, xerial, zstd)

# Settings of the topics the rows are sent to.
TOPICS = {
    'plain': {},
    'compacted': {'cleanup.policy': 'compact'},
    'append-time': {'message.timestamp.type': 'LogAppendTime'},
    'small': {'max.message.bytes': '500'},
    'recent': {'message.timestamp.before.max.ms': '3600000'},
    'gzip': {'compression.type': 'gzip'},
    'uncompressed': {'compression.type': 'uncompressed'},
}

FAR_FUTURE_MS = 32_503_680_000_000  # the year 3000


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    records: bytes | None
    topic: str = 'plain'
    version: int = 8  # of the Produce request


def message_set(magic):
    """One message of the formats before batches."""
    import zlib
    body = struct.pack('>bb', magic, 0) + (struct.pack('>q', TIME_MS) if magic == 1 else b'')
    body += struct.pack('>i', 1) + b'k' + struct.pack('>i', 1) + b'v'
    message = struct.pack('>I', zlib.crc32(body)) + body
    return struct.pack('>qi', 0, len(message)) + message


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:]


def _plain():
    good = batch(records())
    body = b''.join(records())
    yield Row('a good batch', good)
    yield Row('null records', None)
    yield Row('no bytes at all', b'')
    yield Row('eleven bytes', good[:11])
    yield Row('a length and no more', good[:12])
    yield Row('cut off before magic', good[:16])
    yield Row('cut off in the header', good[:40])
    yield Row('cut off after the header', good[:61])
    yield Row('cut off in the last record', good[:-1])
    yield Row('a byte behind the batch', good + b'\0')
    yield Row('a zero prefix behind the batch', good + bytes(12))
    yield Row('two batches', good + good)
    yield Row('a good and a broken batch', good + flip(good, 70))
    yield Row('negative length', batch(records(), length=-1))
    yield Row('length zero', batch(records(), length=0))
    yield Row('length of less than a header', batch(records(), length=48))
    yield Row('length of just a header with records behind it', batch(records(), length=49))
    yield Row('length too large', batch(records(), length=1 << 20))
    yield Row('magic 0', batch(records(), magic=0))
    yield Row('magic 1', batch(records(), magic=1))
    yield Row('magic 3', batch(records(), magic=3))
    yield Row('magic -1', batch(records(), magic=-1))
    yield Row('a message of format 0', message_set(0))
    yield Row('a message of format 1', message_set(1))
    yield Row('wrong crc', flip(good, 17))
    yield Row('a flipped bit in the last value', flip(good, len(good) - 2))
    yield Row('base offset 5', batch(records(), base_offset=5))
    yield Row('negative base offset', batch(records(), base_offset=-1))
    yield Row('leader epoch 7', batch(records(), leader_epoch=7))
    yield Row('header without records, count 0', batch([], last_delta=0))
    yield Row('header without records, count 0, delta -1', batch([], last_delta=-1))
    yield Row('header without records, count 1', batch([], count=1, last_delta=0))
    yield Row('count 0', batch(records(), count=0))
    yield Row('negative count', batch(records(), count=-1))
    yield Row('count one too small', batch(records(), count=2))
    yield Row('count one too large', batch(records(), count=4))
    yield Row('count and delta one too small', batch(records(), count=2, last_delta=1))
    yield Row('count and delta one too large', batch(records(), count=4, last_delta=3))
    yield Row('last delta too small', batch(records(), last_delta=1))
    yield Row('last delta too large', batch(records(), last_delta=9))
    yield Row('negative last delta', batch(records(), last_delta=-2))
    yield Row('offset deltas all zero', batch([record(0), record(0), record(0)]))
    yield Row('offset deltas descending', batch([record(2), record(1), record(0)]))
    yield Row('offset deltas with a gap', batch([record(0), record(5), record(2)]))
    yield Row('control bit', batch([record(0, b'\0\0\0\1', b'\0\0\0\0\0\0')], attributes=0x20))
    yield Row('control and transactional bits', batch([record(0, b'\0\0\0\1', bytes(6))], attributes=0x30,
                                                      producer_id=1, producer_epoch=0))
    yield Row('producer id without sequence', batch(records(), producer_id=1000, producer_epoch=0))
    yield Row('sequence without producer id', batch(records(), base_sequence=7))
    yield Row('delete horizon bit', batch(records(), attributes=0x40))
    yield Row('unused attribute bits', batch(records(), attributes=0x1F80))
    for codec in (5, 6, 7):
        yield Row(f'codec {codec}', batch(body, codec=codec, count=3))
    yield Row('append time bit', batch(records(), attributes=0x08))
    yield Row('append time bit on an append time topic', batch(records(), attributes=0x08), 'append-time')
    yield Row('record timestamp in the far future', batch([record(0), record(1, timestamp_delta=FAR_FUTURE_MS - TIME_MS)]))
    yield Row('far future on an append time topic', batch([record(0, timestamp_delta=FAR_FUTURE_MS - TIME_MS)]), 'append-time')
    yield Row('max timestamp lies', batch(records(), max_timestamp=FAR_FUTURE_MS))
    yield Row('no timestamps', batch(records(), base_timestamp=-1, max_timestamp=-1))
    yield Row('negative timestamps', batch(records(), base_timestamp=-1000, max_timestamp=-1000))
    yield Row('no timestamps, age limited', batch(records(), base_timestamp=-1, max_timestamp=-1), 'recent')
    yield Row('too old', batch(records()), 'recent')
    yield Row('too large', batch([record(0, value=bytes(600))]), 'small')
    yield Row('too large and wrong crc', flip(batch([record(0, value=bytes(600))]), 17), 'small')
    yield Row('record attributes set', batch([record(0, attributes=0x7F)]))


def _broken_records():
    """Bodies that are no sequence of records, sent plain and in each codec."""
    yield 'record length too large', [record(0), record(1, length=500), record(2)]
    yield 'record length negative', [record(0), record(1, length=-2), record(2)]
    yield 'record length zero', [record(0), varint(0), record(2)]
    yield 'record length one too small', [record(0), record(1, length=7), record(2)]
    yield 'record length one too large', [record(0), record(1, length=9), record(2)]
    yield 'last record length one too large', [record(0), record(1), record(2, length=9)]
    yield 'record longer than its fields', [record(0), record(1, tail=b'\0\0'), record(2)]
    yield 'length of eleven bytes', [record(0), b'\xff' * 10 + b'\x01' + record(1), record(2)]
    yield 'key length too large', [record(0), record(1, key_length=90), record(2)]
    yield 'key length -2', [record(0), record(1, key_length=-2), record(2)]
    yield 'value length too large', [record(0), record(1, value_length=90), record(2)]
    yield 'value length -2', [record(0), record(1, value_length=-2), record(2)]
    yield 'header count negative', [record(0), record(1, header_count=-1), record(2)]
    yield 'header count too large', [record(0), record(1, header_count=3), record(2)]
    yield 'header key null', [record(0), record(1, headers=[(None, b'x')]), record(2)]
    yield 'header key empty, value null', [record(0), record(1, headers=[(b'', None)]), record(2)]
    yield 'bytes behind the last record', [record(0), record(1), record(2) + b'\0\0']


def _compressed():
    body = b''.join(records())
    names = {GZIP: 'gzip', SNAPPY: 'snappy', LZ4: 'lz4', ZSTD: 'zstd'}
    for codec, name in names.items():
        yield Row(f'{name}: a good batch', batch(records(), codec))
        yield Row(f'{name}: bytes that are no stream', batch(body, codec))
        yield Row(f'{name}: empty body', batch(b'', codec))
        yield Row(f'{name}: count one too small', batch(records(), codec, count=2, last_delta=1))
        yield Row(f'{name}: count one too large', batch(records(), codec, count=4, last_delta=3))
        yield Row(f'{name}: offset deltas all zero', batch([record(0), record(0), record(0)], codec))
    packed = gzip(body)
    yield Row('gzip: two members', batch(gzip(body[:9]) + gzip(body[9:]), GZIP))
    yield Row('gzip: cut off', batch(packed[:-12], GZIP))
    yield Row('gzip: wrong crc inside', batch(flip(packed, len(packed) - 6), GZIP))
    yield Row('gzip: bytes behind the stream', batch(packed + b'garbage', GZIP))
    yield Row('snappy: one raw block', batch(snappy_block(body), SNAPPY))
    yield Row('snappy: header twice', batch(xerial(body[:9]) + xerial(body[9:]), SNAPPY))
    yield Row('snappy: cut off', batch(xerial(body)[:-3], SNAPPY))
    yield Row('snappy: block size too large', batch(XERIAL + struct.pack('>i', 1000) + snappy_block(body), SNAPPY))
    yield Row('snappy: block size negative', batch(XERIAL + struct.pack('>i', -1) + snappy_block(body), SNAPPY))
    yield Row('snappy: other version', batch(XERIAL[:8] + struct.pack('>ii', 9, 9) + xerial(body)[16:], SNAPPY))
    yield Row('lz4: linked blocks', batch(lz4(body, flags=0x40), LZ4))
    yield Row('lz4: wrong header checksum', batch(lz4(body, checksum=0), LZ4))
    yield Row('lz4: no end mark', batch(lz4(body, end=b''), LZ4))
    yield Row('lz4: bytes behind the frame', batch(lz4(body) + b'garbage', LZ4))
    yield Row('lz4: two frames', batch(lz4(body[:9]) + lz4(body[9:]), LZ4))
    yield Row('lz4: block of 4 MiB announced', batch(lz4(body, block_descriptor=0x70), LZ4))
    yield Row('zstd: cut off', batch(zstd(body)[:-3], ZSTD))
    yield Row('zstd: two frames', batch(zstd(body[:9]) + zstd(body[9:]), ZSTD))
    yield Row('zstd: bytes behind the frame', batch(zstd(body) + b'garbage', ZSTD))
    yield Row('zstd by Produce 6', batch(records(), ZSTD), version=6)
    yield Row('gzip by Produce 3', batch(records(), GZIP), version=3)
    yield Row('gzip to a topic of gzip', batch(records(), GZIP), 'gzip')
    yield Row('plain to a topic of gzip', batch(records()), 'gzip')
    yield Row('gzip to an uncompressed topic', batch(records(), GZIP), 'uncompressed')


def _keys():
    mixed = [record(0), record(1, key=None), record(2, key=b''), record(3, key=None)]
    yield Row('null keys on a compacted topic', batch(mixed), 'compacted')
    yield Row('null keys on a compacted topic, gzip', batch(mixed, GZIP), 'compacted')
    yield Row('null keys on a compacted topic, Produce 7', batch(mixed), 'compacted', 7)
    yield Row('empty keys on a compacted topic', batch([record(0, key=b'')]), 'compacted')
    yield Row('null value on a compacted topic', batch([record(0, value=None)]), 'compacted')
    late = [record(0, key=None), record(1, timestamp_delta=FAR_FUTURE_MS - TIME_MS)]
    yield Row('null key and far future on a compacted topic', batch(late), 'compacted')
    yield Row('null key and far future on a compacted topic, lz4', batch(late, LZ4), 'compacted')
    both = [record(0, key=None, timestamp_delta=FAR_FUTURE_MS - TIME_MS)]
    yield Row('one record, null key and far future', batch(both), 'compacted')
    broken = [record(0, key=None), record(1, length=500)]
    yield Row('null key before a broken record', batch(broken), 'compacted')
    yield Row('null key before a broken record, gzip', batch(broken, GZIP), 'compacted')


def rows():
    yield from _plain()
    yield from _keys()
    for name, content in _broken_records():
        for codec, suffix in ((NONE, ''), (GZIP, ', gzip'), (LZ4, ', lz4'), (ZSTD, ', zstd')):
            yield Row(name + suffix, batch(content, codec))
        yield Row(name + ', plain to a topic of gzip', batch(content), 'gzip')
    yield from _compressed()


def _deviations():
    """Rows that Millrace answers otherwise than Kafka, and how. All are refusals where Kafka lets in what no consumer
    can read, or an answer where Kafka has none."""
    yield 'null records', ('87', '-')  # Kafka closes the connection
    yield 'length of eleven bytes', ('87', '-')  # Kafka: -1
    yield 'length of eleven bytes, plain to a topic of gzip', ('87', '-')
    yield 'null key before a broken record, gzip', ('87', '-')  # Kafka names record 0 and misses the broken one
    for name in ('record length too large', 'record length negative', 'record length one too small',
                 'record length one too large', 'last record length one too large'):
        for suffix in (', gzip', ', lz4', ', zstd'):
            yield name + suffix, ('87', '-')  # Kafka does not look at lengths inside compressed batches


DEVIATIONS = dict(_deviations())


def check():
    names = [row.name for row in rows()]
    assert len(names) == len(set(names)), 'names must differ'
    assert len(names) >= 50
    assert all(row.topic in TOPICS for row in rows())
    assert set(DEVIATIONS) <= set(names)
