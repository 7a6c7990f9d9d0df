// Syslog: RFC 3164 and 5424, and the form that a local daemon takes.

#include <unistd.h>

#include <ctime>

#include "logger/driver.hpp"
#include "logs/options.hpp"

namespace coffer::logger {

namespace {

constexpr int kError = 3;
constexpr int kInfo = 6;

// "Jan  2 15:04:05" in local time.
std::string stamp(Time time) {
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = unix_seconds(time);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    return format("{} {:2} {:02}:{:02}:{:02}", kMonths[parts.tm_mon], parts.tm_mday, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
}

// "2026-11-26T07:00:00Z", with microseconds for rfc5424micro.
std::string timestamp(Time time, bool with_microseconds) {
    const std::string full = to_rfc3339(time);  // nine digits of fraction
    return full.substr(0, with_microseconds ? 26 : 19) + "Z";
}

}  // namespace

Result<Driver> make_syslog(const logs::Remote& remote) {
    const logs::SyslogOptions options = TRY(logs::syslog_options(remote.options));
    const bool counts_octets =
        options.address.kind == logs::Address::Kind::Tls && options.format.starts_with("rfc5424");
    const auto encode = [options, origin = remote.origin, counts_octets, pid = ::getpid()](
                            const logs::Message& message) -> std::vector<std::string> {
        const int priority =
            options.facility * 8 + (message.stream == logs::Stream::Stderr ? kError : kInfo);
        std::string head;
        if (options.format.starts_with("rfc5424")) {
            head = format("<{}>1 {} {} {} {} {} - ", priority,
                          timestamp(message.time, options.format == "rfc5424micro"),
                          origin.hostname, origin.tag, pid, origin.tag);
        } else if (options.format == "rfc3164") {
            head = format("<{}>{} {} {}[{}]: ", priority, stamp(message.time), origin.hostname,
                          origin.tag, pid);
        } else {
            head = format("<{}>{} {}[{}]: ", priority, stamp(message.time), origin.tag, pid);
        }
        std::string line = head + std::string(message.text) + "\n";
        if (counts_octets) line = format("{} ", line.size()) + line;
        return {std::move(line)};
    };
    Driver driver{encode, Receiver(options.address)};
    if (options.address.kind == logs::Address::Kind::Tls) {
        TRY(driver.receiver.use_tls({options.ca, options.cert, options.key}, options.skip_verify));
    }
    return driver;
}

}  // namespace coffer::logger
