#include "logs/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::logs {

namespace {

constexpr std::size_t kBatch = 64 * 1024;  // written at once

// The end of the last whole record of Local in a file of `size` bytes.
Result<std::int64_t> whole_records(int file, std::int64_t size) {
    const auto length_at = [&](std::int64_t at) -> std::int64_t {
        std::array<char, kLocalFrame> frame{};
        const auto n = ::pread(file, frame.data(), frame.size(), at);
        return n == static_cast<ssize_t>(frame.size())
                   ? std::int64_t{local_length({frame.data(), frame.size()})}
                   : -1;
    };
    constexpr std::int64_t kFrame = kLocalFrame;
    // The common case: the last record is whole.
    const std::int64_t last = size < kFrame ? -1 : length_at(size - kFrame);
    if (last >= 0 && last <= size - 2 * kFrame && length_at(size - last - 2 * kFrame) == last) {
        return size;
    }
    for (std::int64_t at = 0;;) {
        const std::int64_t length = length_at(at);
        if (length < 0 || length > size - at - 2 * kFrame ||
            length_at(at + kFrame + length) != length) {
            return at;
        }
        at += length + 2 * kFrame;
    }
}

Result<void> rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno("rename '{}' to '{}'", from, to);
}

Result<void> remove_file(const std::string& path) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno("remove '{}'", path);
}

}  // namespace

std::string file_name(const std::string& path, std::int64_t number) {
    return number == 0 ? path : format("{}.{}", path, number);
}

Result<Identity> identity_of(int file) {
    struct statx status {};
    if (::statx(file, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) {
        return fail_errno("stat log");
    }
    constexpr std::uint64_t kSecond = 1'000'000'000;
    return Identity{
        std::uint64_t{status.stx_dev_major} << 32U | status.stx_dev_minor, status.stx_ino,
        static_cast<std::uint64_t>(status.stx_btime.tv_sec) * kSecond + status.stx_btime.tv_nsec};
}

std::string gzip_mark(const Identity& identity) {
    std::string mark("\x1f\x8b\x08\x04\0\0\0\0\0\xff", 10);  // deflate, with an extra field
    append_number(mark, 2 + 2 + 24, 2);                      // one subfield
    mark += "CL";
    append_number(mark, 24, 2);
    append_number(mark, identity.device, 8);
    append_number(mark, identity.inode, 8);
    append_number(mark, identity.birth, 8);
    mark.append("\x03\0\0\0\0\0\0\0\0\0", 10);  // an empty block, checksum 0, 0 bytes
    return mark;
}

std::optional<Identity> read_gzip_mark(std::string_view head) {
    constexpr std::size_t kDevice = 16;
    const auto number = [&](std::size_t at) { return read_number(head.substr(at), 8); };
    if (head.size() < kGzipMark || head.substr(0, 4) != "\x1f\x8b\x08\x04" ||
        head.substr(12, 2) != "CL") {
        return std::nullopt;
    }
    return Identity{number(kDevice), number(kDevice + 8), number(kDevice + 16)};
}

Result<FileWriter> FileWriter::open(FileOptions options) {
    FileWriter writer(std::move(options));
    TRY(writer.open_file());
    TRY(writer.mend());
    return writer;
}

Result<void> FileWriter::open_file() {
    file_ = TRY(sys::open_file(options_.path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0640));
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) return fail_errno("stat '{}'", options_.path);
    size_ = status.st_size;
    return {};
}

// A file may end within a record: the writer before was killed, or the machine was.
Result<void> FileWriter::mend() {
    if (size_ == 0) return {};
    if (options_.format == Format::Local) {
        const std::int64_t whole = TRY(whole_records(file_.get(), size_));
        if (whole != size_ && ::ftruncate(file_.get(), whole) != 0) {
            return fail_errno("truncate '{}'", options_.path);
        }
        size_ = whole;
        return {};
    }
    char last = '\n';
    if (::pread(file_.get(), &last, 1, size_ - 1) != 1) {
        return fail_errno("read '{}'", options_.path);
    }
    if (last != '\n') out_.push_back('\n');
    return {};
}

