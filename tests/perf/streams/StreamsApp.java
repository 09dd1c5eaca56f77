import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The peer of mapper.cc and counter.cc: the same two pieces of work as a Kafka Streams application, with Streams' own
 * defaults but for two things. The store's cache is off, since it would leave out most of the counts, and these are
 * what is compared. And keys and values are bytes, which is the cheapest that Streams offers.
 *
 * <p>StreamsApp BOOTSTRAP GUARANTEE PREFIX TEMP_MIN STATE_DIRECTORY: reads PREFIX-mapped and PREFIX-counted, writes
 * PREFIX-mapped-out and PREFIX-counted-out. Prints "running" once it runs.
 */
public final class StreamsApp {
  private static final byte[] FIELD = "\"temp\":".getBytes(StandardCharsets.US_ASCII);

  private static boolean passes(byte[] value, int min) {
    outer:
    for (int at = 0; at + FIELD.length + 2 <= value.length; at++) {
      for (int i = 0; i < FIELD.length; i++) if (value[at + i] != FIELD[i]) continue outer;
      return (value[at + FIELD.length] - '0') * 10 + (value[at + FIELD.length + 1] - '0') >= min;
    }
    return false;
  }

  private static byte[] map(byte[] value) {
    byte[] mapped = value.clone();
    for (int i = 8; i < mapped.length; i++)
      if (mapped[i] >= 'a' && mapped[i] <= 'z') mapped[i] = (byte) (mapped[i] - 'a' + 'A');
    return mapped;
  }

  private static byte[] count(byte[] value, byte[] before) {
    long count = before.length == 16 ? ByteBuffer.wrap(before).getLong(8) : 0;
    return ByteBuffer.allocate(16).put(value, 0, 8).putLong(count + 1).array();
  }

  public static void main(String[] args) {
    String prefix = args[2];
    int min = Integer.parseInt(args[3]);
    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[1]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);

    StreamsBuilder builder = new StreamsBuilder();
    Consumed<byte[], byte[]> consumed = Consumed.with(Serdes.ByteArray(), Serdes.ByteArray());
    Produced<byte[], byte[]> produced = Produced.with(Serdes.ByteArray(), Serdes.ByteArray());
    builder.stream(prefix + "-mapped", consumed)
        .filter((key, value) -> passes(value, min))
        .mapValues(StreamsApp::map)
        .to(prefix + "-mapped-out", produced);
    builder.stream(prefix + "-counted", consumed)
        .groupByKey(Grouped.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .aggregate(() -> new byte[0], (key, value, before) -> count(value, before),
            Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as("counts")
                .withKeySerde(Serdes.ByteArray()).withValueSerde(Serdes.ByteArray()).withCachingDisabled())
        .toStream()
        .to(prefix + "-counted-out", produced);

    KafkaStreams streams = new KafkaStreams(builder.build(), config);
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) System.out.println("running");
      if (now == KafkaStreams.State.ERROR) System.exit(1);
    });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
