// trusted_path: whether a file is only in the hands of those who may run code as the broker anyway.
//
// Loading a library runs it as the broker's user. So nobody but that user and root may be able to change the
// file, or to put another one in its place: by writing to it, or to a directory on the way to it. Links are
// followed, and both the way to the link and the way to the file count.
#pragma once

#include <string>

#include "base/result.h"

namespace millrace::processors {

enum class trust : uint8_t {
  owner_only,  // nobody else may write: what comes in at run time
  // The file is named by whoever starts the broker: the group may write, and whoever owns the files is
  // trusted; everybody may not, except to directories where one can only replace one's own (/tmp).
  named_by_operator,
};

// A library as configurations name it: a regular file whose path is to be trusted so far, or a sentence that
// says which path is not, and what to do. The bundled ones lie where the broker was installed, by whoever
// could have put another broker there: they are held to named_by_operator, however they are named.
result<void> check_trusted(const std::string& library, trust how);

}  // namespace millrace::processors
