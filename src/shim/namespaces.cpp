#include "shim/namespaces.hpp"

#include "shim/protocol.hpp"
#include "sys/fd.hpp"
#include "sys/namespace.hpp"

namespace coffer::shim {

namespace {

constexpr std::uint32_t kIdCount = 65536;

Result<std::vector<sys::Fd>> make(const sys::Message& message) {
    std::vector<sys::Fd> made;
    if (!message.fds.empty()) {
        made.push_back(TRY(sys::ns::create_network(message.fds[0].get())));
        return made;
    }
    const NamespacesRequest request = TRY(decode_namespaces_request(message.payload));
    if (request.base == 0 || request.base % kIdCount != 0) {
        return fail(Code::InvalidArgument, "id base {} is not a multiple of {}", request.base,
                    kIdCount);
    }
    sys::ns::Pair pair = TRY(sys::ns::create_pair(request.base, kIdCount));
    made.push_back(std::move(pair.user));
    made.push_back(std::move(pair.network));
    return made;
}

}  // namespace

Result<void> serve_namespaces(int socket) {
    for (;;) {
        const sys::Message message = TRY(sys::receive_message(socket));
        if (message.payload.empty()) return {};
        const auto made = make(message);
        if (made) {
            TRY(sys::send_message(socket, encode(NamespacesReply{.ok = true}),
                                  sys::numbers_of(*made)));
        } else {
            TRY(sys::send_message(
                socket, encode(NamespacesReply{.ok = false, .message = made.error().message})));
        }
    }
}

}  // namespace coffer::shim
