#include "sys/nfnetlink.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>

namespace coffer::sys::nfnetlink {

void FreeMessage::operator()(nl_msg* message) const {
    ::nlmsg_free(message);
}

Message new_message(int type, int flags, std::uint8_t family, std::uint16_t resource) {
    Message message(::nlmsg_alloc_simple(type, NLM_F_REQUEST | flags));
    nfgenmsg header{};
    header.nfgen_family = family;
    header.version = NFNETLINK_V0;
    header.res_id = htons(resource);
    if (!message || ::nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0)
        abort_at(__FILE__, __LINE__, "out of memory");
    return message;
}

int error_of(nlmsghdr* message) {
    if (::nlmsg_datalen(message) < static_cast<int>(sizeof(int))) return 0;
    return *static_cast<const int*>(::nlmsg_data(message));
}

}  // namespace coffer::sys::nfnetlink
