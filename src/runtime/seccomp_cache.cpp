#include "runtime/seccomp_cache.hpp"

#include <fcntl.h>

#include <optional>

#include "runtime/seccomp_profile.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

constexpr std::size_t kFileLimit = 4U << 20U;

// FNV-1a: names a file. Equality is decided by the whole text.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3U;
    }
    return hash;
}

// A file is "coffer-seccomp-1 <text bytes> <filter bytes> <hash of filter>\n", text, filter.
std::string header_of(std::string_view text, std::string_view filter) {
    return format("coffer-seccomp-1 {} {} {:016x}\n", text.size(), filter.size(), hash_of(filter));
}

std::optional<std::string> load(const std::string& path, const std::string& text) {
    auto file = sys::read_regular_file(AT_FDCWD, path, kFileLimit);
    if (!file) return std::nullopt;
    const std::size_t line = file->find('\n');
    if (line == std::string::npos || file->compare(line + 1, text.size(), text) != 0) {
        return std::nullopt;
    }
    std::string filter = file->substr(std::min(file->size(), line + 1 + text.size()));
    if (filter.empty() || file->substr(0, line + 1) != header_of(text, filter)) return std::nullopt;
    return filter;
}

}  // namespace

Result<std::string> cached_filter(const std::string& folder, const oci::LinuxSeccomp& seccomp) {
    const sys::seccomp::Profile profile = TRY(to_profile(seccomp));
    const std::string text = sys::seccomp::canonical_text(profile);
    const std::string path = format("{}/{:016x}", folder, hash_of(text));
    if (auto filter = load(path, text)) return *std::move(filter);
    std::string filter = TRY_CONTEXT(sys::seccomp::compile(profile), "seccomp profile");
    TRY(sys::make_dirs(folder, 0700));
    TRY(sys::replace_file(path, header_of(text, filter) + text + filter));
    return filter;
}

}  // namespace coffer::runtime
