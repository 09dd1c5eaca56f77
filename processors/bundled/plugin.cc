// The one symbol that millrace-bundled.so exports.
#include <algorithm>
#include <cstring>
#include <exception>

#include "processors/bundled/entry.h"

extern "C" MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry_for(
    uint32_t, const millrace_option* options, uint32_t count, uint32_t stride, char* why, uint64_t why_size) {
  try {
    return millrace::bundled::table_for(options, count, stride);
  } catch (const std::exception& e) {
    if (why_size == 0) return nullptr;
    const size_t size = std::min<size_t>(std::strlen(e.what()), why_size - 1);
    std::memcpy(why, e.what(), size);
    why[size] = '\0';
    return nullptr;
  }
}
