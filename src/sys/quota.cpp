#include "sys/quota.hpp"

#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace coffer::sys::quota {

namespace {

constexpr int kProject = 2;            // PRJQUOTA of linux/quota.h, which fights sys/quota.h
constexpr std::uint64_t kBlock = 512;  // the unit of fs_disk_quota

Failure failure(const char* what) {
    if (errno == ENOTTY || errno == EOPNOTSUPP || errno == ESRCH || errno == ENOSYS) {
        return fail(Code::NotImplemented, "the file system has no project quotas");
    }
    return fail_errno("{}", what);
}

}  // namespace

Result<void> assign(int folder_fd, std::uint32_t project) {
    fsxattr attributes{};
    if (::ioctl(folder_fd, FS_IOC_FSGETXATTR, &attributes) != 0) return failure("read the project");
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (::ioctl(folder_fd, FS_IOC_FSSETXATTR, &attributes) != 0) return failure("set the project");
    return {};
}

Result<void> limit(int folder_fd, std::uint32_t project, std::uint64_t bytes) {
    fs_disk_quota quota{};
    quota.d_version = FS_DQUOT_VERSION;
    quota.d_flags = FS_PROJ_QUOTA;
    quota.d_fieldmask = FS_DQ_BHARD;
    quota.d_id = project;
    quota.d_blk_hardlimit = bytes / kBlock;
    const int command = QCMD(Q_XSETQLIM, kProject);
    if (::syscall(SYS_quotactl_fd, folder_fd, command, project, &quota) != 0) {
        return failure("set the quota");
    }
    return {};
}

}  // namespace coffer::sys::quota
