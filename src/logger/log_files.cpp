#include "logger/log_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>

#include "sys/file.hpp"

namespace coffer::logger {

namespace {

constexpr std::size_t kBlock = 64 * 1024;
constexpr std::int64_t kMostFiles = 1000;
// A rotation renames PATH.1 to PATH.2 and so on, the oldest first: at any moment one name is
// missing, and a scan from the newest to the oldest meets every file. This many missing names are
// the end.
constexpr int kEnd = 4;

Result<sys::Fd> open_regular(const std::string& path, logs::Identity& identity) {
    sys::Fd fd = TRY(sys::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return fail_errno("stat '{}'", path);
    if (!S_ISREG(status.st_mode)) return fail(Code::Internal, "'{}' is no regular file", path);
    identity = TRY(logs::identity_of(fd.get()));
    return fd;
}

bool is_absent(const Error& error) {
    return error.sys_errno == ENOENT;
}

// Reads at `at` until `to` is full or the file ends.
Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::int64_t at) {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = ::pread(fd, to + done, size - done, at + static_cast<std::int64_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read log");
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

}  // namespace

Result<std::optional<LogFile>> LogFile::open(const std::string& path) {
    LogFile file;
    auto fd = open_regular(path, file.identity_);
    if (fd) {
        file.fd_ = *std::move(fd);
        return std::optional<LogFile>(std::move(file));
    }
    if (!is_absent(fd.error())) return fail(std::move(fd).error());
    auto packed = open_regular(path + ".gz", file.identity_);
    if (!packed && is_absent(packed.error())) return std::optional<LogFile>();
    file.fd_ = TRY(std::move(packed));
    file.packed_ = true;
    file.decoder_ = archive::Decoder::create(archive::Compression::Gzip);
    std::array<char, logs::kGzipMark> head{};
    const std::size_t n = TRY(read_at(file.fd_.get(), head.data(), head.size(), 0));
    if (const auto mark = logs::read_gzip_mark({head.data(), n})) file.identity_ = *mark;
    return std::optional<LogFile>(std::move(file));
}

bool LogFile::is_removed() const {
    struct stat status {};
    return ::fstat(fd_.get(), &status) != 0 || status.st_nlink == 0;
}

Result<std::size_t> LogFile::read(std::span<char> to) {
    if (!ahead_.empty()) {
        const std::size_t n = std::min(to.size(), ahead_.size());
        std::copy_n(ahead_.data(), n, to.data());
        ahead_.erase(0, n);
        return n;
    }
    if (packed_) return decode(to);
    for (;;) {
        const ssize_t n = ::pread(fd_.get(), to.data(), to.size(), offset_);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read log");
        offset_ += n;
        return static_cast<std::size_t>(n);
    }
}

Result<std::size_t> LogFile::decode(std::span<char> to) {
    for (;;) {
        const auto step = TRY(decoder_->step(encoded_, to));
        encoded_.erase(0, step.consumed);
        if (step.produced > 0) return step.produced;
        if (step.consumed > 0) continue;
        if (at_end_) return 0;
        std::string block(kBlock, '\0');
        const std::size_t n = TRY(read_at(fd_.get(), block.data(), block.size(), offset_));
        offset_ += static_cast<std::int64_t>(n);
        at_end_ = n == 0;
        encoded_.append(block, 0, n);
    }
}

Result<std::size_t> LogFile::seek_tail(logs::Format format, std::size_t wanted) {
    if (packed_) return seek_tail_forward(format, wanted);
    if (format == logs::Format::Json) return seek_tail_of_lines(wanted);
    return seek_tail_of_records(wanted);
}

Result<std::size_t> LogFile::seek_tail_of_lines(std::size_t wanted) {
    const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
    if (end < 0) return fail_errno("seek log");
    std::string block(kBlock, '\0');
    std::size_t lines = 0;
    offset_ = end;
    if (wanted == 0) return lines;
    for (off_t at = end; at > 0;) {
        const auto size = static_cast<std::size_t>(std::min<off_t>(at, kBlock));
        at -= static_cast<off_t>(size);
        if (TRY(read_at(fd_.get(), block.data(), size, at)) != size) {
            return fail(Code::Internal, "read log: it was cut short");
        }
        for (std::size_t i = size; i-- > 0;) {
            const off_t place = at + static_cast<off_t>(i);
            if (block[i] != '\n' || place == end - 1) continue;
            if (++lines == wanted) {
                offset_ = place + 1;
                return lines;
            }
        }
    }
    offset_ = 0;
    return end > 0 ? lines + 1 : 0;
}

// From the length behind a record to its start, and so on.
Result<std::size_t> LogFile::seek_tail_of_records(std::size_t wanted) {
    const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
    if (end < 0) return fail_errno("seek log");
    std::size_t records = 0;
    off_t at = end;
    for (; records < wanted && at > 0; ++records) {
        std::array<char, logs::kLocalFrame> frame{};
        constexpr off_t kFrame = logs::kLocalFrame;
        const auto length_at = [&](off_t place) -> Result<off_t> {
            const std::size_t n = TRY(read_at(fd_.get(), frame.data(), frame.size(), place));
            return n < frame.size() ? off_t{0} : off_t{logs::local_length({frame.data(), n})};
        };
        const off_t length = at < 2 * kFrame ? 0 : TRY(length_at(at - kFrame));
        const off_t start = at - length - 2 * kFrame;
        // The writer is in the middle of a record, or the file is damaged.
        if (length == 0 || start < 0 || TRY(length_at(start)) != length) {
            return seek_tail_forward(logs::Format::Local, wanted);
        }
        at = start;
    }
    offset_ = at;
    return records;
}

Result<std::size_t> LogFile::seek_tail_forward(logs::Format format, std::size_t wanted) {
    const std::size_t all = TRY(skip_records(format, std::numeric_limits<std::size_t>::max()));
    offset_ = 0;
    ahead_.clear();
    encoded_.clear();
    at_end_ = false;
    if (packed_) decoder_ = archive::Decoder::create(archive::Compression::Gzip);
    const std::size_t kept = std::min(all, wanted);
    TRY(skip_records(format, all - kept));
    return kept;
}

// Returns how many there were; what was read behind them is read again.
Result<std::size_t> LogFile::skip_records(logs::Format format, std::size_t count) {
    std::string block(kBlock, '\0');
    std::string bytes;
    std::size_t at = 0;
    for (std::size_t skipped = 0;;) {
        const auto length = skipped == count
                                ? std::nullopt
                                : logs::measure(format, std::string_view(bytes).substr(at));
        if (!length) {
            ahead_ = bytes.substr(at);
            return skipped;
        }
        if (*length > 0) {
            at += *length;
            ++skipped;
            continue;
        }
        const std::size_t n = TRY(read(block));
        bytes.erase(0, std::exchange(at, 0));
        bytes.append(block, 0, n);
        if (n == 0) {
            ahead_ = std::move(bytes);
            return skipped;
        }
    }
}

// Opened from the newest on: a rotation in between shows a file again under its next name, and
// never hides one.
Result<std::vector<LogFile>> open_all(const std::string& path) {
    std::vector<LogFile> files;
    int missing = 0;
    for (std::int64_t number = 0; number < kMostFiles && missing < kEnd; ++number) {
        auto file = TRY(LogFile::open(logs::file_name(path, number)));
        missing = file ? 0 : missing + 1;
        const bool known = file && std::any_of(files.begin(), files.end(), [&](const auto& other) {
                               return other.identity() == file->identity();
                           });
        if (file && !known) files.push_back(*std::move(file));
    }
    std::reverse(files.begin(), files.end());
    return files;
}

Result<std::optional<LogFile>> open_next(const std::string& path, const LogFile* current) {
    for (int attempt = 0; attempt < 1000; ++attempt) {
        std::int64_t place = -1;
        std::int64_t oldest = -1;
        int missing = 0;
        for (std::int64_t number = 0; number < kMostFiles && missing < kEnd && place < 0;
             ++number) {
            const auto file = TRY(LogFile::open(logs::file_name(path, number)));
            missing = file ? 0 : missing + 1;
            if (file) oldest = number;
            if (file && current != nullptr && file->identity() == current->identity()) {
                place = number;
            }
        }
        if (place == 0 || oldest < 0) return std::optional<LogFile>();
        if (place < 0 && current != nullptr && !current->is_removed()) continue;
        // Rotated out of existence: the oldest that is left follows.
        const std::int64_t next = place < 0 ? oldest : place - 1;
        auto file = TRY(LogFile::open(logs::file_name(path, next)));
        // Still in its place, so what was opened was the one before it.
        const auto there =
            place < 0 ? std::optional<LogFile>() : TRY(LogFile::open(logs::file_name(path, place)));
        const bool stayed =
            place < 0 || (there && current != nullptr && there->identity() == current->identity());
        const bool other =
            file && (current == nullptr || !(file->identity() == current->identity()));
        if (stayed && other) return file;
    }
    return fail(Code::Unavailable, "log '{}' is rotated faster than it is read", path);
}

}  // namespace coffer::logger
