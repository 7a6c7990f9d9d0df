#include "store/paths.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.hpp"
#include "sys/file.hpp"

namespace coffer::store {

namespace {

constexpr int kTopDirFlag = 0x00020000;  // EXT4_TOPDIR_FL; linux/fs.h has it as FS_TOPDIR_FL

// Other file systems have no such flag, and no such need.
void spread_over_block_groups(const std::string& path) {
    const auto folder = sys::open_file(path, O_RDONLY | O_DIRECTORY);
    int flags = 0;
    if (!folder || ::ioctl(folder->get(), FS_IOC_GETFLAGS, &flags) != 0) return;
    flags |= kTopDirFlag;
    ::ioctl(folder->get(), FS_IOC_SETFLAGS, &flags);
}

}  // namespace

std::string Paths::blob(std::string_view digest) const {
    return blobs() + "/" + std::string(hex_of(digest));
}

std::string Paths::partial(std::string_view digest) const {
    return partials() + "/" + std::string(hex_of(digest));
}

std::string Paths::layer(std::string_view chain_id) const {
    return layers() + "/" + std::string(hex_of(chain_id));
}

std::string Paths::layer_diff(std::string_view chain_id) const {
    return layer(chain_id) + "/diff";
}

std::string Paths::container(std::string_view id) const {
    return containers() + "/" + std::string(id);
}

Result<void> Paths::create() const {
    if (!root_.starts_with('/')) {
        return fail(Code::InvalidArgument, "data root '{}' is not an absolute path", root_);
    }
    TRY(sys::make_dirs(root_, 0700));
    struct stat status {};
    if (::stat(root_.c_str(), &status) != 0) return fail_errno("stat '{}'", root_);
    if (status.st_uid != ::geteuid()) {
        return fail(Code::Forbidden, "data root '{}' belongs to user {}", root_, status.st_uid);
    }
    // Layers hold setuid files that must be out of every local user's reach.
    if (::chmod(root_.c_str(), 0700) != 0) return fail_errno("set mode of '{}'", root_);
    for (const std::string& folder :
         {blobs(), partials(), layers(), containers(), volumes(), trash()}) {
        TRY(sys::make_dirs(folder, 0700));
    }
    spread_over_block_groups(layers());
    spread_over_block_groups(containers());
    return {};
}

}  // namespace coffer::store
