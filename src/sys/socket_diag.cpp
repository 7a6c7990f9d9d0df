#include "sys/socket_diag.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "sys/fd.hpp"
#include "sys/nfnetlink.hpp"

namespace coffer::sys::socket_diag {
namespace {

constexpr const char* kAction = "list the host's sockets";

struct Request {
    nlmsghdr header;
    inet_diag_req_v2 body;
};

void add(nlmsghdr* header, std::vector<Local>& found) {
    const auto* message = static_cast<const inet_diag_msg*>(::nlmsg_data(header));
    in6_addr address{};
    std::memcpy(&address, message->id.idiag_src, sizeof address);
    const nlattr* v6_only = ::nlmsg_find_attr(header, sizeof *message, INET_DIAG_SKV6ONLY);
    const std::uint16_t port = ntohs(message->id.idiag_sport);
    if (port == 0) return;
    const auto* bytes = reinterpret_cast<const char*>(message->id.idiag_src);
    constexpr std::size_t kMapped = 12;  // where the IPv4 address is in ::ffff:1.2.3.4
    if (message->idiag_family == AF_INET)
        found.push_back({std::string(bytes, 4), port});
    else if (IN6_IS_ADDR_V4MAPPED(&address))
        found.push_back({std::string(bytes + kMapped, 4), port});
    else
        found.push_back({std::string(bytes, sizeof address), port});
    if (message->idiag_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address) &&
        (v6_only == nullptr || ::nla_get_u8(v6_only) == 0))
        found.push_back({std::string(4, '\0'), port});
}

Result<void> list(int socket, std::uint8_t family, std::uint8_t protocol,
                  std::vector<Local>& found) {
    Request request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = family;
    request.body.sdiag_protocol = protocol;
    request.body.idiag_states = protocol == IPPROTO_UDP ? ~0U : 1U << TCP_LISTEN;
    if (::send(socket, &request, sizeof request, 0) < 0) return fail_errno(kAction);
    auto listed =
        nfnetlink::receive(socket, kAction, [&](nlmsghdr* message) { add(message, found); });
    if (!listed && listed.error().sys_errno == ENOENT) return {};  // of a protocol it has not
    return listed;
}

}  // namespace

Result<std::vector<Local>> listening(std::uint8_t protocol) {
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!fd) return fail_errno("open a socket for {}", "sock_diag");
    std::vector<Local> found;
    TRY(list(fd.get(), AF_INET, protocol, found));
    TRY(list(fd.get(), AF_INET6, protocol, found));
    return found;
}

}  // namespace coffer::sys::socket_diag
