#include "sys/loop.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::sys::loop {

Result<Device> attach(int file_fd, Access access) {
    const bool read_only = access == Access::ReadOnly;
    const Fd control = TRY(open_file("/dev/loop-control", O_RDWR));
    constexpr int kAttempts = 16;  // another may take the free one first
    for (int attempt = 1;; ++attempt) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return fail_errno("find a free loop device");
        Device device;
        device.path = format("/dev/loop{}", number);
        device.fd = TRY(open_file(device.path, read_only ? O_RDONLY : O_RDWR));
        loop_config config{};
        config.fd = static_cast<std::uint32_t>(file_fd);
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
        if (::ioctl(device.fd.get(), LOOP_CONFIGURE, &config) == 0) return device;
        if (errno != EBUSY || attempt == kAttempts) return fail_errno("set up '{}'", device.path);
    }
}

}  // namespace coffer::sys::loop
