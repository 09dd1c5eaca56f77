"""The clients of the kill test: they stay connected while the broker comes and goes."""
import threading
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import checks
import system_kit

RECONNECT = {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "socket.timeout.ms": 10000,
             "topic.metadata.refresh.interval.ms": 1000, "log_level": 0}
RATE = 1500  # records a second and source
PATIENCE = 30  # seconds without progress


def create_topic(address, name, partitions):
    admin = AdminClient({"bootstrap.servers": address})  # the answer comes only while it lives
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(10)


class worker:
    """A thread that can fail; its failure surfaces in check()."""

    def __init__(self):
        self.failure = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.guarded, daemon=True)

    def start(self):
        self.thread.start()

    def guarded(self):
        try:
            self.work()
        except Exception as e:  # noqa: BLE001
            self.failure = e

    def check(self):
        if self.failure:
            raise checks.violation(f"{type(self).__name__}: {self.failure}")

    def stop(self):
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(30)


class source(worker):
    """Writes its numbered lines, number n to partition n mod partitions, and notes what was acknowledged."""

    def __init__(self, address, name, partitions, idempotent):
        super().__init__()
        self.name = name
        self.partitions = partitions
        self.idempotent = idempotent
        self.acked_count = 0
        self.acked_unchecked = []
        self.lock = threading.Lock()
        self.finishing = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": address, "acks": "all", "enable.idempotence": idempotent, "linger.ms": 2,
            "retries": 1000000, "retry.backoff.ms": 20, "message.timeout.ms": 120000,
            # One request at a time keeps the order of retries where no sequence numbers do.
            "max.in.flight.requests.per.connection": 5 if idempotent else 1, **RECONNECT})

    def delivered(self, problem, message):
        if problem is not None:
            self.failure = self.failure or RuntimeError(f"{self.name}: {problem}")
            return
        self.acked_count += 1
        # -1: acknowledged as a duplicate so old that the broker no longer knows its offset.
        if message.offset() >= 0:
            with self.lock:
                self.acked_unchecked.append((message.partition(), message.offset(), message.value().decode()))

    def work(self):
        number = 0
        began = time.monotonic()
        while not self.stopping.is_set() and not self.finishing.is_set() and not self.failure:
            due = int((time.monotonic() - began) * RATE)
            # A backlog from a time without broker is not made up for: the load stays even.
            if len(self.producer) > RATE // 2 or due - number > RATE:
                began = time.monotonic() - number / RATE
            while number < due and len(self.producer) <= RATE // 2:
                self.producer.produce("lines", checks.line(self.name, number).encode(), partition=number % self.partitions,
                                      on_delivery=self.delivered)
                number += 1
            self.producer.poll(0.002)
        if not self.stopping.is_set() and self.producer.flush(60) != 0:
            raise RuntimeError(f"{self.name}: records without an answer after 60 s")

    def finish(self):
        self.finishing.set()
        self.thread.join(70)
        self.check()

    def take_acked(self):
        with self.lock:
            taken, self.acked_unchecked = self.acked_unchecked, []
        return taken


class follower(worker):
    """The consumer that stays connected; fills the view."""

    def __init__(self, address, partitions, view):
        super().__init__()
        self.view = view
        self.consumer = make_consumer(address)
        self.consumer.assign([TopicPartition(t, p, 0) for t in checks.TOPICS for p in range(partitions)])

    def work(self):
        while not self.stopping.is_set():
            for message in self.consumer.consume(1000, 0.02):
                problem = message.error()
                if problem is None:
                    self.view.add(message.topic(), message.partition(), message.offset(), message.value().decode())
                elif problem.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
                    raise checks.violation(f"what the consumer has read is gone: {problem}")
        self.consumer.close()


def make_consumer(address):
    return Consumer({"bootstrap.servers": address, "group.id": "kill9", "enable.auto.commit": False,
                     "auto.offset.reset": "error", "isolation.level": "read_uncommitted", "fetch.wait.max.ms": 50,
                     "fetch.error.backoff.ms": 10, "queued.min.messages": 10000, **RECONNECT})


def ends(consumer, topics, partitions):
    """Where the partitions end now, by (topic, partition)."""
    return {(t, p): consumer.get_watermark_offsets(TopicPartition(t, p), 10)[1] for t in topics for p in range(partitions)}


def check_round(reader, follower_, sources, view):
    """After a restart, under load: everything that the promises say about what is visible by now."""
    for worker_ in [follower_, *sources]:
        worker_.check()
    acked = [record for source_ in sources for record in source_.take_acked()]
    # The input first: what is visible of it must be visible as derived by then.
    known = {key: len(view.seen[key]) for key in view.seen}
    visible = ends(reader, ["lines"], view.partitions)
    visible.update(ends(reader, checks.TOPICS[1:], view.partitions))
    for key, count in known.items():
        if visible[key] < count:
            raise checks.violation(f"{key[0]}-{key[1]} ends at {visible[key]}, but {count} records were read before")
    wait_for(follower_, view, visible)
    for partition in range(view.partitions):
        first_unchecked = view.checked["lines", partition]
        view.check_input(partition, lambda name: name.startswith("i"), view.partitions)
        view.check_derived(partition)
        view.check_visible_together(partition, visible["lines", partition],
                                    [visible[t, partition] for t in checks.TOPICS[1:]])
        compare_with_log(reader, view, "lines", partition, first_unchecked, visible["lines", partition])
    for partition, offset, text in acked:
        view.check_acknowledged(partition, offset, text)


def wait_for(follower_, view, visible):
    def is_there():
        follower_.check()
        return all(len(view.seen[key]) >= end for key, end in visible.items())
    try:
        system_kit.wait_until(is_there, 30, "the connected consumer's catching up")
    except TimeoutError:
        behind = {key: (len(view.seen[key]), end) for key, end in visible.items() if len(view.seen[key]) < end}
        raise checks.violation(f"the connected consumer does not see what is visible: {behind}") from None


def wait_until_complete(follower_, view):
    """The processor with state may still be catching up."""
    def is_complete():
        follower_.check()
        return view.is_complete()
    try:
        system_kit.wait_until(is_complete, 60, "all that the input implies")
    except TimeoutError:
        pass  # check_complete() says what is missing
    for partition in range(view.partitions):
        view.check_derived(partition)


def compare_with_log(reader, view, topic, partition, first, end):
    """What the connected consumer saw at [first, end), before or after the kill, is what the log holds."""
    if first >= end:
        return
    reader.assign([TopicPartition(topic, partition, first)])
    at = first
    deadline = time.monotonic() + PATIENCE
    while at < end:
        if time.monotonic() > deadline:
            raise checks.violation(f"{topic}-{partition}: cannot read on from offset {at}")
        for message in reader.consume(min(5000, end - at), 0.1):
            if message.error():
                if message.error().code() == KafkaError.OFFSET_OUT_OF_RANGE:
                    raise checks.violation(f"{topic}-{partition}: {message.error()}")
                continue
            if message.offset() != at or (at < len(view.seen[topic, partition]) and
                                          message.value().decode() != view.seen[topic, partition][at]):
                raise checks.violation(f"{topic}-{partition}: offset {message.offset()} holds {message.value()!r}, the "
                                       f"connected consumer had {view.seen[topic, partition][at]!r} at {at}")
            at += 1
            deadline = time.monotonic() + PATIENCE


def check_from_the_beginning(reader, view):
    for (topic, partition), records in view.seen.items():
        compare_with_log(reader, view, topic, partition, 0, len(records))
