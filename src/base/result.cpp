#include "base/result.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace coffer {

std::string errno_text(int sys_errno) {
    const char* text = ::strerrordesc_np(sys_errno);
    if (text == nullptr) return format("errno {}", sys_errno);
    std::string out = text;
    // Our messages are lower case, but "RTNL ..." or "I/O error" stay as they are.
    if (out.size() > 1 && out[0] >= 'A' && out[0] <= 'Z' && out[1] >= 'a' && out[1] <= 'z') {
        out[0] = static_cast<char>(out[0] - 'A' + 'a');
    }
    return out;
}

Code code_of_errno(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ESRCH:
        case ENXIO:
        case ENODEV:
            return Code::NotFound;
        case EEXIST:
        case ENOTEMPTY:
            return Code::Conflict;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::Forbidden;
        case EINVAL:
        case ENAMETOOLONG:
        case ENOTDIR:
        case EISDIR:
        case ELOOP:
            return Code::InvalidArgument;
        case ENOSYS:
        case EOPNOTSUPP:
            return Code::NotImplemented;
        case ECANCELED:
            return Code::Cancelled;
        default:
            return Code::Internal;
    }
}

void abort_at(const char* file, int line, const std::string& why) {
    static_cast<void>(std::fprintf(stderr, "%s:%d: %s\n", file, line, why.c_str()));
    std::abort();
}

}  // namespace coffer
