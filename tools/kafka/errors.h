// errors: librdkafka's error codes in the project's own, and what a user should do about each.
#pragma once

#include <librdkafka/rdkafka.h>
#include <string>
#include <string_view>

#include "base/errc.h"
#include "base/result.h"

namespace millrace::tools {

// Broker codes keep their number; librdkafka's local ones become the nearest of ours.
errc errc_of(rd_kafka_resp_err_t code);

// "cannot <what>: <librdkafka's or the broker's own words>"
error broker_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail = {});

// One sentence on what to do next; empty where the message already says it all.
std::string_view advice_for(errc code);

}  // namespace millrace::tools
