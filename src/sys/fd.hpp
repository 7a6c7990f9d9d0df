#pragma once
// Fd: sole owner of a file descriptor. Closes once, never retries on EINTR (Linux has released the
// descriptor by then). Every function of the project opens with O_CLOEXEC. One thread at a time.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;
    // A second descriptor of the same open file, close-on-exec.
    Result<Fd> duplicate() const;

  private:
    int fd_ = -1;
};

struct PipeEnds {
    Fd read;
    Fd write;
};
// `Wide`: as much as a pipe may hold without privilege; a smaller one is only slower.
enum class PipeSize { Usual, Wide };
Result<PipeEnds> make_pipe(PipeSize size = PipeSize::Usual);

struct SocketPair {
    Fd ours;
    Fd theirs;
};
// AF_UNIX; `type` is SOCK_STREAM or SOCK_SEQPACKET.
Result<SocketPair> make_socketpair(int type);

Result<void> write_all(int fd, std::string_view bytes);
// Waits until the peer has read all that was sent, or has gone; for at most a second. For a TCP
// socket: until its kernel has it. A socket is asked by SIOCOUTQ (unix(7), tcp(7)).
void wait_until_read(int socket);
// As calls of the kernel and send_message() take them.
std::vector<int> numbers_of(const std::vector<Fd>& fds);
// Reads to the end, but fails with "larger than" once `limit` bytes are exceeded.
Result<std::string> read_all(int fd, std::size_t limit);

// One SOCK_SEQPACKET message with descriptors. An empty payload cannot be told from the end of
// the stream, so it is refused.
struct Message {
    std::string payload;  // empty: the other side has closed
    std::vector<Fd> fds;
};
Result<void> send_message(int socket, std::string_view payload, std::span<const int> fds = {});
// Blocks; at most `limit` bytes and 16 descriptors, a longer message is an error.
Result<Message> receive_message(int socket, std::size_t limit = 256 * 1024);

// A unix listener at `path` (a stale socket file is replaced), with the given mode and, when not
// -1, group. Refuses a path that does not fit sun_path by going through /proc/self/fd/N.
Result<Fd> listen_unix(const std::string& path, unsigned mode, int type, int group = -1);
Result<Fd> connect_unix(const std::string& path, int type);

}  // namespace coffer::sys
