"""A producer and a consumer that do nothing wrong, and notice if anything goes wrong for them."""
import os
import subprocess
import threading
import time

RATE = 200  # records a second


class Steady:
    """Numbers its records; the consumer wants each number once, in order, soon."""

    def __init__(self, bootstrap, topic, directory):
        self.error_log = open(os.path.join(directory, "kcat.log"), "w")
        options = ["-b", bootstrap, "-t", topic, "-X", "topic.metadata.refresh.interval.ms=500"]
        self.producer = subprocess.Popen(["kcat", "-P", "-X", "enable.idempotence=true", "-X", "linger.ms=5", *options],
                                         stdin=subprocess.PIPE, stderr=self.error_log)
        self.consumer = subprocess.Popen(["kcat", "-C", "-u", "-q", "-o", "beginning", *options],
                                         stdout=subprocess.PIPE, stderr=self.error_log)
        self.sent_at, self.received, self.faults, self.slowest = {}, 0, [], 0.0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.produce), threading.Thread(target=self.consume)]
        for thread in self.threads:
            thread.start()

    def produce(self):
        number = 0
        try:
            while not self.stopping.is_set():
                self.sent_at[number] = time.monotonic()
                self.producer.stdin.write(b"%d\n" % number)
                self.producer.stdin.flush()
                number += 1
                time.sleep(1 / RATE)
            self.producer.stdin.close()
        except OSError as error:
            self.faults.append(f"the producer died: {error}")

    def consume(self):
        for line in self.consumer.stdout:
            number = int(line)
            if number != self.received and len(self.faults) < 10:
                self.faults.append(f"expected record {self.received}, got {number}")
            self.received = number + 1
            self.slowest = max(self.slowest, time.monotonic() - self.sent_at[number])

    def finish(self):
        """Waits for the last record to come back; gives the list of what went wrong."""
        self.stopping.set()
        self.threads[0].join()
        if self.producer.wait(60) != 0:
            self.faults.append(f"the producer ended with status {self.producer.returncode}")
        deadline = time.monotonic() + 30
        while self.received < len(self.sent_at) and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.received != len(self.sent_at):
            self.faults.append(f"{len(self.sent_at)} records were sent, {self.received} came back")
        if self.consumer.poll() is not None:
            self.faults.append(f"the consumer ended with status {self.consumer.returncode}")
        self.stop()
        return self.faults

    def stop(self):
        self.stopping.set()
        for child in (self.producer, self.consumer):
            if child.poll() is None:
                child.kill()
            child.wait()
        for thread in self.threads:
            thread.join()
        self.error_log.close()
