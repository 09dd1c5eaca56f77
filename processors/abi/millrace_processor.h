/* millrace_processor.h: everything a Millrace broker and a processor agree on.
 *
 * A processor is a shared object that turns the records of one topic, or of several (its inputs), into
 * records of other topics (its outputs). The broker loads it, makes one instance of it per partition of the
 * input, and calls the instance with the records in the order of their offsets. What the instance emits
 * becomes durable in the same step as the position up to which the input was processed: each input record
 * takes effect exactly once, whatever crashes in between.
 *
 * This is plain C (C11, and any C++), so that compilers and years may differ. C++ programs use the
 * header <millrace/processor.h> on top of it.
 *
 *     broker                                   shared object
 *       |  millrace_processor_entry(version) ----> |   once per load
 *       |  <---- millrace_processor (a table) -----|
 *       |  create(host, scope, setup, &instance) ->|   once per partition of the input
 *       |  process(instance, call) --------------->|   again and again
 *       |  <---- host->emit(scope, emission) ------|     any number of times inside process, and so
 *       |  <---- host->state_put(scope, change) ---|     with the other functions of the host
 *       |  timer(instance, call) ----------------->|   when the time that records tell has come
 *       |  migrate(instance, entry) -------------->|   before all of these, on state of an earlier version
 *       |  destroy(instance) --------------------->|
 *
 * RULES
 *
 * 1. Growth. Every struct that crosses starts with its own size. Fields are only ever added, at the end.
 *    The side that reads a struct ignores what it does not know and takes a field beyond the given size
 *    as zero. Elements of arrays (records, options) carry their distance, the stride, instead of a size.
 *    Bytes and headers are values that never change. MILLRACE_PROCESSOR_ABI_VERSION changes only if all
 *    this cannot express a change.
 * 2. Memory. Whoever allocates, frees; nothing is handed over. What the broker passes to a call is valid
 *    until that call returns. What the processor passes to a host function is copied before it returns.
 *    The processor's table, and all it points to, must stay as they are until the process ends: a shared
 *    object is never unloaded.
 * 3. Threads. An instance is called by one thread at a time. That thread may change between calls, and
 *    different instances are called by different threads at the same time. Host functions may be called
 *    only from inside a call into the instance that owns the scope, on the calling thread.
 * 4. Exceptions, longjmp and signals never cross. A C++ exception that leaves a processor function ends
 *    the broker.
 * 5. Repetition. After a crash records are processed again from the last durable position; results of
 *    the lost run were never visible to anybody. So a processor must have no effects but its emissions,
 *    and must be a function of its records (with their offsets and timestamps), its configuration and
 *    its state. The broker may hand over any run of consecutive records as one call: results must not
 *    depend on where calls begin and end.
 * 6. Time. A call runs on the thread that serves clients. One call should take well under a millisecond.
 */
#ifndef MILLRACE_PROCESSOR_H
#define MILLRACE_PROCESSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_PROCESSOR_ABI_VERSION 1u

/* The one symbol a shared object exports (or MILLRACE_PROCESSOR_ENTRY_FOR_SYMBOL, below). */
#define MILLRACE_PROCESSOR_ENTRY_SYMBOL "millrace_processor_entry"

#if defined(__GNUC__)
#define MILLRACE_PROCESSOR_EXPORT __attribute__((visibility("default")))
#else
#define MILLRACE_PROCESSOR_EXPORT
#endif

/* ---- Results of calls, in either direction. Zero is success; values not listed are errors. ---------- */

enum millrace_status {
  MILLRACE_OK = 0,
  MILLRACE_ERROR = 1,            /* anything without a better name */
  MILLRACE_INVALID_ARGUMENT = 2, /* a null pointer, a negative count, a size that cannot be */
  MILLRACE_UNKNOWN_OUTPUT = 3,   /* the output number was not declared */
  MILLRACE_TOO_LARGE = 4,        /* one record's outputs passed the broker's limit */
  MILLRACE_OUT_OF_ORDER = 5,  /* emitted for a record before the one last emitted for, or outside the call */
  MILLRACE_NOT_IN_CALL = 6,   /* a host function that is only for process() was called elsewhere */
  MILLRACE_UNKNOWN_STORE = 7, /* the store number was not declared */
  MILLRACE_NOT_FOUND = 8,     /* no such key, or none behind it: an answer, and no failure of the record */
  MILLRACE_STATE_FULL = 9,    /* the processor's state has reached its limit: the record fails, it pauses */
  MILLRACE_TIME_PASSED = 10,  /* the stream time is there already: an answer, the timer is not set */
  MILLRACE_UNKNOWN_PARTITION = 11 /* the output has no such partition, or it is not the processor's choice */
};

