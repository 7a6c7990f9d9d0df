#include "daemon/browsers.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>

#include "http/address.hpp"

namespace coffer::daemon {

namespace {

bool is_address(const std::string& host) {
    std::array<unsigned char, 16> address{};
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

std::string own_host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Result<void> refuse_browsers(const http::Request& request, std::string_view own_name) {
    if (request.peer.local) return {};
    if (request.headers.has("Origin")) {
        return fail(Code::Forbidden, "requests with an Origin header are refused");
    }
    const std::string_view given = request.headers.get("Host");
    const http::HostPort host = TRY(http::parse_host_port(given, 0));
    if (!is_address(host.host) && !http::is_loopback(host.host) && host.host != own_name) {
        return fail(Code::Forbidden, "requests for host '{}' are refused", given);
    }
    return {};
}

}  // namespace coffer::daemon
