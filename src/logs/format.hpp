#pragma once
// The two forms that a log has on disk. Pure functions.
//
// Json: docker's json-file, one object a line:
//   {"log":"text\n","stream":"stdout","attrs":{...},"time":"..."}
//   a record without the newline at the end of its text is part of a longer line.
// Local: for every message its length, its body and its length again (32 bits, little endian), so
//   that a file can be read from both ends. The body:
//   1 byte   flags: 1 standard error, 2 a part of a line, 4 the last part
//   8 bytes  time, nanoseconds since 1970
//   8 + 4    of a part: the line's id and the part's ordinal
//   the rest is the text.
// A stream of Local records is also what the shim sends to coffer-logger.

#include "base/result.hpp"
#include "logs/message.hpp"

namespace coffer::logs {

enum class Format : std::uint8_t { Json, Local };
// Where a container's log lies.
struct Place {
    std::string path;  // of the file that is written
    Format format = Format::Json;
};

// `attributes` is a JSON object, or empty.
void append_json(std::string& out, const Message& message, std::string_view attributes);
void append_local(std::string& out, const Message& message);

// Our own records stay well below it (16 KiB of text, six bytes for one at worst in Json). What is
// longer is none of ours.
constexpr std::size_t kLongestRecord = 1024 * 1024;
constexpr std::size_t kLocalFrame = 4;  // before and behind the body

// How many bytes the record at the front of `bytes` takes with its frame; 0 when its end is not
// there yet; nullopt when what is there is no record (of Local only: Json goes on behind the next
// newline).
std::optional<std::size_t> measure(Format format, std::string_view bytes);
// The length that a Local frame says.
std::uint32_t local_length(std::string_view frame);

// The message in a whole record of Local; nullopt when it is damaged. The text is borrowed.
std::optional<Message> decode_local(std::string_view record);

// Numbers of so many bytes, the lowest first. `bytes` holds as many.
void append_number(std::string& out, std::uint64_t number, unsigned bytes);
std::uint64_t read_number(std::string_view bytes, unsigned count);

}  // namespace coffer::logs
