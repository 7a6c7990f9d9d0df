#pragma once
// The remote drivers: what a message looks like on the wire of each, and where it goes. A Driver
// belongs to one thread; the encoders are pure but for the process id in them.

#include <functional>
#include <vector>

#include "logger/receiver.hpp"
#include "logs/setup.hpp"

namespace coffer::logger {

// The datagrams, or the bytes of the stream, that carry one message; none for what the driver
// leaves out.
using Encode = std::function<std::vector<std::string>(const logs::Message&)>;

struct Driver {
    Encode encode;
    Receiver receiver;
    // The receiver's word that it has a message, where the protocol has one.
    std::function<Result<void>(Receiver&)> confirm = {};
    // How long a message is tried again before it counts as lost.
    std::chrono::milliseconds patience{10'000};
    std::chrono::milliseconds retry_delay{1000};
};

Result<Driver> make_driver(const logs::Remote& remote);

Result<Driver> make_syslog(const logs::Remote& remote);
Result<Driver> make_gelf(const logs::Remote& remote);
Result<Driver> make_fluentd(const logs::Remote& remote);
Result<Driver> make_journald(const logs::Remote& remote);

}  // namespace coffer::logger
