// table: columns aligned for reading; numbers to the right, words to the left.
#pragma once

#include <string>
#include <vector>

namespace millrace::tools {

class table {
 public:
  enum class align { left, right };
  struct column {
    std::string title;
    align side = align::left;
  };

  explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}
  // Requires: one cell a column.
  void add(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.empty(); }
  // Every line ends with a newline and carries no trailing blanks. `bold_titles`: for a terminal.
  std::string render(bool bold_titles) const;

 private:
  std::vector<column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace millrace::tools
