#include "processors/host/plugin.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "processors/host/spec.h"

namespace millrace::processors {
namespace {

constexpr size_t library_bytes_max = 1024u * 1024 * 1024;
constexpr size_t name_bytes_max = 249;
constexpr uint32_t inputs_max = 16;
constexpr uint32_t outputs_max = 64;
// The table as it was in the first version of the ABI; what is behind it came later and may be absent.
constexpr uint32_t table_bytes_min =
    offsetof(millrace_processor, process) + sizeof(millrace_processor::process);
// Far more than the table will ever grow to: a larger size means that this is no table.
constexpr uint32_t table_bytes_max = 64 * 1024;
constexpr uint64_t offered_needs = MILLRACE_NEEDS_STATE | MILLRACE_NEEDS_TIMERS;
constexpr uint32_t stores_max = 64;
constexpr std::string_view reserved_store = "meta";

std::string reason() {
  return std::strerror(errno);
}

result<std::string> read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errc::not_found, "cannot open {}: {}", path, reason());
  std::string content;
  char piece[64 * 1024];
  do {
    in.read(piece, sizeof(piece));
    content.append(piece, static_cast<size_t>(in.gcount()));
    if (content.size() > library_bytes_max)
      return fail(errc::limit_exceeded, "{} is larger than 1 GiB", path);
  } while (in);
  if (in.bad()) return fail(errc::io_error, "cannot read {}: {}", path, reason());
  return content;
}

std::string hash_of(const std::string& content) {
  return fmt::format("{:016x}{:016x}", xxh3(as_bytes(content), 0), xxh3(as_bytes(content), 1));
}

// Writes `content` to `path` so that the name never shows less than all of it.
result<void> write_whole(const std::string& path, const std::string& content) {
  const std::string unfinished = fmt::format("{}.{}", path, getpid());
  const int fd = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0500);
  if (fd < 0) return fail(errc::io_error, "cannot create {}: {}", unfinished, reason());
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  const bool is_whole = done == content.size() && fsync(fd) == 0;
  const std::string why = is_whole ? "" : reason();
  close(fd);
  if (is_whole && rename(unfinished.c_str(), path.c_str()) == 0) return {};
  const std::string problem = is_whole ? reason() : why;
  unlink(unfinished.c_str());
  return fail(errc::io_error, "cannot write {}: {}", path, problem);
}

// The path of the copy of `content`, which is made unless it is there already and undamaged.
result<std::string> keep_copy(const std::string& content, const std::string& hash,
                              const std::string& store_dir) {
  std::error_code ec;
  const std::filesystem::path directory = std::filesystem::absolute(store_dir, ec);
  if (!ec) std::filesystem::create_directories(directory, ec);
  if (ec) return fail(errc::io_error, "cannot make the directory {}: {}", store_dir, ec.message());
  const std::string copy = (directory / (hash + ".so")).string();
  if (auto there = read_whole(copy); there && *there == content) return copy;
  MR_TRY(write_whole(copy, content));
  return copy;
}

// A C string of the table; nothing if it is null, empty or endless.
const char* text_or_null(const char* text) {
  return text && *text && strnlen(text, name_bytes_max + 1) <= name_bytes_max ? text : nullptr;
}

// A longer text of it, for people: lines without control characters.
std::string shown_text(const char* text) {
  if (!text || strnlen(text, plugin::topology_bytes_max + 1) > plugin::topology_bytes_max) return {};
  std::string shown = text;
  std::ranges::replace_if(
      shown, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; }, ' ');
  return shown;
}

