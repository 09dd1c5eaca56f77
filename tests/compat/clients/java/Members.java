// Members of groups, each a consumer on a thread of its own; commands and polls take turns. ../README.md has the commands.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

class Member implements ConsumerRebalanceListener, Runnable {
  static final Map<String, String> assignors = Map.of("range", "RangeAssignor", "roundrobin", "RoundRobinAssignor", "sticky",
      "StickyAssignor", "cooperative-sticky", "CooperativeStickyAssignor");

  final ReentrantLock turn = new ReentrantLock(true);
  final ArrayNode events = Client.json.createArrayNode();
  final String topic;
  final KafkaConsumer<byte[], byte[]> consumer;
  final Thread thread = new Thread(this);
  ArrayNode records = Client.json.createArrayNode();
  String problem;
  volatile boolean isOver;

  Member(JsonNode c) {
    Map<String, String> options = new HashMap<>();
    boolean isClassic = c.path("protocol").asText("classic").equals("classic");
    options.put("group.id", c.get("group").asText());
    options.put("group.protocol", isClassic ? "classic" : "consumer");
    options.put("fetch.max.wait.ms", "100");
    options.put("reconnect.backoff.max.ms", "500");
    options.put("enable.auto.commit", c.path("auto_commit").asBoolean(false) ? "true" : "false");
    options.put("auto.commit.interval.ms", "200");
    if (isClassic) {  // else the broker sets these
      options.put("session.timeout.ms", "" + c.path("session_ms").asInt(20000));
      options.put("heartbeat.interval.ms", "300");
    }
    if (c.hasNonNull("instance")) options.put("group.instance.id", c.get("instance").asText());
    if (c.hasNonNull("assignor")) {
      String name = c.get("assignor").asText();
      if (isClassic) options.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignors.get(name));
      else options.put("group.remote.assignor", name);
    }
    consumer = Client.consumer(options.entrySet().stream().flatMap(e -> java.util.stream.Stream.of(e.getKey(), e.getValue()))
        .toArray(String[]::new));
    topic = c.get("topic").asText();
    if (topic.startsWith("^")) consumer.subscribe(new SubscriptionPattern(topic.substring(1)), this);
    else consumer.subscribe(List.of(topic), this);
    thread.setDaemon(true);
    thread.start();
  }

  void note(String what, Collection<TopicPartition> partitions) {
    var numbers = events.addArray().add(what).addArray();
    for (var p : partitions) numbers.add(p.partition());
  }
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) { note("assigned", partitions); }
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) { note("revoked", partitions); }
  public void onPartitionsLost(Collection<TopicPartition> partitions) { note("lost", partitions); }

  public void run() {
    while (!isOver) {
      turn.lock();
      try {
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(50)))
          records.addObject().put("partition", r.partition()).put("offset", r.offset()).put("timestamp", r.timestamp())
              .put("key", r.key()).put("value", r.value());
      } catch (RuntimeException e) {  // told with the next look; the consumer may well recover
        e.printStackTrace();
        problem = e.toString();
      } finally {
        turn.unlock();
      }
    }
  }

  TopicPartition where(JsonNode c) { return new TopicPartition(topic, c.get("partition").asInt()); }
}

class Members {
  static final Map<String, Member> members = new HashMap<>();

  interface Action { ObjectNode on(Member m) throws Exception; }

  static ObjectNode with(JsonNode c, Action action) throws Exception {
    Member m = members.get(c.get("member").asText());
    m.turn.lock();
    try {
      var reply = action.on(m);
      return reply == null ? Client.json.createObjectNode() : reply;
    } finally {
      m.turn.unlock();
    }
  }

  static JsonNode join(JsonNode c) {
    members.put(c.get("member").asText(), new Member(c));
    return Client.json.createObjectNode();
  }

  static JsonNode look(JsonNode c) throws Exception {
    return with(c, m -> {
      var reply = Client.json.createObjectNode();
      var assigned = reply.putArray("assigned");
      var numbers = new TreeSet<Integer>();
      for (var p : m.consumer.assignment()) numbers.add(p.partition());
      numbers.forEach(assigned::add);
      reply.set("records", m.records);
      reply.set("events", m.events.deepCopy());
      if (m.problem != null) reply.put("problem", m.problem);
      m.records = Client.json.createArrayNode();
      return reply;
    });
  }

  static JsonNode commit(JsonNode c) throws Exception {
    var done = new CompletableFuture<Void>();
    with(c, m -> {
      if (c.path("how").asText("sync").equals("sync")) {
        m.consumer.commitSync();
        done.complete(null);
      } else {
        m.consumer.commitAsync((offsets, e) -> { if (e == null) done.complete(null); else done.completeExceptionally(e); });
      }
      return null;
    });
    done.get(20, TimeUnit.SECONDS);
    return Client.json.createObjectNode();
  }

  static JsonNode committed(JsonNode c) throws Exception {
    return with(c, m -> {
      var asked = new HashSet<TopicPartition>();
      for (var p : c.get("asked")) asked.add(new TopicPartition(m.topic, p.asInt()));
      var reply = Client.json.createObjectNode();
      var offsets = reply.putObject("offsets");
      m.consumer.committed(asked).forEach((p, at) -> offsets.put("" + p.partition(), at == null ? null : (Long) at.offset()));
      return reply;
    });
  }

  static JsonNode pause(JsonNode c) throws Exception {
    return with(c, m -> { m.consumer.pause(List.of(m.where(c))); return null; });
  }
  static JsonNode resume(JsonNode c) throws Exception {
    return with(c, m -> { m.consumer.resume(List.of(m.where(c))); return null; });
  }
  static JsonNode seek(JsonNode c) throws Exception {
    return with(c, m -> { m.consumer.seek(m.where(c), c.get("offset").asLong()); return null; });
  }
  static JsonNode leave(JsonNode c) throws Exception {
    Member m = members.remove(c.get("member").asText());
    m.isOver = true;
    m.thread.join();
    m.consumer.close();
    return Client.json.createObjectNode();
  }
}
