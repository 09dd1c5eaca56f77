import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.test.TestRecord;

/**
 * What Kafka Streams makes of records by windows and joins, one row a result: name of the case, key (with the window's
 * start and end), value, timestamp. The steps are those of tests/processors/stream_rows_test.cc.
 *
 * <p>WindowRows RECORDS ROWS CASES, the cases as a regular expression.
 */
public final class WindowRows {
  private static final StreamsBuilder BUILDER = new StreamsBuilder();
  private static final List<String> CASES = new ArrayList<>();

  private static void out(String name, KStream<String, String> rows) {
    CASES.add(name);
    rows.to(name, Produced.with(Serdes.String(), Serdes.String()));
  }

  private static String shown(Windowed<String> key) {
    return key.key() + " " + key.window().start() + " " + key.window().end();
  }

  private static void both(String name, KTable<Windowed<String>, String> table) {
    out(name + "-update", table.toStream((key, value) -> shown(key)));
    out(name + "-close",
        table.suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())).toStream((key, value) -> shown(key)));
  }

  // A value whose number ends with 0 removes its key; those that end with 10 would find nothing to remove.
  private static boolean isGone(String value) {
    return value.endsWith("0") && !value.endsWith("10");
  }

  private static String add(String key, String next, String soFar) {
    return soFar + next + " ";
  }

  private static <S extends org.apache.kafka.streams.processor.StateStore> Materialized<String, String, S> kept(String name) {
    return Materialized.<String, String, S>as(name).withKeySerde(Serdes.String()).withValueSerde(Serdes.String());
  }

  public static void main(String[] args) throws Exception {
    KStream<String, String> all = BUILDER.stream("in", Consumed.with(Serdes.String(), Serdes.String()));
    KGroupedStream<String, String> grouped = all.groupByKey(Grouped.with(Serdes.String(), Serdes.String()));
    both("tumbling", grouped.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(30), Duration.ofSeconds(10)))
        .aggregate(() -> "", WindowRows::add, kept("tumbling")));
    both("hopping", grouped
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(30), Duration.ofSeconds(10)).advanceBy(Duration.ofSeconds(10)))
        .aggregate(() -> "", WindowRows::add, kept("hopping")));
    both("sliding", grouped
        .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(15)))
        .aggregate(() -> "", WindowRows::add, kept("sliding")));
    both("session", grouped.windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofSeconds(7), Duration.ofSeconds(5)))
        .aggregate(() -> "", WindowRows::add, (key, a, b) -> a + b, kept("session")));

    KStream<String, String> left = all.filter((key, value) -> value.startsWith("L"));
    KStream<String, String> right = all.filter((key, value) -> value.startsWith("R"));
    ValueJoiner<String, String, String> pair = (a, b) -> (a == null ? "-" : a) + "+" + (b == null ? "-" : b);
    JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(4), Duration.ofSeconds(6))
        .before(Duration.ofSeconds(2));
    StreamJoined<String, String, String> bytes =
        StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String());
    out("join", left.join(right, pair, within, bytes));
    out("left-join", left.leftJoin(right, pair, within, bytes));
    out("outer-join", left.outerJoin(right, pair, within, bytes));

    KTable<String, String> leftTable =
        left.mapValues(value -> isGone(value) ? null : value).toTable(kept("left"));
    KTable<String, String> rightTable =
        right.mapValues(value -> isGone(value) ? null : value).toTable(kept("right"));
    out("table-join", leftTable.join(rightTable, pair).toStream());
    out("table-left-join", leftTable.leftJoin(rightTable, pair).toStream());
    out("table-outer-join", leftTable.outerJoin(rightTable, pair).toStream());
    out("stream-table-join", left.join(rightTable, pair));
    out("stream-table-left-join", left.leftJoin(rightTable, pair));
    out("count", grouped.count().toStream().mapValues(String::valueOf));

    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, "rows");
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:1");
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    // Left and outer joins look for what is over at each record, not every second of the wall clock.
    config.put("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__", 0L);
    List<String> rows = new ArrayList<>();
    try (TopologyTestDriver driver = new TopologyTestDriver(BUILDER.build(), config)) {
      TestInputTopic<String, String> in =
          driver.createInputTopic("in", Serdes.String().serializer(), Serdes.String().serializer());
      for (String line : Files.readAllLines(Path.of(args[0]))) {
        String[] fields = line.split("\t");
        in.pipeInput(fields[0], fields[1], Long.parseLong(fields[2]));
      }
      for (String name : CASES) {
        if (!name.matches(args[2])) continue;
        var made = driver.createOutputTopic(name, Serdes.String().deserializer(), Serdes.String().deserializer());
        for (TestRecord<String, String> row : made.readRecordsToList())
          rows.add(name + "\t" + row.key() + "\t" + (row.value() == null ? "<null>" : row.value()) + "\t" + row.timestamp());
      }
    }
    Files.write(Path.of(args[1]), rows);
  }
}
