#pragma once
// The engine's end of a coffer-shim: requests with their replies, and the events in between.
// A ShimLink is safe from any thread. ShimLinks owns the one thread that reads them all; handlers
// run on it and must not block.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "base/sync.hpp"
#include "shim/protocol.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace coffer::engine {

// An event, or nullptr once the shim is gone (the last call).
using ShimLinkHandler = std::function<void(const shim::FromShim*)>;

class ShimLink {
  public:
    ~ShimLink() { process_.release(); }
    ShimLink(const ShimLink&) = delete;
    ShimLink& operator=(const ShimLink&) = delete;
    ShimLink(ShimLink&&) = delete;
    ShimLink& operator=(ShimLink&&) = delete;

    // Sends and waits for the reply. Unavailable when the shim is gone or does not answer in time;
    // an error of the shim comes back as the Reply with ok == false.
    Result<shim::Reply> request(shim::Request request, std::span<const int> fds = {},
                                std::chrono::seconds limit = kAnswerLimit);
    // Without waiting, for what needs no answer.
    Result<void> post(shim::Request request);
    bool closed() const { return closed_; }
    // It has left a request unanswered and said nothing since.
    bool silent() const { return silent_; }
    // Ends a shim that does not answer, and with it its container.
    Result<void> kill_shim();

    static constexpr std::chrono::seconds kAnswerLimit{10};
    // A start copies files of the image into volumes, which takes what it takes.
    static constexpr std::chrono::seconds kStartLimit{60};

  private:
    friend class ShimLinks;
    ShimLink(sys::Fd socket, sys::Process process, ShimLinkHandler handler)
        : socket_(std::move(socket)), handler_(std::move(handler)), process_(std::move(process)) {}
    void receive();  // on the reading thread, as the next
    void reap();

    sys::Fd socket_;
    ShimLinkHandler handler_;
    sys::Process process_;  // outlives us: released, not killed, in the end
    std::atomic<bool> closed_ = false;
    std::atomic<bool> silent_ = false;
    std::mutex mutex_;
    std::condition_variable answered_;
    std::uint64_t last_seq_ = 0;
    std::map<std::uint64_t, std::optional<shim::Reply>> waiting_;
};

class ShimLinks {
  public:
    // `program` is the absolute path of coffer-shim.
    static Result<std::unique_ptr<ShimLinks>> create(std::string program);
    ~ShimLinks();
    ShimLinks(const ShimLinks&) = delete;
    ShimLinks& operator=(const ShimLinks&) = delete;
    ShimLinks(ShimLinks&&) = delete;
    ShimLinks& operator=(ShimLinks&&) = delete;

    // A new shim for `bundle`. It outlives this process.
    Result<std::shared_ptr<ShimLink>> spawn(const std::string& bundle, ShimLinkHandler handler);
    // The shim that already serves `bundle`; its Hello is the first event.
    Result<std::shared_ptr<ShimLink>> connect(const std::string& bundle, ShimLinkHandler handler);

  private:
    explicit ShimLinks(std::string program, sys::Fd epoll)
        : program_(std::move(program)), epoll_(std::move(epoll)) {}
    Result<std::shared_ptr<ShimLink>> add(sys::Fd socket, sys::Process process,
                                          ShimLinkHandler handler);
    Result<void> watch(int fd, const std::shared_ptr<ShimLink>& link);
    void read_all();

    std::string program_;
    sys::Fd epoll_;
    Cancel stop_;
    Sync<std::map<int, std::shared_ptr<ShimLink>>> links_;
    std::thread thread_;
};

}  // namespace coffer::engine
