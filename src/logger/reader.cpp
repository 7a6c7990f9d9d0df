#include "logger/reader.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

#include "json/value.hpp"
#include "logger/log_files.hpp"

namespace coffer::logger {

namespace {

constexpr std::size_t kBlock = 64 * 1024;

enum class Progress : std::uint8_t { More, Done };

class Reading {
  public:
    Reading(const logs::Place& place, const ReadOptions& options,
            const std::function<bool(const Record&)>& deliver)
        : path_(place.path), format_(place.format), options_(options), deliver_(deliver) {}

    Result<void> run() {
        sys::Fd watch;
        if (options_.follow) watch = TRY(watch_folder());
        std::vector<LogFile> files = TRY(open_all(path_));
        if (options_.tail) TRY(start_at_tail(files));
        for (LogFile& file : files) {
            begin(std::move(file));
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

    Result<void> start_at_tail(std::vector<LogFile>& files) const {
        std::size_t wanted = *options_.tail;
        for (std::size_t i = files.size(); i-- > 0;) {
            wanted -= std::min(wanted, TRY(files[i].seek_tail(format_, wanted)));
        }
        return {};
    }

    static bool is_ready(int fd) {
        pollfd poll{fd, POLLIN, 0};
        return fd >= 0 && ::poll(&poll, 1, 0) > 0;
    }

    void begin(LogFile file) {
        current_ = std::move(file);
        bytes_.clear();
        skips_ = Skip::No;
    }

    // The current file to its end, and those that follow it.
    Result<Progress> drain_chain() {
        for (;;) {
            if (current_ && TRY(drain()) == Progress::Done) return Progress::Done;
            std::optional<LogFile> next = TRY(open_next(path_, current_ ? &*current_ : nullptr));
            if (!next) return Progress::More;
            // Rotated after our last read: what was written in between is still in the old file.
            if (current_ && TRY(drain()) == Progress::Done) return Progress::Done;
            begin(*std::move(next));
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
            const std::size_t n = TRY_CONTEXT(current_->read(block), "'{}'", path_);
            if (n == 0) return Progress::More;
            if (skips_ == Skip::Rest) continue;
            bytes_.append(block, 0, n);
            if (take() == Progress::Done || is_ready(options_.cancel_fd)) return Progress::Done;
        }
    }

    // The whole records at the front of what was read.
    Progress take() {
        std::string_view rest = bytes_;
        Progress progress = Progress::More;
        while (progress == Progress::More) {
            const auto length = logs::measure(format_, rest);
            if (!length) skips_ = Skip::Rest;
            if (!length || *length == 0) break;
            if (skips_ == Skip::No) progress = take_record(rest.substr(0, *length));
            skips_ = Skip::No;
            rest.remove_prefix(*length);
        }
        // A line without end is not kept.
        if (format_ == logs::Format::Json && rest.size() > logs::kLongestRecord)
            skips_ = Skip::Line;
        if (skips_ != Skip::No) rest = {};
        bytes_.erase(0, bytes_.size() - rest.size());
        return progress;
    }

    Progress take_record(std::string_view bytes) {
        if (format_ == logs::Format::Json) return take_line(bytes.substr(0, bytes.size() - 1));
        const auto message = logs::decode_local(bytes);
        if (!message) return Progress::More;
        std::string text(message->text);
        if (message->ends_line()) text.push_back('\n');
        return pass_on({message->stream, message->time, text, options_.attributes});
    }

    Progress take_line(std::string_view line) const {
        if (line.empty() || line.size() > logs::kLongestRecord) return Progress::More;
        const auto value = json::parse(line, {.depth = 8, .bytes = logs::kLongestRecord});
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
        logs::Attributes attributes;
        const json::Value* kept = value->find("attrs");
        if (kept != nullptr && kept->if_object() != nullptr) {
            for (const json::Member& member : *kept->if_object()) {
                if (member.value.if_string() != nullptr) {
                    attributes[member.key] = *member.value.if_string();
                }
            }
        }
        const bool is_stderr = *stream == "stderr";
        return pass_on(
            {is_stderr ? logs::Stream::Stderr : logs::Stream::Stdout, *time, *text, attributes});
    }

    Progress pass_on(const Record& record) const {
        if (options_.until && record.time > *options_.until) return Progress::Done;
        if (options_.since && record.time < *options_.since) return Progress::More;
        const bool wanted =
            record.stream == logs::Stream::Stderr ? options_.want_stderr : options_.want_stdout;
        if (!wanted) return Progress::More;
        return deliver_(record) ? Progress::More : Progress::Done;
    }

    // What is passed over: nothing, a line to its end, or a damaged file to its end.
    enum class Skip : std::uint8_t { No, Line, Rest };

    const std::string& path_;
    logs::Format format_;
    const ReadOptions& options_;
    const std::function<bool(const Record&)>& deliver_;
    std::optional<LogFile> current_;
    std::string bytes_;  // the beginning of a record whose end has not been read
    Skip skips_ = Skip::No;
};

}  // namespace

Result<void> read(const logs::Place& place, const ReadOptions& options,
                  const std::function<bool(const Record&)>& deliver) {
    return Reading(place, options, deliver).run();
}

}  // namespace coffer::logger
