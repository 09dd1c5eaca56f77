// client: asks a broker on this machine, through the admin socket in its data directory.
//
// What can be asked is docs/admin.md. The socket belongs to the broker's user, so there is no password; being
// that user (or root) is the permission. Nothing here goes over a network.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::tools {

struct admin_options {
  admin_options();  // from MILLRACE_ADMIN_SOCKET
  std::string socket;
  std::string data_directory;
  int timeout_seconds = 60;

  std::string path() const;
};

// --socket, --data.
void add_socket_options(CLI::App& verb, admin_options& options);
// Those and --timeout.
void add_admin_options(CLI::App& verb, admin_options& options);

// Sends one request and yields the body of the answer. What the broker refuses is an error with its sentence;
// one that nobody can connect to says what to do.
result<std::string> ask_broker(const admin_options& to, std::string_view method, std::string_view target,
                               std::string_view body = {});

// The parts of ask_broker() that touch nothing: the bytes of an answer, up to the end of the stream.
result<std::string> read_answer(std::string_view bytes);

}  // namespace millrace::tools
