// The part of shard_host that deals with outputs whose records choose their partition: for those a flow
// writes to an outbox beside its input. Outboxes send on their own, for as long as there is something to send
// to: also while their flow is paused or its input is gone, since what is in them was derived and counts.
#include <algorithm>

#include "base/log.h"
#include "processors/host/shard_host.h"

namespace millrace::processors {

// Where the flow's outputs go, and the outboxes on the way. False if a topic is not there yet, or the flow
// has paused because it cannot be used.
bool shard_host::find_routes(flow& f) {
  const storage::partition_log* input = store_.find(f.key.input);
  f.routes.assign(f.output_count(), {});
  f.outboxes.assign(f.output_count(), nullptr);
  for (size_t i = 0; i < f.output_count(); ++i) {
    if (!f.processor.has_outbox(i)) continue;
    if (!options_.others) {
      pause(f, "its outputs go to other partitions, which do not exist here");
      return false;
    }
    const std::string& topic = f.processor.output_topics[i];
    const auto target = options_.others->find(topic);
    if (!target) return false;
    if (input && target->kept != input->config().durability) {
      pause(f, fmt::format("input {} has durability \"{}\" and output {} \"{}\"; they must be equal",
                           input->topic_name(), storage::name_of(input->config().durability), topic,
                           storage::name_of(target->kept)));
      return false;
    }
    f.outboxes[i] = outbox_of(f.processor, i, *target, f.targets[i]);
    if (f.outboxes[i]->is_stopped()) {
      pause(f, f.outboxes[i]->why_stopped());
      return false;
    }
    if (f.outboxes[i]->topic() != topic) {
      pause(f, fmt::format("its outbox still holds records for topic {}, and now it writes to {}",
                           f.outboxes[i]->topic(), topic));
      return false;
    }
    // What the outbox takes for a partition's number was counted when it began.
    f.routes[i] = {f.processor.output_by(i), f.outboxes[i]->target().partitions};
  }
  return true;
}

// The outbox of that partition, at work; made if it is new.
std::shared_ptr<outbox> shard_host::outbox_of(const deployed_processor& p, size_t output,
                                              const output_topic& target,
                                              const storage::topic_partition_id& id) {
  std::shared_ptr<outbox>& there = outboxes_[id];
  // One that has been told to send elsewhere first sends what it has.
  if (there && (there->topic() == p.output_topics[output] || there->waiting_bytes() > 0)) return there;
  if (there) there->stop("its output goes to another topic");
  outbox_options options;
  options.id = id;
  options.processor = p.spec.name;
  options.topic = p.output_topics[output];
  options.target = target;
  options.compression = p.spec.output_compression;
  options.bytes_max = p.spec.outbox_bytes_max;
  options.trim_after_bytes = options_.outbox_trim_after_bytes;
  options.on_trouble = [this, id](const std::string& why) {
    for (auto& [input, flows] : by_input_)
      for (const flow_ptr& f : flows)
        if (std::ranges::find(f->targets, id) != f->targets.end()) pause(*f, why);
  };
  there = std::make_shared<outbox>(std::move(options), store_, *options_.others);
  gate_.spawn(outbox::run(there));
  return there;
}

// Outboxes begin to send as soon as they and what they send to are there, whether their processor runs or
// not.
void shard_host::start_outboxes() {
  if (!options_.others || !is_started_ || is_stopping_) return;
  for (const deployed_ptr& deployed : what_.processors()) {
    const deployed_processor& p = *deployed;
    for (size_t i = 0; i < p.output_topics.size(); ++i) {
      if (!p.has_outbox(i)) continue;
      const std::string name = outbox_topic(p.spec.name, p.code->outputs()[i]);
      const auto target = options_.others->find(p.output_topics[i]);
      if (!target) continue;
      for (auto at = opened_.lower_bound({name, 0}); at != opened_.end() && at->first.first == name; ++at)
        outbox_of(p, i, *target, at->second);
    }
  }
}

void shard_host::topics_changed() {
  if (!options_.others || !is_started_ || is_stopping_) return;
  for (const auto& [id, o] : outboxes_) {
    if (o->is_stopped()) continue;
    const auto target = options_.others->find(o->topic());
    if (target && target->id == o->target().id) continue;
    o->stop("an output topic was deleted");
    for (auto& [input, flows] : by_input_)
      for (const flow_ptr& f : flows)
        if (std::ranges::find(f->outboxes, o) != f->outboxes.end()) pause(*f, o->why_stopped());
  }
  start_outboxes();
  for (auto& [input, flows] : by_input_)
    for (const flow_ptr& f : flows)
      if (f->health == flow_state::waiting) try_start(*f);
}

}  // namespace millrace::processors
