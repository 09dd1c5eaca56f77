"""confluent-kafka, librdkafka for Python."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from pyclient import BIG, Deadline, answer, serve
from pymember import Members


def read(consumer, count, timeout_ms):
    deadline, records = Deadline(timeout_ms), []
    while len(records) < count and deadline.left() > 0:
        r = consumer.poll(0.2)
        if r is None:
            continue
        if r.error():
            raise KafkaException(r.error())
        records.append(answer(r.partition(), r.offset(), r.timestamp()[1], r.key(), r.value(), r.headers()))
    return records


class Member:
    def __init__(self, client, group, topic, assignor=None, instance=None, session_ms=20000, auto_commit=False, protocol="classic"):
        options = {"bootstrap.servers": client.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                   "enable.auto.commit": auto_commit, "auto.commit.interval.ms": 200, "fetch.wait.max.ms": 100,
                   "on_commit": self.on_commit, "group.protocol": protocol, "reconnect.backoff.max.ms": 500}
        if protocol == "classic":  # else it is the broker that sets these
            options.update({"session.timeout.ms": session_ms, "heartbeat.interval.ms": 300})
        if assignor:
            options["group.remote.assignor" if protocol == "consumer" else "partition.assignment.strategy"] = assignor
        if instance:
            options["group.instance.id"] = instance
        self.topic, self.events, self.waiting = topic, [], None
        self.consumer = Consumer(options)
        note = lambda what: lambda _, partitions: self.events.append([what, [p.partition for p in partitions]])  # noqa: E731
        self.consumer.subscribe([topic], on_assign=note("assigned"), on_revoke=note("revoked"), on_lost=note("lost"))

    def poll(self):
        records = []
        while (r := self.consumer.poll(0.05 if not records else 0)) is not None:
            if r.error() and not r.error().retriable():
                raise KafkaException(r.error())
            if not r.error():
                records.append(answer(r.partition(), r.offset(), r.timestamp()[1], r.key(), r.value(), r.headers()))
        return records

    def assigned(self):
        return sorted(p.partition for p in self.consumer.assignment())

    def on_commit(self, error, partitions):
        if self.waiting is not None:
            self.waiting.append(KafkaException(error) if error else True)
            self.waiting = None

    def commit(self, how):
        if how == "sync":
            self.consumer.commit(asynchronous=False)
            return None
        self.waiting = done = []
        self.consumer.commit(asynchronous=True)
        return done

    def committed(self, partitions):
        found = self.consumer.committed([TopicPartition(self.topic, p) for p in partitions], timeout=10)
        return {p.partition: p.offset if p.offset >= 0 else None for p in found}

    def pause(self, partition):
        self.consumer.pause([TopicPartition(self.topic, partition)])

    def resume(self, partition):
        self.consumer.resume([TopicPartition(self.topic, partition)])

    def seek(self, partition, offset):
        self.consumer.seek(TopicPartition(self.topic, partition, offset))

    def close(self):
        self.consumer.close()


class Client(Members):
    def __init__(self, bootstrap):
        super().__init__()
        self.bootstrap = bootstrap

    def new_member(self, **options):
        return Member(self, **options)

    def describe_group(self, group):
        """For the suite itself: how the broker sees a group."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        seen = admin.describe_consumer_groups([group], request_timeout=10)[group].result(15)
        members = [{"instance": m.group_instance_id, "host": m.host, "client": m.client_id,
                    "partitions": sorted(p.partition for p in m.assignment.topic_partitions)} for m in seen.members]
        return {"state": seen.state.name, "assignor": seen.partition_assignor, "type": seen.type.name, "members": members}

    def consumer(self, group="unused"):
        return Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "max.partition.fetch.bytes": BIG, "fetch.max.bytes": BIG,
                         "receive.message.max.bytes": BIG + 1024})

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False):
        outcomes = {}
        producer = Producer({"bootstrap.servers": self.bootstrap, "compression.type": codec, "acks": acks, "linger.ms": 20,
                             "message.max.bytes": BIG, "enable.idempotence": idempotent, "message.timeout.ms": 10000,
                             "topic.metadata.propagation.max.ms": 5000})
        for i, r in enumerate(records):
            more = {} if r.timestamp is None else {"timestamp": r.timestamp}
            producer.produce(topic, r.value, r.key, r.partition, headers=r.headers,
                             on_delivery=lambda error, message, i=i: outcomes.update({i: (error, message.offset())}), **more)
        producer.flush(20)
        errors = [error for error, _ in outcomes.values() if error]
        if errors or len(outcomes) < len(records):
            return {"error": str(errors[0]) if errors else "no delivery report"}
        return {"offsets": [outcomes[i][1] for i in range(len(records))]}

    def consume(self, topic, partition, offset, count, timeout_ms):
        consumer = self.consumer()
        consumer.assign([TopicPartition(topic, partition, offset if offset >= 0 else OFFSET_BEGINNING)])
        try:
            return {"records": read(consumer, count, timeout_ms)}
        finally:
            consumer.close()

    def group(self, group, topic, count, timeout_ms):
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        try:
            records = read(consumer, count, timeout_ms)
            consumer.commit(asynchronous=False)
            return {"records": records}
        finally:
            consumer.close()

    def offset_at(self, topic, partition, timestamp):
        consumer = self.consumer()
        try:
            if timestamp < 0:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                return {"offset": high if timestamp == -1 else low}
            found = consumer.offsets_for_times([TopicPartition(topic, partition, timestamp)], timeout=10)[0]
            return {"offset": found.offset if found.offset >= 0 else -1}
        finally:
            consumer.close()

    def create_topics(self, topics, partitions):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_topics([NewTopic(t, partitions, 1) for t in topics]).values():
            future.result(60)
        deadline = Deadline(30_000)  # a Kafka under load lists new topics before their partitions have leaders
        while deadline.left() > 0:
            known = admin.list_topics(timeout=10).topics
            if all(t in known and all(p.leader >= 0 for p in known[t].partitions.values()) for t in topics):
                break
            time.sleep(0.05)

    def administer(self, verb, *arguments):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})  # has to live until the answer is there
        done = getattr(admin, verb)(*arguments)
        return next(iter(done.values())).result(30)

    def configs(self, topic):
        found = self.administer("describe_configs", [ConfigResource(ConfigResource.Type.TOPIC, topic)])
        return {"configs": {name: entry.value for name, entry in found.items()}}

    def alter(self, topic, name, value):
        change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        self.administer("incremental_alter_configs", [ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])])

    def grow(self, topic, partitions):
        self.administer("create_partitions", [NewPartitions(topic, partitions)])

    def delete_records(self, topic, partition, before):
        self.administer("delete_records", [TopicPartition(topic, partition, before)])

    def list_topics(self):
        return {"topics": sorted(AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=10).topics)}


serve(Client)
