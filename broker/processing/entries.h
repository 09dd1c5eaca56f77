// entries: a [[processor]] table, or what an operator deploys at run time, as the host knows it.
#pragma once

#include "base/result.h"
#include "broker/config/config.h"
#include "processors/host/spec.h"

namespace millrace::broker {

// Errors begin with the place in the configuration file, if the entry comes from there.
result<processors::processor_spec> spec_of(const processor_entry& entry);

}  // namespace millrace::broker
