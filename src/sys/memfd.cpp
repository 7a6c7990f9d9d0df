#include "sys/memfd.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

#include "sys/file.hpp"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace coffer::sys {

namespace {

constexpr const char* kOurProgram = "/proc/self/exe";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

Result<Fd> create(const char* name, unsigned flags) {
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

// Up to the end of what the kernel loads: debugging information is several times as large.
Result<off_t> loaded_size(const Fd& program) {
    ElfW(Ehdr) header{};
    const auto read_at = [&](void* into, std::size_t size, std::uint64_t offset) {
        return ::pread(program.get(), into, size, static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(size);
    };
    if (!read_at(&header, sizeof header, 0)) return fail_errno("read '{}'", kOurProgram);
    std::vector<ElfW(Phdr)> segments(header.e_phnum);
    if (!read_at(segments.data(), segments.size() * sizeof(ElfW(Phdr)), header.e_phoff)) {
        return fail_errno("read '{}'", kOurProgram);
    }
    std::uint64_t end = 0;
    for (const auto& segment : segments) end = std::max(end, segment.p_offset + segment.p_filesz);
    return static_cast<off_t>(end);
}

Result<Fd> copy_program(const Fd& program) {
    const off_t size = TRY(loaded_size(program));
    auto created = create(program_invocation_short_name, MFD_EXEC);
    // Linux 6.2 and older do not know the flag; their memory files can be executed anyway.
    if (!created && created.error().sys_errno == EINVAL) {
        created = create(program_invocation_short_name, 0);
    }
    Fd copy = TRY(std::move(created));
    for (off_t done = 0; done < size;) {
        const ssize_t n =
            ::sendfile(copy.get(), program.get(), &done, static_cast<std::size_t>(size - done));
        if (n < 0 && errno != EINTR) return fail_errno("copy '{}'", kOurProgram);
        if (n == 0) return fail(Code::Internal, "copy '{}': it has become shorter", kOurProgram);
    }
    TRY(seal(copy));
    return copy;
}

}  // namespace

Result<Fd> sealed_memfd(const char* name, std::string_view bytes) {
    Fd fd = TRY(create(name, 0));
    TRY(write_all(fd.get(), bytes));
    TRY(seal(fd));
    return fd;
}

Result<void> run_from_sealed_copy(char* const* argv) {
    const Fd program = TRY(open_file(kOurProgram, O_RDONLY));
    // Only memory files have seals.
    if (::fcntl(program.get(), F_GET_SEALS) == kSeals) {
        if (::fchmod(program.get(), 0) != 0) return fail_errno("set mode of the sealed program");
        ::prctl(PR_SET_NAME, program_invocation_short_name);  // the kernel took it from the number
        return {};
    }
    const Fd copy = TRY(copy_program(program));
    ::fexecve(copy.get(), argv, environ);
    return fail_errno("execute the sealed copy of '{}'", program_invocation_name);
}

}  // namespace coffer::sys
