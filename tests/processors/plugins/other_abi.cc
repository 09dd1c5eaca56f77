// Built for an ABI that this broker does not know.
#include "a_table.h"

EXPORT_TABLE(t.abi_version = 7)
