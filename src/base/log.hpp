#pragma once
// Logging to standard error, one line a record: time, level, message. Safe from any thread; a
// record is one write(2). A function either returns an error or logs it, never both.

#include "base/text.hpp"

namespace coffer::log {

enum class Level { Debug, Info, Warn, Error };

void set_level(Level level);
// "debug", "info", "warn", "error" or "fatal" (which logs errors only), as dockerd names them.
std::optional<Level> parse_level(std::string_view name);
bool enabled(Level level);
void write(Level level, std::string_view message);
// Where records go instead of standard error. Set before threads start.
using Writer = void (*)(Level level, std::string_view message);
void set_writer(Writer writer);
const char* to_text(Level level);

}  // namespace coffer::log

#define LOG_AT(level, ...)                                              \
    do {                                                                \
        if (::coffer::log::enabled(level))                              \
            ::coffer::log::write(level, ::coffer::format(__VA_ARGS__)); \
    } while (false)
#define LOG_DEBUG(...) LOG_AT(::coffer::log::Level::Debug, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(::coffer::log::Level::Info, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(::coffer::log::Level::Warn, __VA_ARGS__)
#define LOG_ERROR(...) LOG_AT(::coffer::log::Level::Error, __VA_ARGS__)
