#pragma once
// Reading a log back: tail, filters, and following across rotation and compression. Safe from any
// thread; any number of readers may follow one writer.

#include <functional>

#include "logs/format.hpp"

namespace coffer::logger {

struct Record {
    logs::Stream stream = logs::Stream::Stdout;
    Time time;
    std::string_view text;  // with its newline, unless a part of a line; valid during the call
    const logs::Attributes& attributes;
};

struct ReadOptions {
    bool want_stdout = true;
    bool want_stderr = true;
    std::optional<std::size_t> tail;  // of the last n records only; nullopt: all
    std::optional<Time> since;
    std::optional<Time> until;
    bool follow = false;
    // With follow: readable once the container has stopped; what is in the file by then is still
    // delivered, then read() returns. Borrowed.
    int stopped_fd = -1;
    // Readable when the reader shall give up at once. Borrowed; -1: never.
    int cancel_fd = -1;
    // Of the records of a format that does not keep them.
    logs::Attributes attributes;
};

// Calls `deliver` for every record, oldest first, until it returns false. A missing log has no
// records. What is no record is skipped.
Result<void> read(const logs::Place& place, const ReadOptions& options,
                  const std::function<bool(const Record&)>& deliver);

}  // namespace coffer::logger
