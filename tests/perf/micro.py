"""./dev bench micro: what the parts of the broker cost on their own: protocol, checksums and event loop, appends. Further
arguments go to Google Benchmark, such as --benchmark_filter=append.
"""
import os
import subprocess

from peers import ROOT

BUILD = os.path.join(ROOT, "build/release")
PROGRAMS = ("protocol_bench", "runtime_bench", "storage_bench")


def knows(target):
    return subprocess.run(["ninja", "-C", BUILD, "-t", "query", target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def main(words):
    if {"-h", "--help"} & set(words):
        print(__doc__.strip())
        return 0
    dev = os.path.join(ROOT, "dev")
    subprocess.run([dev, "needs", "micro"], check=True)
    subprocess.run([dev, "build", "release"], check=True)
    targets = [f"tests/perf/{name}" for name in PROGRAMS]
    if not all(map(knows, targets)):  # the library came after the build directory
        subprocess.run(["meson", "setup", "--reconfigure", BUILD], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, *targets], check=True, stdout=subprocess.DEVNULL)
    status = 0
    for target in targets:
        print(f"\n{os.path.basename(target)}", flush=True)
        status = status or subprocess.run([os.path.join(BUILD, target), *words]).returncode
    return status
