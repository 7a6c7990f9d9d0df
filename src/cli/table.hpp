#pragma once
// Columns of text aligned by elastic tabs, byte for byte as Go's text/tabwriter does with blanks
// as padding: cells end with a tab, a column reaches over the consecutive lines that have it.

#include <string>
#include <string_view>

namespace coffer::cli {

struct TableLayout {
    std::size_t min_width = 10;
    std::size_t padding = 3;
};
std::string align_columns(std::string_view text, TableLayout layout = {});

}  // namespace coffer::cli
