// metrics: figures of processors in Prometheus' text format.
#pragma once

#include <string>
#include <vector>

#include "broker/processing/control.h"

namespace millrace::broker::admin {

std::string metrics_text(const std::vector<processor_details>& processors);

}  // namespace millrace::broker::admin
