// A correct table to start from.
#pragma once

#include <millrace/millrace_processor.h>

inline constexpr const char* out_and_out[] = {"out", "out"};

inline millrace_processor a_table() {
  millrace_processor table{};
  table.struct_size = sizeof(table);
  table.abi_version = MILLRACE_PROCESSOR_ABI_VERSION;
  table.name = "bad";
  table.version = "1";
  table.output_count = 1;
  table.outputs = out_and_out;
  table.create = [](const millrace_host*, millrace_scope*, const millrace_setup*, void**) -> int32_t {
    return 0;
  };
  table.destroy = [](void*) {};
  table.process = [](void*, const millrace_call* call) -> int32_t {
    *call->records_done = call->record_count;
    return 0;
  };
  return table;
}

#define EXPORT_TABLE(...)                                                                             \
  extern "C" MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry(uint32_t) { \
    static const millrace_processor table = [] {                                                      \
      millrace_processor t = a_table();                                                               \
      __VA_ARGS__;                                                                                    \
      return t;                                                                                       \
    }();                                                                                              \
    return &table;                                                                                    \
  }
