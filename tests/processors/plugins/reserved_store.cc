// Wants a store of the broker's own.
#include "a_table.h"

static constexpr const char* stores[] = {"mine", "meta"};

EXPORT_TABLE(t.needs = MILLRACE_NEEDS_STATE; t.store_count = 2; t.stores = stores)
