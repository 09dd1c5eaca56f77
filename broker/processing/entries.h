// entries: a [[processor]] table, or what an operator deploys at run time, as the host knows it.
#pragma once

#include "base/result.h"
#include "broker/config/config.h"
#include "broker/processing/stored.h"
#include "processors/host/spec.h"

namespace millrace::broker {

// Errors begin with the place in the configuration file, if the entry comes from there.
result<processors::processor_spec> spec_of(const processor_entry& entry);
// The same with what it is beside a processor of its own.
result<processors::processor_spec> spec_of(const stored_processor& p);

}  // namespace millrace::broker
