#pragma once
// The files of a log as a reader opens them, in their order while a writer rotates them. One
// thread.

#include <memory>
#include <vector>

#include "archive/compress.hpp"
#include "logs/file.hpp"

namespace coffer::logger {

// One file, plain or compressed.
class LogFile {
  public:
    // PATH, or else PATH.gz; nullopt when there is neither.
    static Result<std::optional<LogFile>> open(const std::string& path);

    // Whose place in the row it is: of a compressed file the one that it was made of.
    const logs::Identity& identity() const { return identity_; }
    // The next bytes; 0 at the end of what is there.
    Result<std::size_t> read(std::span<char> to);
    // No name leads to it any more.
    bool is_removed() const;
    // Moves to where its last `wanted` records begin; returns how many they are.
    Result<std::size_t> seek_tail(logs::Format format, std::size_t wanted);

  private:
    Result<std::size_t> seek_tail_of_lines(std::size_t wanted);
    Result<std::size_t> seek_tail_of_records(std::size_t wanted);
    Result<std::size_t> seek_tail_forward(logs::Format format, std::size_t wanted);
    Result<std::size_t> skip_records(logs::Format format, std::size_t count);
    Result<std::size_t> decode(std::span<char> to);

    sys::Fd fd_;
    logs::Identity identity_;
    std::int64_t offset_ = 0;  // of the next byte to read
    bool packed_ = false;
    std::unique_ptr<archive::Decoder> decoder_;
    std::string encoded_;  // read and not yet decoded
    bool at_end_ = false;  // of the compressed bytes
    std::string ahead_;    // decoded, to be read again
};

// Makes FILE.gz of a rotated file, in its place.
Result<void> compress_file(const std::string& path);

// All files of a log, oldest first.
Result<std::vector<LogFile>> open_all(const std::string& path);

// The file that was begun after `current` (null: none was there), once that was rotated away;
// nullopt when `current` is still the one that is written.
Result<std::optional<LogFile>> open_next(const std::string& path, const LogFile* current);

}  // namespace coffer::logger
