#include "base/log.hpp"

#include <unistd.h>

#include <array>
#include <atomic>

#include "base/time.hpp"

namespace coffer::log {

namespace {
std::atomic<Level> threshold{Level::Info};
Writer chosen_writer = nullptr;
constexpr std::array<const char*, 4> kNames = {"debug", "info", "warn", "error"};
}  // namespace

void set_level(Level level) {
    threshold = level;
}

std::optional<Level> parse_level(std::string_view name) {
    if (name == "debug") return Level::Debug;
    if (name == "info") return Level::Info;
    if (name == "warn") return Level::Warn;
    if (name == "error" || name == "fatal") return Level::Error;
    return std::nullopt;
}

bool enabled(Level level) {
    return level >= threshold.load(std::memory_order_relaxed);
}

void set_writer(Writer writer) {
    chosen_writer = writer;
}

const char* to_text(Level level) {
    return kNames[static_cast<std::size_t>(level)];
}

void write(Level level, std::string_view message) {
    if (chosen_writer != nullptr) return chosen_writer(level, message);
    std::string line =
        format("{} {:5} {}\n", to_rfc3339(now()), kNames[static_cast<std::size_t>(level)], message);
    // A container's bytes may be in the message: no second line, no control characters.
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
        if (static_cast<unsigned char>(line[i]) < 0x20) line[i] = ' ';
    }
    static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
}

}  // namespace coffer::log
