#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets into corpus/: the protocol's out of the golden data of the unit tests,
and with `--storage BUILD_DIR` also those of storage, out of the files of a broker that it starts and kills."""
import glob
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / 'data/protocol'
sys.path.insert(0, str(HERE.parent / 'system/malformed'))
import forge  # noqa: E402
import table  # noqa: E402

CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']


def write(target, name, data):
    folder = HERE / 'corpus' / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def rows(name):
    for line in (DATA / name).read_text().splitlines():
        if not line.startswith('#'):
            yield line.split('\t')


def messages():
    """The first flexible-era and the last version of each message say most; the versions between differ by a field or two."""
    versions = {}
    for name, version, body, _ in rows('vectors.tsv'):
        versions.setdefault(name, {})[int(version)] = bytes.fromhex(body)
    for name, bodies in versions.items():
        mark = struct.pack('>H', forge.crc32c(name.encode()) & 0xFFFF)
        for version in {min(bodies), max(bodies)}:
            write('request_decode', f'{name}-{version}', b'\1' + mark + struct.pack('>h', version) + bodies[version])
    write('request_decode', 'wire-api_versions',
          b'\0' + struct.pack('>hhih', 18, 3, 7, 2) + b'me' + b'\0' + b'\2a\2b' + b'\0')
    write('request_decode', 'wire-metadata', b'\0' + struct.pack('>hhih', 3, 1, 7, -1) + struct.pack('>i', -1))


def batches():
    for codec, batch in rows('java_batches.tsv'):
        if len(batch) < 4000:
            write('record_batch', f'java-{codec}', b'\0\0' + bytes.fromhex(batch))
    for i, row in enumerate(table.rows()):
        # Every third row, under settings that walk through all of them.
        if row.records and i % 3 == 0:
            write('record_batch', f'malformed-{i}', bytes([(i // 3) & 0x5F, i % 5]) + row.records)


def streams():
    text = b'{"name":"value"}' * 20
    for number, name in enumerate(CODECS):
        packed = forge.compress(number, text) if number else text
        write('codec', f'{name}', bytes([number, 0]) + packed)
        write('codec', f'{name}-twice', bytes([number | 0x80, 9]) + packed + packed)
        write('codec', f'{name}-cut', bytes([number, 33]) + packed[:-5])
    write('codec', 'snappy-raw', b'\2\0' + forge.snappy_block(text))
    write('codec', 'lz4-linked', b'\3\0' + forge.lz4(text, flags=0x40))


BLOCK = 4096
CONFIG = """
[[processor]]
name = "cleaner"
library = "{build}/processors/examples/line_cleaner.so"
input = "readings"
outputs = {{ clean = "clean", rejected = "rejected" }}
config = {{ columns = "sensor:text, value:number" }}
"""


def data_directory(build, folder, end):
    """Some topics, a processor, batches of each codec and an idempotent producer; then the broker gets the signal."""
    (folder / 'millrace.toml').write_text(CONFIG.format(build=build))
    broker = subprocess.Popen([f'{build}/millraced', '--config', folder / 'millrace.toml', '--set', f'log.dirs={folder}/data',
                               '--set', 'listeners=PLAINTEXT://127.0.0.1:0', '--set', 'log.index.interval.bytes=64'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = broker.stdout.readline().split('PLAINTEXT://')[1].strip()

        def millrace(*arguments, lines=''):
            subprocess.run([f'{build}/millrace', *arguments, '-b', address], input=lines, text=True, check=True)

        millrace('topic', 'create', '-p', '2', '-c', 'retention.ms=7', 'readings', 'clean', 'rejected')
        millrace('topic', 'create', 'gone')
        for codec in CODECS:
            millrace('produce', 'readings', '-z', codec, '-p', '0', lines='attic, 21.5\ncellar, damp\n')
        millrace('produce', 'readings', '-p', '1', '--idempotent', '--key', 'k', '-H', 'a=b', lines='hall, 1\nhall, 2\n')
        millrace('topic', 'delete', 'gone')
        broker.send_signal(end)
        broker.wait(60)
    finally:
        broker.kill()
        broker.wait()
    return folder / 'data'


def blocks(path, count):
    """The file's first blocks, without those at the end that were never written."""
    data = path.read_bytes()[:count * BLOCK]
    return data[:(len(data.rstrip(b'\0')) + BLOCK - 1) // BLOCK * BLOCK]


def inputs_of(data, what):
    """What the files of a data directory are to the fuzz targets: (target, name, input) of each."""
    for path in sorted(map(pathlib.Path, glob.glob(f'{data}/**', recursive=True))):
        name = f'{what}-{path.name}'
        if path.name == 'metadata.log':
            yield 'wal', name, b'\5' + blocks(path, 6)
        elif path.name == 'meta.properties':
            yield 'wal', name, b'\3' + path.read_bytes()
        elif path.name.startswith('checkpoint.'):
            file = path.read_bytes()
            yield 'wal', name, b'\2' + file[7:8] + file[24:]
        elif path.suffix == '.wal':
            yield 'wal', name, b'\4' + blocks(path, 6)
        elif path.suffix in ('.log', '.index', '.timeindex') and path.stat().st_size:
            yield 'segment', f'{what}-{path.parent.name}{path.suffix}', b'\xff' + path.read_bytes()[:BLOCK]


def storage(build):
    for end in signal.SIGKILL, signal.SIGTERM:
        with tempfile.TemporaryDirectory(prefix='millrace-seeds-') as folder:
            data = data_directory(build, pathlib.Path(folder), end)
            for target, name, content in inputs_of(data, 'killed' if end == signal.SIGKILL else 'stopped'):
                write(target, name, content)


if __name__ == '__main__':
    messages()
    batches()
    streams()
    if sys.argv[1:2] == ['--storage']:
        storage(pathlib.Path(sys.argv[2]).resolve())
