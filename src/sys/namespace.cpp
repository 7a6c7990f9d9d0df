#include "sys/namespace.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <limits>

#include "sys/clone.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::sys::ns {

namespace {

constexpr std::uint64_t kIdEnd = std::uint64_t{1} << 32U;

// A child that only holds its namespaces for us: it says when they are ready and lives until we
// close our end of its pipe.
struct Holder {
    Fd ready_read, ready_write;
    Fd hold_read, hold_write;
    int join_userns = -1;
    bool own_network = false;  // made after the user namespace is joined, which owns it then
    bool set_loopback_up = false;
};

void hold_in_child(void* argument) {
    Holder& holder = *static_cast<Holder*>(argument);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    holder.hold_write.reset();
    if (holder.join_userns >= 0 && ::setns(holder.join_userns, CLONE_NEWUSER) != 0) ::_exit(1);
    if (holder.own_network && ::unshare(CLONE_NEWNET) != 0) ::_exit(1);
    if (holder.set_loopback_up && !loopback_up()) ::_exit(1);
    char byte = 0;
    if (::write(holder.ready_write.get(), "r", 1) != 1) ::_exit(1);
    static_cast<void>(!::read(holder.hold_read.get(), &byte, 1));
    ::_exit(0);
}

// Runs `use(pid)` while a child in `namespaces` is alive.
template <class Use>
auto with_holder(std::uint64_t namespaces, Holder& holder, Use use) -> decltype(use(0)) {
    PipeEnds ready = TRY(make_pipe());
    PipeEnds hold = TRY(make_pipe());
    holder.ready_read = std::move(ready.read);
    holder.ready_write = std::move(ready.write);
    holder.hold_read = std::move(hold.read);
    holder.hold_write = std::move(hold.write);
    Cloned child = TRY(clone_process({.namespaces = namespaces}, hold_in_child, &holder));
    Process process(child.pid, std::move(child.pidfd));
    holder.ready_write.reset();
    char byte = 0;
    if (::read(holder.ready_read.get(), &byte, 1) != 1) {
        return fail(Code::Internal, "the process that holds new namespaces ended early");
    }
    return use(process.pid());
}

// Our own id alone may be mapped by anybody, but then groups may not be changed; more takes the
// set-id helper that knows /etc/subuid and /etc/subgid.
Result<void> write_own_map(int pid, const char* file, const char* helper, const IdMaps& maps,
                           std::uint32_t own_id) {
    if (maps.size() == 1 && maps[0].count == 1 && maps[0].outside == own_id) {
        TRY(write_existing(format("/proc/{}/setgroups", pid), "deny"));
        return write_existing(format("/proc/{}/{}", pid, file), to_text(maps));
    }
    SpawnOptions options;
    options.argv = {format("/usr/bin/{}", helper), format("{}", pid)};
    for (const IdMap& map : maps) {
        for (const std::uint32_t number : {map.inside, map.outside, map.count}) {
            options.argv.push_back(format("{}", number));
        }
    }
    const Output output = TRY(run(options, "", std::chrono::seconds(10)));
    if (output.status != 0) {
        return fail(Code::Forbidden, "{}: {}", helper, trim(output.err));
    }
    return {};
}

Result<void> write_maps(int pid, const IdMaps& uids, const IdMaps& gids) {
    if (::geteuid() != 0) {
        TRY_CONTEXT(write_own_map(pid, "uid_map", "newuidmap", uids, ::geteuid()), "map user ids");
        TRY_CONTEXT(write_own_map(pid, "gid_map", "newgidmap", gids, ::getegid()), "map group ids");
        return {};
    }
    TRY_CONTEXT(write_existing(format("/proc/{}/uid_map", pid), to_text(uids)), "map user ids");
    TRY_CONTEXT(write_existing(format("/proc/{}/gid_map", pid), to_text(gids)), "map group ids");
    return {};
}

}  // namespace

const char* name_of(Kind kind) {
    switch (kind) {
        case Kind::Time:
            return "time";
        case Kind::Mount:
            return "mnt";
        case Kind::Cgroup:
            return "cgroup";
        case Kind::Uts:
            return "uts";
        case Kind::Ipc:
            return "ipc";
        case Kind::User:
            return "user";
        case Kind::Pid:
            return "pid";
        case Kind::Network:
            return "net";
    }
    return "";
}

