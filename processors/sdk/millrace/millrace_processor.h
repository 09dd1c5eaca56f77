// Inside this tree the contract lies in processors/abi; installed, it lies here, beside the SDK.
#pragma once

#include "../../abi/millrace_processor.h"  // IWYU pragma: export
