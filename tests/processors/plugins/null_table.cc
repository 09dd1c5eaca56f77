// Refuses every host.
#include <millrace/millrace_processor.h>

extern "C" MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry(uint32_t) {
  return nullptr;
}
