/* The layout that shared objects in the field were compiled with: not one of these numbers may ever change.
 * New fields come behind the last one of their struct. Compiled as C11 and as C++, by gcc and by clang. */
#include <assert.h>
#include <stddef.h>

#include <millrace/millrace_processor.h>

#if defined(__cplusplus)
#define FIXED(condition) static_assert(condition, #condition)
#else
#define FIXED(condition) _Static_assert(condition, #condition)
#endif
#define FIELD(type, field, at) FIXED(offsetof(type, field) == (at))

FIXED(MILLRACE_PROCESSOR_ABI_VERSION == 1);

FIELD(millrace_bytes, data, 0);
FIELD(millrace_bytes, size, 8);
FIXED(sizeof(millrace_bytes) == 16);

FIELD(millrace_header, key, 0);
FIELD(millrace_header, value, 16);
FIXED(sizeof(millrace_header) == 32);

FIELD(millrace_option, key, 0);
FIELD(millrace_option, value, 16);

FIELD(millrace_record, offset, 0);
FIELD(millrace_record, timestamp_ms, 8);
FIELD(millrace_record, key, 16);
FIELD(millrace_record, value, 32);
FIELD(millrace_record, headers, 48);
FIELD(millrace_record, header_count, 56);
FIELD(millrace_record, input, 60);

FIELD(millrace_emission, struct_size, 0);
FIELD(millrace_emission, output, 4);
FIELD(millrace_emission, record, 8);
FIELD(millrace_emission, header_count, 12);
FIELD(millrace_emission, timestamp_ms, 16);
FIELD(millrace_emission, key, 24);
FIELD(millrace_emission, value, 40);
FIELD(millrace_emission, headers, 56);
FIELD(millrace_emission, has_partition, 64);
FIELD(millrace_emission, partition, 68);

FIELD(millrace_host, struct_size, 0);
FIELD(millrace_host, abi_version, 4);
FIELD(millrace_host, offers, 8);
FIELD(millrace_host, emit, 16);
FIELD(millrace_host, log, 24);
FIELD(millrace_host, explain, 32);

FIELD(millrace_host, state_get, 40);
FIELD(millrace_host, state_put, 48);
FIELD(millrace_host, state_seek, 56);
FIELD(millrace_host, timer_set, 64);
FIELD(millrace_host, timer_cancel, 72);
FIELD(millrace_host, stream_time, 80);
FIELD(millrace_host, metric, 88);
FIELD(millrace_host, partition_count, 96);

FIELD(millrace_change, struct_size, 0);
FIELD(millrace_change, store, 4);
FIELD(millrace_change, record, 8);
FIELD(millrace_change, key, 16);
FIELD(millrace_change, value, 32);

FIELD(millrace_timer, struct_size, 0);
FIELD(millrace_timer, record, 4);
FIELD(millrace_timer, at_ms, 8);
FIELD(millrace_timer, key, 16);

FIELD(millrace_timer_call, struct_size, 0);
FIELD(millrace_timer_call, record, 4);
FIELD(millrace_timer_call, at_ms, 8);
FIELD(millrace_timer_call, key, 16);

FIELD(millrace_setup, struct_size, 0);
FIELD(millrace_setup, partition, 4);
FIELD(millrace_setup, processor_name, 8);
FIELD(millrace_setup, input_topic, 24);
FIELD(millrace_setup, options, 40);
FIELD(millrace_setup, option_count, 48);
FIELD(millrace_setup, option_stride, 52);
FIELD(millrace_setup, stage, 56);

FIELD(millrace_call, struct_size, 0);
FIELD(millrace_call, record_count, 4);
FIELD(millrace_call, records, 8);
FIELD(millrace_call, record_stride, 16);
FIELD(millrace_call, records_done, 24);
FIELD(millrace_call, stop, 32);
FIELD(millrace_call, current, 40);

FIELD(millrace_processor, struct_size, 0);
FIELD(millrace_processor, abi_version, 4);
FIELD(millrace_processor, name, 8);
FIELD(millrace_processor, version, 16);
FIELD(millrace_processor, needs, 24);
FIELD(millrace_processor, traits, 32);
FIELD(millrace_processor, state_version, 40);
FIELD(millrace_processor, output_count, 44);
FIELD(millrace_processor, outputs, 48);
FIELD(millrace_processor, create, 56);
FIELD(millrace_processor, destroy, 64);
FIELD(millrace_processor, process, 72);
FIELD(millrace_processor, store_count, 80);
FIELD(millrace_processor, stores, 88);
FIELD(millrace_processor, timer, 96);
FIELD(millrace_processor, migrates_from, 104);
FIELD(millrace_processor, migrate, 112);
FIELD(millrace_processor, topology, 120);
FIELD(millrace_processor, topology_graph, 128);
FIELD(millrace_processor, input_count, 136);
FIELD(millrace_processor, inputs, 144);
FIELD(millrace_processor, further_stage_count, 152);
FIELD(millrace_processor, further_stages, 160);

FIELD(millrace_migration, struct_size, 0);
FIELD(millrace_migration, from_version, 4);
FIELD(millrace_migration, store, 8);
FIELD(millrace_migration, key, 16);
FIELD(millrace_migration, value, 32);

FIXED(MILLRACE_OK == 0 && MILLRACE_ERROR == 1 && MILLRACE_INVALID_ARGUMENT == 2 && MILLRACE_UNKNOWN_OUTPUT == 3);
FIXED(MILLRACE_TOO_LARGE == 4 && MILLRACE_OUT_OF_ORDER == 5 && MILLRACE_NOT_IN_CALL == 6);
FIXED(MILLRACE_UNKNOWN_STORE == 7 && MILLRACE_NOT_FOUND == 8 && MILLRACE_STATE_FULL == 9 && MILLRACE_TIME_PASSED == 10);
FIXED(MILLRACE_UNKNOWN_PARTITION == 11);
FIXED(MILLRACE_METRIC_ADD == 0 && MILLRACE_METRIC_SET == 1);
FIXED(MILLRACE_NEEDS_STATE == 1 && MILLRACE_NEEDS_TIMERS == 2 && MILLRACE_NEEDS_READ_UNCOMMITTED == 4);
FIXED(MILLRACE_READS_HEADERS == 1 && MILLRACE_DETERMINISTIC == 2 && MILLRACE_THREAD_COMPATIBLE == 4);
FIXED(MILLRACE_LOG_DEBUG == 0 && MILLRACE_LOG_ERROR == 3);
FIXED(MILLRACE_INHERIT_TIMESTAMP == INT64_MIN);
