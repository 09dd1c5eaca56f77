// Apache Kafka's own Java clients, with their defaults: the producer is the idempotent one unless told otherwise.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

public class Client {
  static final ObjectMapper json = new ObjectMapper();
  static final String bootstrap = System.getenv("BOOTSTRAP");
  static final int big = 16 * 1024 * 1024;  // size limits are raised to this for the 10 MiB messages

  static Properties options(String... pairs) {
    var options = new Properties();
    options.put("bootstrap.servers", bootstrap);
    for (int i = 0; i < pairs.length; i += 2) options.put(pairs[i], pairs[i + 1]);
    return options;
  }

  static byte[] bytes(JsonNode node) throws Exception {
    return node == null || node.isNull() ? null : node.binaryValue();
  }

  static JsonNode produce(JsonNode c) throws Exception {
    var options = options("linger.ms", "20", "max.request.size", "" + big, "max.block.ms", "5000",
        "request.timeout.ms", "5000", "delivery.timeout.ms", "8000",
        "compression.type", c.path("codec").asText("none"), "acks", c.path("acks").asText("all"),
        "key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer",
        "value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
    if (c.has("idempotent") && !c.get("idempotent").asBoolean()) options.put("enable.idempotence", "false");
    var reply = json.createObjectNode();
    try (var producer = new KafkaProducer<byte[], byte[]>(options)) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (var r : c.get("records")) {
        List<Header> headers = new ArrayList<>();
        for (var h : r.path("headers")) headers.add(new RecordHeader(h.get(0).asText(), bytes(h.get(1))));
        sent.add(producer.send(new ProducerRecord<>(c.get("topic").asText(), r.path("partition").asInt(0),
            r.has("timestamp") ? r.get("timestamp").asLong() : null, bytes(r.get("key")), bytes(r.get("value")), headers)));
      }
      producer.flush();
      for (var f : sent) reply.withArray("offsets").add(f.get(20, TimeUnit.SECONDS).offset());
    }
    return reply;
  }

  static KafkaConsumer<byte[], byte[]> consumer(String... more) {
    var options = options("auto.offset.reset", "earliest", "enable.auto.commit", "false",
        "max.partition.fetch.bytes", "" + big, "fetch.max.bytes", "" + big, "default.api.timeout.ms", "10000",
        "key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer",
        "value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
    for (int i = 0; i < more.length; i += 2) options.put(more[i], more[i + 1]);
    return new KafkaConsumer<>(options);
  }

  static ObjectNode read(KafkaConsumer<byte[], byte[]> consumer, JsonNode c) {
    var reply = json.createObjectNode();
    ArrayNode records = reply.putArray("records");
    long end = System.nanoTime() + c.get("timeout_ms").asLong() * 1_000_000;
    while (records.size() < c.get("count").asInt() && System.nanoTime() < end)
      for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
        if (records.size() == c.get("count").asInt()) break;
        var record = records.addObject().put("partition", r.partition()).put("offset", r.offset())
            .put("timestamp", r.timestamp()).put("key", r.key()).put("value", r.value());
        var headers = record.putArray("headers");
        for (Header h : r.headers()) headers.addArray().add(h.key()).add(h.value());
      }
    return reply;
  }

  static JsonNode consume(JsonNode c) {
    var where = new TopicPartition(c.get("topic").asText(), c.get("partition").asInt());
    try (var consumer = consumer()) {
      consumer.assign(List.of(where));
      if (c.get("offset").asLong() >= 0) consumer.seek(where, c.get("offset").asLong());
      else consumer.seekToBeginning(List.of(where));
      return read(consumer, c);
    }
  }

  static JsonNode group(JsonNode c) {
    // One record a poll, so that the position that is committed is the one after the records answered.
    try (var consumer = consumer("group.id", c.get("group").asText(), "max.poll.records", "1")) {
      consumer.subscribe(List.of(c.get("topic").asText()));
      var reply = read(consumer, c);
      consumer.commitSync();
      return reply;
    }
  }

