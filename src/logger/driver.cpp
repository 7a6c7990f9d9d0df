#include "logger/driver.hpp"

#include "logs/options.hpp"

namespace coffer::logger {

namespace {

constexpr std::string_view kJournal = "/run/systemd/journal/socket";

// A name of the journal's: capital letters, digits and underlines, of which it begins with none.
std::string journal_name(std::string_view key) {
    std::string name;
    for (const char c : key) {
        const bool is_lower = c >= 'a' && c <= 'z';
        const bool is_plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        const char upper = static_cast<char>(is_lower ? c - 'a' + 'A' : is_plain ? c : '_');
        if (upper != '_' || !name.empty()) name.push_back(upper);
    }
    return name;
}

// A value with a newline goes behind its length.
void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name);
    if (value.find('\n') == std::string_view::npos) {
        out.push_back('=');
    } else {
        out.push_back('\n');
        logs::append_number(out, value.size(), 8);
    }
    out.append(value);
    out.push_back('\n');
}

}  // namespace

Result<Driver> make_driver(const logs::Remote& remote) {
    if (remote.driver == "syslog") return make_syslog(remote);
    if (remote.driver == "gelf") return make_gelf(remote);
    if (remote.driver == "fluentd") return make_fluentd(remote);
    if (remote.driver == "journald") return make_journald(remote);
    return fail(Code::InvalidArgument, "no driver '{}' sends anywhere", remote.driver);
}

Result<Driver> make_journald(const logs::Remote& remote) {
    const logs::Origin& origin = remote.origin;
    std::string fixed;
    append_field(fixed, "CONTAINER_ID", std::string_view(origin.container_id).substr(0, 12));
    append_field(fixed, "CONTAINER_ID_FULL", origin.container_id);
    append_field(fixed, "CONTAINER_NAME", origin.container_name);
    append_field(fixed, "CONTAINER_TAG", origin.tag);
    append_field(fixed, "IMAGE_NAME", origin.image_name);
    append_field(fixed, "SYSLOG_IDENTIFIER", origin.tag);
    for (const auto& [key, value] : origin.attributes) {
        const std::string name = journal_name(key);
        if (!name.empty()) append_field(fixed, name, value);
    }
    logs::Address address;
    address.kind = logs::Address::Kind::UnixDatagram;
    const auto socket = remote.options.find("journald-socket");
    address.path = socket == remote.options.end() ? std::string(kJournal) : socket->second;
    const auto encode = [fixed](const logs::Message& message) -> std::vector<std::string> {
        std::string out = fixed;
        append_field(out, "PRIORITY", message.stream == logs::Stream::Stderr ? "3" : "6");
        append_field(out, "SYSLOG_TIMESTAMP", to_rfc3339_short(message.time));
        if (message.part) {
            if (!message.part->last) append_field(out, "CONTAINER_PARTIAL_MESSAGE", "true");
            append_field(out, "CONTAINER_PARTIAL_ID", format("{:016x}", message.part->id));
            append_field(out, "CONTAINER_PARTIAL_ORDINAL", std::to_string(message.part->ordinal));
            append_field(out, "CONTAINER_PARTIAL_LAST", message.part->last ? "true" : "false");
        }
        append_field(out, "MESSAGE", message.text);
        return {std::move(out)};
    };
    return Driver{encode, Receiver(std::move(address))};
}

}  // namespace coffer::logger
