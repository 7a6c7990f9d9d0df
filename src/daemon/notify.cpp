#include "daemon/notify.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/text.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::daemon {

namespace {

constexpr int kFirstInherited = 3;
constexpr std::chrono::seconds kSystemctlLimit(5);

std::string_view environment(const char* name) {
    const char* value = ::secure_getenv(name);
    return value == nullptr ? std::string_view() : value;
}

}  // namespace

std::vector<sys::Fd> inherited_sockets() {
    std::vector<sys::Fd> sockets;
    const auto pid = parse_int(environment("LISTEN_PID"));
    const auto count = parse_int(environment("LISTEN_FDS"));
    if (!pid || *pid != ::getpid() || !count || *count > 64) return sockets;
    for (int fd = kFirstInherited; fd < kFirstInherited + *count; ++fd) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        sockets.emplace_back(fd);
    }
    return sockets;
}

Result<void> notify(std::string_view state) {
    const std::string_view path = environment("NOTIFY_SOCKET");
    if (path.empty()) return {};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(Code::InvalidArgument, "NOTIFY_SOCKET '{}' is too long", path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';  // abstract
    const sys::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    if (!socket || ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
                            reinterpret_cast<const sockaddr*>(&address), length) < 0) {
        return fail_errno("notify the service manager");
    }
    return {};
}

bool host_goes_down() {
    if (!sys::exists("/run/systemd/system")) return false;  // sd_booted(3)
    const auto said = sys::run({.argv = {"systemctl", "is-system-running"},
                                .path = "/usr/bin/systemctl",
                                .env = {},
                                .cwd = {},
                                .fds = {}},
                               "", kSystemctlLimit);
    return said && trim(said->out) == "stopping";
}

}  // namespace coffer::daemon