bool is_name(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::string describe_needs(uint64_t needs) {
  std::string text;
  const auto add = [&](std::string_view what) { text += text.empty() ? what : ", " + std::string(what); };
  if (needs & MILLRACE_NEEDS_STATE) add("state");
  if (needs & MILLRACE_NEEDS_TIMERS) add("timers");
  if (needs & MILLRACE_NEEDS_READ_UNCOMMITTED) add("read_uncommitted");
  const uint64_t unknown =
      needs & ~(MILLRACE_NEEDS_STATE | MILLRACE_NEEDS_TIMERS | MILLRACE_NEEDS_READ_UNCOMMITTED);
  if (unknown) add(fmt::format("unknown feature bits {:#x}", unknown));
  return text;
}

// The names of a table's outputs or stores, each a name and there once.
result<std::vector<std::string>> names_of(std::string_view what, uint32_t count, const char* const* names,
                                          uint32_t max) {
  std::vector<std::string> found;
  if (count > max || (count > 0 && !names))
    return fail(errc::malformed, "it declares {} {}s; up to {} are possible", count, what, max);
  for (uint32_t i = 0; i < count; ++i) {
    const char* name = text_or_null(names[i]);
    if (!name || !is_name(name))
      return fail(errc::malformed, "the name of its {} {} is not 1 to {} of a-z A-Z 0-9 . _ -", what, i,
                  name_bytes_max);
    if (std::ranges::find(found, name) != found.end())
      return fail(errc::malformed, "it declares the {} {} twice", what, name);
    found.emplace_back(name);
  }
  return found;
}

}  // namespace

result<void> plugin::adopt(const millrace_processor* table) {
  if (!table)
    return fail(errc::not_supported, "{} returned no table: it does not work with processor ABI {}",
                MILLRACE_PROCESSOR_ENTRY_SYMBOL, MILLRACE_PROCESSOR_ABI_VERSION);
  if (table->struct_size < table_bytes_min || table->struct_size > table_bytes_max)
    return fail(errc::malformed, "its table claims {} bytes; at least {} are expected", table->struct_size,
                table_bytes_min);
  std::memcpy(&table_, table, std::min<size_t>(table->struct_size, sizeof(table_)));
  if (table_.abi_version != MILLRACE_PROCESSOR_ABI_VERSION)
    return fail(errc::not_supported, "it was built for processor ABI {}; this broker has {}",
                table_.abi_version, MILLRACE_PROCESSOR_ABI_VERSION);
  if (!text_or_null(table_.name) || !text_or_null(table_.version))
    return fail(errc::malformed, "its table has no name or no version (1 to {} bytes each)", name_bytes_max);
  if (!table_.create || !table_.destroy || !table_.process)
    return fail(errc::malformed, "its table lacks create, destroy or process");
  if (const uint64_t missing = table_.needs & ~offered_needs)
    return fail(errc::not_supported, "it needs what this broker does not offer: {}", describe_needs(missing));
  auto inputs = names_of("input", table_.input_count, table_.inputs, inputs_max);
  if (!inputs) return fail(inputs.error());
  inputs_ = std::move(*inputs);
  auto outputs = names_of("output", table_.output_count, table_.outputs, outputs_max);
  if (!outputs) return fail(outputs.error());
  outputs_ = std::move(*outputs);
  auto stores = names_of("store", table_.store_count, table_.stores, stores_max);
  if (!stores) return fail(stores.error());
  stores_ = std::move(*stores);
  if (std::ranges::find(stores_, reserved_store) != stores_.end())
    return fail(errc::malformed, "a store cannot be named {}: the broker has one of that name",
                reserved_store);
  if (!stores_.empty() && !(table_.needs & MILLRACE_NEEDS_STATE))
    return fail(errc::malformed, "it declares stores without saying that it needs state");
  if (needs_timers() && !table_.timer)
    return fail(errc::malformed, "it needs timers, and its table lacks timer");
  if (table_.migrate && stores_.empty())
    return fail(errc::malformed, "its table has migrate, and it declares no stores");
  if (table_.migrate && table_.migrates_from >= table_.state_version)
    return fail(errc::malformed, "it says that it migrates state from version {} on, and keeps version {}",
                table_.migrates_from, table_.state_version);
  name_ = table_.name;
  version_ = table_.version;
  topology_ = shown_text(table_.topology);
  topology_graph_ = shown_text(table_.topology_graph);
  return adopt_further_stages();
}

