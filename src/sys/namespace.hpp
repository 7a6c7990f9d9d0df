#pragma once
// Namespaces as descriptors: opening, joining, comparing, and making user namespaces that exist
// only behind a descriptor. Functions that fork need a process with one thread.

#include <cstdint>
#include <string>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::sys::ns {

// The bits are those of clone(2), so that kinds can be or-ed into flags.
enum class Kind : std::uint64_t {
    Time = 0x00000080,
    Mount = 0x00020000,
    Cgroup = 0x02000000,
    Uts = 0x04000000,
    Ipc = 0x08000000,
    User = 0x10000000,
    Pid = 0x20000000,
    Network = 0x40000000,
};
constexpr std::uint64_t bit(Kind kind) {
    return static_cast<std::uint64_t>(kind);
}
constexpr Kind kAllKinds[] = {Kind::User, Kind::Mount,  Kind::Pid, Kind::Network,
                              Kind::Ipc,  Kind::Cgroup, Kind::Uts, Kind::Time};
// The name under /proc/PID/ns: "user", "mnt", "net", ...
const char* name_of(Kind kind);

// A namespace file; an error unless it is one of this kind.
Result<Fd> open(const std::string& path, Kind kind);
// Ours, or those of another process.
Result<Fd> open_self(Kind kind);
Result<Fd> open_of(int pid, Kind kind);
// True unless we are in the machine's first user namespace, or in one that looks just like it.
bool in_user_namespace();
// setns(2).
Result<void> enter(int ns_fd, Kind kind);
// The root of our user namespace, without supplementary groups: after entering one, before making
// what root should own.
Result<void> become_root();
// True if both descriptors name the same namespace.
Result<bool> same(int a_fd, int b_fd);
// True if `ns_fd` belongs to the user namespace `user_ns_fd`, which is ours or below it.
Result<bool> is_owned_by(int ns_fd, int user_ns_fd);

struct IdMap {
    std::uint32_t inside = 0;
    std::uint32_t outside = 0;
    std::uint32_t count = 0;
};
using IdMaps = std::vector<IdMap>;
// The lines of uid_map; "" for no map.
std::string to_text(const IdMaps& maps);
Result<IdMaps> parse_maps(std::string_view text);
// The outside id of `inside`, or an error when it is not mapped.
Result<std::uint32_t> map_id(const IdMaps& maps, std::uint32_t inside);

// A user namespace with these maps and nobody in it. Forks.
Result<Fd> create_user(const IdMaps& uids, const IdMaps& gids);
// The maps of a user namespace, seen from ours: of the one that a process ("self" or a pid) is in,
// or by its descriptor, for which it forks.
struct UserMaps {
    IdMaps uids;
    IdMaps gids;
};
Result<UserMaps> read_maps(const std::string& process);
Result<UserMaps> maps_of(int userns_fd);

// A user namespace that maps 0 to `id_base` for `count` ids, and a network namespace it owns
// (loopback up). Forks.
struct Pair {
    Fd user;
    Fd network;
};
Result<Pair> create_pair(std::uint32_t id_base, std::uint32_t count);
// A network namespace (loopback up) that an existing user namespace owns. Forks.
Result<Fd> create_network(int userns_fd);

// Sets the loopback interface of our network namespace up.
Result<void> loopback_up();

}  // namespace coffer::sys::ns
