#pragma once
// Messages for the netfilter subsystems of the kernel, built with libnl: what conntrack.cpp,
// nft_set.cpp and socket_diag.cpp share. Internal to sys; a message belongs to one thread.

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"

struct nl_msg;  // of libnl

namespace coffer::sys::nfnetlink {

struct FreeMessage {
    void operator()(nl_msg* message) const;
};
using Message = std::unique_ptr<nl_msg, FreeMessage>;

// With the header that they all have; `type` holds the subsystem in its upper byte.
Message new_message(int type, int flags, std::uint8_t family, std::uint16_t resource = 0);

// Calls `each` with every message of the answer, up to its end. Fails as the kernel does, with
// `action` as what was tried.
Result<void> receive(int socket, const char* action,
                     const std::function<void(nlmsghdr* message)>& each);

}  // namespace coffer::sys::nfnetlink