result<void> plugin::adopt_further_stages() {
  if (table_.further_stage_count == 0) return {};
  if (table_.further_stage_count >= stages_max || !table_.further_stages)
    return fail(errc::malformed, "it declares {} further stages; up to {} are possible",
                table_.further_stage_count, stages_max - 1);
  for (uint32_t i = 0; i < table_.further_stage_count; ++i) {
    std::shared_ptr<plugin> next(new plugin);
    next->content_hash_ = content_hash_;
    next->path_ = path_;
    next->stage_ = i + 1;
    if (const auto adopted = next->adopt(table_.further_stages[i]); !adopted)
      return fail(adopted.error().code, "its stage {}: {}", i + 1, adopted.error().message);
    if (!next->further_stages_.empty())
      return fail(errc::malformed, "its stage {} has stages of its own", i + 1);
    further_stages_.push_back(std::move(next));
  }
  return check_stages();
}

result<void> plugin::check_stages() const {
  std::vector<const plugin*> all{this};
  for (const auto& next : further_stages_) all.push_back(next.get());
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (size_t to = 0; to < all.size(); ++to) {
    bool follows = to == 0;
    for (const std::string& input : all[to]->inputs_) {
      size_t writers = 0;
      for (size_t from = 0; from < all.size(); ++from) {
        if (has(all[from]->outputs_, input)) {
          if (from >= to)
            return fail(errc::malformed, "its stage {} reads {}, which stage {} writes", to, input, from);
          ++writers;
          follows = true;
        }
        if (from < to && has(all[from]->inputs_, input))
          return fail(errc::malformed, "its stages {} and {} both read {}", from, to, input);
      }
      if (writers > 1) return fail(errc::malformed, "several of its stages write {}, which one reads", input);
    }
    if (!follows) return fail(errc::malformed, "its stage {} reads nothing that an earlier one writes", to);
    for (const std::string& store : all[to]->stores_)
      for (size_t from = 0; from < to; ++from)
        if (has(all[from]->stores_, store))
          return fail(errc::malformed, "its stages {} and {} both have a store {}", from, to, store);
  }
  return {};
}

result<std::shared_ptr<const plugin>> plugin::wrap(const millrace_processor* table) {
  std::shared_ptr<plugin> p(new plugin);
  MR_TRY(p->adopt(table));
  return p;
}

result<std::shared_ptr<const plugin>> plugin::elsewhere(const description& what, const kept_library& kept) {
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  std::vector<const char*> stores;
  for (const std::string& input : what.inputs) inputs.push_back(input.c_str());
  for (const std::string& output : what.outputs) outputs.push_back(output.c_str());
  for (const std::string& store : what.stores) stores.push_back(store.c_str());
  millrace_processor table{};
  table.struct_size = sizeof(table);
  table.abi_version = MILLRACE_PROCESSOR_ABI_VERSION;
  table.name = what.name.c_str();
  table.version = what.version.c_str();
  table.needs = what.needs;
  table.traits = what.traits;
  table.state_version = what.state_version;
  table.output_count = static_cast<uint32_t>(outputs.size());
  table.outputs = outputs.data();
  table.create = [](const millrace_host*, millrace_scope*, const millrace_setup*, void**) -> int32_t {
    return MILLRACE_ERROR;
  };
  table.destroy = [](void*) {};
  table.process = [](void*, const millrace_call*) -> int32_t { return MILLRACE_ERROR; };
  table.timer = [](void*, const millrace_timer_call*) -> int32_t { return MILLRACE_ERROR; };
  if (what.migrates_from) {
    table.migrates_from = *what.migrates_from;
    table.migrate = [](void*, const millrace_migration*) -> int32_t { return MILLRACE_ERROR; };
  }
  table.store_count = static_cast<uint32_t>(stores.size());
  table.stores = stores.data();
  table.topology = what.topology.c_str();
  table.topology_graph = what.topology_graph.c_str();
  table.input_count = static_cast<uint32_t>(inputs.size());
  table.inputs = inputs.data();
  std::shared_ptr<plugin> p(new plugin);
  MR_TRY(p->adopt(&table));
  // Texts of the table above, which goes now; name() and outputs() have them.
  p->table_.name = p->table_.version = nullptr;
  p->table_.inputs = p->table_.outputs = p->table_.stores = nullptr;
  p->table_.topology = p->table_.topology_graph = nullptr;
  p->content_hash_ = kept.content_hash;
  p->path_ = kept.path;
  p->is_elsewhere_ = true;
  return p;
}

