#include "trust/policy_file.hpp"

#include <sys/stat.h>

#include "sys/file.hpp"

namespace coffer::trust {

namespace {

constexpr std::size_t kMaxFile = 1U << 20U;

// The first that is there, if only as a link to nowhere; empty without any.
Result<std::string> usual_path() {
    for (const char* path : {"/etc/coffer/policy.json", "/etc/containers/policy.json"}) {
        struct stat status {};
        if (::lstat(path, &status) == 0) return std::string(path);
        if (errno != ENOENT && errno != ENOTDIR)
            return fail_errno("look for the signature policy '{}'", path);
    }
    return std::string();
}

}  // namespace

Result<std::shared_ptr<const Policy>> PolicyFile::read() {
    std::string path = path_.empty() ? TRY(usual_path()) : path_;
    auto loaded = loaded_.lock();
    // One that has gone, for a moment or by mistake, does not let everything in.
    if (path.empty()) path = loaded->path;
    if (path.empty()) return std::shared_ptr<const Policy>();
    const std::string stamp = sys::stamp_of(path);
    if (!stamp.empty() && loaded->path == path && loaded->stamp == stamp) return loaded->policy;
    const std::string text =
        TRY_CONTEXT(sys::read_file(path, kMaxFile), "read the signature policy '{}'", path);
    // Shared by who reads while it is replaced.
    auto policy = std::make_shared<Policy>(
        TRY_CONTEXT(parse_policy(text, path), "the signature policy is damaged"));
    *loaded = {path, stamp, policy};
    return loaded->policy;
}

}  // namespace coffer::trust
