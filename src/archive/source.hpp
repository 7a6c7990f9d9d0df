#pragma once
// Source: a stream of bytes that is pulled chunk by chunk, without copies. One thread at a time.

#include <functional>
#include <string_view>

#include "base/result.hpp"

namespace coffer::archive {

class Source {
  public:
    Source() = default;
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    Source(Source&&) = delete;
    Source& operator=(Source&&) = delete;

    // The next chunk, valid until the next call; empty at the end of the stream.
    virtual Result<std::string_view> next() = 0;
};

// Where a stream goes: called with each chunk in turn.
using Sink = std::function<Result<void>(std::string_view)>;

// Bytes that lie in memory, handed out in chunks of at most `chunk` bytes.
class MemorySource : public Source {
  public:
    explicit MemorySource(std::string_view bytes, std::size_t chunk = 64 * 1024)
        : rest_(bytes), chunk_(chunk) {}
    Result<std::string_view> next() override;

  private:
    std::string_view rest_;
    std::size_t chunk_;
};

// The bytes of a descriptor (borrowed) from its current offset on.
class FdSource : public Source {
  public:
    explicit FdSource(int fd, std::size_t chunk = 256 * 1024);
    Result<std::string_view> next() override;

  private:
    int fd_;
    std::string buffer_;
};

// Writes to a descriptor (borrowed), small pieces together.
class FdSink {
  public:
    explicit FdSink(int fd) : fd_(fd) {}
    Sink sink() {
        return [this](std::string_view bytes) { return write(bytes); };
    }
    Result<void> write(std::string_view bytes);
    // At the end, and before anything else is written to the descriptor.
    Result<void> flush();

  private:
    int fd_;
    std::string pending_;
};

}  // namespace coffer::archive
