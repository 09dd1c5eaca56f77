"""Group members for the Python client programs whose consumers are driven by polling: each on a thread of its own.

A client class that derives from `Members` and has `new_member(**options)` understands the member commands of
../README.md. What `new_member` returns knows `poll()`, `assigned()`, `commit(how)`, `committed(partitions)`,
`pause(partition)`, `resume(partition)`, `seek(partition, offset)` and `close()`, and keeps `events`.
"""
import threading
import time

WAIT_SECONDS = 20  # for a commit to be answered


class Driver:
    """Polls a consumer; commands and polls take turns, as these consumers are not made for several threads."""

    def __init__(self, consumer):
        self.consumer, self.records, self.problem, self.assigned = consumer, [], None, []
        self.turn, self.view, self.wanted, self.is_over = threading.Lock(), threading.Lock(), 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            with self.turn:
                try:
                    records = self.consumer.poll()
                    with self.view:
                        self.records += records
                        self.assigned = self.consumer.assigned()
                except Exception as problem:  # told with the next look; the consumer may well recover
                    self.problem = f"{type(problem).__name__}: {problem}"
            # Without a pause but for a command: kafka-python 3.0.12 forgets a join that is answered between two polls.
            if self.wanted:
                time.sleep(0.002)

    def look(self):
        with self.view:
            reply = {"assigned": self.assigned, "records": self.records, "events": list(self.consumer.events)}
            self.records = []
        if self.problem:
            reply["problem"] = self.problem
        return reply

    def commit(self, how):
        done = self.call("commit", how)
        if done is None:
            return
        end = time.monotonic() + WAIT_SECONDS
        while not done:  # a list that the callback fills while the thread polls
            if time.monotonic() > end:
                raise RuntimeError("an asynchronous commit was not answered")
            time.sleep(0.01)
        if isinstance(done[0], Exception):
            raise done[0]

    def call(self, name, *arguments):
        self.wanted += 1
        with self.turn:
            self.wanted -= 1
            return getattr(self.consumer, name)(*arguments)

    def leave(self):
        self.is_over = True
        self.thread.join(WAIT_SECONDS)
        self.consumer.close()


class Members:
    def __init__(self):
        self.members = {}

    def join(self, member, **options):
        self.members[member] = Driver(self.new_member(**options))

    def look(self, member):
        return self.members[member].look()

    def commit(self, member, how="sync"):
        self.members[member].commit(how)

    def committed(self, member, asked):
        return {"offsets": self.members[member].call("committed", asked)}

    def pause(self, member, partition):
        self.members[member].call("pause", partition)

    def resume(self, member, partition):
        self.members[member].call("resume", partition)

    def seek(self, member, partition, offset):
        self.members[member].call("seek", partition, offset)

    def leave(self, member):
        self.members.pop(member).leave()
