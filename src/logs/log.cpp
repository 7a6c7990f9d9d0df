#include "logs/log.hpp"

namespace coffer::logs {

Result<std::unique_ptr<Log>> Log::open(sys::Reactor& reactor, const Setup& setup, Events events) {
    std::unique_ptr<Log> log(new Log(events));
    if (!setup.path.empty()) {
        FileOptions options;
        options.path = setup.path;
        options.format = setup.is_local ? Format::Local : Format::Json;
        options.max_size = setup.max_size;
        options.max_files = setup.max_files;
        options.compress = setup.compress;
        options.attributes = setup.attributes;
        options.compressor = setup.program;
        log->file_ = TRY(FileWriter::open(std::move(options)));
    }
    if (!setup.remote.empty()) {
        log->sender_ = TRY(Sender::open(reactor, setup, std::move(events)));
    }
    return log;
}

void Log::take(const Message& message) {
    if (file_) {
        const auto added = file_->append(message);
        if (!added) note(added);
    }
    if (sender_) sender_->append(message);
}

void Log::commit() {
    if (file_ && file_->has_pending()) note(file_->commit());
    if (sender_) sender_->commit();
}

// A full disk must neither stop the program nor fill another disk with complaints.
void Log::note(const Result<void>& written) {
    if (!written && !file_failed_) {
        events_.notice(
            format("{}; lines are lost until it can be written", written.error().message));
    }
    if (written && file_failed_) events_.notice("the log is written again");
    file_failed_ = !written;
}

void Log::write(Stream stream, std::string_view bytes) {
    cutter_.feed(stream, bytes, [this](const Message& message) { take(message); });
    commit();
}

void Log::end(Stream stream) {
    cutter_.end(stream, [this](const Message& message) { take(message); });
    commit();
}

void Log::set_limits(std::int64_t max_size, std::int64_t max_files) {
    if (file_) file_->set_limits(max_size, max_files);
}

void Log::finish() {
    file_.reset();
    if (sender_) sender_->finish();
}

}  // namespace coffer::logs