/* ---- Values ----------------------------------------------------------------------------------------- */

/* Bytes, or null. Kafka tells a null key or value from an empty one: size < 0 is null, and then data is
 * not looked at; size 0 is empty. Not terminated by a zero byte. */
typedef struct millrace_bytes {
  const char* data;
  int64_t size;
} millrace_bytes;

/* A record header. The key is never null; the value may be. */
typedef struct millrace_header {
  millrace_bytes key;
  millrace_bytes value;
} millrace_header;

/* One pair of the processor's configuration. Neither is null. */
typedef struct millrace_option {
  millrace_bytes key;
  millrace_bytes value;
} millrace_option;

/* One input record. */
typedef struct millrace_record {
  int64_t offset;
  int64_t timestamp_ms; /* since the Unix epoch; -1 if the producer gave none */
  millrace_bytes key;
  millrace_bytes value;
  const millrace_header*
      headers; /* in their order on the wire; null if the processor has not asked for them */
  uint32_t header_count;
  uint32_t
      input; /* number of the input it comes from, in the order of millrace_processor.inputs; else zero */
} millrace_record;

/* One record to append to an output. */
typedef struct millrace_emission {
  uint32_t struct_size;
  uint32_t output; /* number of the output, in the order of millrace_processor.outputs */
  uint32_t record; /* number in this call of the input record that causes it; never lower than before */
  uint32_t header_count;
  int64_t timestamp_ms; /* or MILLRACE_INHERIT_TIMESTAMP */
  millrace_bytes key;
  millrace_bytes value;
  const millrace_header* headers;
  /* Outputs that the deployment declares with partition_by = "processor" only: if has_partition is 1, the
   * record goes to this partition; if 0, to the one that its key tells. */
  uint32_t has_partition;
  int32_t partition;
} millrace_emission;

/* The emission carries the timestamp of the record that causes it. */
#define MILLRACE_INHERIT_TIMESTAMP INT64_MIN

/* ---- State ------------------------------------------------------------------------------------------ *
 *
 * A processor that declares stores has them once per partition of its input: ordered maps from bytes to
 * bytes, in the order of memcmp (a shorter key before its continuations). The broker holds them. A change
 * counts from the moment it is made, and is durable together with the record that caused it and what that
 * emitted; the changes of a failed record are taken back. Every store has a topic that says its changes, key
 * by key. */

/* Puts a key, or removes it. */
typedef struct millrace_change {
  uint32_t struct_size;
  uint32_t store;  /* number of the store, in the order of millrace_processor.stores */
  uint32_t record; /* number in this call of the input record that causes it, as in millrace_emission */
  uint32_t reserved;
  millrace_bytes key;   /* not null */
  millrace_bytes value; /* null removes the key */
} millrace_change;

/* ---- Timers ----------------------------------------------------------------------------------------- *
 *
 * The stream time of a partition is the largest timestamp among its records so far. A record that raises it
 * fires the timers that have become due, earliest first, before it is processed itself. There is no other
 * clock, so timers fire at the same records whenever the input is processed. A timer is known by its time and
 * key together; it is state, durable like the rest, and is gone once it has fired. */
typedef struct millrace_timer {
  uint32_t struct_size;
  uint32_t record;    /* as in millrace_change */
  int64_t at_ms;      /* not negative */
  millrace_bytes key; /* not null */
} millrace_timer;

/* A timer that fires. What is emitted and changed meanwhile is caused by record number `record`. */
typedef struct millrace_timer_call {
  uint32_t struct_size;
  uint32_t record;
  int64_t at_ms;
  millrace_bytes key;
} millrace_timer_call;

/* ---- Migration -------------------------------------------------------------------------------------- *
 *
 * State of an earlier state_version is brought to the table's own before the next record is processed: by one
 * call of migrate() for each entry that the stores held, ordered by store and key. Changes show at once: an
 * entry that an earlier call has removed is passed over, one that it has changed comes as it is by then, one
 * that it has added does not come. The changes of all calls are durable together, with the new version, or
 * not at all: an error takes everything back, and the processor pauses. Only the stores that the table
 * declares are there; a store that it declares anew is empty. */
typedef struct millrace_migration {
  uint32_t struct_size;
  uint32_t from_version; /* what the state was kept by: at least migrates_from, less than state_version */
  uint32_t store;
  uint32_t reserved; /* zero */
  millrace_bytes key;
  millrace_bytes value;
} millrace_migration;

/* Kinds of metrics. */
typedef enum millrace_metric_kind {
  MILLRACE_METRIC_ADD = 0, /* the value is added to the sum so far */
  MILLRACE_METRIC_SET = 1  /* the value replaces the one before */
} millrace_metric_kind;

