// Writes tests/data/protocol/java_batches.tsv: the same 40 records as a batch of each codec, by Kafka's own library.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class MakeBatches {
  static byte[] utf8(String s) { return s.getBytes(StandardCharsets.UTF_8); }

  public static void main(String[] args) {
    System.out.println("# codec\tbatch");
    Compression[] codecs = {Compression.NONE, Compression.gzip().build(), Compression.snappy().build(),
                            Compression.lz4().build(), Compression.zstd().build()};
    for (Compression codec : codecs) {
      ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
      MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2, codec,
          TimestampType.CREATE_TIME, 0L);
      for (int i = 0; i < 40; i++) {
        Header[] headers = new Header[i % 4];
        for (int h = 0; h < headers.length; h++) headers[h] = new RecordHeader("h" + h, h == 1 ? null : utf8("value " + h));
        byte[] key = i % 3 == 0 ? null : utf8("key-" + i);
        byte[] value = i % 7 == 6 ? null : utf8(String.valueOf((char) ('a' + i % 26)).repeat(i * 11));
        builder.append(1_700_000_000_000L + (i % 2 == 1 ? -i : i) * 1000L, key, value, headers);
      }
      ByteBuffer bytes = builder.build().buffer();
      byte[] out = new byte[bytes.remaining()];
      bytes.get(out);
      System.out.println(codec.type().name + "\t" + HexFormat.of().formatHex(out));
    }
  }
}
