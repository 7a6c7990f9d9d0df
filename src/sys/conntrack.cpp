#include "sys/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <memory>

#include "sys/fd.hpp"

namespace coffer::sys::conntrack {
namespace {

// Which fields of a tuple a filter compares; the kernel's public headers have no names for the
// bits.
constexpr std::uint32_t kCompareSource = 1U << 0U;
constexpr std::uint32_t kCompareProtocol = 1U << 3U;
constexpr std::uint32_t kCompareDestinationPort = 1U << 5U;

struct FreeMessage {
    void operator()(nl_msg* message) const { ::nlmsg_free(message); }
};
using Message = std::unique_ptr<nl_msg, FreeMessage>;

Message start_delete() {
    Message message(::nlmsg_alloc_simple((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
                                         NLM_F_REQUEST | NLM_F_ACK));
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    header.version = 1;  // 0 would mean every family, which a filter does not take
    if (!message || ::nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0)
        abort_at(__FILE__, __LINE__, "out of memory");
    return message;
}

void add_filter(nl_msg* message, std::uint32_t original, std::uint32_t reply) {
    nlattr* filter = nla_nest_start(message, CTA_FILTER);
    nla_put_u32(message, CTA_FILTER_ORIG_FLAGS, original);
    nla_put_u32(message, CTA_FILTER_REPLY_FLAGS, reply);
    nla_nest_end(message, filter);
}

Result<void> send(nl_msg* message) {
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) return fail_errno("open a netfilter socket");
    const nlmsghdr* header = ::nlmsg_hdr(message);
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(fd.get(), header, header->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel),
                 sizeof kernel) < 0)
        return fail_errno("forget tracked connections");
    struct {
        nlmsghdr header;
        nlmsgerr error;
        char rest[512];
    } answer{};
    const ssize_t size = ::recv(fd.get(), &answer, sizeof answer, 0);
    if (size < 0) return fail_errno("forget tracked connections");
    if (answer.header.nlmsg_type != NLMSG_ERROR || answer.error.error == 0) return {};
    if (answer.error.error == -ENOENT) return {};
    return fail_with(-answer.error.error, "forget tracked connections");
}

}  // namespace

Result<void> forget_answers_from(std::uint32_t address) {
    const Message message = start_delete();
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_REPLY | NLA_F_NESTED);
    nlattr* ip = nla_nest_start(message.get(), CTA_TUPLE_IP | NLA_F_NESTED);
    nla_put_u32(message.get(), CTA_IP_V4_SRC, htonl(address));
    nla_nest_end(message.get(), ip);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), 0, kCompareSource);
    return send(message.get());
}

Result<void> forget_sent_to(std::uint8_t protocol, std::uint16_t port) {
    const Message message = start_delete();
    nlattr* tuple = nla_nest_start(message.get(), CTA_TUPLE_ORIG | NLA_F_NESTED);
    nlattr* proto = nla_nest_start(message.get(), CTA_TUPLE_PROTO | NLA_F_NESTED);
    nla_put_u8(message.get(), CTA_PROTO_NUM, protocol);
    nla_put_u16(message.get(), CTA_PROTO_DST_PORT, htons(port));
    nla_nest_end(message.get(), proto);
    nla_nest_end(message.get(), tuple);
    add_filter(message.get(), kCompareProtocol | kCompareDestinationPort, 0);
    return send(message.get());
}

}  // namespace coffer::sys::conntrack
