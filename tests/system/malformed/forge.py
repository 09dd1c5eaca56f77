"""Record batches and codec streams by hand, so that each of their bytes can be wrong on purpose."""

import struct
import zlib

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
NULL = None


def _crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value):
    return uvarint((value << 1) ^ (value >> 63) if value >= 0 else ((-value << 1) - 1))


def sized(data):
    return varint(-1) if data is NULL else varint(len(data)) + data


def record(delta, key=b'k', value=b'v', headers=(), timestamp_delta=0, attributes=0, **broken):
    """One record. broken: length, key_length, value_length, header_count, tail replace or add to the right ones."""
    body = struct.pack('b', attributes) + varint(timestamp_delta) + varint(delta)
    body += varint(broken['key_length']) + (key or b'') if 'key_length' in broken else sized(key)
    body += varint(broken['value_length']) + (value or b'') if 'value_length' in broken else sized(value)
    body += varint(broken.get('header_count', len(headers)))
    for header_key, header_value in headers:
        body += sized(header_key) + sized(header_value)
    body += broken.get('tail', b'')
    return varint(broken.get('length', len(body))) + body


def records(count=3):
    return [record(i) for i in range(count)]


# A time well in the past: no rule of the default settings minds it.
TIME_MS = 1_700_000_000_000


def batch(content, codec=NONE, **f):
    """A batch over `content` (records, or the bytes behind the header). Any header field may be given; count and last_delta
    follow the records, length and crc the bytes, unless they are."""
    count = len(content) if isinstance(content, list) else 3
    body = b''.join(content) if isinstance(content, list) else content
    if isinstance(content, list) and codec:
        body = compress(codec, body)
    attributes = f.get('attributes', 0) | codec
    tail = struct.pack('>hiqqqhii', attributes, f.get('last_delta', count - 1), f.get('base_timestamp', TIME_MS),
                       f.get('max_timestamp', TIME_MS), f.get('producer_id', -1), f.get('producer_epoch', -1),
                       f.get('base_sequence', -1), f.get('count', count)) + body
    crc = f.get('crc', crc32c(tail))
    middle = struct.pack('>ibI', f.get('leader_epoch', -1), f.get('magic', 2), crc)
    return struct.pack('>qi', f.get('base_offset', 0), f.get('length', len(middle) + len(tail))) + middle + tail


# --- codecs, in the plainest form their formats allow


def gzip(data):
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def snappy_block(data):
    out = uvarint(len(data))
    for i in range(0, len(data), 60):  # literals only
        piece = data[i:i + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return out


XERIAL = b'\x82SNAPPY\0' + struct.pack('>ii', 1, 1)


def xerial(data):
    block = snappy_block(data)
    return XERIAL + struct.pack('>i', len(block)) + block


def xxh32(data, seed=0):
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF

    def rotate(v, bits):
        return ((v << bits) | (v >> (32 - bits))) & mask

    assert len(data) < 16
    h = (seed + p5 + len(data)) & mask
    i = 0
    while i + 4 <= len(data):
        h = rotate((h + int.from_bytes(data[i:i + 4], 'little') * p3) & mask, 17) * p4 & mask
        i += 4
    for byte in data[i:]:
        h = rotate((h + byte * p5) & mask, 11) * p1 & mask
    h = (h ^ (h >> 15)) * p2 & mask
    h = (h ^ (h >> 13)) * p3 & mask
    return h ^ (h >> 16)


def lz4(data, flags=0x60, block_descriptor=0x40, checksum=None, end=b'\0\0\0\0'):
    descriptor = bytes([flags, block_descriptor])
    check = (xxh32(descriptor) >> 8) & 0xFF if checksum is None else checksum
    block = struct.pack('<I', len(data) | 0x80000000) + data  # stored, not compressed
    return b'\x04\x22\x4d\x18' + descriptor + bytes([check]) + block + end


def zstd(data):
    header = b'\x28\xb5\x2f\xfd' + b'\x60' + struct.pack('<H', len(data) - 256) if len(data) >= 256 else \
        b'\x28\xb5\x2f\xfd' + b'\x20' + bytes([len(data)])
    return header + (len(data) << 3 | 1).to_bytes(3, 'little') + data  # one last block, stored


def compress(codec, data):
    return {GZIP: gzip, SNAPPY: xerial, LZ4: lz4, ZSTD: zstd}[codec](data)
