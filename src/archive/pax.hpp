#pragma once
// Pax: the records of a tar's extended header, checked. Pure; safe from any thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/tar.hpp"

namespace coffer::archive {

// What the extended headers before an entry said about it.
struct PaxRecords {
    std::optional<std::string> path;
    std::optional<std::string> link_path;
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<Time> mtime;
    std::map<std::string, std::string> xattrs;

    // GNU sparse files in pax form. 1.0 has its map in front of the content.
    bool sparse_1_0 = false;
    std::optional<std::uint64_t> sparse_size;
    std::optional<std::string> sparse_name;
    std::vector<std::uint64_t> sparse_numbers;  // 0.0 and 0.1: offset, length, offset, length, ...
};

// Adds the records of one extended header; later ones win over earlier ones.
Result<void> parse_pax(std::string_view text, PaxRecords& records);
// One record: "<length> <key>=<value>\n".
std::string pax_record(std::string_view key, std::string_view value);
// "1350244992.023960108"; times that Time cannot hold are the epoch.
std::optional<Time> parse_pax_time(std::string_view text);
// Pairs of numbers as extents; fails on an odd count or more than `limit` extents.
Result<std::vector<SparseExtent>> to_extents(const std::vector<std::uint64_t>& numbers,
                                             std::size_t limit);

}  // namespace coffer::archive
