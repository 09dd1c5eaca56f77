"""What every client has to manage as a member of consumer groups, one function per feature, as in features.py.

A `Crowd` is one group: its members run in the client's program, and what they read, hold and are told is collected.
The broker's own view of the group, asked through another client, must be the same as theirs.
"""
import time

from features import b64, record

SETTLE_SECONDS = 40


class Crowd:
    def __init__(self, scene, partitions=4, topic=None, **options):
        self.scene, self.partitions, self.options = scene, partitions, options
        self.topic, self.group = topic or scene.topic(partitions), scene.fresh_name()
        self.programs, self.assigned, self.events = {}, {}, {}  # by member
        self.sent = [0] * partitions
        self.described = None  # the broker's view
        self.may_repeat = False  # after a crash: then what was not committed may come again
        self.safe = [0] * partitions  # what was committed
        self.seen, self.again = {}, []  # values by (partition, offset); what was read twice

    def call(self, name, verb, **fields):
        return self.programs[name].call(verb, member=f"{self.group}/{name}", **fields)

    def join(self, name, program=None, **more):
        self.programs[name] = program or self.scene.client
        self.call(name, "join", **{"group": self.group, "topic": self.topic, **self.options, **more})

    def leave(self, name):
        self.call(name, "leave")
        self.forget(name)

    def forget(self, name):
        for everything in (self.programs, self.assigned, self.events):
            everything.pop(name, None)

    def look(self):
        """Collects what the members have read, and what they hold now."""
        self.problems = {}
        for name in list(self.programs):
            reply = self.call(name, "look")
            self.assigned[name], self.events[name] = set(reply["assigned"]), reply["events"] or []
            if "problem" in reply:
                self.problems[name] = reply["problem"]
            for r in reply["records"]:
                where = (r["partition"], r["offset"])
                if where in self.seen and not (self.may_repeat and r["offset"] >= self.safe[r["partition"]]):
                    self.again.append(where)
                self.seen[where] = r["value"]

    def wait(self, condition, what, seconds=SETTLE_SECONDS):
        end = time.monotonic() + seconds
        while True:
            self.look()
            if condition():
                return
            if time.monotonic() > end:
                raise AssertionError(f"{what} within {seconds} s; held: {self.assigned}; the broker "
                                     f"says {self.described}; events: {self.events}; {self.problems or ''}")
            time.sleep(0.05)

    def is_shared_out(self):
        held = [p for mine in self.assigned.values() for p in mine]
        return sorted(held) == list(range(self.partitions)) and all(self.assigned.values())

    def settle(self):
        """Every partition has one owner, every member its share, and the broker says the same."""
        def agreed():
            if not self.is_shared_out():
                return False
            self.described = self.scene.helper.call("describe_group", group=self.group)
            return sorted(map(sorted, self.assigned.values())) == sorted(m["partitions"] for m in self.described["members"]) \
                and self.described["state"] == "STABLE"
        self.wait(agreed, "no stable assignment")
        shares = sorted(len(mine) for mine in self.assigned.values())
        assert shares[-1] - shares[0] <= 1, f"uneven: {self.assigned}"

    def feed(self, count=3, partitions=None, expect=None):
        """Writes to every partition and waits until all of it was read, each record once."""
        batch = []
        for p in partitions or range(self.partitions):
            for i in range(self.sent[p], self.sent[p] + count):
                batch.append(record(f"{p}-{i}", f"{self.topic} {p} {i}", p))
            self.sent[p] += count
        self.scene.helper.call("produce", topic=self.topic, records=batch)
        if expect is None:
            self.read_all()

    def read_all(self):
        total = sum(self.sent)
        self.wait(lambda: len(self.seen) >= total, f"not all of {total} records arrived")
        for (p, offset), value in self.seen.items():
            assert value == b64(f"{self.topic} {p} {offset}"), f"partition {p} offset {offset} has another's value"
        assert not self.again, f"read twice: {sorted(self.again)[:10]} (committed: {self.safe})"

    def commit(self, how="sync"):
        if "commit-sync" in self.scene.lacks:
            return  # it does so by itself, when it gives a partition up and every few seconds
        for name in self.programs:
            self.call(name, "commit", how=how)
        self.look()  # what came again before it was committed
        self.safe = list(self.sent)

    def step(self):
        self.settle()
        self.feed()
        self.commit()

    def end(self):
        for name in list(self.programs):
            self.leave(name)


