// unix_listener: a listening Unix socket that only its owner can connect to.
#pragma once

#include <string>

#include "base/result.h"

namespace millrace::broker::admin {

// Binds and listens at `path`, mode 0600 from the first moment on; yields the descriptor. A socket that
// nobody listens on any more is replaced; one in use, or something that is no socket, is an error.
result<int> listen_on_unix_socket(const std::string& path, int backlog);

}  // namespace millrace::broker::admin
