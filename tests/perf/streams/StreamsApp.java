import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The peer of mapper.cc, counter.cc, windower.cc and joiner.cc: the same pieces of work as a Kafka Streams application,
 * with Streams' own defaults but for two things. The stores' caches are off, since they would leave out most of the
 * counts, and these are what is compared. And keys and values are bytes, which is the cheapest that Streams offers.
 *
 * <p>StreamsApp BOOTSTRAP GUARANTEE PREFIX TEMP_MIN STATE_DIRECTORY WORK...: does each WORK, "mapped", "counted" (or
 * "counted-" and anything), "windowed" or "joined", from the topic PREFIX-WORK to PREFIX-WORK-out; what is joined, with
 * PREFIX-table. Prints "running" once it runs.
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

  private static byte[] joined(byte[] record, byte[] entry) {
    byte[] both = Arrays.copyOf(record, record.length + entry.length);
    System.arraycopy(entry, 0, both, record.length, entry.length);
    return both;
  }

  private final StreamsBuilder builder = new StreamsBuilder();
  private final Consumed<byte[], byte[]> consumed = Consumed.with(Serdes.ByteArray(), Serdes.ByteArray());
  private final Produced<byte[], byte[]> produced = Produced.with(Serdes.ByteArray(), Serdes.ByteArray());
  private final Grouped<byte[], byte[]> grouped = Grouped.with(Serdes.ByteArray(), Serdes.ByteArray());
  private final String prefix;
  private final int min;

  private StreamsApp(String prefix, int min) {
    this.prefix = prefix;
    this.min = min;
  }

  private static Materialized<byte[], byte[], KeyValueStore<Bytes, byte[]>> stored(String name) {
    return Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as(name)
        .withKeySerde(Serdes.ByteArray()).withValueSerde(Serdes.ByteArray()).withCachingDisabled();
  }

  private void add(String work) {
    KStream<byte[], byte[]> records = builder.stream(prefix + "-" + work, consumed);
    String out = prefix + "-" + work + "-out";
    if (work.equals("mapped")) {
      records.filter((key, value) -> passes(value, min)).mapValues(StreamsApp::map).to(out, produced);
    } else if (work.startsWith("counted")) {
      records.groupByKey(grouped)
          .aggregate(() -> new byte[0], (key, value, before) -> count(value, before), stored(work))
          .toStream()
          .to(out, produced);
    } else if (work.equals("windowed")) {
      Duration size = Duration.ofMinutes(1);
      records.groupByKey(grouped)
          .windowedBy(TimeWindows.ofSizeAndGrace(size, Duration.ofSeconds(10)))
          .count(Materialized.<byte[], Long, WindowStore<Bytes, byte[]>>as(work)
              .withKeySerde(Serdes.ByteArray()).withCachingDisabled())
          .toStream()
          .to(out, Produced.with(
              new WindowedSerdes.TimeWindowedSerde<>(Serdes.ByteArray(), size.toMillis()), Serdes.Long()));
    } else if (work.equals("joined")) {
      KTable<byte[], byte[]> table = builder.table(prefix + "-table", consumed, stored("table"));
      records.join(table, StreamsApp::joined, Joined.with(Serdes.ByteArray(), Serdes.ByteArray(), Serdes.ByteArray()))
          .to(out, produced);
    } else {
      throw new IllegalArgumentException("no work '" + work + "'");
    }
  }

  public static void main(String[] args) {
    String prefix = args[2];
    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[1]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);

    StreamsApp app = new StreamsApp(prefix, Integer.parseInt(args[3]));
    for (String work : Arrays.copyOfRange(args, 5, args.length)) app.add(work);
    KafkaStreams streams = new KafkaStreams(app.builder.build(), config);
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) System.out.println("running");
      if (now == KafkaStreams.State.ERROR) System.exit(1);
    });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
