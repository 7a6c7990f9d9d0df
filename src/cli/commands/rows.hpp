#pragma once
// Columns and rows that lists share. Pure functions.

#include <span>

#include "cli/output.hpp"

namespace coffer::cli {

extern const std::span<const Column> kImageColumns;
extern const std::span<const Column> kContainerColumns;
extern const std::span<const Column> kVolumeColumns;

// Of what GET /images/json, /containers/json and /volumes have in their lists. An image is shown
// under its first tag alone. `cut_down` shortens as tables do.
Row image_row(const json::Value& image, bool cut_down);
Row container_row(const json::Value& container, bool cut_down);
Row volume_row(const json::Value& volume);

// "C", "A" or "D" of a change in a file system.
std::string change_kind(const json::Value& change);

}  // namespace coffer::cli
