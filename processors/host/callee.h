// callee: who carries out the calls of an instance: the plugin in this process, or one in another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "processors/abi/millrace_processor.h"
#include "processors/host/deployment.h"

namespace millrace::processors {

class guest_process;

enum class trouble_kind : uint8_t {
  none,
  died,         // the process ended during the call, or had to be ended
  unfit,        // the plugin refuses to make the instance: it will again
  unavailable,  // there is no process to be had now
};

struct callee_trouble {
  trouble_kind kind = trouble_kind::none;
  std::string why;
  uint32_t current = 0;  // number in the call of the record that was at work
};

// As the ABI has it. Its end is the end of the plugin's instance.
class callee {
 public:
  callee() = default;
  callee(const callee&) = delete;
  callee& operator=(const callee&) = delete;
  virtual ~callee() = default;
  virtual int32_t create(const millrace_host& host, millrace_scope* scope, const millrace_setup& setup) = 0;
  virtual int32_t process(const millrace_call& call, uint64_t output_bytes_target) = 0;
  virtual int32_t timer(const millrace_timer_call& call, uint64_t output_bytes_target) = 0;
  virtual int32_t migrate(const millrace_migration& entry) = 0;
  // Of the last call; then its status says nothing.
  virtual const callee_trouble& trouble() const = 0;
};

// The plugin loaded here. `code` outlives it.
std::unique_ptr<callee> callee_here(const plugin& code);
// In another process; see isolation/guest_process.h.
std::unique_ptr<callee> callee_elsewhere(const deployed_processor& processor, int32_t partition,
                                         std::shared_ptr<guest_process> process);

}  // namespace millrace::processors
