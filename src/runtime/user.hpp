#pragma once
// Which ids a program runs as: "user[:group]" looked up in the container's own /etc/passwd and
// /etc/group. The files are hostile (threat model G9): bounded regular files, looked up inside the
// root, numbers by strict grammar. Stateless.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

struct ProcessUser {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;  // supplementary
    std::string home = "/";
};

// `wanted` is "", "name", "1000", "name:group", "1000:1000"; digits are always a number, never a
// name. `extra_groups` are further group names or numbers.
Result<ProcessUser> find_user(const sys::RootedDir& root, std::string_view wanted,
                              const std::vector<std::string>& extra_groups = {});

}  // namespace coffer::runtime
