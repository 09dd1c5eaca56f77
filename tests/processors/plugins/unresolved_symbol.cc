// Was linked without a library it uses.
#include "a_table.h"

int from_a_library_that_is_not_there();

EXPORT_TABLE(t.state_version = static_cast<uint32_t>(from_a_library_that_is_not_there()))
