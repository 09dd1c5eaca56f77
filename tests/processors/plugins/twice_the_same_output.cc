// Declares one output under two numbers.
#include "a_table.h"

EXPORT_TABLE(t.output_count = 2)
