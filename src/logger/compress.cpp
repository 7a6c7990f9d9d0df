#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "archive/compress.hpp"
#include "logger/log_files.hpp"
#include "sys/file.hpp"

namespace coffer::logger {

Result<void> compress_file(const std::string& path) {
    const sys::Fd from = TRY(sys::open_file(path, O_RDONLY | O_NOFOLLOW));
    const logs::Identity identity = TRY(logs::identity_of(from.get()));
    const std::string temporary = path + ".gz.tmp";
    const sys::Fd to =
        TRY(sys::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640));
    TRY(sys::write_all(to.get(), logs::gzip_mark(identity)));
    archive::GzipEncoder encoder(
        [&](std::string_view bytes) { return sys::write_all(to.get(), bytes); });
    archive::FdSource source(from.get());
    for (;;) {
        const std::string_view chunk = TRY(source.next());
        if (chunk.empty()) break;
        TRY(encoder.write(chunk));
    }
    TRY(encoder.finish());
    // Both are there for a moment: a reader takes the plain one.
    if (::rename(temporary.c_str(), (path + ".gz").c_str()) != 0) {
        return fail_errno("rename '{}'", temporary);
    }
    if (::unlink(path.c_str()) != 0) return fail_errno("remove '{}'", path);
    return {};
}

}  // namespace coffer::logger
