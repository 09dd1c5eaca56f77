// door: where operators come in. HTTP requests on the admin socket, carried to shard 0 and answered from
// there.
//
//   admin thread ── request ──► shard 0: answer() as a coroutine of its own ── response ──► admin thread
//
// Requests wait for each other only where the operations they ask for do. TCP has no such door: what can
// deploy code must be able to open a file of the broker's user.
//
// open() and close() run on shard 0.
#pragma once

#include <memory>

#include "base/result.h"
#include "broker/admin/http_server.h"
#include "broker/node.h"
#include "runtime/task.h"

namespace millrace::broker::admin {

class door {
 public:
  // Null if the settings want none, or if the path that nobody has chosen is too long for a socket (a warning
  // says so). `whole` outlives the door.
  static result<std::unique_ptr<door>> open(node& whole);
  ~door();
  door(const door&) = delete;
  door& operator=(const door&) = delete;

  // Lets no new request in, finishes those that are in, removes the socket.
  runtime::task<void> close();

 private:
  struct inside;
  door();

  std::shared_ptr<inside> inside_;
  std::unique_ptr<http_server> server_;
};

}  // namespace millrace::broker::admin
