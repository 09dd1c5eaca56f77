// stages: one processor as several that follow each other.
//
// The records of some processors change their keys on the way, and what keeps state by the new key must see
// all records of a key in one partition. So such a processor has stages (millrace_processor.further_stages).
// Each is deployed like a processor: it has a name, a position, state and a stream time of its own, and is
// the reader of what the stage before sends by key to the topic between them. Its operator sees them as one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "processors/host/plugin.h"
#include "processors/host/spec.h"

namespace millrace::processors {

// The name of a stage, counted from zero; the first has that of the whole.
std::string stage_name(std::string_view whole, size_t number);

// The topic between two stages, by the name that the library gives it.
std::string repartition_topic(std::string_view whole, std::string_view name);

// The code of each stage, the first one first.
std::vector<std::shared_ptr<const plugin>> stages_of(const std::shared_ptr<const plugin>& code);

// How each stage is deployed, if the whole is deployed as `spec`; `spec` itself if there is one stage only.
// errc::invalid_config or errc::not_supported for what does not fit.
result<std::vector<processor_spec>> specs_of_stages(const processor_spec& spec,
                                                    const std::vector<std::shared_ptr<const plugin>>& stages);

}  // namespace millrace::processors
