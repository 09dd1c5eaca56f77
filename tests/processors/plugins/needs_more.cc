// Wants what is not offered, and something nobody knows.
#include "a_table.h"

EXPORT_TABLE(t.needs = MILLRACE_NEEDS_READ_UNCOMMITTED | UINT64_C(1) << 40)
