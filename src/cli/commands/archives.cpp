#include "cli/commands/archives.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/id.hpp"
#include "base/text.hpp"
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

Result<void> receive(http::Response& response, int fd,
                     const std::function<void(std::size_t)>& on_bytes) {
    std::string buffer(std::size_t{1} << 18U, '\0');
    for (;;) {
        const std::size_t n = TRY(response.body().read(buffer.data(), buffer.size()));
        if (n == 0) return {};
        TRY(sys::write_all(fd, std::string_view(buffer).substr(0, n)));
        if (on_bytes) on_bytes(n);
    }
}

Result<void> write_whole(const std::string& path,
                         const std::function<Result<void>(int fd)>& write) {
    if (path.empty()) return write(STDOUT_FILENO);
    std::error_code none;
    const auto status = std::filesystem::status(path, none);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
        const sys::Fd file = TRY(sys::open_file(path, O_WRONLY));
        return write(file.get());
    }
    // Behind a link it is what that names.
    const std::string target =
        std::filesystem::exists(status) ? std::filesystem::canonical(path, none).string() : path;
    const std::string temporary = format("{}.{}", target, random_hex(8));
    const sys::Fd file = TRY(sys::open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600));
    auto done = write(file.get());
    if (done && ::rename(temporary.c_str(), target.c_str()) != 0)
        done = fail_errno("rename to '{}'", path);
    if (!done) ::unlink(temporary.c_str());
    return done;
}

std::function<Result<std::size_t>(char*, std::size_t)> body_from(std::shared_ptr<sys::Fd> file) {
    return [file = std::move(file)](char* to, std::size_t size) {
        return read_some(file->get(), to, size);
    };
}

Result<std::shared_ptr<sys::Fd>> open_input(const std::string& path) {
    if (path.empty() || path == "-") {
        return std::make_shared<sys::Fd>(TRY(sys::open_file("/dev/stdin", O_RDONLY)));
    }
    Result<sys::Fd> file = sys::open_file(path, O_RDONLY);
    if (!file) {
        return fail(file.error().code, "open {}: {}", path,
                    to_lower(errno_text(file.error().sys_errno)));
    }
    return std::make_shared<sys::Fd>(*std::move(file));
}

Result<void> refuse_terminal(const std::string& output) {
    if (!output.empty() || !is_terminal(STDOUT_FILENO)) return {};
    return fail(Code::InvalidArgument,
                "cowardly refusing to save to a terminal. Use the -o flag or redirect");
}

}  // namespace coffer::cli
