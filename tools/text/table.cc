#include "tools/text/table.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::tools {

namespace {

// Columns on a terminal, taking one per code point: names are ASCII, and keys rarely need more.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

void table::add(std::vector<std::string> cells) {
  MR_ASSERT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string table::render(bool bold_titles) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = width_of(columns_[i].title);
    for (const std::vector<std::string>& row : rows_) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [&](const auto& cell_at) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string& cell = cell_at(i);
      const std::string blanks(widths[i] - width_of(cell), ' ');
      line += columns_[i].side == align::right ? blanks + cell : cell + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  };
  const std::string titles = add_line([&](size_t i) -> const std::string& { return columns_[i].title; });
  out += bold_titles ? "\x1b[1m" + titles + "\x1b[0m\n" : titles + "\n";
  for (const std::vector<std::string>& row : rows_) {
    out += add_line([&](size_t i) -> const std::string& { return row[i]; }) + "\n";
  }
  return out;
}

}  // namespace millrace::tools
