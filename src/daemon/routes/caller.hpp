#pragma once
// Who asks, as the engine's rights see it. Pure function.

#include "daemon/request.hpp"
#include "engine/containers.hpp"

namespace coffer::daemon {

// A verified certificate is an administrator's. On plain tcp anybody of the machine may have
// connected: nobody's rights, no part of the host.
inline engine::Caller caller_of(const Request& request) {
    constexpr std::uint32_t kNobody = 65534;
    const http::Peer& peer = request.http().peer;
    if (peer.local) return {peer.uid, peer.gid, format("uid {}", peer.uid)};
    if (!peer.certificate.empty()) return {0, 0, "certificate " + peer.certificate};
    return {kNobody, kNobody, "address " + peer.address};
}

}  // namespace coffer::daemon
