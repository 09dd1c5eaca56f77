// plugin: a processor's shared object, checked and loaded for good.
//
// The file is first copied under a name made of its content, and the copy is what gets loaded: whoever
// overwrites the original changes nothing in a running broker, and two versions live side by side. A
// shared object is never unloaded (thread-locals and unique symbols make unloading a lie); loading the
// same content again costs nothing.
//
// The content hash names content, it does not prove who wrote it. Loading runs the object's static
// constructors in this process: whoever may configure processors may run code as the broker.
//
// Code that runs in a process of its own is never loaded here: `elsewhere` is all there is of it.
//
// Runs on: start-up and helper threads only (blocking file calls).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "processors/abi/millrace_processor.h"

namespace millrace::processors {

class plugin {
 public:
  // A library's copy, ready to be loaded.
  struct kept_library {
    std::string given;  // the path of the original, for messages
    std::string path;
    std::string content_hash;
  };
  // Copies `library` into the directory `store_dir` (made if absent).
  static result<kept_library> keep(const std::string& library, const std::string& store_dir);
  // Loads the copy. What it is may depend on the options.
  using options = std::map<std::string, std::string>;
  static result<std::shared_ptr<const plugin>> open(const kept_library& kept, const options& given = {});
  // Both.
  static result<std::shared_ptr<const plugin>> load(const std::string& library, const std::string& store_dir,
                                                    const options& given = {});
  // Stands in for a library that cannot be loaded, with the outputs it is said to have. Makes no instances.
  static std::shared_ptr<const plugin> absent(std::vector<std::string> outputs);
  // What there is to know of code that runs in another process only.
  struct description {
    std::string name;
    std::string version;
    uint64_t needs = 0;
    uint64_t traits = 0;
    uint32_t state_version = 0;
    std::optional<uint32_t> migrates_from;  // if it can
    std::vector<std::string> outputs;
    std::vector<std::string> stores;
    std::string topology;
    std::string topology_graph;
    std::vector<std::string> inputs;
  };
  // Stands for it here; checked like a table. Its functions do nothing.
  static result<std::shared_ptr<const plugin>> elsewhere(const description& what, const kept_library& kept);
  description describe() const;
  // Wraps a table linked into this program, for tests; what it points to must outlive the plugin.
  static result<std::shared_ptr<const plugin>> wrap(const millrace_processor* table);

  bool is_absent() const { return table_.create == nullptr; }
  bool is_elsewhere() const { return is_elsewhere_; }
  // Of the copy; empty for wrapped tables.
  const std::string& path() const { return path_; }
  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }
  // 32 hexadecimal digits; empty for wrapped tables.
  const std::string& content_hash() const { return content_hash_; }
  // In the order of their numbers.
  const std::vector<std::string>& outputs() const { return outputs_; }
  // Empty if it has one that needs no name.
  const std::vector<std::string>& inputs() const { return inputs_; }
  const std::vector<std::string>& stores() const { return stores_; }
  // Its steps as text, and as a graph in Graphviz's language; empty if it tells none, or more than
  // topology_bytes_max.
  const std::string& topology() const { return topology_; }
  const std::string& topology_graph() const { return topology_graph_; }
  static constexpr size_t topology_bytes_max = 8 * 1024;
  bool reads_headers() const { return (table_.traits & MILLRACE_READS_HEADERS) != 0; }
  bool needs_timers() const { return (table_.needs & MILLRACE_NEEDS_TIMERS) != 0; }
  // Whether it can go on with state that a library of that state_version has left.
  bool migrates_from(uint32_t version) const {
    return table_.migrate && version >= table_.migrates_from && version < table_.state_version;
  }
  bool is_stateful() const { return !stores_.empty() || needs_timers(); }
  // As this host knows it: what an older plugin's table lacks is zero.
  const millrace_processor& table() const { return table_; }
  // The stages that follow this one, in their order. The library, its path and content hash are the same.
  const std::vector<std::shared_ptr<const plugin>>& further_stages() const { return further_stages_; }
  // Zero for the first.
  uint32_t stage() const { return stage_; }

 private:
  plugin() = default;
  // Checks `table` and takes over what it says.
  result<void> adopt(const millrace_processor* table);
  result<void> adopt_further_stages();
  // How the outputs of stages lead to the inputs of others.
  result<void> check_stages() const;

  millrace_processor table_{};
  std::string name_;
  std::string version_;
  std::string content_hash_;
  std::string path_;
  bool is_elsewhere_ = false;
  std::string topology_;
  std::string topology_graph_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  std::vector<std::string> stores_;
  uint32_t stage_ = 0;
  std::vector<std::shared_ptr<const plugin>> further_stages_;
};

}  // namespace millrace::processors
