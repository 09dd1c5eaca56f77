// tables: every configuration key there is.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "broker/config/key_spec.h"

namespace millrace::broker {

// Keys that change what this broker does: Kafka's names where Kafka has the notion, our own otherwise.
std::span<const key_spec> broker_keys();
// Kafka's other broker keys. They are accepted, so that a server.properties can be carried over, and noted
// once.
std::span<const key_spec> idle_keys();
// Keys of a topic.
std::span<const key_spec> topic_keys();

const key_spec* find_key(std::span<const key_spec> table, std::string_view name);
std::vector<std::string_view> names_of(std::span<const key_spec> table);

// Some values ask for what is not here: a second replica, TLS, tiered storage. The reason why such a value
// (checked already) is refused; empty if it is not.
std::string_view refusal_of_broker_value(std::string_view name, std::string_view value);
std::string_view refusal_of_topic_value(std::string_view name, std::string_view value);

}  // namespace millrace::broker
