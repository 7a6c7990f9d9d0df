#include "sys/own_program.hpp"

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
#include <climits>
#include <cstdlib>
#include <vector>

#include "base/text.hpp"
#include "sys/file.hpp"
#include "sys/memfd.hpp"
#include "sys/mount.hpp"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace coffer::sys {

namespace {

constexpr const char* kOurProgram = "/proc/self/exe";
// How the second execution finds the mount of its program: the number of a descriptor.
constexpr const char* kMountVariable = "COFFER_PROGRAM_MOUNT";

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
    auto created = create_memfd(program_invocation_short_name, MFD_EXEC);
    // Linux 6.2 and older do not know the flag; their memory files can be executed anyway.
    if (!created && created.error().sys_errno == EINVAL) {
        created = create_memfd(program_invocation_short_name, 0);
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

struct View {
    Fd mount;
    Fd program;
};

bool same_file(int one, int other) {
    struct stat a {};
    struct stat b {};
    return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// The program's folder as the lower layer of an overlay that has no upper one.
Result<View> open_view(const Fd& program) {
    const std::string path = TRY(read_link(AT_FDCWD, kOurProgram));
    const std::size_t slash = path.rfind('/');
    const std::string folder = path.substr(0, std::max<std::size_t>(slash, 1));
    if (folder.find_first_of(":,\\") != std::string::npos) {
        return fail(Code::InvalidArgument, "'{}' cannot be an option of a mount", folder);
    }
    View view;
    // The kernel wants two layers; nobody looks into the second one.
    view.mount = TRY(mount::create("overlay", {{"lowerdir", format("{}:/dev", folder)}},
                                   mount::kNoSuid | mount::kNoDev));
    view.program = TRY(open_at(view.mount.get(), path.substr(slash + 1), O_RDONLY | O_NOFOLLOW));
    if (same_file(view.program.get(), program.get())) return view;
    return fail(Code::Conflict, "'{}' has been replaced", path);
}

// The mount that we run from, if the descriptor that we were told of is its.
Fd mount_of_view(const Fd& program) {
    const char* text = std::getenv(kMountVariable);  // NOLINT(concurrency-mt-unsafe): one thread
    const auto number = text == nullptr ? std::nullopt : parse_uint(text);
    ::unsetenv(kMountVariable);  // NOLINT(concurrency-mt-unsafe)
    if (!number || *number < 3 || *number > INT_MAX) return {};
    Fd mount(static_cast<int>(*number));
    const auto info = mount::info(mount.get());
    if (info && info->type == mount::kOverlayMagic &&
        mount::same_mount(mount.get(), program.get()).value_or(false)) {
        return mount;
    }
    mount.release();  // of somebody else
    return {};
}

void keep_name() {
    ::prctl(PR_SET_NAME, program_invocation_short_name);  // the kernel took it from the number
}

}  // namespace

Result<void> run_from_protected_program(char* const* argv) {
    const Fd program = TRY(open_file(kOurProgram, O_RDONLY));
    if (const Fd mount = mount_of_view(program)) {
        keep_name();
        return mount::set_attributes(mount.get(), {.set = mount::kNoExec}, mount::Depth::One);
    }
    // Only memory files have seals.
    if (is_sealed(program.get())) {
        if (::fchmod(program.get(), 0) != 0) return fail_errno("set mode of the sealed program");
        keep_name();
        return {};
    }
    if (auto view = open_view(program)) {
        const Fd kept(::fcntl(view->mount.get(), F_DUPFD, 3));
        // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
        if (kept && ::setenv(kMountVariable, format("{}", kept.get()).c_str(), 1) == 0) {
            ::fexecve(view->program.get(), argv, environ);
        }
        ::unsetenv(kMountVariable);  // NOLINT(concurrency-mt-unsafe)
    }
    const Fd copy = TRY(copy_program(program));
    ::fexecve(copy.get(), argv, environ);
    return fail_errno("execute the sealed copy of '{}'", program_invocation_name);
}

}  // namespace coffer::sys
