// consumer: records of one topic, read on one's own or as a member of a group.
//
// On its own it reads the partitions it is told from where it is told. In a group it shares them with
// the other members; offsets are committed only for records that the caller said are done with, so a
// record is never lost between two runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/kafka/handle.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/start_position.h"
#include "tools/text/record.h"

namespace millrace::tools {

class consumer {
 public:
  struct settings {
    std::string topic;
    std::string group;                // empty: on its own
    std::vector<int32_t> partitions;  // empty: all
    start_position from;
    // On its own: each partition ends before this place, and at the latest where it ends now.
    std::optional<start_position> until;
    std::string isolation = "read_committed";  // or read_uncommitted
    bool is_bounded = false;                   // the caller stops at the end: hear of it quickly
  };

  static result<std::unique_ptr<consumer>> open(const connection& to, const settings& s);
  ~consumer();

  // Hands the records that are there to `take`, in order within each partition, until it returns false.
  // Waits up to `wait_ms` for the first. An error is one that waiting will not cure.
  result<void> poll(int wait_ms, const std::function<bool(const record_view&)>& take);

  // Every assigned partition has been read to its end, or as far as it is to be read. False in a group before
  // the first assignment.
  bool is_at_end() const noexcept { return has_assignment_ && at_end_.size() == assigned_; }

  // What poll() handed out so far is done with: in a group, the offsets are committed soon.
  void mark_done();
  // Commits what is marked done and leaves the group.
  result<void> close();

 private:
  consumer() = default;
  result<void> assign(const settings& s);
  result<void> find_ends(const start_position& until, const std::string& topic,
                         const std::vector<int32_t>& partitions);
  result<void> subscribe(const std::string& topic);
  void on_rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions);
  // False: stop handing out.
  result<bool> take_message(rd_kafka_message_t& message, const std::function<bool(const record_view&)>& take);

  std::unique_ptr<handle> client_;
  queue_ptr queue_;
  std::string topic_;
  bool is_group_member_ = false;
  bool is_closed_ = false;
  bool has_assignment_ = false;
  size_t assigned_ = 0;
  std::set<int32_t> at_end_;
  std::map<int32_t, int64_t> until_;         // empty: without end
  std::map<int32_t, int64_t> next_offsets_;  // handed out, not yet marked done
  std::vector<rd_kafka_message_t*> batch_;
};

}  // namespace millrace::tools
