#include "archive/source.hpp"

#include <unistd.h>

#include <algorithm>

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

}  // namespace coffer::archive
