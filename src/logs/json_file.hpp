#pragma once
// Docker's json-file log: one object a line, {"log":"text\n","stream":"stdout","time":"..."}.
// A record without the newline at its end is part of a longer line (16 KiB a part, as docker cuts).
// Rotation: PATH is written, PATH.1 is the one before, up to max_files files. Writer and Reader
// each belong to one thread; any number of readers may follow one writer, in other processes too.

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "sys/fd.hpp"

namespace coffer::logs {

enum class Stream : std::uint8_t { Stdout, Stderr };

struct WriterOptions {
    std::string path;
    std::int64_t max_size = 10 * 1024 * 1024;  // bytes a file; -1: never rotate
    std::int64_t max_files = 3;                // files in all
};

class Writer {
  public:
    static Result<Writer> open(WriterOptions options);
    // Output as it comes; cut into lines here. What has no newline yet waits, at most 16 KiB.
    Result<void> write(Stream stream, std::string_view bytes);
    // Writes what waits for its newline, with one (as docker does). Call at the end of a stream.
    Result<void> flush(Stream stream);

  private:
    explicit Writer(WriterOptions options) : options_(std::move(options)) {}
    Result<void> append(Stream stream, std::string_view line, std::string_view time);
    Result<void> commit();
    Result<void> rotate();
    Result<void> open_file();

    WriterOptions options_;
    sys::Fd file_;
    std::int64_t size_ = 0;
    bool torn_ = false;  // the file ends within a record: a disk was full, or we were killed
    std::array<std::string, 2> partial_;
    std::string out_;  // records formatted and not yet written
};

struct Record {
    Stream stream = Stream::Stdout;
    Time time;
    std::string_view text;  // with its newline, unless a part of a line; valid during the call
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
};

// Calls `deliver` for every record, oldest first, until it returns false. A missing log has no
// records. Lines that are not records are skipped.
Result<void> read(const std::string& path, const ReadOptions& options,
                  const std::function<bool(const Record&)>& deliver);

}  // namespace coffer::logs
