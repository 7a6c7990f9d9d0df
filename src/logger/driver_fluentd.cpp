// The forward protocol of fluentd in its message mode: msgpack of [tag, time, record, option].

#include "base/id.hpp"
#include "logger/driver.hpp"
#include "logs/options.hpp"

namespace coffer::logger {

namespace {

constexpr auto kAckLimit = std::chrono::seconds(5);

void append_big_endian(std::string& out, std::uint64_t number, unsigned bytes) {
    while (bytes-- > 0) out.push_back(static_cast<char>(number >> (8U * bytes)));
}

void append_byte(std::string& out, unsigned byte) {
    out.push_back(static_cast<char>(byte));
}

void append_string(std::string& out, std::string_view text) {
    if (text.size() < 32) {
        append_byte(out, 0xA0U | static_cast<unsigned>(text.size()));
    } else if (text.size() < 256) {
        append_byte(out, 0xD9);
        append_big_endian(out, text.size(), 1);
    } else if (text.size() < 65536) {
        append_byte(out, 0xDA);
        append_big_endian(out, text.size(), 2);
    } else {
        append_byte(out, 0xDB);
        append_big_endian(out, text.size(), 4);
    }
    out.append(text);
}

void append_map(std::string& out, const logs::Attributes& map) {
    if (map.size() < 16) {
        append_byte(out, 0x80U | static_cast<unsigned>(map.size()));
    } else {
        append_byte(out, 0xDE);
        append_big_endian(out, map.size(), 2);
    }
    for (const auto& [key, value] : map) {
        append_string(out, key);
        append_string(out, value);
    }
}

// Seconds, or the event time of the protocol: seconds and nanoseconds in an extension of type 0.
void append_time(std::string& out, Time time, bool sub_second) {
    const auto seconds = static_cast<std::uint64_t>(unix_seconds(time));
    if (!sub_second) {
        append_byte(out, 0xD3);
        append_big_endian(out, seconds, 8);
        return;
    }
    const auto nanos =
        time.time_since_epoch().count() - static_cast<std::int64_t>(seconds) * 1'000'000'000;
    append_byte(out, 0xD7);
    append_byte(out, 0);
    append_big_endian(out, seconds, 4);
    append_big_endian(out, static_cast<std::uint64_t>(nanos), 4);
}

}  // namespace

Result<Driver> make_fluentd(const logs::Remote& remote) {
    const logs::FluentdOptions options = TRY(logs::fluentd_options(remote.options));
    const logs::Origin& origin = remote.origin;
    logs::Attributes fixed = origin.attributes;
    fixed["container_id"] = origin.container_id;
    fixed["container_name"] = "/" + origin.container_name;
    const auto chunk = std::make_shared<std::string>();  // of the last message, shared with confirm
    const auto encode = [fixed, options, chunk, tag = origin.tag](
                            const logs::Message& message) -> std::vector<std::string> {
        logs::Attributes record = fixed;
        record["source"] = message.stream == logs::Stream::Stderr ? "stderr" : "stdout";
        record["log"] = message.text;
        if (message.part) {
            record["partial_message"] = "true";
            record["partial_id"] = format("{:016x}", message.part->id);
            record["partial_ordinal"] = std::to_string(message.part->ordinal);
            record["partial_last"] = message.part->last ? "true" : "false";
        }
        std::string out;
        append_byte(out, 0x94);  // an array of four
        append_string(out, tag);
        append_time(out, message.time, options.sub_second);
        append_map(out, record);
        logs::Attributes option;
        if (options.request_ack) {
            *chunk = to_base64(random_hex(8));
            option["chunk"] = *chunk;
        }
        append_map(out, option);
        return {std::move(out)};
    };
    Driver driver{encode, Receiver(options.address)};
    if (options.request_ack) {
        // {"ack": chunk}: nothing else may stand in the answer.
        driver.confirm = [chunk](Receiver& receiver) -> Result<void> {
            std::string answer;
            while (answer.find(*chunk) == std::string::npos) {
                answer += TRY(receiver.receive(kAckLimit));
                if (answer.size() > 4096) break;
            }
            if (answer.find(*chunk) != std::string::npos) return {};
            return fail(Code::Unavailable, "fluentd acknowledged something else");
        };
    }
    driver.retry_delay = std::max(options.retry_wait, std::chrono::milliseconds(10));
    const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(driver.patience);
    driver.patience = options.max_retries > most / driver.retry_delay
                          ? most
                          : driver.retry_delay * options.max_retries;
    return driver;
}

}  // namespace coffer::logger
