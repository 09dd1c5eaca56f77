#include "broker/metadata/image.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <unordered_set>

#include "base/limits.h"

namespace millrace::broker {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

std::string collision_key(std::string_view name) {
  std::string key(name);
  std::ranges::replace(key, '.', '_');
  return key;
}

const uuid& id_of(const topic_ptr& t) {
  return t->id;
}

std::string_view name_of_topic(const topic_ptr& t) {
  return t->name;
}

}  // namespace

const topic* metadata_image::find(std::string_view name) const noexcept {
  const auto at = std::ranges::lower_bound(by_name_, name, {}, name_of_topic);
  return at != by_name_.end() && (*at)->name == name ? at->get() : nullptr;
}

const topic* metadata_image::find(const uuid& id) const noexcept {
  const auto at = std::ranges::lower_bound(by_id_, id, {}, id_of);
  return at != by_id_.end() && (*at)->id == id ? at->get() : nullptr;
}

const topic* metadata_image::find_colliding(std::string_view name) const {
  if (name.find_first_of("._") == std::string_view::npos) return find(name);
  const std::string key = collision_key(name);
  // Colliding names have one length and one prefix up to the first '.' or '_'; that narrows the search to
  // few.
  const std::string_view prefix = name.substr(0, name.find_first_of("._"));
  for (auto at = std::ranges::lower_bound(by_name_, prefix, {}, name_of_topic);
       at != by_name_.end() && (*at)->name.starts_with(prefix); ++at) {
    if ((*at)->name.size() == name.size() && collision_key((*at)->name) == key) return at->get();
  }
  return nullptr;
}

image_ptr metadata_image::with(std::vector<topic_ptr> put, const std::vector<uuid>& removed) const {
  std::unordered_set<uuid> gone(removed.begin(), removed.end());
  for (const topic_ptr& t : put) gone.insert(t->id);
  // Both orders are kept by merging: sorting anew would cost more than all the rest.
  const auto merged = [&](const std::vector<topic_ptr>& old, auto key) {
    std::vector<topic_ptr> kept;
    kept.reserve(old.size());
    std::ranges::copy_if(old, std::back_inserter(kept),
                         [&](const topic_ptr& t) { return !gone.contains(t->id); });
    std::ranges::sort(put, {}, key);
    std::vector<topic_ptr> out;
    out.reserve(kept.size() + put.size());
    std::ranges::merge(kept, put, std::back_inserter(out), {}, key, key);
    return out;
  };
  auto image = std::make_shared<metadata_image>();
  image->by_name_ = merged(by_name_, name_of_topic);
  image->by_id_ = merged(by_id_, id_of);
  image->epoch_ = epoch_;
  return image;
}

image_ptr metadata_image::make(std::vector<topic_ptr> topics, leader_epoch epoch) {
  auto image = std::make_shared<metadata_image>();
  image->by_name_ = std::move(topics);
  std::ranges::sort(image->by_name_, {}, name_of_topic);
  image->by_id_ = image->by_name_;
  std::ranges::sort(image->by_id_, {}, id_of);
  image->epoch_ = epoch;
  return image;
}

std::string topic_name_fault(std::string_view name) {
  if (name.empty()) return "Topic name is invalid: the empty string is not allowed";
  if (name == "." || name == "..") return "Topic name cannot be \".\" or \"..\"";
  if (name.size() > limits::topic_name_max) {
    return fmt::format("Topic name is invalid: the length is longer than the max allowed length {}",
                       limits::topic_name_max);
  }
  if (!std::ranges::all_of(name, is_name_character)) {
    return "Topic name is invalid: it contains one or more characters other than ASCII alphanumerics, '.', "
           "'_' and '-'";
  }
  return {};
}

bool is_internal_topic(std::string_view name) noexcept {
  return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state";
}

}  // namespace millrace::broker
