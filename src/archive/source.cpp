#include "archive/source.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "sys/fd.hpp"

namespace coffer::archive {

Result<std::string_view> MemorySource::next() {
    const std::string_view chunk = rest_.substr(0, chunk_);
    rest_.remove_prefix(chunk.size());
    return chunk;
}

FdSource::FdSource(int fd, std::size_t chunk) : fd_(fd), buffer_(chunk, '\0') {}

Result<std::string_view> FdSource::next() {
    for (;;) {
        const ssize_t n = ::read(fd_, buffer_.data(), buffer_.size());
        if (n >= 0) return std::string_view(buffer_).substr(0, static_cast<std::size_t>(n));
        if (errno != EINTR) return fail_errno("read archive");
    }
}

Result<void> FdSink::write(std::string_view bytes) {
    constexpr std::size_t kTogether = 64 * 1024;
    if (pending_.size() + bytes.size() < kTogether) {
        pending_ += bytes;
        return {};
    }
    TRY(flush());
    return sys::write_all(fd_, bytes);
}

Result<void> FdSink::flush() {
    const std::string bytes = std::exchange(pending_, {});
    return bytes.empty() ? Result<void>() : sys::write_all(fd_, bytes);
}

}  // namespace coffer::archive
