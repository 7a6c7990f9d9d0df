#pragma once
// Identity and privilege of the calling process: ids, capabilities, securebits, limits and
// no_new_privs. Every change is read back. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys::cred {

using CapSet = std::uint64_t;  // bit n is capability n

// "CAP_CHOWN" or "chown" to its number; nullopt for an unknown name.
std::optional<unsigned> capability_number(std::string_view name);
std::string capability_name(unsigned number);  // "CAP_CHOWN"
// The highest capability that the running kernel knows.
unsigned last_capability();
CapSet all_capabilities();
// Names to a set; an unknown name, or one that this kernel lacks, is an error.
Result<CapSet> parse_capabilities(const std::vector<std::string>& names);

struct Capabilities {
    CapSet effective = 0;
    CapSet permitted = 0;
    CapSet inheritable = 0;
    CapSet bounding = 0;
    CapSet ambient = 0;
};
Result<Capabilities> current_capabilities();
Result<CapSet> permitted_capabilities();

struct Ids {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;
};

// Drops from the bounding set all that is not in `keep`.
Result<void> limit_bounding(CapSet keep);
// setgroups, setresgid, setresuid; the capabilities survive (PR_SET_KEEPCAPS) until set below.
Result<void> become(const Ids& ids);
// Effective, permitted, inheritable and ambient; bounding is as limit_bounding() left it.
Result<void> set_capabilities(const Capabilities& wanted);
Result<void> set_no_new_privileges();
// /proc/self/fd and the like belong to the initial root, and only it may trace us.
Result<void> set_not_dumpable();

// File-system ids in a mapped range while root's capabilities stay: what an overlay whose upper
// folder is id-mapped needs of the one who mounts it and creates in it. The destructor goes back
// to 0.
class MappedFsIds {
  public:
    static Result<MappedFsIds> enter(std::uint32_t uid, std::uint32_t gid);
    ~MappedFsIds();
    MappedFsIds(MappedFsIds&& other) noexcept;
    MappedFsIds& operator=(MappedFsIds&&) = delete;
    MappedFsIds(const MappedFsIds&) = delete;
    MappedFsIds& operator=(const MappedFsIds&) = delete;

  private:
    MappedFsIds() = default;
    bool active_ = true;
};

// "RLIMIT_NOFILE" to its number; nullopt for an unknown name.
std::optional<int> rlimit_number(std::string_view name);
struct Rlimit {
    int number = 0;
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
};
Result<void> set_rlimit(int pid, const Rlimit& limit);

}  // namespace coffer::sys::cred
