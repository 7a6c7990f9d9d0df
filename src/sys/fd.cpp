#include "sys/fd.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>

namespace coffer::sys {

namespace {

constexpr std::size_t kMaxFds = 16;

// An address for a path of any length: a long one is named through its folder's descriptor, which
// `folder` keeps open.
Result<sockaddr_un> unix_address(const std::string& path, Fd& folder) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string name = path;
    if (name.size() >= sizeof address.sun_path) {
        const std::size_t slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        folder.reset(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!folder) return fail_errno("open folder '{}'", parent);
        name = format("/proc/self/fd/{}/{}", folder.get(), path.substr(slash + 1));
        if (name.size() >= sizeof address.sun_path) {
            return fail(Code::InvalidArgument, "socket path '{}' is too long", path);
        }
    }
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    return address;
}

}  // namespace

void Fd::reset(int fd) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
}

Result<Fd> Fd::duplicate() const {
    Fd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno("duplicate descriptor {}", fd_);
    return copy;
}

Result<PipeEnds> make_pipe(PipeSize size) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("create pipe");
    PipeEnds pipe{Fd(ends[0]), Fd(ends[1])};
    constexpr int kWide = 1 << 20;
    if (size == PipeSize::Wide) static_cast<void>(::fcntl(ends[1], F_SETPIPE_SZ, kWide));
    return pipe;
}

Result<SocketPair> make_socketpair(int type) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail_errno("create socket pair");
    }
    return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

std::vector<int> numbers_of(const std::vector<Fd>& fds) {
    std::vector<int> numbers;
    numbers.reserve(fds.size());
    for (const Fd& fd : fds) numbers.push_back(fd.get());
    return numbers;
}

Result<void> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("write {} bytes", bytes.size());
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

void wait_until_read(int socket) {
    constexpr std::chrono::microseconds kLongestPause = std::chrono::milliseconds(1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    std::chrono::microseconds pause(20);
    int unread = 0;
    while (::ioctl(socket, SIOCOUTQ, &unread) == 0 && unread > 0 &&
           std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, kLongestPause);
    }
}

Result<std::string> read_all(int fd, std::size_t limit) {
    std::string out;
    std::array<char, 16 * 1024> buffer;
    for (;;) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read");
        if (n == 0) return out;
        if (out.size() + static_cast<std::size_t>(n) > limit) {
            return fail(Code::InvalidArgument, "larger than {} bytes", limit);
        }
        out.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

Result<void> send_message(int socket, std::string_view payload, std::span<const int> fds) {
    if (payload.empty() || fds.size() > kMaxFds) {
        return fail(Code::InvalidArgument, "message of {} bytes and {} descriptors", payload.size(),
                    fds.size());
    }
    iovec vector{const_cast<char*>(payload.data()), payload.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
    }
    for (;;) {
        if (::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return {};
        if (errno != EINTR) return fail_errno("send message of {} bytes", payload.size());
    }
}

Result<Message> receive_message(int socket, std::size_t limit) {
    Message message;
    message.payload.resize(limit);
    iovec vector{message.payload.data(), limit};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t n = 0;
    do {
        n = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
        // A peer that ended without reading all of ours resets the connection. That is told once,
        // and before its own last messages.
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0) return fail_errno("receive message");
    message.payload.resize(static_cast<std::size_t>(n));
    message.payload.shrink_to_fit();
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
            message.fds.emplace_back(fd);
        }
    }
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return fail(Code::InvalidArgument, "message larger than {} bytes", limit);
    }
    return message;
}

Result<Fd> listen_unix(const std::string& path, unsigned mode, int type, int group) {
    Fd folder;
    const sockaddr_un address = TRY(unix_address(path, folder));
    struct stat before {};
    if (::lstat(path.c_str(), &before) == 0) {
        if (!S_ISSOCK(before.st_mode)) {
            return fail(Code::Conflict, "listen on '{}': exists and is not a socket", path);
        }
        if (::unlink(path.c_str()) != 0) return fail_errno("remove stale socket '{}'", path);
    }
    Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("create unix socket");
    // The mode is set before anybody can connect: the socket does not listen yet.
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail_errno("bind '{}'", path);
    }
    if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0)
        return fail_errno("chmod '{}'", path);
    if (group >= 0 &&
        ::chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
        return fail_errno("set group of '{}'", path);
    }
    if (::listen(socket.get(), SOMAXCONN) != 0) return fail_errno("listen on '{}'", path);
    return socket;
}

Result<Fd> connect_unix(const std::string& path, int type) {
    Fd folder;
    const sockaddr_un address = TRY(unix_address(path, folder));
    Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("create unix socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail_errno("connect to '{}'", path);
    }
    return socket;
}

}  // namespace coffer::sys
