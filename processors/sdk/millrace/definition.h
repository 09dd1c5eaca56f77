// millrace/definition.h: what a processor says of itself: its name, outputs, stores, needs and traits.
//
// Included by <millrace/processor.h>.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "millrace_processor.h"

namespace millrace {
inline namespace sdk_v1 {

// The compile-time description of a processor; see MILLRACE_PROCESSOR.
class definition {
 public:
  static constexpr std::size_t inputs_max = 16;
  static constexpr std::size_t outputs_max = 64;
  static constexpr std::size_t stores_max = 16;

  constexpr definition(const char* name, const char* version) : name_(name), version_(version) {}

  // Declares the next of several inputs; the deployment maps its name to a topic. Without it there is one,
  // which needs no name.
  constexpr definition input(const char* name) const {
    definition next = *this;
    next.inputs_[next.input_count_++] = name;
    return next;
  }
  // Declares the next output. The deployment maps its name to a topic.
  constexpr definition output(const char* name) const {
    definition next = *this;
    next.outputs_[next.output_count_++] = name;
    return next;
  }
  // Declares the next store: an ordered map that the broker keeps for each partition of the input.
  constexpr definition store(const char* name) const {
    definition next = *this;
    next.stores_[next.store_count_++] = name;
    next.needs_ |= MILLRACE_NEEDS_STATE;
    return next;
  }
  // The layout of what is in the stores. A processor does not start on stores of another version, unless it
  // can migrate them.
  constexpr definition state_version(std::uint32_t version) const {
    definition next = *this;
    next.state_version_ = version;
    return next;
  }
  // The class has migrate(), which knows state of versions from this one on.
  constexpr definition migrates_from(std::uint32_t version) const {
    definition next = *this;
    next.migrates_from_ = version;
    next.migrates_ = true;
    return next;
  }
  // The class has timer() and sets timers.
  constexpr definition timers() const {
    definition next = *this;
    next.needs_ |= MILLRACE_NEEDS_TIMERS;
    return next;
  }
  // Records come with their headers.
  constexpr definition reads_headers() const { return with_traits(MILLRACE_READS_HEADERS); }
  // The same input gives the same bytes on every run.
  constexpr definition deterministic() const { return with_traits(MILLRACE_DETERMINISTIC); }

  constexpr const char* name() const { return name_; }
  constexpr const char* version() const { return version_; }
  constexpr std::uint64_t traits() const { return traits_; }
  constexpr std::uint64_t needs() const { return needs_; }
  constexpr std::uint32_t state_version() const { return state_version_; }
  constexpr bool migrates() const { return migrates_; }
  constexpr std::uint32_t migrates_from() const { return migrates_from_; }
  constexpr std::size_t store_count() const { return store_count_; }
  constexpr const std::array<const char*, stores_max>& stores() const { return stores_; }
  constexpr std::size_t input_count() const { return input_count_; }
  constexpr const std::array<const char*, inputs_max>& inputs() const { return inputs_; }
  constexpr std::size_t output_count() const { return output_count_; }
  constexpr const std::array<const char*, outputs_max>& outputs() const { return outputs_; }

 private:
  constexpr definition with_traits(std::uint64_t traits) const {
    definition next = *this;
    next.traits_ |= traits;
    return next;
  }

  const char* name_;
  const char* version_;
  std::uint64_t traits_ = MILLRACE_THREAD_COMPATIBLE;
  std::size_t output_count_ = 0;
  std::array<const char*, outputs_max> outputs_{};
  std::uint64_t needs_ = 0;
  std::uint32_t state_version_ = 0;
  std::uint32_t migrates_from_ = 0;
  bool migrates_ = false;
  std::size_t store_count_ = 0;
  std::array<const char*, stores_max> stores_{};
  std::size_t input_count_ = 0;
  std::array<const char*, inputs_max> inputs_{};
};

constexpr definition define(const char* name, const char* version) {
  return {name, version};
}

}  // namespace sdk_v1
}  // namespace millrace
