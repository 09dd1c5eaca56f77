// Members of groups: kafkajs runs them by itself, here only what they tell is collected. ../README.md has the commands.
export function memberVerbs(kafka) {
  const members = {}
  const withAdmin = async action => {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await action(admin)
    } finally {
      await admin.disconnect()
    }
  }
  const offsetsOf = m => Object.entries(m.next).map(([partition, offset]) =>
    ({ topic: m.topic, partition: Number(partition), offset: String(offset) }))

  async function join({ member, group, topic, session_ms = 20000, auto_commit = false }) {
    const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, sessionTimeout: session_ms,
      rebalanceTimeout: 20000, heartbeatInterval: 300 })
    const m = members[member] = { consumer, group, topic, assigned: [], records: [], next: {}, events: [] }
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      m.assigned = payload.memberAssignment[topic] ?? []
      m.next = {}
      m.events.push(['assigned', m.assigned])
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => { if (!payload.restart) m.problem = String(payload.error) })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    consumer.run({
      autoCommit: auto_commit,
      autoCommitInterval: 200,
      eachMessage: async ({ partition, message }) => {
        m.next[partition] = Number(message.offset) + 1
        m.records.push({ partition, offset: Number(message.offset), timestamp: Number(message.timestamp),
          key: message.key?.toString('base64') ?? null, value: message.value?.toString('base64') ?? null })
      },
    }).catch(problem => { m.problem = String(problem) })
    return {}
  }
  const look = async ({ member }) => {
    const m = members[member]
    const records = m.records
    m.records = []
    return { assigned: m.assigned, records, events: m.events, ...(m.problem ? { problem: m.problem } : {}) }
  }
  const commit = async ({ member }) => {
    await members[member].consumer.commitOffsets(offsetsOf(members[member]))
    return {}
  }
  const committed = ({ member, asked }) => withAdmin(async admin => {
    const { group, topic } = members[member]
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    const offsets = found.partitions.filter(p => asked.includes(p.partition))
      .map(p => [p.partition, p.offset === '-1' ? null : Number(p.offset)])
    return { offsets: Object.fromEntries(offsets) }
  })
  const at = ({ member, partition }) => [{ topic: members[member].topic, partitions: [partition] }]
  const pause = async command => { members[command.member].consumer.pause(at(command)); return {} }
  const resume = async command => { members[command.member].consumer.resume(at(command)); return {} }
  const seek = async ({ member, partition, offset }) => {
    members[member].consumer.seek({ topic: members[member].topic, partition, offset: String(offset) })
    return {}
  }
  const leave = async ({ member }) => {
    await members[member].consumer.disconnect()
    delete members[member]
    return {}
  }
  return { join, look, commit, committed, pause, resume, seek, leave }
}
