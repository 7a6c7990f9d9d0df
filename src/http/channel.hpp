#pragma once
// Channel: a connected byte stream, plain or TLS. Every wait also watches a Cancel, so that ending
// the process never waits for a peer. Belongs to one thread at a time.

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/sync.hpp"
#include "sys/fd.hpp"

namespace coffer::http {

class Channel {
  public:
    using Limit = std::optional<std::chrono::milliseconds>;

    Channel() = default;
    virtual ~Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    Channel(Channel&&) = delete;
    Channel& operator=(Channel&&) = delete;

    // Blocks for at least one byte; 0 is the peer's end. Fails with Cancelled on the Cancel and
    // with Unavailable when `limit` passes first.
    virtual Result<std::size_t> read(char* to, std::size_t size, Limit limit) = 0;
    // All parts, in one system call where they fit. Fails with Unavailable when the peer takes
    // nothing for `limit`.
    virtual Result<void> write(std::span<const std::string_view> parts, Limit limit) = 0;
    Result<void> write(std::span<const std::string_view> parts) { return write(parts, {}); }
    Result<void> write(std::string_view bytes, Limit limit = {}) {
        return write(std::span(&bytes, 1), limit);
    }
    virtual int fd() const = 0;
    // Bytes that wait in user space, where poll() does not see them.
    virtual bool has_buffered() const { return false; }
    // Gives up the channel for one that can be passed to another process: the socket itself, or
    // for TLS one end of a socket pair that a thread of ours relays until both sides have ended.
    // `early` are bytes already read: they come back in `early` or are relayed first.
    virtual Result<sys::Fd> detach(std::string& early) = 0;
};

// `cancel` may be null; it must live as long as the channel.
std::unique_ptr<Channel> make_plain_channel(sys::Fd socket, const Cancel* cancel);

enum class Readiness { Ready, TimedOut, Cancelled };
// Waits for `events` on `fd` or for the Cancel.
Result<Readiness> wait_for(int fd, short events, const Cancel* cancel, Channel::Limit limit);

}  // namespace coffer::http
