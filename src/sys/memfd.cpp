#include "sys/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace coffer::sys {

namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

}  // namespace

Result<Fd> create_memfd(const char* name, unsigned flags) {
    Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
    if (!fd) return fail_errno("create memory file '{}'", name);
    return fd;
}

Result<void> seal(const Fd& fd) {
    // EBUSY: another processor still holds pages that were just written, for the moment it takes to
    // put them into the kernel's lists.
    constexpr int kAttempts = 1000;
    for (int attempt = 0; ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0; ++attempt) {
        if (errno != EBUSY || attempt == kAttempts) return fail_errno("seal memory file");
        const timespec time{0, 1000 * 1000};
        ::nanosleep(&time, nullptr);
    }
    return {};
}

bool is_sealed(int fd) {
    return ::fcntl(fd, F_GET_SEALS) == kSeals;
}

Result<Fd> sealed_memfd(const char* name, std::string_view bytes) {
    Fd fd = TRY(create_memfd(name, 0));
    TRY(write_all(fd.get(), bytes));
    TRY(seal(fd));
    return fd;
}

}  // namespace coffer::sys
