#include "shim/probe.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "sys/credentials.hpp"
#include "sys/process.hpp"
#include "sys/socket_address.hpp"

namespace coffer::shim {

namespace {

constexpr std::uint32_t kNobody = 65534;
constexpr std::size_t kLongestStatusLine = 4096;
constexpr int kDescriptors = 3;  // the first that is not a standard one

struct Argument {
    const Probe& probe;
    int container_pidfd;
    int output;
};

Result<sys::Fd> connect_to(const std::string& host, std::uint16_t port) {
    const auto address = sys::SocketAddress::parse(host, port);
    if (!address) return fail(Code::InvalidArgument, "'{}' is no address", host);
    sys::Fd socket(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("create socket");
    if (::connect(socket.get(), address->get(), address->size) != 0) {
        return fail_errno("connect to {} port {}", host, port);
    }
    return socket;
}

// "HTTP/1.1 200 OK" -> 200. What the container answers is not trusted: it is bounded and no more
// than its number is read.
Result<int> status_of(int socket) {
    std::string line;
    while (line.find('\n') == std::string::npos) {
        if (line.size() >= kLongestStatusLine) break;
        char block[512];
        const ssize_t n = ::read(socket, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read the answer");
        if (n == 0) break;
        line.append(block, static_cast<std::size_t>(n));
    }
    const std::vector<std::string> words = split_fields(line.substr(0, line.find('\n')));
    if (words.size() >= 2 && words[0].starts_with("HTTP/") && words[1].size() == 3) {
        if (const auto status = parse_uint(words[1])) return static_cast<int>(*status);
    }
    return fail(Code::InvalidArgument, "the answer is not HTTP");
}

Result<std::string> run(const Argument& argument) {
    const Probe& probe = argument.probe;
    TRY(sys::cred::set_not_dumpable());
    if (::setns(argument.container_pidfd, CLONE_NEWNET) != 0) {
        return fail_errno("join the container's network");
    }
    TRY(sys::cred::limit_bounding(0));
    TRY(sys::cred::become({kNobody, kNobody, {}}));
    TRY(sys::cred::set_capabilities({}));
    TRY(sys::cred::set_no_new_privileges());
    auto socket = connect_to(probe.host.empty() ? "127.0.0.1" : probe.host, probe.port);
    if (!socket && probe.host.empty()) {
        auto other = connect_to("::1", probe.port);
        if (other) socket = std::move(other);
    }
    if (!socket) return fail(socket.error());
    if (probe.path.empty()) return format("port {} is open", probe.port);
    const bool is_v6 = probe.host.find(':') != std::string::npos;
    const std::string host = probe.host.empty() ? "localhost" : probe.host;
    TRY(sys::write_all(socket->get(),
                       format("GET {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nUser-Agent: coffer-health\r\n"
                              "Accept: */*\r\nConnection: close\r\n\r\n",
                              probe.path, is_v6 ? "[" : "", host, is_v6 ? "]" : "", probe.port)));
    const int status = TRY(status_of(socket->get()));
    const std::string text = format("GET {}: status {}", probe.path, status);
    if (status >= 400) return fail(Code::Internal, "{}", text);
    return text;
}

void probe_in_child(void* pointer) {
    const Argument& argument = *static_cast<Argument*>(pointer);
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // All that the shim has is closed; the two that are needed are moved out of the way first.
    if (::dup2(argument.output, 1) != 1 || ::dup2(argument.container_pidfd, 0) != 0 ||
        ::close_range(kDescriptors, ~0U, 0) != 0) {
        ::_exit(1);
    }
    const auto found = run({argument.probe, 0, 1});
    const std::string text = found ? *found : found.error().message;
    ignore(sys::write_all(1, text), "nobody reads it");
    ::_exit(found ? 0 : 1);
}

}  // namespace

Result<sys::Cloned> clone_probe(const Probe& probe, int container_pidfd, int output) {
    sys::assert_single_threaded();
    Argument argument{probe, container_pidfd, output};
    return sys::clone_process({}, probe_in_child, &argument);
}

}  // namespace coffer::shim