def come_and_go(**options):
    def feature(scene):
        crowd = Crowd(scene, partitions=6, **options)
        crowd.join("a")
        crowd.step()
        crowd.join("b")
        crowd.step()
        crowd.join("c")
        crowd.step()
        crowd.leave("a")
        crowd.step()
        crowd.leave("c")
        crowd.step()
        crowd.end()
    return feature


def dies(scene):
    """A member that vanishes without a word: the others take over when its session is over."""
    crowd, other = Crowd(scene, session_ms=4000), scene.another()
    crowd.join("survivor")
    crowd.join("victim", program=other)
    crowd.step()
    other.stop()
    crowd.forget("victim")
    crowd.may_repeat = True
    crowd.step()
    crowd.end()


def assignor(name, **options):
    def feature(scene):
        crowd = Crowd(scene, assignor=name, **options)
        crowd.join("a")
        crowd.settle()
        crowd.feed()
        crowd.commit()
        crowd.join("b")
        crowd.step()
        said = crowd.described["assignor"].lower()
        assert said in (name, name + "assigner"), f"the broker says that the assignor is '{said}'"
        if name == "range":
            assert sorted(map(sorted, crowd.assigned.values())) == [[0, 1], [2, 3]], crowd.assigned
        if name == "roundrobin":
            assert sorted(map(sorted, crowd.assigned.values())) == [[0, 2], [1, 3]], crowd.assigned
        kept = set(crowd.assigned["b"])
        if name == "cooperative-sticky":
            told = crowd.events["a"]
            gone = {p for what, numbers in told for p in numbers if what == "revoked"}
            assert gone == kept, f"a was to give up {kept} and nothing else, but was told {told}"
        crowd.leave("a")
        crowd.step()
        if name in ("cooperative-sticky", "uniform"):
            assert not any(what == "revoked" and numbers for what, numbers in crowd.events["b"]), crowd.events["b"]
        crowd.end()
    return feature


def static(**options):
    """A static member that is restarted in time gets its partitions back, and nobody else notices."""
    def feature(scene):
        crowd = Crowd(scene, **options)
        crowd.join("a", instance="first")
        crowd.join("b", instance="second")
        crowd.step()
        assert sorted(m["instance"] for m in crowd.described["members"]) == ["first", "second"], crowd.described
        held, told = dict(crowd.assigned), list(crowd.events["a"])
        crowd.leave("b")  # without a farewell to the group
        crowd.feed(expect="later")
        time.sleep(1)
        crowd.join("b", instance="second")
        crowd.settle()
        crowd.read_all()
        assert crowd.assigned == held, f"held {held} before, {crowd.assigned} after"
        assert crowd.events["a"] == told, f"the other member was told {crowd.events['a'][len(told):]}"
        crowd.end()
    return feature


def pause(scene):
    crowd = Crowd(scene, partitions=2)
    crowd.join("a")
    crowd.step()
    crowd.call("a", "pause", partition=0)
    time.sleep(0.5)  # a fetch may be under way
    crowd.look()
    before = len(crowd.seen)
    crowd.feed(expect="one of the two")
    crowd.wait(lambda: len(crowd.seen) == before + 3, "the other partition did not go on")
    time.sleep(0.7)  # longer than a fetch waits
    crowd.look()
    assert all(offset < 3 for p, offset in crowd.seen if p == 0), "a paused partition was read"
    crowd.call("a", "resume", partition=0)
    crowd.read_all()
    crowd.end()


def seek(scene):
    crowd = Crowd(scene, partitions=2)
    crowd.join("a")
    crowd.settle()
    crowd.feed(10)
    crowd.commit()
    crowd.call("a", "seek", partition=1, offset=4)
    crowd.wait(lambda: len(crowd.again) >= 6, "the records after the place sought did not come again")
    assert set(crowd.again) == {(1, offset) for offset in range(4, 10)} and len(crowd.again) == 6, crowd.again
    crowd.again = []
    crowd.feed()
    crowd.end()