void FileWriter::set_limits(std::int64_t max_size, std::int64_t max_files) {
    options_.max_size = max_size;
    options_.max_files = max_files;
}

Result<void> FileWriter::append(const Message& message) {
    const auto pending = static_cast<std::int64_t>(out_.size());
    if (options_.max_size > 0 && size_ + pending >= options_.max_size) {
        TRY(commit());
        TRY(rotate());
    } else if (out_.size() >= kBatch) {
        TRY(commit());
    }
    if (options_.format == Format::Json) {
        append_json(out_, message, options_.attributes);
    } else {
        append_local(out_, message);
    }
    return {};
}

Result<void> FileWriter::commit() {
    std::size_t done = 0;
    while (done < out_.size()) {
        const ssize_t n = ::write(file_.get(), out_.data() + done, out_.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const int error = errno;
            // The record that is half written keeps its rest for the next time: no reader ever
            // meets a torn one. Those behind it are lost.
            std::size_t end = rest_;
            while (end < done) {
                end += measure(options_.format, std::string_view(out_).substr(end)).value_or(done);
            }
            out_ = out_.substr(done, end - done);
            rest_ = out_.size();
            return fail_with(error, "write log '{}'", options_.path);
        }
        size_ += n;
        done += static_cast<std::size_t>(n);
    }
    out_.clear();
    rest_ = 0;
    return {};
}

Result<void> FileWriter::rotate() {
    if (is_compressing()) {
        // Soon done, as a rule. Who takes longer than the next file takes to fill is ended.
        if (size_ < 2 * options_.max_size) return {};
        stop_compressing();
    }
    // A new file each time, never a truncated one: a reader drains the old one by its descriptor.
    if (options_.max_files <= 1) {
        TRY(remove_file(options_.path));
        return open_file();
    }
    TRY(remove_from(options_.max_files - 1));
    for (std::int64_t i = options_.max_files - 1; i >= 1; --i) {
        const std::string to = file_name(options_.path, i);
        const std::string from = file_name(options_.path, i - 1);
        TRY(rename_file(from, to));
        if (i > 1) TRY(rename_file(from + ".gz", to + ".gz"));
    }
    if (options_.compress) TRY(start_compressing());
    return open_file();
}

// The files of that number and the older ones, of which there are some when the limit was lowered.
Result<void> FileWriter::remove_from(std::int64_t number) {
    for (;; ++number) {
        const std::string name = file_name(options_.path, number);
        const bool plain = sys::exists(name);
        const bool packed = sys::exists(name + ".gz");
        if (!plain && !packed) return {};
        if (plain) TRY(remove_file(name));
        if (packed) TRY(remove_file(name + ".gz"));
    }
}

bool FileWriter::is_compressing() const {
    pollfd ended{compressing_.get(), POLLIN, 0};
    return compressing_ && ::poll(&ended, 1, 0) == 0;
}

void FileWriter::stop_compressing() {
    sys::Process process(0, std::move(compressing_));
    ignore(process.signal(SIGKILL), "it has ended");
    pollfd ended{process.pidfd(), POLLIN, 0};
    ::poll(&ended, 1, 1000);
    process.release();
    ignore(remove_file(file_name(options_.path, 1) + ".gz.tmp"), "the next one overwrites it");
}

Result<void> FileWriter::start_compressing() {
    sys::SpawnOptions spawn;
    spawn.argv = {options_.compressor, "compress", file_name(options_.path, 1)};
    spawn.cwd = "/";
    spawn.new_session = true;
    sys::Process process = TRY_CONTEXT(sys::spawn(spawn), "compress the rotated log");
    // Reaped by the owner of this process's children.
    compressing_ = process.take_pidfd();
    return {};
}

}  // namespace coffer::logs
