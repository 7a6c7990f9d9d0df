#pragma once
// The log of one container as its shim writes it: cut into lines, to a file, to a remote receiver,
// or to both. What goes wrong is told once and never stops the container. One thread.

#include <memory>

#include "logs/cutter.hpp"
#include "logs/file.hpp"
#include "logs/sender.hpp"

namespace coffer::logs {

class Log {
  public:
    using Events = Sender::Events;
    static Result<std::unique_ptr<Log>> open(sys::Reactor& reactor, const Setup& setup,
                                             Events events);

    void write(Stream stream, std::string_view bytes);
    void end(Stream stream);
    // The beginning of a line that is in no record yet.
    std::string_view waiting(Stream stream) const { return cutter_.waiting(stream); }
    // The program must wait: nothing more may be written until `room`.
    bool is_full() const { return sender_ && sender_->is_full(); }
    void set_limits(std::int64_t max_size, std::int64_t max_files);
    // Both streams have ended: the file is closed, the sender sends what it has.
    void finish();
    bool is_drained() const { return !sender_ || sender_->is_drained(); }

  private:
    explicit Log(Events events) : events_(std::move(events)) {}
    void take(const Message& message);
    void commit();
    void note(const Result<void>& written);

    Events events_;
    Cutter cutter_;
    std::optional<FileWriter> file_;
    std::unique_ptr<Sender> sender_;
    bool file_failed_ = false;
};

}  // namespace coffer::logs
