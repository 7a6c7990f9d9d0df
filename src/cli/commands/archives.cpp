#include "cli/commands/archives.hpp"

#include <unistd.h>

#include "cli/terminal.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

Result<std::size_t> read_some(int fd, char* to, std::size_t size) {
    for (;;) {
        const ssize_t n = ::read(fd, to, size);
        if (n >= 0) return static_cast<std::size_t>(n);
        if (errno != EINTR) return fail_errno("read the archive");
    }
}

Result<void> receive(http::Response& response, int fd) {
    std::string buffer(std::size_t{1} << 18U, '\0');
    for (;;) {
        const std::size_t n = TRY(response.body().read(buffer.data(), buffer.size()));
        if (n == 0) return {};
        TRY(sys::write_all(fd, std::string_view(buffer).substr(0, n)));
    }
}

Result<void> refuse_terminal(const std::string& output) {
    if (!output.empty() || !is_terminal(STDOUT_FILENO)) return {};
    return fail(Code::InvalidArgument,
                "cowardly refusing to save to a terminal. Use the -o flag or redirect");
}

}  // namespace coffer::cli
