// Reading a json-file log: tail, filters and following across rotation.

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "json/value.hpp"
#include "logs/json_file.hpp"
#include "sys/file.hpp"

namespace coffer::logs {

namespace {

constexpr std::size_t kBlock = 64 * 1024;
// Our records stay below 100 KiB (16 KiB of text, six bytes for one at worst). A longer line is not
// one of ours and is skipped without being kept.
constexpr std::size_t kLongestLine = 1024 * 1024;
constexpr std::int64_t kMostFiles = 1000;
// A rotation renames PATH.1 to PATH.2 and so on, the oldest first: at any moment one name is
// missing, and a scan from the newest to the oldest meets every file. This many missing names are
// the end.
constexpr int kEnd = 4;

struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const Identity&) const = default;
};

std::optional<Identity> identity_of(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return Identity{status.st_dev, status.st_ino};
}

struct OpenLog {
    sys::Fd fd;
    Identity identity;
    off_t offset = 0;  // of the next byte to read
};

std::string name_of(const std::string& path, std::int64_t number) {
    return number == 0 ? path : format("{}.{}", path, number);
}

// nullopt when there is no such file.
Result<std::optional<OpenLog>> open_log(const std::string& path) {
    auto fd = sys::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd && fd.error().sys_errno == ENOENT) return std::optional<OpenLog>();
    OpenLog log;
    log.fd = TRY(std::move(fd));
    struct stat status {};
    if (::fstat(log.fd.get(), &status) != 0) return fail_errno("stat '{}'", path);
    if (!S_ISREG(status.st_mode)) return fail(Code::Internal, "'{}' is no regular file", path);
    log.identity = {status.st_dev, status.st_ino};
    return std::optional<OpenLog>(std::move(log));
}

// All files of a log, oldest first. Opened from the newest on: a rotation in between shows a file
// again under its next name, and never hides one.
Result<std::vector<OpenLog>> open_all(const std::string& path) {
    std::vector<OpenLog> logs;
    int missing = 0;
    for (std::int64_t number = 0; number < kMostFiles && missing < kEnd; ++number) {
        auto log = TRY(open_log(name_of(path, number)));
        missing = log ? 0 : missing + 1;
        const bool known = log && std::any_of(logs.begin(), logs.end(), [&](const OpenLog& other) {
                               return other.identity == log->identity;
                           });
        if (log && !known) logs.push_back(*std::move(log));
    }
    std::reverse(logs.begin(), logs.end());
    return logs;
}

bool is_removed(const OpenLog& log) {
    struct stat status {};
    return !log.fd || ::fstat(log.fd.get(), &status) != 0 || status.st_nlink == 0;
}

// The file that was begun after `current`, once that was rotated away; nullopt when `current` is
// still the one written.
Result<std::optional<OpenLog>> open_next(const std::string& path, const OpenLog& current) {
    for (int attempt = 0; attempt < 1000; ++attempt) {
        std::int64_t place = -1;
        std::int64_t oldest = -1;
        int missing = 0;
        for (std::int64_t number = 0; number < kMostFiles && missing < kEnd; ++number) {
            const auto identity = identity_of(name_of(path, number));
            missing = identity ? 0 : missing + 1;
            if (identity) oldest = number;
            if (identity == current.identity) place = number;
        }
        if (place == 0 || oldest < 0) return std::optional<OpenLog>();
        if (place < 0 && !is_removed(current)) continue;
        // Rotated out of existence: the oldest that is left follows.
        const std::int64_t next = place < 0 ? oldest : place - 1;
        auto log = TRY(open_log(name_of(path, next)));
        // Still in its place, so what was opened was the one before it.
        const bool stayed =
            place < 0 || identity_of(name_of(path, place)) == std::optional(current.identity);
        if (log && stayed && log->identity != current.identity) return log;
    }
    return fail(Code::Unavailable, "log '{}' is rotated faster than it is read", path);
}

// Moves the start of `log` so that only its last `wanted` lines are read. Returns how many lines
// that are.
Result<std::size_t> seek_tail(OpenLog& log, std::size_t wanted) {
    off_t end = ::lseek(log.fd.get(), 0, SEEK_END);
    if (end < 0) return fail_errno("seek log");
    std::string block(kBlock, '\0');
    std::size_t lines = 0;
    log.offset = end;
    if (wanted == 0) return lines;
    for (off_t at = end; at > 0;) {
        const auto size = static_cast<std::size_t>(std::min<off_t>(at, kBlock));
        at -= static_cast<off_t>(size);
        const ssize_t n = ::pread(log.fd.get(), block.data(), size, at);
        if (n != static_cast<ssize_t>(size)) return fail_errno("read log");
        for (std::size_t i = size; i-- > 0;) {
            const off_t place = at + static_cast<off_t>(i);
            if (block[i] != '\n' || place == end - 1) continue;
            if (++lines == wanted) {
                log.offset = place + 1;
                return lines;
            }
        }
    }
    log.offset = 0;
    return end > 0 ? lines + 1 : 0;
}

enum class Progress : std::uint8_t { More, Done };

class Reading {
  public:
    Reading(const std::string& path, const ReadOptions& options,
            const std::function<bool(const Record&)>& deliver)
        : path_(path), options_(options), deliver_(deliver) {}

