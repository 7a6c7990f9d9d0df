#pragma once
// Files as block devices, loop(4). Stateless; safe from any thread.

#include <cstdint>
#include <string>

#include "sys/fd.hpp"

namespace coffer::sys::loop {

// The device is the file's as long as `fd` is open or something is mounted from it; then it is free
// again by itself.
struct Device {
    Fd fd;
    std::string path;  // /dev/loopN
};
enum class Access : std::uint8_t { ReadWrite, ReadOnly };
Result<Device> attach(int file_fd, Access access);

}  // namespace coffer::sys::loop
