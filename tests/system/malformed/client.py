#!/usr/bin/env python3
"""Sends the table of malformed batches to a broker and compares its answers.

    client.py --bootstrap HOST:PORT                 compare with the golden answers; exit 1 on a difference
    client.py --bootstrap HOST:PORT --record FILE   write the answers (of a real Kafka) as golden ones

Golden rows (tests/data/protocol/malformed.tsv): name, topic, Produce version, Kafka's error code or `closed`,
the indexes of the records it refused (comma separated, `-` for none), the code and indexes that Millrace
is to give (`=` where they are Kafka's, which is nearly everywhere; table.py says why not), records in hex
(`null` for null).
"""

import argparse
import pathlib
import socket
import struct
import sys
import time

import table

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / 'data' / 'protocol' / 'malformed.tsv'
CLOSED = 'closed'


class Connection:
    """One connection that speaks the few non-flexible requests needed here."""

    def __init__(self, bootstrap):
        host, _, port = bootstrap.rpartition(':')
        self.address = (host.strip('[]'), int(port))
        self.socket = None
        self.correlation = 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def _read(self, size):
        data = b''
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError('closed')
            data += piece
        return data

    def request(self, key, version, body):
        """The answer's body, or None if the broker closed the connection instead."""
        try:
            if not self.socket:
                self.socket = socket.create_connection(self.address, timeout=30)
            self.correlation += 1
            frame = struct.pack('>hhih', key, version, self.correlation, 9) + b'malformed' + body
            self.socket.sendall(struct.pack('>i', len(frame)) + frame)
            answer = self._read(struct.unpack('>i', self._read(4))[0])
            assert struct.unpack('>i', answer[:4])[0] == self.correlation
            return answer[4:]
        except (ConnectionError, TimeoutError):
            self.close()
            return None


def text(value):
    return struct.pack('>h', len(value)) + value.encode()


def topic_name(kind):
    return f'malformed-{kind}'


def create_topics(connection):
    body = struct.pack('>i', len(table.TOPICS))
    for kind, settings in table.TOPICS.items():
        body += text(topic_name(kind)) + struct.pack('>ihi', 1, 1, 0) + struct.pack('>i', len(settings))
        for name, value in settings.items():
            body += text(name) + text(value)
    answer = connection.request(19, 4, body + struct.pack('>ib', 10_000, 0))
    assert answer is not None, 'CreateTopics: the broker closed the connection'
    # A topic may take a moment until it has its leader.
    deadline = time.time() + 15
    for kind in table.TOPICS:
        while produce(connection, table.Row('', good_batch(), kind))[0] in ('3', '5', '6'):
            assert time.time() < deadline, f'{topic_name(kind)} cannot be written'
            time.sleep(0.1)


def good_batch():
    now = int(time.time() * 1000)
    return table.batch(table.records(), base_timestamp=now, max_timestamp=now)


def produce(connection, row):
    """(error code or `closed`, refused records)"""
    size = -1 if row.records is None else len(row.records)
    body = struct.pack('>hhii', -1, -1, 10_000, 1) + text(topic_name(row.topic))
    body += struct.pack('>iii', 1, 0, size) + (row.records or b'')
    answer = connection.request(0, row.version, body)
    if answer is None:
        return CLOSED, '-'
    at = 4 + 2 + len(topic_name(row.topic)) + 4 + 4
    code = struct.unpack_from('>h', answer, at)[0]
    at += 2 + 8 + 8 + (8 if row.version >= 5 else 0)
    refused = []
    if row.version >= 8:
        count = struct.unpack_from('>i', answer, at)[0]
        at += 4
        for _ in range(count):
            index, length = struct.unpack_from('>ih', answer, at)
            refused.append(index)
            at += 6 + max(length, 0)
    return str(code), ','.join(map(str, refused)) or '-'


def answers(bootstrap):
    connection = Connection(bootstrap)
    create_topics(connection)
    for row in table.rows():
        yield row, *produce(connection, row)
    connection.close()


def load_golden(path):
    golden = {}
    for line in path.read_text().splitlines():
        if not line.startswith('#'):
            name, topic, version, code, refused, our_code, our_refused, _ = line.split('\t')
            ours = (code if our_code == '=' else our_code, refused if our_refused == '=' else our_refused)
            golden[name] = (topic, int(version), *ours)
    return golden


def record(bootstrap, path):
    lines = ['# name\ttopic\tproduce version\tcode\trefused records\tour code\tour refused records\trecords']
    for row, code, refused in answers(bootstrap):
        data = 'null' if row.records is None else row.records.hex()
        ours = table.DEVIATIONS.get(row.name, ('=', '='))
        lines.append('\t'.join([row.name, row.topic, str(row.version), code, refused, *ours, data]))
    path.write_text('\n'.join(lines) + '\n')
    print(f'{len(lines) - 1} answers written to {path}')


def compare(bootstrap, path):
    golden = load_golden(path)
    wrong = total = 0
    for row, code, refused in answers(bootstrap):
        total += 1
        expected = golden.get(row.name)
        if expected != (row.topic, row.version, code, refused):
            wrong += 1
            print(f'fail {row.name}: expected {expected and expected[2:]}, got {(code, refused)}')
    if total != len(golden):
        print(f'fail the table: {total} rows, {len(golden)} recorded answers')
    print(f'pass {total - wrong} of {total} malformed batches answered as recorded')
    return 1 if wrong or total != len(golden) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bootstrap', required=True)
    parser.add_argument('--golden', type=pathlib.Path, default=GOLDEN)
    parser.add_argument('--record', type=pathlib.Path)
    options = parser.parse_args()
    table.check()
    if options.record:
        return record(options.bootstrap, options.record)
    return compare(options.bootstrap, options.golden)


if __name__ == '__main__':
    sys.exit(main())
