#include "sys/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "sys/fd.hpp"
#include "sys/nfnetlink.hpp"

namespace coffer::sys::conntrack {
namespace {

// Which fields of a tuple a filter compares; the kernel's public headers have no names for the
// bits.
constexpr std::uint32_t kCompareSource = 1U << 0U;
constexpr std::uint32_t kCompareProtocol = 1U << 3U;
constexpr std::uint32_t kCompareDestinationPort = 1U << 5U;

using nfnetlink::Message;

Message new_message(int type, int flags) {
    return nfnetlink::new_message((NFNL_SUBSYS_CTNETLINK << 8) | type, flags, AF_INET);
}

void add_filter(nl_msg* message, std::uint32_t original, std::uint32_t reply) {
    nlattr* filter = nla_nest_start(message, CTA_FILTER);
    nla_put_u32(message, CTA_FILTER_ORIG_FLAGS, original);
    nla_put_u32(message, CTA_FILTER_REPLY_FLAGS, reply);
    nla_nest_end(message, filter);
}

Result<void> send(int socket, nl_msg* message) {
    const nlmsghdr* header = ::nlmsg_hdr(message);
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(socket, header, header->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel),
                 sizeof kernel) < 0)
        return fail_errno("forget tracked connections");
    return {};
}

// The message that deletes a connection which the kernel has described.
Message deletion_of(nlmsghdr* connection) {
    Message message = new_message(IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
    for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
        const nlattr* found = ::nlmsg_find_attr(connection, sizeof(nfgenmsg), type);
        if (found != nullptr)
            ::nla_put(message.get(), found->nla_type, ::nla_len(found), ::nla_data(found));
    }
    return message;
}

// Calls `each` with every message of the answer, up to its end.
template <class Each>
Result<void> receive(int socket, const Each& each) {
    alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
    for (;;) {
        const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (size < 0) return fail_errno("forget tracked connections");
        int left = static_cast<int>(size);
        auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
        for (; ::nlmsg_ok(message, left) != 0; message = ::nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR && message->nlmsg_type != NLMSG_DONE) {
                each(message);
                continue;
            }
            const int error = nfnetlink::error_of(message);
            if (error == 0 || error == -ENOENT) return {};
            return fail_with(-error, "forget tracked connections");
        }
    }
}

// Deletes one by one what the kernel lists: older ones (6.1) do not delete by a filter.
Result<void> forget(nl_msg* listing) {
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) return fail_errno("open a netfilter socket");
    TRY(send(fd.get(), listing));
    std::vector<Message> deletions;
    TRY(receive(fd.get(),
                [&](nlmsghdr* connection) { deletions.push_back(deletion_of(connection)); }));
    for (const Message& deletion : deletions) {
        TRY(send(fd.get(), deletion.get()));
        TRY(receive(fd.get(), [](nlmsghdr*) {}));
    }
    return {};
}

}  // namespace

Result<void> forget_answers_from(std::uint32_t address) {
    const Message message = new_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_REPLY | NLA_F_NESTED);
    nlattr* ip = nla_nest_start(message.get(), CTA_TUPLE_IP | NLA_F_NESTED);
    nla_put_u32(message.get(), CTA_IP_V4_SRC, htonl(address));
    nla_nest_end(message.get(), ip);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), 0, kCompareSource);
    return forget(message.get());
}

Result<void> forget_sent_to(std::uint8_t protocol, std::uint16_t port) {
    const Message message = new_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_ORIG | NLA_F_NESTED);
    nlattr* proto = nla_nest_start(message.get(), CTA_TUPLE_PROTO | NLA_F_NESTED);
    nla_put_u8(message.get(), CTA_PROTO_NUM, protocol);
    nla_put_u16(message.get(), CTA_PROTO_DST_PORT, htons(port));
    nla_nest_end(message.get(), proto);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), kCompareProtocol | kCompareDestinationPort, 0);
    return forget(message.get());
}

}  // namespace coffer::sys::conntrack
