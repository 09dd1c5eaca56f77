// host_table: what the ABI calls the host, from a struct of functions.
#pragma once

#include "processors/abi/millrace_processor.h"

namespace millrace::processors {

// `Functions` has a static member for each function that plugins may call, of the name it has there.
template <class Functions>
inline constexpr millrace_host host_table{sizeof(millrace_host),
                                          MILLRACE_PROCESSOR_ABI_VERSION,
                                          MILLRACE_NEEDS_STATE | MILLRACE_NEEDS_TIMERS,
                                          &Functions::emit,
                                          &Functions::log,
                                          &Functions::explain,
                                          &Functions::state_get,
                                          &Functions::state_put,
                                          &Functions::state_seek,
                                          &Functions::timer_set,
                                          &Functions::timer_cancel,
                                          &Functions::stream_time,
                                          &Functions::metric,
                                          &Functions::partition_count};

}  // namespace millrace::processors
