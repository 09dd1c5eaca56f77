// sim_disk: a file system in memory that forgets what was not synced.
//
// The fault model, in prose. It is meant to be as unkind as a real file system with a real disk may be,
// and no unkinder than that, so that what survives here survives there.
//
// While the power is on, reads see every write that completed. What a power cut leaves is less:
//   - A write is certain only when a sync of its file was started after the write had completed, and
//     has itself completed; or when it carried dsync and completed. Syncing one file says nothing
//     about another.
//   - Every other write, including those in flight at the cut, is lost, kept, or torn: any subset of
//     its 512-byte sectors or of its 4 KiB blocks. Overlapping writes land in the order of completion.
//   - An extension of a file is data: with the data lost the file may be shorter, and a hole inside
//     what landed reads as zeros. A truncation that was not synced may be undone.
//   - Names are apart from contents. A create, rename or remove is certain only after sync_directory()
//     of its directory. Of the others in one directory, the first few in order survive (file systems
//     keep a journal); each is atomic, and a rename leaves the old name, or the new one, never neither.
//     Syncing a file does not make its name durable, nor the reverse.
//   - What was certain stays, byte for byte. Bits do not rot unless a test flips them.
//
// Errors that can be ordered: ENOSPC by a capacity, EIO (or any errno) on the n-th operation of a kind
// on a path. A failed write may have changed any of its sectors. A failed sync is never made good by a
// later one: some of the writes it covered stay uncertain until they are written again, as on Linux,
// where the pages of a failed write-back are marked clean.
//
// A crash is ordered by number: the k-th operation that changes anything (write, sync, allocate,
// truncate, create, rename, remove, sync_directory) is in flight when the power goes. From then on every
// operation fails with EIO and changes nothing, so the program under test runs into its errors and ends
// as it would on a dead disk; nothing it says after has_crashed() counts. Then after_power_cut(seed)
// gives the disk as the next start finds it; different seeds give different survivals of one crash.
//
// Not modelled: hard links, rename across directories (EXDEV), permissions.
//
// One thread. The backends of a sim_world call start() and finish(); tests call the rest.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "runtime/io_op.h"
#include "runtime/sim/sparse_bytes.h"

namespace millrace::runtime {

struct sim_disk_options {
  uint64_t capacity_bytes = uint64_t{1} << 50;
  uint32_t direct_alignment = 4096;  // 0: O_DIRECT is refused
};

// Makes operations of one kind fail.
struct sim_fault {
  io_kind kind = io_kind::write;
  std::string path_part;  // of the path the file was opened by; empty = any
  int error = 5;          // EIO
  uint64_t skip = 0;      // so many matching operations pass first
  uint64_t times = 1;     // so many then fail
};

class sim_disk {
 public:
  explicit sim_disk(uint64_t seed, sim_disk_options options = {});

  // --- For tests: what goes wrong ---

  void inject(sim_fault fault) { faults_.push_back(std::move(fault)); }
  void clear_faults() { faults_.clear(); }
  void set_capacity(uint64_t bytes) { options_.capacity_bytes = bytes; }

  // Operations that change something, started so far.
  uint64_t change_count() const noexcept { return change_count_; }
  // The power goes when change number `number` (from 1, counted from the making of the disk) is in flight.
  void crash_at(uint64_t number) { crash_at_ = number; }
  // Change number `number`, counted likewise, fails with `error`; failed_path() is then what it was made to.
  void fail_at(uint64_t number, int error) { fail_at_ = number, fail_with_ = error; }
  const std::string& failed_path() const noexcept { return failed_path_; }
  void crash_now();
  bool has_crashed() const noexcept { return crashed_; }

  // The disk after the power came back: certain things, and by chance some of the others.
  std::shared_ptr<sim_disk> after_power_cut(uint64_t seed) const;
  // The disk after the process died but the kernel lived: everything that completed is there, still
  // as uncertain as before; operations in flight happened or not.
  std::shared_ptr<sim_disk> after_kill(uint64_t seed) const;

  // --- For tests: looking and meddling from outside of the program ---

  std::optional<std::vector<std::byte>> content(const std::string& path) const;
  // Full paths of all files, sorted.
  std::vector<std::string> files() const;
  // Full paths of all directories but the root, outer ones first.
  std::vector<std::string> directories() const;
  // Puts a durable directory there, with those above it.
  void put_directory(const std::string& path);
  // Puts a durable file there, with its directories.
  void put(const std::string& path, bytes_view bytes);
  // Inverts bits of one byte, in the durable content too. False if there is no such byte.
  bool flip(const std::string& path, uint64_t at, std::byte mask);
  uint64_t used_bytes() const;

