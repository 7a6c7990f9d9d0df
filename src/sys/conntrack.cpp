#include "sys/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

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

constexpr const char* kAction = "forget tracked connections";

using nfnetlink::Message;

Message new_message(int type, int flags, int family) {
    return nfnetlink::new_message((NFNL_SUBSYS_CTNETLINK << 8) | type, flags,
                                  static_cast<std::uint8_t>(family));
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
        return fail_errno(kAction);
    return {};
}

// The message that deletes a connection which the kernel has described.
Message deletion_of(nlmsghdr* connection) {
    Message message = new_message(IPCTNL_MSG_CT_DELETE, NLM_F_ACK,
                                  static_cast<nfgenmsg*>(::nlmsg_data(connection))->nfgen_family);
    for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
        const nlattr* found = ::nlmsg_find_attr(connection, sizeof(nfgenmsg), type);
        if (found != nullptr)
            ::nla_put(message.get(), found->nla_type, ::nla_len(found), ::nla_data(found));
    }
    return message;
}

// One that is gone already is no error.
template <class Each>
Result<void> receive(int socket, const Each& each) {
    auto received = nfnetlink::receive(socket, kAction, each);
    if (!received && received.error().sys_errno == ENOENT) return {};
    return received;
}

// 0 when the kernel does not say.
std::uint16_t port_sent_to(nlmsghdr* connection) {
    nlattr* found = ::nlmsg_find_attr(connection, sizeof(nfgenmsg), CTA_TUPLE_ORIG);
    for (const int type : {int{CTA_TUPLE_PROTO}, int{CTA_PROTO_DST_PORT}})
        if (found != nullptr)
            found = ::nla_find(static_cast<nlattr*>(::nla_data(found)), ::nla_len(found), type);
    return found == nullptr ? 0 : ntohs(::nla_get_u16(found));
}

// Deletes one by one what the kernel lists and `is_meant` takes: older ones (6.1) do not delete by
// a filter.
template <class IsMeant>
Result<void> forget(nl_msg* listing, const IsMeant& is_meant) {
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) return fail_errno("open a netfilter socket");
    TRY(send(fd.get(), listing));
    std::vector<Message> deletions;
    TRY(receive(fd.get(), [&](nlmsghdr* connection) {
        if (is_meant(connection)) deletions.push_back(deletion_of(connection));
    }));
    for (const Message& deletion : deletions) {
        TRY(send(fd.get(), deletion.get()));
        TRY(receive(fd.get(), [](nlmsghdr*) {}));
    }
    return {};
}

}  // namespace

Result<void> forget_answers_from(std::string_view address) {
    const bool is_v6 = address.size() == 16;
    const Message message = new_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, is_v6 ? AF_INET6 : AF_INET);
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_REPLY | NLA_F_NESTED);
    nlattr* ip = nla_nest_start(message.get(), CTA_TUPLE_IP | NLA_F_NESTED);
    nla_put(message.get(), is_v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, static_cast<int>(address.size()),
            address.data());
    nla_nest_end(message.get(), ip);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), 0, kCompareSource);
    return forget(message.get(), [](nlmsghdr*) { return true; });
}

Result<void> forget_sent_to(int family, std::uint8_t protocol, std::uint16_t first,
                            std::uint16_t last) {
    const bool one = first == last;
    const Message message = new_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_ORIG | NLA_F_NESTED);
    nlattr* proto = nla_nest_start(message.get(), CTA_TUPLE_PROTO | NLA_F_NESTED);
    nla_put_u8(message.get(), CTA_PROTO_NUM, protocol);
    if (one) nla_put_u16(message.get(), CTA_PROTO_DST_PORT, htons(first));
    nla_nest_end(message.get(), proto);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), kCompareProtocol | (one ? kCompareDestinationPort : 0), 0);
    return forget(message.get(), [&](nlmsghdr* connection) {
        const std::uint16_t port = port_sent_to(connection);
        return port >= first && port <= last;
    });
}

}  // namespace coffer::sys::conntrack
