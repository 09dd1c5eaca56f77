"""aiokafka, the asyncio client."""
import asyncio
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from pyclient import BIG, Deadline, answer, serve


async def read(consumer, count, timeout_ms):
    deadline, records = Deadline(timeout_ms), []
    while len(records) < count and deadline.left() > 0:
        for batch in (await consumer.getmany(timeout_ms=200, max_records=count - len(records))).values():
            records += [answer(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]
    return records


def run(method):
    """Commands come one at a time; the loop runs on between them, for members that poll."""
    return lambda self, **command: asyncio.run_coroutine_threadsafe(
        asyncio.wait_for(method(self, **command), 30), self.loop).result()


ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor}


class Member(ConsumerRebalanceListener):
    def __init__(self, client, group, topic, assignor=None, instance=None, session_ms=20000, auto_commit=False):
        self.topic, self.events, self.records = topic, [], []
        options = {"partition_assignment_strategy": [ASSIGNORS[assignor]]} if assignor else {}
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=client.bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=auto_commit,
            auto_commit_interval_ms=200, session_timeout_ms=session_ms, heartbeat_interval_ms=300, fetch_max_wait_ms=100,
            group_instance_id=instance, **options)
        self.consumer.subscribe([topic], listener=self)

    async def on_partitions_assigned(self, assigned):
        self.events.append(["assigned", [p.partition for p in assigned]])

    async def on_partitions_revoked(self, revoked):
        self.events.append(["revoked", [p.partition for p in revoked]])

    def where(self, partition):
        return TopicPartition(self.topic, partition)

    async def poll(self):
        while True:
            for batch in (await self.consumer.getmany(timeout_ms=50)).values():
                self.records += [answer(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]

    async def start(self):
        await self.consumer.start()
        self.task = asyncio.ensure_future(self.poll())

    async def stop(self):
        self.task.cancel()
        await self.consumer.stop()


class Client:
    def __init__(self, bootstrap):
        self.bootstrap, self.members, self.loop = bootstrap, {}, asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    @run
    async def join(self, member, **options):
        self.members[member] = Member(self, **options)
        # start() returns when the group is joined, which may want another member's next poll
        asyncio.ensure_future(self.members[member].start())

    @run
    async def look(self, member):
        m = self.members[member]
        records, m.records = m.records, []
        return {"assigned": sorted(p.partition for p in m.consumer.assignment()), "records": records, "events": m.events}

    @run
    async def commit(self, member, how="sync"):
        commit = self.members[member].consumer.commit()
        await (commit if how == "sync" else asyncio.ensure_future(commit))

    @run
    async def committed(self, member, asked):
        m = self.members[member]
        return {"offsets": {p: await m.consumer.committed(m.where(p)) for p in asked}}

    @run
    async def pause(self, member, partition):
        self.members[member].consumer.pause(self.members[member].where(partition))

    @run
    async def resume(self, member, partition):
        self.members[member].consumer.resume(self.members[member].where(partition))

    @run
    async def seek(self, member, partition, offset):
        self.members[member].consumer.seek(self.members[member].where(partition), offset)

    @run
    async def leave(self, member):
        await self.members.pop(member).stop()

    def consumer(self, *topics, **options):
        return AIOKafkaConsumer(*topics, bootstrap_servers=self.bootstrap, max_partition_fetch_bytes=BIG,
                                fetch_max_bytes=BIG, auto_offset_reset="earliest", enable_auto_commit=False, **options)

    @run
    async def produce(self, topic, records, codec="none", acks=-1, idempotent=False):
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all" if acks == -1 else acks, linger_ms=20,
                                    compression_type=None if codec == "none" else codec, max_request_size=BIG,
                                    request_timeout_ms=8000, enable_idempotence=idempotent)
        await producer.start()
        try:
            futures = [await asyncio.wait_for(
                producer.send(topic, key=r.key, value=r.value, headers=r.headers, partition=r.partition,
                              timestamp_ms=r.timestamp), 10) for r in records]
            sent = await asyncio.wait_for(asyncio.gather(*futures), 20)
            return {"offsets": [s.offset if s else -1 for s in sent]}
        finally:
            await producer.stop()

    @run
    async def consume(self, topic, partition, offset, count, timeout_ms):
        consumer, where = self.consumer(), TopicPartition(topic, partition)
        consumer.assign([where])
        await consumer.start()
        try:
            if offset >= 0:
                consumer.seek(where, offset)
            else:
                await consumer.seek_to_beginning(where)
            return {"records": await read(consumer, count, timeout_ms)}
        finally:
            await consumer.stop()

    @run
    async def group(self, group, topic, count, timeout_ms):
        consumer = self.consumer(topic, group_id=group)
        await consumer.start()
        try:
            records = await read(consumer, count, timeout_ms)
            await consumer.commit()
            return {"records": records}
        finally:
            await consumer.stop()

    @run
    async def offset_at(self, topic, partition, timestamp):
        consumer, where = self.consumer(), TopicPartition(topic, partition)
        await consumer.start()
        try:
            if timestamp == -1:
                return {"offset": (await consumer.end_offsets([where]))[where]}
            if timestamp == -2:
                return {"offset": (await consumer.beginning_offsets([where]))[where]}
            found = (await consumer.offsets_for_times({where: timestamp}))[where]
            return {"offset": found.offset if found else -1}
        finally:
            await consumer.stop()

    @run
    async def create_topics(self, topics, partitions):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            made = await admin.create_topics([NewTopic(t, partitions, 1) for t in topics])
            for topic, code, *_ in made.topic_errors:
                if code:
                    raise RuntimeError(f"{topic}: error {code}")
        finally:
            await admin.close()

    async def administer(self, action):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            return await action(admin)
        finally:
            await admin.close()

    @run
    async def configs(self, topic):
        answers = await self.administer(lambda admin: admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        return {"configs": {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}}

    @run
    async def alter(self, topic, name, value):
        change = ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})
        for answer in await self.administer(lambda admin: admin.alter_configs([change])):
            for code, message, *_ in answer.resources:
                if code:
                    return {"error": message}

    @run
    async def grow(self, topic, partitions):
        await self.administer(lambda admin: admin.create_partitions({topic: NewPartitions(partitions)}))

    @run
    async def delete_records(self, topic, partition, before):
        await self.administer(lambda admin: admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)}))

    @run
    async def list_topics(self):
        consumer = self.consumer()
        await consumer.start()
        try:
            return {"topics": sorted(await consumer.topics())}
        finally:
            await consumer.stop()


serve(Client)
