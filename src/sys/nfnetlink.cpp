#include "sys/nfnetlink.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

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

// The errno, negative, that an NLMSG_ERROR or NLMSG_DONE begins with; a dump without a match may
// have none.
static int error_of(nlmsghdr* message) {
    if (::nlmsg_datalen(message) < static_cast<int>(sizeof(int))) return 0;
    return *static_cast<const int*>(::nlmsg_data(message));
}

Result<void> receive(int socket, const char* action,
                     const std::function<void(nlmsghdr* message)>& each) {
    alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
    for (;;) {
        const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno("{}", action);
        int left = static_cast<int>(size);
        auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
        for (; ::nlmsg_ok(message, left) != 0; message = ::nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR && message->nlmsg_type != NLMSG_DONE) {
                each(message);
                continue;
            }
            const int error = error_of(message);
            return error == 0 ? Result<void>() : fail_with(-error, "{}", action);
        }
    }
}

}  // namespace coffer::sys::nfnetlink
