#include "tools/kafka/errors.h"

#include <array>

namespace millrace::tools {

namespace {

struct advice {
  errc code;
  std::string_view text;
};

constexpr std::array advice_table = {
    advice{errc::broker_not_available,
           "Is the broker running, and is this its address? Name another with --bootstrap HOST:PORT "
           "or MILLRACE_BOOTSTRAP."},
    advice{errc::network_exception,
           "Something answered, but not as a Kafka broker in plain text would: check the port, and "
           "whether it wants TLS or SASL (-X security.protocol=...)."},
    advice{errc::request_timed_out, "The broker is slow or unreachable; --timeout SECONDS waits longer."},
    advice{errc::unknown_topic_or_partition,
           "`millrace topic list` shows what there is; `millrace topic create NAME` makes a topic."},
    advice{errc::topic_already_exists, "`--if-not-exists` makes this no error."},
    advice{errc::invalid_partitions, "Give a positive number: --partitions N."},
    advice{
        errc::invalid_replication_factor,
        "There are fewer brokers than copies asked for; leave --replicas out to use the broker's default."},
    advice{errc::invalid_topic_exception,
           "A topic's name has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is neither '.' nor '..'."},
    advice{errc::message_too_large,
           "The topic's max.message.bytes (or the broker's message.max.bytes) must be raised, or the record "
           "made smaller."},
    advice{errc::topic_authorization_failed, "The user may not do this on the topic; ask for an ACL."},
    advice{errc::group_authorization_failed, "The user may not use this group; ask for an ACL."},
    advice{errc::group_id_not_found, "`millrace group list` shows what there is."},
    advice{errc::non_empty_group,
           "Stop its consumers first; `millrace group describe NAME` shows who they are."},
    advice{errc::group_subscribed_to_topic,
           "Its members still subscribe to the topic; stop them first (`millrace group describe NAME`)."},
    advice{errc::cluster_authorization_failed, "The user may not administer this cluster; ask for an ACL."},
    advice{errc::sasl_authentication_failed,
           "Check user and password (-X sasl.username=..., -X sasl.password=...)."},
    advice{errc::topic_deletion_disabled, "The broker runs with delete.topic.enable=false."},
    advice{errc::offset_out_of_range, "`millrace topic describe NAME` shows the first and the next offset."},
    advice{errc::kafka_storage_error, "The broker cannot use its disk; its log says why."},
    advice{errc::locked,
           "Stop the broker first, or add --live to read anyway (the newest records may then look torn)."},
};

}  // namespace

errc errc_of(rd_kafka_resp_err_t code) {
  if (code >= 0) {
    const auto own = static_cast<errc>(code);
    return name_of(own) == "UNKNOWN" ? errc::unknown_server_error : own;
  }
  switch (code) {
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
      return errc::request_timed_out;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return errc::broker_not_available;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__SSL:
      return errc::network_exception;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return errc::unknown_topic_or_partition;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      return errc::sasl_authentication_failed;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      return errc::unsupported_version;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return errc::invalid_argument;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
      return errc::corrupt_message;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return errc::offset_out_of_range;
    default:
      return errc::unknown_server_error;
  }
}

error broker_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail) {
  return error{
      errc_of(code),
      fmt::format("cannot {}: {}", what, detail.empty() ? std::string_view(rd_kafka_err2str(code)) : detail)};
}

std::string_view advice_for(errc code) {
  for (const advice& entry : advice_table) {
    if (entry.code == code) return entry.text;
  }
  return {};
}

}  // namespace millrace::tools
