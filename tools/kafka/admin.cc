#include "tools/kafka/admin.h"

#include "tools/kafka/errors.h"

namespace millrace::tools {

admin_options_ptr admin_options(handle& client) {
  admin_options_ptr options(rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_ANY));
  char reason[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), client.timeout_ms(), reason, sizeof(reason));
  return options;
}

result<event_ptr> await_answer(handle& client, rd_kafka_queue_t* answers, std::string_view what) {
  // librdkafka itself gives up after the request timeout; the margin lets it say so.
  event_ptr event(rd_kafka_queue_poll(answers, client.timeout_ms() + 1000));
  if (!event) return fail(errc::request_timed_out, "cannot {}: no answer", what);
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
  return fail(broker_error(code, what, rd_kafka_event_error_string(event.get())));
}

}  // namespace millrace::tools
