// kafkajs, with the codec plug-ins that its documentation describes. ../README.md describes the commands.
import { createInterface } from 'node:readline'
import kafkajs from 'kafkajs'
import { memberVerbs } from './members.mjs'
import snappy from 'kafkajs-snappy'
import { compressFrame, decompressFrame } from 'lz4-napi'
import { ZstdCodec } from 'zstd-codec'

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = kafkajs
const big = 16 * 1024 * 1024 // size limits are raised to this for the 10 MiB messages

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => compressFrame(encoder.buffer),
  decompress: data => decompressFrame(data),
})
const zstd = await new Promise(resolve => ZstdCodec.run(z => resolve(new z.Streaming()))) // frames may hide their size
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async data => Buffer.from(zstd.decompress(data)),
})
const codecs = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

const kafka = new Kafka({
  brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING, requestTimeout: 10000, retry: { retries: 4, initialRetryTime: 100 },
})
const unpack = text => (text == null ? null : Buffer.from(text, 'base64'))
const pack = data => (data == null ? null : Buffer.from(data).toString('base64'))

// A header that occurs more than once is a list in kafkajs.
function headersIn(pairs) {
  const headers = {}
  for (const [name, value] of pairs ?? []) {
    if (name in headers) headers[name] = [].concat(headers[name], unpack(value))
    else headers[name] = unpack(value)
  }
  return headers
}
const headersOut = headers => Object.entries(headers ?? {}).flatMap(([name, value]) =>
  Array.isArray(value) ? value.map(v => [name, pack(v)]) : [[name, pack(value)]])

async function produce({ topic, records, codec = 'none', acks = -1, idempotent = false }) {
  const producer = kafka.producer({ idempotent, allowAutoTopicCreation: true, ...(idempotent ? { maxInFlightRequests: 1 } : {}) })
  await producer.connect()
  try {
    const messages = records.map(r => ({
      partition: r.partition ?? 0, key: unpack(r.key), value: unpack(r.value), headers: headersIn(r.headers),
      ...(r.timestamp == null ? {} : { timestamp: String(r.timestamp) }),
    }))
    await producer.send({ topic, messages, acks, compression: codecs[codec] })
    return {}
  } finally {
    await producer.disconnect()
  }
}

// kafkajs consumes in groups only: a plain read is a group of its own that seeks and never commits.
async function read(group, topic, count, timeout_ms, seek, commit) {
  const consumer = kafka.consumer({ groupId: group, maxBytes: big, maxBytesPerPartition: big, maxWaitTimeInMs: 100,
    allowAutoTopicCreation: true, rebalanceTimeout: 10000, sessionTimeout: 10000 })
  await consumer.connect()
  const records = [], next = {}
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    let enough
    const done = new Promise(resolve => { enough = resolve; setTimeout(resolve, timeout_ms) })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (records.length >= count || (seek && partition !== seek.partition)) return
        const offset = Number(message.offset)
        next[partition] = offset + 1
        records.push({ partition, offset, timestamp: Number(message.timestamp), key: pack(message.key), value: pack(message.value),
          headers: headersOut(message.headers) })
        if (records.length === count) enough()
      },
    })
    if (seek && seek.offset >= 0) consumer.seek({ topic, partition: seek.partition, offset: String(seek.offset) })
    await done
    if (commit) {
      await consumer.commitOffsets(Object.entries(next).map(([partition, offset]) =>
        ({ topic, partition: Number(partition), offset: String(offset) })))
    }
    return { records }
  } finally {
    await consumer.disconnect()
  }
}

let reads = 0
const consume = ({ topic, partition, offset, count, timeout_ms }) =>
  read(`read-${process.pid}-${reads++}`, topic, count, timeout_ms, { partition, offset }, false)
const group = ({ group, topic, count, timeout_ms }) => read(group, topic, count, timeout_ms, null, true)

async function withAdmin(action) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await action(admin)
  } finally {
    await admin.disconnect()
  }
}
const offset_at = ({ topic, partition, timestamp }) => withAdmin(async admin => {
  const found = timestamp < 0 ? await admin.fetchTopicOffsets(topic) : await admin.fetchTopicOffsetsByTimestamp(topic, timestamp)
  const at = found.find(p => p.partition === partition)
  return { offset: Number(timestamp === -2 ? at.low : timestamp === -1 ? at.high : at.offset) }
})
const create_topics = ({ topics, partitions }) => withAdmin(async admin => {
  const made = await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: partitions, replicationFactor: 1 })), timeout: 60000 })
  return made ? {} : { error: 'there is such a topic already' }
})
const configs = ({ topic }) => withAdmin(async admin => {
  const { resources } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] })
  return { configs: Object.fromEntries(resources[0].configEntries.map(e => [e.configName, e.configValue])) }
})
const alter = ({ topic, name, value }) => withAdmin(async admin => {
  const configEntries = [{ name, value }]
  await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
  return {}
})
const grow = ({ topic, partitions }) => withAdmin(async admin => {
  await admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  return {}
})
const delete_records = ({ topic, partition, before }) => withAdmin(async admin => {
  await admin.fetchTopicOffsets(topic) // it forgets to look for the leader by itself
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
  return {}
})
const list_topics = () => withAdmin(async admin => ({ topics: await admin.listTopics() }))

const verbs = { produce, consume, group, offset_at, create_topics, list_topics, configs, alter, grow, delete_records, ...memberVerbs(kafka) }
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  let reply
  try {
    reply = await verbs[command.do](command)
  } catch (problem) {
    reply = { error: String(problem) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}
process.exit(0)