Result<Fd> open(const std::string& path, Kind kind) {
    Fd fd = TRY(open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (type < 0 || static_cast<std::uint64_t>(static_cast<unsigned>(type)) != bit(kind)) {
        return fail(Code::InvalidArgument, "'{}' is not a {} namespace", path, name_of(kind));
    }
    return fd;
}

Result<Fd> open_self(Kind kind) {
    return open_file(format("/proc/self/ns/{}", name_of(kind)), O_RDONLY);
}

Result<Fd> open_of(int pid, Kind kind) {
    return open_file(format("/proc/{}/ns/{}", pid, name_of(kind)), O_RDONLY);
}

bool in_user_namespace() {
    const auto text = read_file("/proc/self/uid_map");
    const auto maps = text ? parse_maps(*text) : Result<IdMaps>(fail(text.error()));
    return maps && !(maps->size() == 1 && maps->front().inside == 0 && maps->front().outside == 0 &&
                     maps->front().count == kIdEnd - 1);
}

Result<void> enter(int ns_fd, Kind kind) {
    if (::setns(ns_fd, static_cast<int>(bit(kind))) != 0) {
        return fail_errno("join {} namespace", name_of(kind));
    }
    return {};
}

Result<void> become_root() {
    // Where groups may not be set there is none to clear.
    if (::setgroups(0, nullptr) != 0 && errno != EPERM) return fail_errno("clear groups");
    if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
        return fail_errno("become root of the user namespace");
    }
    return {};
}

Result<bool> same(int a_fd, int b_fd) {
    struct stat a {};
    struct stat b {};
    if (::fstat(a_fd, &a) != 0 || ::fstat(b_fd, &b) != 0) return fail_errno("stat namespace");
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Result<bool> is_owned_by(int ns_fd, int user_ns_fd) {
    const Fd owner(::ioctl(ns_fd, NS_GET_USERNS));
    if (!owner && errno == EPERM) return false;  // it is outside of our own user namespace
    if (!owner) return fail_errno("find the owner of a namespace");
    return same(owner.get(), user_ns_fd);
}

std::string to_text(const IdMaps& maps) {
    std::string text;
    for (const IdMap& map : maps) {
        text += format("{} {} {}\n", map.inside, map.outside, map.count);
    }
    return text;
}

Result<IdMaps> parse_maps(std::string_view text) {
    IdMaps maps;
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split_fields(line);
        if (fields.empty()) continue;
        IdMap map;
        std::uint32_t* const targets[] = {&map.inside, &map.outside, &map.count};
        if (fields.size() != 3) return fail(Code::InvalidArgument, "id map '{}'", line);
        for (std::size_t i = 0; i < 3; ++i) {
            const auto number = parse_uint(fields[i]);
            if (!number || *number > std::numeric_limits<std::uint32_t>::max()) {
                return fail(Code::InvalidArgument, "id map '{}'", line);
            }
            *targets[i] = static_cast<std::uint32_t>(*number);
        }
        maps.push_back(map);
    }
    return maps;
}

Result<std::uint32_t> map_id(const IdMaps& maps, std::uint32_t inside) {
    for (const IdMap& map : maps) {
        if (inside < map.inside || inside - map.inside >= map.count) continue;
        const std::uint64_t outside = std::uint64_t{map.outside} + (inside - map.inside);
        if (outside < kIdEnd - 1) return static_cast<std::uint32_t>(outside);
    }
    return fail(Code::InvalidArgument, "id {} is not mapped", inside);
}

Result<Fd> create_user(const IdMaps& uids, const IdMaps& gids) {
    Holder holder;
    return with_holder(bit(Kind::User), holder, [&](int pid) -> Result<Fd> {
        TRY(write_maps(pid, uids, gids));
        return open_of(pid, Kind::User);
    });
}

Result<UserMaps> read_maps(const std::string& process) {
    const std::string uids = TRY(read_file(format("/proc/{}/uid_map", process)));
    const std::string gids = TRY(read_file(format("/proc/{}/gid_map", process)));
    UserMaps maps;
    maps.uids = TRY(parse_maps(uids));
    maps.gids = TRY(parse_maps(gids));
    return maps;
}

Result<UserMaps> maps_of(int userns_fd) {
    Holder holder;
    holder.join_userns = userns_fd;
    return with_holder(0, holder, [](int pid) { return read_maps(format("{}", pid)); });
}

Result<Pair> create_pair(std::uint32_t id_base, std::uint32_t count) {
    Holder holder;
    holder.set_loopback_up = true;
    const IdMaps maps = {{0, id_base, count}};
    return with_holder(bit(Kind::User) | bit(Kind::Network), holder, [&](int pid) -> Result<Pair> {
        TRY(write_maps(pid, maps, maps));
        Fd user = TRY(open_of(pid, Kind::User));
        Fd network = TRY(open_of(pid, Kind::Network));
        return Pair{std::move(user), std::move(network)};
    });
}

Result<Fd> create_network(int userns_fd) {
    Holder holder;
    holder.join_userns = userns_fd;
    holder.own_network = true;
    holder.set_loopback_up = true;
    return with_holder(0, holder, [](int pid) { return open_of(pid, Kind::Network); });
}

Result<void> loopback_up() {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("open socket");
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno("set loopback up");
    return {};
}

}  // namespace coffer::sys::ns