    Result<void> run() {
        sys::Fd watch;
        if (options_.follow) watch = TRY(watch_folder());
        std::vector<OpenLog> logs = TRY(open_all(path_));
        if (options_.tail) TRY(start_at_tail(logs));
        for (OpenLog& log : logs) {
            current_ = std::move(log);
            if (TRY(drain()) == Progress::Done) return {};
        }
        while (options_.follow) {
            const bool stopped = is_ready(options_.stopped_fd);
            if (TRY(drain_chain()) == Progress::Done || stopped) return {};
            if (TRY(wait(watch)) == Progress::Done) return {};
        }
        return {};
    }

  private:
    Result<sys::Fd> watch_folder() const {
        sys::Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!watch) return fail_errno("create inotify");
        const std::string folder = path_.substr(0, path_.rfind('/') + 1);
        if (::inotify_add_watch(watch.get(), folder.empty() ? "." : folder.c_str(),
                                IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
            return fail_errno("watch '{}'", folder);
        }
        return watch;
    }

    Result<void> start_at_tail(std::vector<OpenLog>& logs) const {
        std::size_t wanted = *options_.tail;
        for (std::size_t i = logs.size(); i-- > 0;) {
            wanted -= std::min(wanted, TRY(seek_tail(logs[i], wanted)));
        }
        return {};
    }

    static bool is_ready(int fd) {
        pollfd poll{fd, POLLIN, 0};
        return fd >= 0 && ::poll(&poll, 1, 0) > 0;
    }

    // The current file to its end, and those that follow it.
    Result<Progress> drain_chain() {
        for (;;) {
            if (current_.fd && TRY(drain()) == Progress::Done) return Progress::Done;
            std::optional<OpenLog> next = TRY(open_next(path_, current_));
            if (!next) return Progress::More;
            // Rotated after our last read: what was written in between is still in the old file.
            if (current_.fd && TRY(drain()) == Progress::Done) return Progress::Done;
            line_.clear();
            current_ = *std::move(next);
        }
    }

    // Done when the caller gives up, or at the time limit.
    Result<Progress> wait(const sys::Fd& watch) const {
        int limit = -1;
        if (options_.until) {
            const auto rest =
                std::chrono::duration_cast<std::chrono::milliseconds>(*options_.until - now());
            if (rest.count() < 0) return Progress::Done;
            limit = static_cast<int>(std::min<std::int64_t>(rest.count() + 1, 60 * 1000));
        }
        std::array<pollfd, 3> polls{{{watch.get(), POLLIN, 0},
                                     {options_.stopped_fd, POLLIN, 0},
                                     {options_.cancel_fd, POLLIN, 0}}};
        if (::poll(polls.data(), polls.size(), limit) < 0 && errno != EINTR) {
            return fail_errno("wait for log '{}'", path_);
        }
        if (polls[2].revents != 0) return Progress::Done;
        std::array<char, 4096> events;
        while (::read(watch.get(), events.data(), events.size()) > 0) {
        }
        return Progress::More;
    }

    Result<Progress> drain() {
        std::string block(kBlock, '\0');
        for (;;) {
            const ssize_t n =
                ::pread(current_.fd.get(), block.data(), block.size(), current_.offset);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno("read log '{}'", path_);
            if (n == 0) return Progress::More;
            current_.offset += n;
            if (take(std::string_view(block).substr(0, static_cast<std::size_t>(n))) ==
                    Progress::Done ||
                is_ready(options_.cancel_fd)) {
                return Progress::Done;
            }
        }
    }

    Progress take(std::string_view bytes) {
        while (!bytes.empty()) {
            const std::size_t newline = bytes.find('\n');
            const std::string_view part = bytes.substr(0, newline);
            // One byte above the limit marks a line that is too long.
            line_.append(part.substr(0, kLongestLine + 1 - line_.size()));
            if (newline == std::string_view::npos) return Progress::More;
            bytes.remove_prefix(newline + 1);
            const Progress progress =
                line_.size() <= kLongestLine ? take_line(line_) : Progress::More;
            line_.clear();
            if (progress == Progress::Done) return progress;
        }
        return Progress::More;
    }

    Progress take_line(std::string_view line) const {
        if (line.empty()) return Progress::More;
        const auto value = json::parse(line, {.depth = 8, .bytes = kLongestLine});
        if (!value) return Progress::More;
        const auto text_of = [&](std::string_view key) -> const std::string* {
            const json::Value* member = value->find(key);
            return member == nullptr ? nullptr : member->if_string();
        };
        const std::string* text = text_of("log");
        const std::string* stream = text_of("stream");
        const std::string* time_text = text_of("time");
        const auto time = time_text == nullptr ? std::nullopt : parse_rfc3339(*time_text);
        if (text == nullptr || stream == nullptr || !time) return Progress::More;
        if (options_.until && *time > *options_.until) return Progress::Done;
        if (options_.since && *time < *options_.since) return Progress::More;
        const bool is_stderr = *stream == "stderr";
        if (is_stderr ? !options_.want_stderr : !options_.want_stdout) return Progress::More;
        const Record record{is_stderr ? Stream::Stderr : Stream::Stdout, *time, *text};
        return deliver_(record) ? Progress::More : Progress::Done;
    }

    const std::string& path_;
    const ReadOptions& options_;
    const std::function<bool(const Record&)>& deliver_;
    OpenLog current_;
    std::string line_;  // the beginning of a line whose end has not been read
};

}  // namespace

Result<void> read(const std::string& path, const ReadOptions& options,
                  const std::function<bool(const Record&)>& deliver) {
    return Reading(path, options, deliver).run();
}

}  // namespace coffer::logs
