#pragma once
// nftables through libnftables: one text is one atomic transaction. run() may be called from any
// thread (one transaction at a time), first while the process has few descriptors: the socket it
// keeps must be one of the first 1024. A Watch belongs to one thread.

#include <chrono>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace coffer::sys::nft {

// Applies all commands of the text or none. On success gives what `list` commands print: with
// handles, without the elements of sets and without counters.
Result<std::string> run(const std::string& commands);
// The same for `list` commands alone, as JSON (libnftables-json(5)) with counters.
Result<std::string> list_json(const std::string& commands);
// The same in the network namespace of the calling thread, whichever that is.
Result<void> run_here(const std::string& commands);

// Tells when somebody, we included, changes rules, chains or tables. Elements of sets do not count.
class Watch {
  public:
    static Result<Watch> open();
    enum class Event { Changed, Stopped };
    // Blocks until something has changed and then has been quiet for `quiet`, or until `stop_fd` is
    // readable.
    Result<Event> wait(int stop_fd, std::chrono::milliseconds quiet);

  private:
    explicit Watch(Fd fd) : fd_(std::move(fd)) {}
    Result<bool> read();
    Fd fd_;
};

}  // namespace coffer::sys::nft