plugin::description plugin::describe() const {
  return {name_,
          version_,
          table_.needs,
          table_.traits,
          table_.state_version,
          table_.migrate ? std::optional(table_.migrates_from) : std::nullopt,
          outputs_,
          stores_,
          topology_,
          topology_graph_,
          inputs_};
}

result<plugin::kept_library> plugin::keep(const std::string& library, const std::string& store_dir) {
  auto content = read_whole(library);
  if (!content) return fail(content.error());
  kept_library kept{library, {}, hash_of(*content)};
  auto copy = keep_copy(*content, kept.content_hash, store_dir);
  if (!copy) return fail(copy.error());
  kept.path = std::move(*copy);
  return kept;
}

namespace {

// The table of an object; null if it has none for this broker.
result<const millrace_processor*> table_of(void* handle, const plugin::options& given) {
  if (const auto entry_for = reinterpret_cast<millrace_processor_entry_for_fn>(
          dlsym(handle, MILLRACE_PROCESSOR_ENTRY_FOR_SYMBOL))) {
    std::vector<millrace_option> options;
    const auto view = [](const std::string& text) {
      return millrace_bytes{text.data(), static_cast<int64_t>(text.size())};
    };
    for (const auto& [key, value] : given) options.push_back({view(key), view(value)});
    std::array<char, 4096> why{};
    const millrace_processor* table =
        entry_for(MILLRACE_PROCESSOR_ABI_VERSION, options.data(), static_cast<uint32_t>(options.size()),
                  sizeof(millrace_option), why.data(), why.size());
    why.back() = '\0';
    if (!table && why.front() != '\0') return fail(errc::invalid_config, "{}", why.data());
    return table;
  }
  const auto entry =
      reinterpret_cast<millrace_processor_entry_fn>(dlsym(handle, MILLRACE_PROCESSOR_ENTRY_SYMBOL));
  if (!entry)
    return fail(errc::malformed, "it is not a Millrace processor: it does not export {}",
                MILLRACE_PROCESSOR_ENTRY_SYMBOL);
  return entry(MILLRACE_PROCESSOR_ABI_VERSION);
}

}  // namespace

result<std::shared_ptr<const plugin>> plugin::open(const kept_library& kept, const options& given) {
  std::shared_ptr<plugin> p(new plugin);
  p->content_hash_ = kept.content_hash;
  p->path_ = kept.path;
  void* handle = dlopen(kept.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return fail(errc::malformed, "{} cannot be loaded: {}", kept.given, dlerror());
  const auto table = table_of(handle, given);
  if (!table) return fail(table.error().code, "{}: {}", kept.given, table.error().message);
  if (auto adopted = p->adopt(*table); !adopted)
    return fail(adopted.error().code, "{}: {}", kept.given, adopted.error().message);
  return p;
}

result<std::shared_ptr<const plugin>> plugin::load(const std::string& library, const std::string& store_dir,
                                                   const options& given) {
  auto kept = keep(library, store_dir);
  if (!kept) return fail(std::move(kept).error());
  return open(*kept, given);
}

std::shared_ptr<const plugin> plugin::absent(std::vector<std::string> outputs) {
  std::shared_ptr<plugin> p(new plugin);
  p->name_ = "(not loaded)";
  p->version_ = "(not loaded)";
  p->outputs_ = std::move(outputs);
  return p;
}

}  // namespace millrace::processors