def commits(how):
    def feature(scene):
        crowd = Crowd(scene, partitions=2, **({"auto_commit": True} if how == "auto" else {}))
        crowd.join("a")
        crowd.settle()
        crowd.feed(5)
        if how != "auto":
            got = crowd.call("a", "committed", asked=[0, 1])["offsets"]
            assert not any(got.values()), f"committed before it was asked to: {got}"
            crowd.commit(how)
        if "commit-sync" not in scene.lacks:
            want = {"0": 5, "1": 5}
            crowd.wait(lambda: crowd.call("a", "committed", asked=[0, 1])["offsets"] == want, f"the commit is not {want}", 15)
        crowd.leave("a")
        crowd.join("b")
        crowd.settle()
        crowd.feed()  # and nothing that was committed comes again
        crowd.end()
    return feature


def regex(scene):
    """The broker itself watches for topics that match."""
    prefix = scene.fresh_name() + "-many"
    first, second = prefix + "-1", prefix + "-2"
    scene.helper.call("create_topics", topics=[first], partitions=2)
    crowd = Crowd(scene, partitions=2, topic=first, protocol="consumer")
    crowd.join("a", topic="^" + prefix + ".*")
    crowd.settle()
    crowd.feed()
    scene.helper.call("create_topics", topics=[second], partitions=1)
    crowd.wait(lambda: len(crowd.scene.helper.call("describe_group", group=crowd.group)["members"][0]["partitions"]) == 3,
               "the new topic was not found")
    crowd.end()


def mixed(scene):
    """A group moves from the classic protocol to the new one, member by member, and back."""
    crowd = Crowd(scene)
    crowd.join("old", protocol="classic")
    crowd.step()
    crowd.join("new", protocol="consumer")
    crowd.step()
    assert crowd.described["type"] == "CONSUMER", crowd.described
    crowd.leave("old")
    crowd.step()
    crowd.join("older", protocol="classic")
    crowd.step()
    crowd.leave("new")
    crowd.step()
    assert crowd.described["type"] == "CLASSIC", crowd.described
    crowd.end()


def before_kill(scene, **options):
    """The first half of surviving a broker's kill -9: two members, everything read is committed."""
    crowd = Crowd(scene, **options)
    crowd.join("a")
    crowd.join("b")
    crowd.settle()
    crowd.feed(10)
    crowd.commit()
    return crowd


def after_kill(crowd):
    """The second half: both members carry on by themselves, nothing is lost and nothing committed is read again."""
    crowd.may_repeat = True
    crowd.feed(10)
    crowd.settle()
    crowd.commit()
    crowd.leave("a")
    crowd.join("c")
    crowd.step()
    crowd.end()


FEATURES = {  # name: (title in the table, function)
    "members": ("group: members come and go", come_and_go()),
    "dies": ("group: a member dies", dies),
    "range": ("group: range", assignor("range")),
    "roundrobin": ("group: round robin", assignor("roundrobin")),
    "sticky": ("group: sticky", assignor("sticky")),
    "cooperative": ("group: cooperative-sticky", assignor("cooperative-sticky")),
    "static": ("group: static member restarts", static()),
    "pause": ("group: pause and resume", pause),
    "seek": ("group: seek", seek),
    "commit-sync": ("group: commit sync", commits("sync")),
    "commit-async": ("group: commit async", commits("async")),
    "commit-auto": ("group: commits by itself", commits("auto")),
    "killed": ("group: broker killed (-9)", None),
    "new-members": ("consumer protocol: members come and go", come_and_go(protocol="consumer")),
    "new-uniform": ("consumer protocol: uniform", assignor("uniform", protocol="consumer")),
    "new-range": ("consumer protocol: range", assignor("range", protocol="consumer")),
    "new-static": ("consumer protocol: static member restarts", static(protocol="consumer")),
    "new-regex": ("consumer protocol: subscription by pattern", regex),
    "new-mixed": ("consumer protocol: live up and down grade", mixed),
    "new-killed": ("consumer protocol: broker killed (-9)", None),
}
CLASSIC = [name for name in FEATURES if not name.startswith("new-")]
NEW = [name for name in FEATURES if name.startswith("new-")]
