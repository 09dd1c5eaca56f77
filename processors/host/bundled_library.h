// bundled_library: where the bundled processors are: `library = "bundled"` means their library.
//
// It lies beside this program (as it is built) or, installed, in ../lib/millrace from there. Needs nothing
// else of Millrace, so that `millrace processor test` finds it, too.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace millrace::processors {

inline constexpr const char* bundled_name = "bundled";

// The file that is meant by a library's name in a configuration: itself, unless it is that of the bundled
// ones.
inline std::string library_path(const std::string& library) {
  if (library != bundled_name) return library;
  constexpr const char* file = "millrace-bundled.so";
  std::error_code problem;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
  const std::filesystem::path beside = here / file;
  if (std::filesystem::exists(beside, problem)) return beside.string();
  return (here.parent_path() / "lib" / "millrace" / file).string();
}

}  // namespace millrace::processors
