// log_directory: the data directory as clients are shown it.
#pragma once

#include <filesystem>
#include <string>

#include "broker/config/settings.h"

namespace millrace::broker {

// Absolute, without "." and "..", and without a '/' at its end.
inline std::string log_directory(const settings& s) {
  std::error_code unknown;  // the working directory may be gone; the path as given has to do then
  std::filesystem::path path = std::filesystem::absolute(s.data_directory, unknown);
  if (unknown) path = s.data_directory;
  std::string text = path.lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace millrace::broker
