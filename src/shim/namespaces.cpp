#include "shim/namespaces.hpp"

#include <array>

#include "shim/protocol.hpp"
#include "sys/fd.hpp"
#include "sys/namespace.hpp"

namespace coffer::shim {

namespace {

constexpr std::uint32_t kIdCount = 65536;

Result<sys::ns::Pair> make_pair(std::string_view text) {
    const NamespacesRequest request = TRY(decode_namespaces_request(text));
    if (request.base == 0 || request.base % kIdCount != 0) {
        return fail(Code::InvalidArgument, "id base {} is not a multiple of {}", request.base,
                    kIdCount);
    }
    return sys::ns::create_pair(request.base, kIdCount);
}

}  // namespace

Result<void> serve_namespaces(int socket) {
    for (;;) {
        const sys::Message message = TRY(sys::receive_message(socket));
        if (message.payload.empty()) return {};
        const auto pair = make_pair(message.payload);
        if (pair) {
            const std::array<int, 2> fds = {pair->user.get(), pair->network.get()};
            TRY(sys::send_message(socket, encode(NamespacesReply{.ok = true}), fds));
        } else {
            TRY(sys::send_message(
                socket, encode(NamespacesReply{.ok = false, .message = pair.error().message})));
        }
    }
}

}  // namespace coffer::shim
