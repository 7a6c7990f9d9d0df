#pragma once
// Where a remote driver sends: "udp://host:514", "unix:///dev/log". Pure functions.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::logs {

struct Address {
    enum class Kind { Udp, Tcp, Tls, UnixStream, UnixDatagram };
    Kind kind = Kind::Udp;
    std::string path;  // of a unix socket
    std::string host;
    std::string port;

    bool is_unix() const { return kind == Kind::UnixStream || kind == Kind::UnixDatagram; }
    bool is_datagram() const { return kind == Kind::Udp || kind == Kind::UnixDatagram; }
    // "dial tcp 127.0.0.1:514", as Go words what it tries.
    std::string dial() const;
};

// "host:port", "[::1]:port", "host", ":port" behind the scheme.
Result<Address> parse_host_port(Address::Kind kind, std::string_view text,
                                std::string_view default_port);

}  // namespace coffer::logs