  static JsonNode offset_at(JsonNode c) {
    var where = new TopicPartition(c.get("topic").asText(), c.get("partition").asInt());
    long timestamp = c.get("timestamp").asLong();
    try (var consumer = consumer()) {
      if (timestamp == -1) return json.createObjectNode().put("offset", consumer.endOffsets(List.of(where)).get(where));
      if (timestamp == -2) return json.createObjectNode().put("offset", consumer.beginningOffsets(List.of(where)).get(where));
      var found = consumer.offsetsForTimes(Map.of(where, timestamp)).get(where);
      return json.createObjectNode().put("offset", found == null ? -1 : found.offset());
    }
  }

  static JsonNode create_topics(JsonNode c) throws Exception {
    List<NewTopic> topics = new ArrayList<>();
    for (var name : c.get("topics")) topics.add(new NewTopic(name.asText(), c.get("partitions").asInt(), (short) 1));
    try (var admin = Admin.create(options())) {
      admin.createTopics(topics).all().get(60, TimeUnit.SECONDS);
      return json.createObjectNode();
    }
  }

  static ConfigResource topic(JsonNode c) {
    return new ConfigResource(ConfigResource.Type.TOPIC, c.get("topic").asText());
  }

  static JsonNode configs(JsonNode c) throws Exception {
    var reply = json.createObjectNode();
    var configs = reply.putObject("configs");
    try (var admin = Admin.create(options())) {
      var found = admin.describeConfigs(List.of(topic(c))).all().get(30, TimeUnit.SECONDS).get(topic(c));
      for (var entry : found.entries()) configs.put(entry.name(), entry.value());
    }
    return reply;
  }

  static JsonNode alter(JsonNode c) throws Exception {
    var change = new AlterConfigOp(new ConfigEntry(c.get("name").asText(), c.get("value").asText()), AlterConfigOp.OpType.SET);
    try (var admin = Admin.create(options())) {
      admin.incrementalAlterConfigs(Map.of(topic(c), List.of(change))).all().get(30, TimeUnit.SECONDS);
    }
    return json.createObjectNode();
  }

  static JsonNode grow(JsonNode c) throws Exception {
    var total = NewPartitions.increaseTo(c.get("partitions").asInt());
    try (var admin = Admin.create(options())) {
      admin.createPartitions(Map.of(c.get("topic").asText(), total)).all().get(30, TimeUnit.SECONDS);
    }
    return json.createObjectNode();
  }

  static JsonNode delete_records(JsonNode c) throws Exception {
    var where = new TopicPartition(c.get("topic").asText(), c.get("partition").asInt());
    try (var admin = Admin.create(options())) {
      admin.deleteRecords(Map.of(where, RecordsToDelete.beforeOffset(c.get("before").asLong()))).all().get(30, TimeUnit.SECONDS);
    }
    return json.createObjectNode();
  }

  static JsonNode list_topics(JsonNode c) throws Exception {
    var reply = json.createObjectNode();
    try (var admin = Admin.create(options())) {
      for (var name : admin.listTopics().names().get(10, TimeUnit.SECONDS)) reply.withArray("topics").add(name);
    }
    return reply;
  }

  public static void main(String[] args) throws Exception {
    var out = new PrintStream(System.out, true);
    System.setOut(System.err);  // whatever a library prints must not disturb the answers
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      JsonNode reply;
      try {
        var command = json.readTree(line);
        var method = (command.has("member") ? Members.class : Client.class)
            .getDeclaredMethod(command.get("do").asText(), JsonNode.class);
        reply = (JsonNode) method.invoke(null, command);
      } catch (java.lang.reflect.InvocationTargetException problem) {
        problem.getCause().printStackTrace();
        reply = json.createObjectNode().put("error", problem.getCause().toString());
      }
      out.println(json.writeValueAsString(reply));
    }
  }
}
