// Which namespaces a container has of its own, shares with another container, or with the host.
//
// Who shares the processes or the IPC of another container lives in its user namespace too: it
// could act on neither from one of its own. Their ids are the same then, and each may do to the
// other what its capabilities allow.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "engine/container_egress.hpp"
#include "engine/containers_impl.hpp"
#include "sys/namespace.hpp"

namespace coffer::engine {

namespace {

using sys::ns::Kind;

std::string own_host_name() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Result<void> check_modes(const api::HostConfig& host) {
    struct Mode {
        const std::string& value;
        const char* name;
        std::initializer_list<std::string_view> known;
        bool joinable;
    };
    for (const Mode& mode :
         {Mode{host.pid_mode, "PID", {"", "private", "host"}, true},
          Mode{host.ipc_mode, "IPC", {"", "none", "private", "shareable", "host"}, true},
          Mode{host.uts_mode, "UTS", {"", "private", "host"}, false},
          Mode{host.cgroupns_mode, "cgroup namespace", {"", "private", "host"}, false},
          Mode{host.userns_mode, "USER", {"", "private", "host"}, false}}) {
        const auto other = shared_with(mode.value);
        if (other
                ? mode.joinable && !other->empty()
                : std::find(mode.known.begin(), mode.known.end(), mode.value) != mode.known.end()) {
            continue;
        }
        return fail(Code::InvalidArgument, "invalid {} mode: {}", mode.name, mode.value);
    }
    if (host.userns_mode == "host") {
        return fail(Code::NotImplemented,
                    "--userns host is not supported: every container has a user namespace that is "
                    "not the host's");
    }
    return {};
}

// docker's rules about what goes with the network or the names of somebody else.
Result<void> check_conflicts(const api::ContainerConfig& config, const api::HostConfig& host) {
    struct Conflict {
        bool is_there;
        std::string_view what;
    };
    const auto refuse = [](std::string_view what) {
        return fail(Code::InvalidArgument, "conflicting options: {}", what);
    };
    if (host.uts_mode == "host" && !config.hostname.empty()) {
        return refuse("hostname and the UTS mode");
    }
    if (host.uts_mode == "host" && !config.domainname.empty()) {
        return refuse("domainname and the UTS mode");
    }
    if (!shared_with(host.network_mode)) return {};
    for (const Conflict& conflict :
         {Conflict{!config.hostname.empty(), "hostname and the network mode"},
          Conflict{!host.dns.empty() || !host.dns_search.empty() || !host.dns_options.empty(),
                   "dns and the network mode"},
          Conflict{!host.extra_hosts.empty(), "custom host-to-IP mapping and the network mode"},
          Conflict{!config.mac_address.empty(), "mac-address and the network mode"},
          Conflict{!host.port_bindings.empty() || host.publish_all_ports,
                   "port publishing and the container type network mode"}}) {
        if (conflict.is_there) return refuse(conflict.what);
    }
    return {};
}

// Of a running container, whatever becomes of its number meanwhile.
Result<sys::Fd> namespace_of(const Container& container, Kind kind, const char* what) {
    const auto record = container.record();
    auto fd =
        record->is_running() ? sys::ns::open_of(record->pid, kind) : Result<sys::Fd>(sys::Fd());
    if (!fd || !*fd || !container.record()->is_running()) {
        return fail(Code::Conflict, "cannot join {} of a non running container: {}", what,
                    record->id);
    }
    return fd;
}

}  // namespace

Result<std::string> Containers::Impl::real_mode(std::string mode,
                                                std::string api::HostConfig::*field) const {
    while (const auto other = shared_with(mode)) {
        mode = TRY(find(*other))->record()->host_config.*field;
    }
    return mode;
}

Result<void> Containers::Impl::settle_modes(Record& record, const Caller& caller) const {
    api::HostConfig& host = record.host_config;
    TRY(check_modes(host));
    TRY(check_conflicts(record.config, host));
    TRY(check_egress(host));
    for (const auto field :
         {&api::HostConfig::network_mode, &api::HostConfig::pid_mode, &api::HostConfig::ipc_mode}) {
        std::string& mode = host.*field;
        const auto name = shared_with(mode);
        if (!name) continue;
        const auto other = find(*name);
        // Not the 404 of an image, which clients go and pull.
        if (!other) return fail(Code::InvalidArgument, "{}", other.error().message);
        mode = "container:" + (*other)->id();
    }
    struct Mode {
        std::string api::HostConfig::*field;
        const char* what;
    };
    for (const Mode& mode :
         {Mode{&api::HostConfig::network_mode, "network"},
          Mode{&api::HostConfig::pid_mode, "processes"}, Mode{&api::HostConfig::ipc_mode, "IPC"},
          Mode{&api::HostConfig::uts_mode, "names"},
          Mode{&api::HostConfig::cgroupns_mode, "control groups"}}) {
        const std::string real = TRY(real_mode(host.*mode.field, mode.field));
        if (real != "host" || caller.uid == 0) continue;
        return fail(Code::Forbidden, "the host's {} {} root: user {} may not use {}", mode.what,
                    mode.what == std::string_view("processes") ? "need" : "needs", caller.uid,
                    mode.what == std::string_view("processes") ? "them" : "it");
    }
    if (host.uts_mode == "host") record.config.hostname = own_host_name();
    if (host.ipc_mode.empty()) host.ipc_mode = "private";
    if (host.cgroupns_mode.empty()) host.cgroupns_mode = "private";
    return {};
}

Result<Containers::Impl::Joined> Containers::Impl::join_others(const Record& record) const {
    const api::HostConfig& host = record.host_config;
    Joined joined;
    joined.pid_mode = TRY(real_mode(host.pid_mode, &api::HostConfig::pid_mode));
    joined.ipc_mode = TRY(real_mode(host.ipc_mode, &api::HostConfig::ipc_mode));
    const auto join_users = [&](const Container& other, const char* what) -> Result<void> {
        sys::Fd userns = TRY(namespace_of(other, Kind::User, what));
        const std::uint32_t theirs = other.record()->id_base;
        if (joined.id_base != 0 && joined.id_base != theirs) {
            return fail(Code::InvalidArgument,
                        "conflicting options: {} and {} do not share a user namespace",
                        host.pid_mode, host.ipc_mode);
        }
        joined.id_base = theirs;
        joined.userns = std::move(userns);
        return {};
    };
    if (const auto id = shared_with(host.network_mode)) {
        joined.network_owner = TRY(find(*id));
        joined.netns = TRY(namespace_of(*joined.network_owner, Kind::Network, "network"));
    }
    if (const auto id = shared_with(host.pid_mode)) {
        const auto other = TRY(find(*id));
        TRY(join_users(*other, "PID"));
        if (joined.pid_mode != "host") joined.pidns = TRY(namespace_of(*other, Kind::Pid, "PID"));
    }
    if (const auto id = shared_with(host.ipc_mode)) {
        const auto other = TRY(find(*id));
        if (joined.ipc_mode != "shareable" && joined.ipc_mode != "host") {
            return fail(Code::InvalidArgument,
                        "cannot join IPC of container {}: non-shareable IPC (hint: use "
                        "IpcMode:shareable for the donor container)",
                        other->id());
        }
        TRY(join_users(*other, "IPC"));
        if (joined.ipc_mode != "host") {
            joined.ipcns = TRY(namespace_of(*other, Kind::Ipc, "IPC"));
            joined.mounts = TRY(namespace_of(*other, Kind::Mount, "IPC"));
        }
    }
    return joined;
}

}  // namespace coffer::engine
