// GELF 1.1: one JSON object a message; compressed and cut in chunks over UDP, with a NUL at its end
// over TCP.

#include "archive/compress.hpp"
#include "base/id.hpp"
#include "logger/driver.hpp"
#include "logs/options.hpp"

namespace coffer::logger {

namespace {

constexpr std::size_t kChunk = 1420;  // fits in a packet of Ethernet
constexpr std::size_t kMostChunks = 128;

json::Value seconds_of(Time time) {
    const auto millis =
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    return static_cast<double>(millis) / 1000.0;
}

std::string gzip(std::string_view text) {
    std::string out;
    archive::GzipEncoder encoder([&](std::string_view bytes) -> Result<void> {
        out.append(bytes);
        return {};
    });
    ignore(encoder.write(text), "writes to memory");
    ignore(encoder.finish(), "writes to memory");
    return out;
}

// The same deflate stream with the other header and checksum.
std::string zlib(std::string_view text) {
    constexpr std::size_t kGzipHead = 10;
    constexpr std::size_t kGzipTail = 8;
    constexpr std::uint32_t kModulus = 65521;  // of Adler-32
    std::uint32_t a = 1;
    std::uint32_t b = 0;
    for (const char c : text) {
        a = (a + static_cast<unsigned char>(c)) % kModulus;
        b = (b + a) % kModulus;
    }
    const std::string packed = gzip(text);
    std::string out = "\x78\x01" + packed.substr(kGzipHead, packed.size() - kGzipHead - kGzipTail);
    for (const std::uint32_t half : {b, a}) {
        out.push_back(static_cast<char>(half >> 8U));
        out.push_back(static_cast<char>(half));
    }
    return out;
}

std::vector<std::string> chunks_of(std::string bytes) {
    if (bytes.size() <= kChunk) return {std::move(bytes)};
    const std::size_t count = (bytes.size() + kChunk - 1) / kChunk;
    if (count > kMostChunks) return {};
    const std::string id = random_hex(4);  // eight bytes
    std::vector<std::string> chunks;
    for (std::size_t i = 0; i < count; ++i) {
        chunks.push_back("\x1e\x0f" + id + static_cast<char>(i) + static_cast<char>(count) +
                         bytes.substr(i * kChunk, kChunk));
    }
    return chunks;
}

}  // namespace

Result<Driver> make_gelf(const logs::Remote& remote) {
    const logs::GelfOptions options = TRY(logs::gelf_options(remote.options));
    const logs::Origin& origin = remote.origin;
    json::Value extra;
    for (const auto& [name, value] :
         {std::pair("_container_id", &origin.container_id),
          std::pair("_container_name", &origin.container_name),
          std::pair("_image_id", &origin.image_id), std::pair("_image_name", &origin.image_name),
          std::pair("_command", &origin.command), std::pair("_tag", &origin.tag),
          std::pair("_created", &origin.created)}) {
        extra.set(name, *value);
    }
    for (const auto& [key, value] : origin.attributes) {
        extra.set(key.starts_with('_') ? key : "_" + key, value);
    }
    const bool is_udp = options.address.is_datagram();
    const auto encode = [extra, hostname = origin.hostname, is_udp, how = options.compression](
                            const logs::Message& message) -> std::vector<std::string> {
        // Servers refuse an empty short message.
        if (message.text.empty()) return {};
        json::Value document;
        document.set("version", "1.1");
        document.set("host", hostname);
        document.set("short_message", to_utf8(message.text));
        document.set("timestamp", seconds_of(message.time));
        document.set("level", message.stream == logs::Stream::Stderr ? 3 : 6);
        for (const json::Member& member : *extra.if_object()) {
            document.set(member.key, member.value);
        }
        std::string text = json::write(document, {.escape = json::Escape::Plain});
        if (!is_udp) {
            text.push_back('\0');
            return {std::move(text)};
        }
        if (how == "gzip") text = gzip(text);
        if (how == "zlib") text = zlib(text);
        return chunks_of(std::move(text));
    };
    Driver driver{encode, Receiver(options.address)};
    driver.retry_delay = std::chrono::seconds(std::max(1, options.reconnect_delay));
    driver.patience = std::min<std::chrono::milliseconds>(
        driver.patience, driver.retry_delay * options.max_reconnect);
    return driver;
}

}  // namespace coffer::logger