/* ---- What a processor is (its table) ---------------------------------------------------------------- */

/* Needs: the broker refuses to load a processor that needs something it does not offer, or does not know. */
#define MILLRACE_NEEDS_STATE (UINT64_C(1) << 0)            /* ordered key-value stores */
#define MILLRACE_NEEDS_TIMERS (UINT64_C(1) << 1)           /* calls at a stream time */
#define MILLRACE_NEEDS_READ_UNCOMMITTED (UINT64_C(1) << 2) /* records of open transactions, too */

/* Traits: what the broker may rely on. It ignores those that it does not know. */
#define MILLRACE_READS_HEADERS (UINT64_C(1) << 0) /* without it millrace_record.headers is left empty */
#define MILLRACE_DETERMINISTIC \
  (UINT64_C(1) << 1) /* rule 5 is kept to the byte: replay gives the same bytes */
#define MILLRACE_THREAD_COMPATIBLE (UINT64_C(1) << 2) /* instances share nothing mutable */

typedef enum millrace_log_level {
  MILLRACE_LOG_DEBUG = 0,
  MILLRACE_LOG_INFO = 1,
  MILLRACE_LOG_WARN = 2,
  MILLRACE_LOG_ERROR = 3
} millrace_log_level;

/* The broker's side of one instance. Opaque. */
typedef struct millrace_scope millrace_scope;

/* Functions of the broker. The table lives as long as the process. */
typedef struct millrace_host {
  uint32_t struct_size;
  uint32_t abi_version;
  uint64_t offers; /* MILLRACE_NEEDS_* bits that this broker can satisfy */

  /* Appends a record to an output. Only inside process(). After an error the record that caused it counts
   * as failed, whatever process() returns; go on or return, as you like. */
  int32_t (*emit)(millrace_scope* scope, const millrace_emission* emission);

  /* Writes one line to the broker's log, with the names of processor and partition. Rate-limited. */
  void (*log)(millrace_scope* scope, int32_t level, const char* text, uint64_t size);

  /* Says why the current call is about to return an error. The last text wins. */
  void (*explain)(millrace_scope* scope, const char* text, uint64_t size);

  /* From here on: with MILLRACE_NEEDS_STATE or MILLRACE_NEEDS_TIMERS, only inside process(), timer() and
   * migrate(). What they give is valid until the next change of the store, at most until the call returns. */

  /* MILLRACE_NOT_FOUND leaves `value` null. */
  int32_t (*state_get)(millrace_scope* scope, uint32_t store, millrace_bytes key, millrace_bytes* value);
  int32_t (*state_put)(millrace_scope* scope, const millrace_change* change);
  /* The first entry at or behind `from`, or, with `is_behind`, behind it. */
  int32_t (*state_seek)(millrace_scope* scope, uint32_t store, millrace_bytes from, int32_t is_behind,
                        millrace_bytes* key, millrace_bytes* value);
  int32_t (*timer_set)(millrace_scope* scope, const millrace_timer* timer);
  int32_t (*timer_cancel)(millrace_scope* scope, const millrace_timer* timer);
  /* With MILLRACE_NEEDS_TIMERS; else, and before the first record that has a timestamp, INT64_MIN. */
  int64_t (*stream_time)(millrace_scope* scope);

  /* A figure of the instance, for its operator; at any time. At most 64 names, of up to 100 bytes. */
  int32_t (*metric)(millrace_scope* scope, int32_t kind, const char* name, uint64_t size, double value);

  /* How many partitions the topic of an output has, for millrace_emission.partition; 0 for an output that is
   * not partition_by = "processor". Only inside process() and timer(). */
  int32_t (*partition_count)(millrace_scope* scope, uint32_t output);
} millrace_host;

/* What an instance is made for. Valid during create() only: copy what is needed later. */
typedef struct millrace_setup {
  uint32_t struct_size;
  int32_t partition;              /* of the input, and of outputs that go by it */
  millrace_bytes processor_name;  /* the name it was deployed under */
  millrace_bytes input_topic;     /* of several inputs, one of them */
  const millrace_option* options; /* configuration, sorted by key */
  uint32_t option_count;
  uint32_t option_stride;
  uint32_t stage;    /* which of the library's stages it is: zero for the first, or the only one */
  uint32_t reserved; /* zero */
} millrace_setup;

