// entry: the table of a bundled processor, which depends on its configuration.
#pragma once

#include <cstdint>
#include <millrace/millrace_processor.h>

namespace millrace::bundled {

// Lives as long as the program. Throws millrace::failure with what is wrong.
const millrace_processor* table_for(const millrace_option* options, std::uint32_t count,
                                    std::uint32_t stride);

}  // namespace millrace::bundled
