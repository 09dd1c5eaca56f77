// The offline half of record.h: a recording played back on a simulated disk.
#include <cerrno>
#include <filesystem>

#include "base/assert.h"
#include "runtime/errno_error.h"
#include "runtime/record.h"
#include "runtime/record_format.h"

namespace millrace::runtime {

namespace {

namespace stdfs = std::filesystem;

bool read_exactly(std::ifstream& in, void* into, size_t size) {
  in.read(static_cast<char*>(into), static_cast<std::streamsize>(size));
  return in.gcount() == static_cast<std::streamsize>(size);
}

std::string absolute(const std::string& path, const std::string& working_directory) {
  std::string normal = (stdfs::path(working_directory) / path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

result<void> load_tree(sim_disk& disk, const std::string& from) {
  std::error_code failure;
  for (stdfs::recursive_directory_iterator at(from, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string inside = "/" + stdfs::relative(at->path(), from).string();
    if (at->is_directory()) {
      disk.put_directory(inside);
      continue;
    }
    std::ifstream in(at->path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    disk.put(inside, as_bytes(content));
  }
  if (failure) return fail(errc::io_error, "cannot read {}: {}", from, failure.message());
  return {};
}

}  // namespace

struct recorded_run::event {
  record_header header;
  std::string path;
  std::string path_to;
  std::vector<std::byte> data;
};

result<recorded_run> recorded_run::load(const std::string& recording, const std::string& root,
                                        const std::string& initial) {
  recorded_run run;
  run.in_.open(recording, std::ios::binary);
  std::string magic(record_magic.size(), '\0');
  uint32_t length = 0;
  if (!run.in_ || !read_exactly(run.in_, magic.data(), magic.size()) || magic != record_magic ||
      !read_exactly(run.in_, &length, sizeof(length)) || length > 65'536)
    return fail(errc::malformed, "{} is not a recording", recording);
  run.working_directory_.resize(length);
  if (!read_exactly(run.in_, run.working_directory_.data(), length))
    return fail(errc::malformed, "{} ends within its first line", recording);
  run.root_ = absolute(root, run.working_directory_);
  // What was aligned for the real disk is fine for this one.
  run.disk_ = std::make_shared<sim_disk>(1, sim_disk_options{.direct_alignment = 1});
  if (!initial.empty()) MR_TRY(load_tree(*run.disk_, initial));
  run.read_next();
  return run;
}

void recorded_run::read_next() {
  next_.reset();
  auto e = std::make_shared<event>();
  if (!read_exactly(in_, &e->header, sizeof(e->header))) return;
  e->path.resize(e->header.path_size);
  e->path_to.resize(e->header.path_to_size);
  e->data.resize(e->header.data_size);
  if (!read_exactly(in_, e->path.data(), e->path.size())) return;
  if (!read_exactly(in_, e->path_to.data(), e->path_to.size())) return;
  if (!read_exactly(in_, e->data.data(), e->data.size())) return;
  next_ = std::move(e);
}

std::optional<uint64_t> recorded_run::next_time_ns() const noexcept {
  if (!next_) return std::nullopt;
  return next_->header.time_ns;
}

std::optional<std::string> recorded_run::inside(const std::string& path) const {
  const std::string whole = absolute(path, working_directory_);
  if (whole == root_) return "/";
  if (whole.size() <= root_.size() || whole.compare(0, root_.size(), root_) != 0 ||
      whole[root_.size()] != '/')
    return std::nullopt;
  return whole.substr(root_.size());
}

result<bool> recorded_run::advance() {
  if (!next_) return false;
  MR_TRY(apply(*next_));
  ++position_;
  read_next();
  return true;
}

bool recorded_run::skip() {
  if (!next_) return false;
  ++position_;
  read_next();
  return true;
}

result<void> recorded_run::apply(const event& e) {
  switch (e.header.what) {
    case record_what::started:
      return start(e);
    case record_what::finished:
      return finish(e);
    case record_what::closed:
      if (const auto found = descriptors_.find(e.header.fd); found != descriptors_.end()) {
        disk_->close(found->second);
        descriptors_.erase(found);
      }
      return {};
  }
  return fail(errc::malformed, "event {} of the recording is of no known type", position_);
}

result<void> recorded_run::start(const event& e) {
  auto made = std::make_unique<operation>();
  made->op.kind = static_cast<io_kind>(e.header.kind);
  made->op.flags = e.header.flags;
  made->op.at = e.header.at;
  made->op.length = e.header.length;
  if (e.header.path_size > 0) {
    auto path = inside(e.path);
    // The root itself comes and goes outside of it.
    if (!path || (*path == "/" && made->op.kind != io_kind::sync_directory)) return {};
    made->path = std::move(*path);
    made->op.path = made->path.c_str();
  } else {
    const auto found = descriptors_.find(e.header.fd);
    if (found == descriptors_.end()) return {};
    made->op.fd = found->second;
  }
  if (e.header.path_to_size > 0) {
    auto path = inside(e.path_to);
    if (!path) return fail(errc::not_supported, "{} was renamed out of the directory", e.path);
    made->path_to = std::move(*path);
    made->op.path_to = made->path_to.c_str();
  }
  made->data = e.data;
  made->vector = {made->data.data(), made->data.size()};
  made->op.vectors = &made->vector;
  made->op.vector_count = 1;
  disk_->start(made->op);
  operations_[e.header.operation] = std::move(made);
  return {};
}

result<void> recorded_run::finish(const event& e) {
  const auto found = operations_.find(e.header.operation);
  if (found == operations_.end()) return {};
  const std::unique_ptr<operation> ended = std::move(found->second);
  operations_.erase(found);
  if (e.header.result < 0) {
    disk_->fail_started(ended->op, static_cast<int>(-e.header.result));
    disk_->finish(ended->op);
    return {};
  }
  const int64_t outcome = disk_->finish(ended->op);
  if (outcome < 0)
    return fail(errc::not_supported, "event {} succeeded ({} {}) but cannot be played back: errno {}",
                position_, static_cast<int>(ended->op.kind), ended->path, -outcome);
  if (ended->op.kind == io_kind::open) descriptors_[e.header.result] = static_cast<int>(outcome);
  return {};
}

result<void> recorded_run::write_directory(uint64_t seed, const std::string& out) const {
  std::error_code failure;
  if (!stdfs::create_directories(out, failure))
    return fail(errc::already_exists, "cannot make {}: {}", out, failure ? failure.message() : "it is there");
  const std::shared_ptr<sim_disk> left = disk_->after_power_cut(seed);
  for (const std::string& path : left->directories()) {
    stdfs::create_directories(out + path, failure);
    if (failure) return fail(errc::io_error, "cannot make {}{}: {}", out, path, failure.message());
  }
  for (const std::string& path : left->files()) {
    const auto content = left->content(path);
    std::ofstream to(out + path, std::ios::binary);
    to.write(reinterpret_cast<const char*>(content->data()), static_cast<std::streamsize>(content->size()));
    to.close();
    if (!to) return fail(errc::io_error, "cannot write {}{}", out, path);
  }
  return {};
}

}  // namespace millrace::runtime