/* A run of consecutive records of one input to process. */
typedef struct millrace_call {
  uint32_t struct_size;
  uint32_t record_count;  /* at least one */
  const void* records;    /* of millrace_record; element i begins at records + i * record_stride */
  uint32_t record_stride; /* bytes */
  uint32_t reserved;      /* zero */

  /* Out: how many records, from the first, are done. On MILLRACE_OK it must be at least one; fewer than
   * record_count asks the broker to call again from the next. On an error the record with this number is
   * the one that failed: what was emitted for it is dropped, what was emitted for those before it stands. */
  uint32_t* records_done;

  /* Becomes non-zero while the call runs when the broker would like it to return after the current record
   * (its outputs have grown large). A wish, not an order. Never null. */
  const volatile uint32_t* stop;

  /* Out, if not null: the number of the record at work, for whoever has to explain a crash. */
  volatile uint32_t* current;
} millrace_call;

typedef struct millrace_processor {
  uint32_t struct_size;
  uint32_t abi_version;   /* MILLRACE_PROCESSOR_ABI_VERSION of the header it was compiled with */
  const char* name;       /* "line-cleaner"; for logs */
  const char* version;    /* "1.4.2"; for logs */
  uint64_t needs;         /* MILLRACE_NEEDS_* */
  uint64_t traits;        /* MILLRACE_READS_HEADERS ... */
  uint32_t state_version; /* layout of the state it keeps: it starts on no other one that it cannot migrate */
  uint32_t output_count;
  const char* const* outputs; /* names of the outputs; the deployment maps each to a topic */

  /* Makes the instance of one partition. On an error the processor does not start; explain() says why.
   * `host` and `scope` stay valid until destroy() returns. */
  int32_t (*create)(const millrace_host* host, millrace_scope* scope, const millrace_setup* setup,
                    void** instance);
  void (*destroy)(void* instance);

  /* Processes the records of `call`, emitting for each in turn. */
  int32_t (*process)(void* instance, const millrace_call* call);

  /* Names of the stores, of letters, digits, '.', '_', '-'; "meta" is the broker's own. MILLRACE_NEEDS_STATE
   * must be set if there are any. */
  uint32_t store_count;
  uint32_t reserved; /* zero */
  const char* const* stores;

  /* With MILLRACE_NEEDS_TIMERS. On an error the timer failed, and what it emitted and changed is dropped. */
  int32_t (*timer)(void* instance, const millrace_timer_call* call);

  /* Optional: the oldest state_version that migrate() knows, and migrate(). It may use the stores and set
   * timers, as changes of record 0; it cannot emit. */
  uint32_t migrates_from;
  uint32_t reserved_2; /* zero */
  int32_t (*migrate)(void* instance, const millrace_migration* migration);

  /* Optional: its steps, as text for people and as a graph in Graphviz's language. Null if it tells none. */
  const char* topology;
  const char* topology_graph;

  /* Optional: names of several inputs; the deployment maps each to a topic, and records tell which one they
   * come from. An instance gets the partitions of its number of all of them; their records alternate in an
   * order that is the same for good once they are processed. Without it there is one input. */
  uint32_t input_count;
  uint32_t reserved_3; /* zero */
  const char* const* inputs;

  /* Optional: the further stages, of a processor whose records change their keys on the way. Each is a
   * table like this one, which is the first stage; they have no stages of their own, and names of stores are
   * those of one stage only. An output of a stage that bears the name of an input of a later one has no topic
   * of the deployment's: the broker makes one between them (a repartition topic), on which records go to
   * partitions by their keys. Each stage has its own stream time and its own instances, and create() is told
   * which stage it is for. */
  uint32_t further_stage_count;
  uint32_t reserved_4; /* zero */
  const struct millrace_processor* const* further_stages;
} millrace_processor;

/* The exported function: returns the table, or null if this host is too old for it. Called once per load,
 * before anything else. */
MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry(uint32_t host_abi_version);

typedef const millrace_processor* (*millrace_processor_entry_fn)(uint32_t host_abi_version);

/* Instead of it, from an object whose table depends on its configuration: outputs and stores, say. Called
 * with the options that create() gets, as often as there are deployments; the tables stay valid for good.
 * Null if something is wrong with them: then `why`, of `why_size` bytes, says what, ended by a zero byte. */
#define MILLRACE_PROCESSOR_ENTRY_FOR_SYMBOL "millrace_processor_entry_for"

MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry_for(
    uint32_t host_abi_version, const millrace_option* options, uint32_t option_count, uint32_t option_stride,
    char* why, uint64_t why_size);

typedef const millrace_processor* (*millrace_processor_entry_for_fn)(uint32_t host_abi_version,
                                                                     const millrace_option* options,
                                                                     uint32_t option_count,
                                                                     uint32_t option_stride, char* why,
                                                                     uint64_t why_size);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MILLRACE_PROCESSOR_H */
