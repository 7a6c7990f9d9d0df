#include "logs/address.hpp"

namespace coffer::logs {

std::string Address::dial() const {
    if (is_unix()) {
        return format("dial {} {}", kind == Kind::UnixStream ? "unix" : "unixgram", path);
    }
    const bool is_v6 = host.find(':') != std::string::npos;
    return format("dial {} {}{}{}:{}", kind == Kind::Udp ? "udp" : "tcp", is_v6 ? "[" : "", host,
                  is_v6 ? "]" : "", port);
}

Result<Address> parse_host_port(Address::Kind kind, std::string_view text,
                                std::string_view default_port) {
    Address address;
    address.kind = kind;
    address.port = default_port;
    std::string_view rest = text;
    if (rest.starts_with('[')) {
        const std::size_t end = rest.find(']');
        if (end == std::string_view::npos) {
            return fail(Code::InvalidArgument, "address {}: missing ']' in address", text);
        }
        address.host = rest.substr(1, end - 1);
        rest.remove_prefix(end + 1);
    } else {
        address.host = rest.substr(0, rest.find(':'));
        rest.remove_prefix(address.host.size());
    }
    if (rest.starts_with(':')) {
        address.port = rest.substr(1);
    } else if (!rest.empty()) {
        return fail(Code::InvalidArgument, "address {}: too many colons in address", text);
    }
    if (address.port.find_first_of(":/") != std::string::npos) {
        return fail(Code::InvalidArgument, "address {}: too many colons in address", text);
    }
    const auto port = parse_uint(address.port);
    if (!port || *port > 65535) {
        return fail(Code::InvalidArgument, "address {}: invalid port", text);
    }
    if (address.host.empty()) address.host = "localhost";
    return address;
}

}  // namespace coffer::logs
