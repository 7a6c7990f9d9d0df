#pragma once
// Messages for the netfilter subsystems of the kernel, built with libnl: what conntrack.cpp and
// nft_set.cpp share. Internal to sys; a message belongs to one thread.

#include <linux/netlink.h>

#include <cstdint>
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

// The errno, negative, that an NLMSG_ERROR or NLMSG_DONE begins with; a dump without a match may
// have none.
int error_of(nlmsghdr* message);

}  // namespace coffer::sys::nfnetlink
