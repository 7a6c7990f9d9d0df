#include "cli/table.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace coffer::cli {

namespace {

std::size_t rune_count(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

class Aligner {
  public:
    Aligner(std::string_view text, TableLayout layout) : layout_(layout) {
        for (const std::string& line : split(text, '\n')) lines_.push_back(split(line, '\t'));
    }

    std::string run() {
        format_block(0, lines_.size());
        return std::move(out_);
    }

  private:
    // Lines [first, last) with the widths of the columns to their left known.
    void format_block(std::size_t first, std::size_t last) {
        const std::size_t column = widths_.size();
        for (std::size_t line = first; line < last; ++line) {
            if (column + 1 >= lines_[line].size()) continue;
            write_lines(first, line);
            first = line;
            std::size_t width = layout_.min_width;
            for (; line < last && column + 1 < lines_[line].size(); ++line) {
                width = std::max(width, rune_count(lines_[line][column]) + layout_.padding);
            }
            widths_.push_back(width);
            format_block(first, line);
            widths_.pop_back();
            first = line;
        }
        write_lines(first, last);
    }

    void write_lines(std::size_t first, std::size_t last) {
        for (std::size_t line = first; line < last; ++line) {
            const auto& cells = lines_[line];
            for (std::size_t i = 0; i < cells.size(); ++i) {
                out_ += cells[i];
                if (i < widths_.size()) out_.append(widths_[i] - rune_count(cells[i]), ' ');
            }
            if (line + 1 < lines_.size()) out_ += '\n';
        }
    }

    TableLayout layout_;
    std::vector<std::vector<std::string>> lines_;
    std::vector<std::size_t> widths_;
    std::string out_;
};

}  // namespace

std::string align_columns(std::string_view text, TableLayout layout) {
    return Aligner(text, layout).run();
}

}  // namespace coffer::cli
