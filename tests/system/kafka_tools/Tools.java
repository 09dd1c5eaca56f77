// Runs Apache Kafka's own command line tools one after the other in this JVM: starting one takes longer than they do.
//
// A line of standard input is a class and its arguments, separated by tabs. The answer is a line "STATUS BYTES", and
// then so many bytes: what the tool printed, to either stream.
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

public class Tools {
  static class Ended extends RuntimeException {
    final int status;
    Ended(int status) { super(null, null, false, false); this.status = status; }
  }

  static int run(String[] words) throws Exception {
    try {
      Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
      return 0;
    } catch (java.lang.reflect.InvocationTargetException problem) {
      if (problem.getCause() instanceof Ended ended) return ended.status;
      problem.getCause().printStackTrace();
      return 1;
    }
  }

  public static void main(String[] args) throws Exception {
    var answers = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);
    Exit.setExitProcedure((status, message) -> { throw new Ended(status); });
    Exit.setHaltProcedure((status, message) -> { throw new Ended(status); });
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      var said = new ByteArrayOutputStream();
      System.setOut(new PrintStream(said, true));
      System.setErr(new PrintStream(said, true));
      int status = run(line.split("\t"));
      answers.println(status + " " + said.size());
      answers.write(said.toByteArray());
      answers.flush();
    }
  }
}
