"""kafka-python, both the newest and the 2.0.2 that many programs still pin."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import kafka
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from pyclient import BIG, Deadline, answer, serve
from pymember import Members

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor}
try:
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    ASSIGNORS["cooperative-sticky"] = CooperativeStickyAssignor
except ImportError:  # 2.0.2 has none
    pass


def read(consumer, count, timeout_ms):
    deadline, records = Deadline(timeout_ms), []
    while len(records) < count and deadline.left() > 0:
        for batch in consumer.poll(timeout_ms=200, max_records=count - len(records)).values():
            records += [answer(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]
    return records


class Member(ConsumerRebalanceListener):
    def __init__(self, client, group, topic, assignor=None, instance=None, session_ms=20000, auto_commit=False):
        options = {} if instance is None else {"group_instance_id": instance}
        if assignor:
            options["partition_assignment_strategy"] = [ASSIGNORS[assignor]]
        self.topic, self.events = topic, []
        self.consumer = KafkaConsumer(bootstrap_servers=client.bootstrap, group_id=group, auto_offset_reset="earliest",
                                      enable_auto_commit=auto_commit, auto_commit_interval_ms=200,
                                      session_timeout_ms=session_ms, heartbeat_interval_ms=300, fetch_max_wait_ms=100,
                                      request_timeout_ms=max(30000, session_ms + 1000), **options)
        self.consumer.subscribe([topic], listener=self)
        # 3.0.12 joins again when it then learns of the topic's partitions, and may forget the answer to that join (with
        # Kafka as well): it learns of them first.
        self.consumer.topics()

    def on_partitions_assigned(self, assigned):
        self.events.append(["assigned", [p.partition for p in assigned]])

    def on_partitions_revoked(self, revoked):
        self.events.append(["revoked", [p.partition for p in revoked]])

    def where(self, partition):
        return TopicPartition(self.topic, partition)

    def poll(self):
        batches = self.consumer.poll(timeout_ms=500).values()
        return [answer(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for batch in batches for r in batch]

    def assigned(self):
        return sorted(p.partition for p in self.consumer.assignment())

    def commit(self, how):
        if how == "sync":
            return self.consumer.commit()
        done = []
        self.consumer.commit_async(callback=lambda offsets, response: done.append(response or True))
        return done

    def committed(self, partitions):
        return {p: self.consumer.committed(self.where(p)) for p in partitions}

    def pause(self, partition):
        self.consumer.pause(self.where(partition))

    def resume(self, partition):
        self.consumer.resume(self.where(partition))

    def seek(self, partition, offset):
        self.consumer.seek(self.where(partition), offset)

    def close(self):
        self.consumer.close()


class Client(Members):
    def __init__(self, bootstrap):
        super().__init__()
        self.bootstrap = bootstrap

    def new_member(self, **options):
        return Member(self, **options)

    def consumer(self, **options):
        return KafkaConsumer(bootstrap_servers=self.bootstrap, max_partition_fetch_bytes=BIG, fetch_max_bytes=BIG,
                             auto_offset_reset="earliest", enable_auto_commit=False, **options)

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False):
        options = {"enable_idempotence": True} if idempotent else {}
        # One in flight: 2.0.2 can leave the end of a request unsent that is larger than the socket takes at once when
        # the next one already waits behind it.
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all" if acks == -1 else acks, linger_ms=20,
                                 compression_type=None if codec == "none" else codec, max_request_size=BIG,
                                 max_block_ms=8000, max_in_flight_requests_per_connection=1, **options)
        try:
            futures = [producer.send(topic, key=r.key, value=r.value, headers=r.headers, partition=r.partition,
                                     timestamp_ms=r.timestamp) for r in records]
            producer.flush(timeout=40)
            return {"offsets": [f.get(timeout=40).offset for f in futures]}
        finally:
            producer.close(timeout=2)

    def consume(self, topic, partition, offset, count, timeout_ms):
        consumer, where = self.consumer(), TopicPartition(topic, partition)
        consumer.assign([where])
        consumer.seek(where, offset) if offset >= 0 else consumer.seek_to_beginning(where)
        try:
            return {"records": read(consumer, count, timeout_ms)}
        finally:
            consumer.close()

    def group(self, group, topic, count, timeout_ms):
        # A short session, so that a member whose farewell got lost does not hold up the next one for long.
        consumer = self.consumer(group_id=group, session_timeout_ms=8000, heartbeat_interval_ms=2000)
        consumer.subscribe([topic])
        try:
            records = read(consumer, count, timeout_ms)
            consumer.commit()
            return {"records": records}
        finally:
            consumer.close()

    def offset_at(self, topic, partition, timestamp):
        consumer, where = self.consumer(), TopicPartition(topic, partition)
        try:
            if timestamp == -1:
                return {"offset": consumer.end_offsets([where])[where]}
            if timestamp == -2:
                return {"offset": consumer.beginning_offsets([where])[where]}
            found = consumer.offsets_for_times({where: timestamp})[where]
            return {"offset": found.offset if found else -1}
        finally:
            consumer.close()

    def create_topics(self, topics, partitions):
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics([NewTopic(name=t, num_partitions=partitions, replication_factor=1) for t in topics])
        finally:
            admin.close()

    def administer(self, action):
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            return action(admin)
        finally:
            admin.close()

    def configs(self, topic):
        options = {} if kafka.__version__.startswith("2.") else {"config_filter": "all"}  # else: what was set
        wanted = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        described = self.administer(lambda admin: admin.describe_configs(wanted, **options))
        if isinstance(described, dict):  # 3.0: {type: {name: {key: {"value": ...}}}}
            (found,), = (one.values() for one in described.values())
            return {"configs": {key: entry["value"] for key, entry in found.items()}}
        return {"configs": {entry[0]: entry[1] for response in described for resource in response.resources for entry in resource[4]}}

    def alter(self, topic, name, value):
        done = self.administer(lambda admin: admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})]))
        # Either leaves it to the caller to look: 3.0 answers {type: {name: text}}, 2.0.2 what came over the wire.
        if isinstance(done, dict):
            problems = [text for one in done.values() for text in one.values() if "Error" in str(text)]
        else:
            problems = [message for code, message, *_ in done.resources if code]
        if problems:
            return {"error": str(problems[0])}

    def grow(self, topic, partitions):
        self.administer(lambda admin: admin.create_partitions({topic: NewPartitions(partitions)}))

    def delete_records(self, topic, partition, before):
        self.administer(lambda admin: admin.delete_records({TopicPartition(topic, partition): before}))

    def list_topics(self):
        consumer = self.consumer()
        try:
            return {"topics": sorted(consumer.topics())}
        finally:
            consumer.close()


serve(Client)
