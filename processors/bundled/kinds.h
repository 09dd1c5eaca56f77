// kinds: the bundled processors. Each builds a topology (millrace/topology.h) out of its settings.
//
// Called twice: with a topology that only collects names, to learn outputs and stores, and with that of an
// instance. Throws millrace::failure with what is wrong with the settings. All of them ask for all their
// keys; the caller calls settings::finish().
#pragma once

#include <millrace/topology.h>
#include <string>
#include <string_view>
#include <vector>

#include "processors/bundled/settings.h"

namespace millrace::bundled {

void build_filter(topology& t, settings& from);
void build_map(topology& t, settings& from);
void build_clean(topology& t, settings& from);
void build_aggregate(topology& t, settings& from);
void build_alert(topology& t, settings& from);
void build_enrich(topology& t, settings& from);
void build_route(topology& t, settings& from);
void build_sample(topology& t, settings& from);

// The one that `config.processor` names.
using build_function = void (*)(topology&, settings&);
build_function find_kind(settings& from);

// The output that each of them has (route has others).
constexpr const char* main_output = "out";

}  // namespace millrace::bundled
