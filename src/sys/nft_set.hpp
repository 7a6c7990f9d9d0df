#pragma once
// Elements of nftables sets and maps, over netlink (linux/netfilter/nf_tables.h): what changes with
// every container. libnftables reads the whole table back for each change; this costs the same
// however large the sets are. One call is one atomic transaction; safe from any thread.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys::nft {

enum class Family : std::uint8_t { Ip, Inet, Bridge };

// Keys and values are bytes as the kernel keeps them: numbers in network order, every part of a
// concatenation padded to four bytes, interface names to sixteen.
struct Element {
    Family family = Family::Inet;
    std::string table;
    std::string set;
    std::string key;
    std::string key_end = {};         // of an interval: its last key
    std::string value = {};           // of a map
    std::chrono::seconds timeout{0};  // of a set that forgets; 0: never
};

// An element that is there with the same value is no error.
Result<void> add_elements(const std::vector<Element>& elements);
// Nor is one that is gone. The value counts.
Result<void> remove_elements(const std::vector<Element>& elements);
// Both at once: packets meet either the one or the other.
Result<void> replace_elements(const std::vector<Element>& old, const std::vector<Element>& now);

// Parts of keys and values.
std::string number8(std::uint8_t number);
std::string number16(std::uint16_t number);
std::string interface_name(std::string_view name);

}  // namespace coffer::sys::nft
