#pragma once
// The files of a log: PATH is written, PATH.1 is the one before, up to max_files files in all. With
// `compress` the older ones become PATH.1.gz and so on, made by coffer-logger in the background.
// One thread; any number of readers may follow, in other processes too.

#include "logs/format.hpp"
#include "sys/fd.hpp"

namespace coffer::logs {

struct FileOptions {
    std::string path;
    Format format = Format::Json;
    std::int64_t max_size = 10 * 1024 * 1024;  // bytes a file; -1: never rotate
    std::int64_t max_files = 3;                // files in all
    bool compress = false;
    std::string attributes;  // of every record of Json: a JSON object, or empty
    std::string compressor;  // the program, with `compress`
};

class FileWriter {
  public:
    static Result<FileWriter> open(FileOptions options);
    // Goes to the file at the next commit(), or before when there is much.
    Result<void> append(const Message& message);
    Result<void> commit();
    bool has_pending() const { return !out_.empty(); }
    void set_limits(std::int64_t max_size, std::int64_t max_files);

  private:
    explicit FileWriter(FileOptions options) : options_(std::move(options)) {}
    Result<void> open_file();
    Result<void> mend();
    Result<void> rotate();
    Result<void> remove_from(std::int64_t number);
    bool is_compressing() const;
    void stop_compressing();
    Result<void> start_compressing();

    FileOptions options_;
    sys::Fd file_;
    std::int64_t size_ = 0;
    std::string out_;       // records formatted and not yet written
    std::size_t rest_ = 0;  // of a record that is half written: the front of out_
    sys::Fd compressing_;   // pidfd of who compresses PATH.1; its end makes it readable
};

// What stands before the compressed bytes of a rotated file: an empty gzip member whose extra field
// tells which file it was, so that a follower knows its place.
struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t birth = 0;  // nanoseconds: the inode of a file that is gone is used anew
    bool operator==(const Identity&) const = default;
};
Result<Identity> identity_of(int file);
std::string gzip_mark(const Identity& identity);
std::optional<Identity> read_gzip_mark(std::string_view head);
constexpr std::size_t kGzipMark = 50;

// PATH or PATH.N, without .gz.
std::string file_name(const std::string& path, std::int64_t number);

}  // namespace coffer::logs