  // --- For the backends ---

  // Takes note of the operation. finish() must follow, when its time has come.
  void start(io_op& op);
  // Carries it out, as far as the faults let it; returns its result.
  int64_t finish(io_op& op);
  // Makes a started operation fail with `errno_value`, whatever else would have come of it.
  void fail_started(io_op& op, int errno_value);
  int lock(int fd);
  void close(int fd);

 private:
  // A change of one file's content that is not certain yet.
  struct change {
    enum class what : uint8_t { write, resize } kind;
    uint64_t at = 0;  // of a resize: the new size
    std::vector<std::byte> data;
    uint64_t order = 0;
    bool is_abandoned = false;  // covered by a failed sync: no later sync helps
  };

  struct inode;
  using inode_ptr = std::shared_ptr<inode>;
  using entries = std::map<std::string, inode_ptr>;

  // One atomic change of a directory: `removed` goes, `added` comes (replacing); either may be empty.
  struct name_change {
    std::string removed;
    std::string added;
    inode_ptr target;
  };

  struct inode {
    bool is_directory = false;
    // Files.
    sparse_bytes now;
    sparse_bytes durable;
    std::vector<change> pending;
    uint64_t reserved_bytes = 0;
    int lock_holder = -1;
    // Directories.
    entries now_entries;
    entries durable_entries;
    std::vector<name_change> pending_names;
  };

  struct handle {
    inode_ptr node;
    std::string path;
    bool is_direct = false;
    bool is_read_only = false;
  };

  // An operation between start() and finish(). Copies what it needs for the case of a crash.
  struct in_flight {
    io_kind kind{};
    inode_ptr node;
    uint64_t at = 0;
    std::vector<std::byte> data;
    uint64_t sync_up_to = 0;  // sync: covers changes of at most this order
    size_t names_up_to = 0;   // sync_directory: covers so many pending name changes
    uint64_t started = 0;     // order of starting
    int error = 0;            // decided at the start: fails with this
    bool is_injected = false;
    name_change names;
  };

  static bool is_change(const io_op& op) noexcept;
  static void apply(const name_change& c, entries& to);
  static void apply(const change& c, sparse_bytes& to);

  std::vector<std::string> all_paths(bool of_directories) const;
  inode_ptr make_path(const std::vector<std::string>& parts, bool ends_in_directory);
  inode_ptr look_up(std::string_view path) const;
  // The directory that holds the last component, and that component; null if there is none.
  std::pair<inode_ptr, std::string> parent_of(std::string_view path) const;
  static std::vector<std::string> components(std::string_view path);

  int injected_error(const io_op& op);
  std::string path_of(const io_op& op) const;
  bool has_room_for(const inode& node, uint64_t at, uint64_t length) const;
  // Oldest first.
  std::vector<in_flight> all_in_flight() const;
  bool is_misaligned(const handle& h, const io_op& op) const;

  int64_t perform(io_op& op, in_flight& flight);
  int64_t open(const io_op& op);
  int64_t read(const io_op& op);
  int64_t write(const io_op& op, in_flight& flight);
  int64_t allocate(const io_op& op);
  int64_t stat(const io_op& op);
  int64_t change_names(const io_op& op, in_flight& flight);
  int64_t list(const io_op& op);
  int64_t fail_write(in_flight& flight);
  int64_t fail_sync(in_flight& flight);
  // What rename, unlink and the like would do; a negative errno if they cannot.
  int64_t plan_names(const io_op& op, name_change& out, inode_ptr& directory);

  void add_pending(inode& node, change c);
  // Moves the pending changes that `is_chosen` to the durable content, in order.
  template <class Choose>
  static void make_durable(inode& node, Choose is_chosen);
  // Takes out of the older change what the newer one has decided.
  static void overlay(change& older, const change& newer);
  static void sync_names(inode& directory, size_t count);
  // Removes from `data` (a change) what does not survive; appends to `to`.
  static void land_torn(const change& c, prng& random, sparse_bytes& to);
  struct survival;

  prng random_;
  sim_disk_options options_;
  inode_ptr root_;
  std::map<int, handle> handles_;
  int next_fd_ = 1000;
  std::map<const io_op*, in_flight> in_flight_;
  uint64_t started_ = 0;
  std::vector<in_flight> at_crash_;  // what was in flight when the power went, oldest first
  std::vector<sim_fault> faults_;
  uint64_t change_count_ = 0;
  uint64_t order_ = 0;
  std::optional<uint64_t> crash_at_;
  std::optional<uint64_t> fail_at_;
  int fail_with_ = 0;
  std::string failed_path_;
  bool crashed_ = false;
};

}  // namespace millrace::runtime
