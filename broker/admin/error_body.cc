#include <nlohmann/json.hpp>

#include "broker/admin/http_server.h"

namespace millrace::broker::admin {

std::string error_body(const error& e) {
  const std::string message = e.message.empty() ? std::string(name_of(e.code)) : e.message;
  const nlohmann::json body = {{"error", {{"code", name_of(e.code)}, {"message", message}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

http_response error_response(unsigned status, const error& e) {
  return {.status = status, .body = error_body(e)};
}

}  // namespace millrace::broker::admin
