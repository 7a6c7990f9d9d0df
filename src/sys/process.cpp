#include "sys/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "sys/file.hpp"

// Where the program begins and its code ends, from the linker: nothing writable lies between.
extern "C" char __executable_start, etext;  // NOLINT(readability-identifier-naming)

namespace coffer::sys {

namespace {

constexpr std::size_t kStackSize = 64 * 1024;
constexpr std::size_t kOutputLimit = 1024 * 1024;

// All that the child needs, prepared before it exists: it shares our memory and may only make
// async-signal-safe calls.
struct ChildPlan {
    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* env = nullptr;
    const char* cwd = nullptr;
    std::vector<std::pair<int, int>> fds;  // target, source; sources lie above every target
    unsigned highest = 2;
    bool new_session = false;
    int failed_errno = 0;
    const char* failed_step = nullptr;
};

int fail_in_child(ChildPlan& plan, const char* step) {
    plan.failed_errno = errno;
    plan.failed_step = step;
    return 127;
}

// Runs on the parent's memory while the parent is suspended (CLONE_VFORK).
int child_main(void* argument) {
    ChildPlan& plan = *static_cast<ChildPlan*>(argument);
    // Handlers of the parent must not run here, and an ignored SIGPIPE must not be inherited.
    struct sigaction initial {};
    initial.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &initial, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the child is a process of its own
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    if (plan.new_session && ::setsid() < 0) return fail_in_child(plan, "start session");
    for (const auto& [target, source] : plan.fds) {
        if (::dup2(source, target) < 0) return fail_in_child(plan, "pass descriptor");
    }
    if (::syscall(SYS_close_range, plan.highest + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) != 0) {
        return fail_in_child(plan, "close descriptors");
    }
    if (plan.cwd != nullptr && ::chdir(plan.cwd) != 0) return fail_in_child(plan, "enter folder");
    ::execve(plan.path, plan.argv, plan.env);
    return fail_in_child(plan, "execute");
}

int shell_status(const siginfo_t& info) {
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> out;
    out.reserve(strings.size() + 1);
    for (const std::string& text : strings) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        reset();
        pid_ = std::exchange(other.pid_, -1);
        pidfd_ = std::move(other.pidfd_);
    }
    return *this;
}

Result<void> Process::signal(int number) const {
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) != 0) {
        return fail_errno("signal process {}", pid_);
    }
    return {};
}

Result<std::optional<int>> Process::wait(std::optional<std::chrono::milliseconds> limit) {
    pollfd ready{pidfd_.get(), POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + limit.value_or(std::chrono::hours(1));
    for (;;) {
        int left = -1;
        if (limit) {
            const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            left = static_cast<int>(std::max<std::int64_t>(0, rest.count()));
        }
        const int n = ::poll(&ready, 1, left);
        if (n == 0) return std::optional<int>();
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("wait for process {}", pid_);
        break;
    }
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0) {
        return fail_errno("reap process {}", pid_);
    }
    pid_ = -1;
    pidfd_.reset();
    return std::optional<int>(shell_status(info));
}

void Process::release() {
    pid_ = -1;
    pidfd_.reset();
}

Fd Process::take_pidfd() {
    pid_ = -1;
    return std::move(pidfd_);
}

void Process::reset() noexcept {
    if (pid_ <= 0) return;
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0 &&
           errno == EINTR) {
    }
    release();
}

Result<Process> spawn(const SpawnOptions& options) {
    const std::string& path =
        options.path.empty() && !options.argv.empty() ? options.argv[0] : options.path;
    if (options.argv.empty() || !path.starts_with('/')) {
        return fail(Code::InvalidArgument, "spawn: the program needs an absolute path");
    }
    const std::vector<char*> argv = pointers(options.argv);
    const std::vector<char*> env = pointers(options.env);
    const Fd null = TRY(open_file("/dev/null", O_RDWR));

    ChildPlan plan;
    plan.path = path.c_str();
    plan.argv = argv.data();
    plan.env = env.data();
    plan.cwd = options.cwd.empty() ? nullptr : options.cwd.c_str();
    plan.new_session = options.new_session;
    std::vector<std::pair<int, int>> wanted = {
        {0, null.get()}, {1, null.get()}, {2, STDERR_FILENO}};
    for (const auto& [target, source] : options.fds) {
        std::erase_if(wanted, [&, t = target](const auto& pair) { return pair.first == t; });
        wanted.emplace_back(target, source);
    }
    std::sort(wanted.begin(), wanted.end());
    plan.highest = static_cast<unsigned>(wanted.back().first);
    for (unsigned i = 0; i <= plan.highest; ++i) {
        if (wanted[std::min<std::size_t>(i, wanted.size() - 1)].first != static_cast<int>(i)) {
            return fail(Code::InvalidArgument, "spawn: descriptors are not numbered from 0 up");
        }
    }
    // Copies above every target, so that one dup2 cannot overwrite the source of the next.
    std::vector<Fd> copies;
    for (const auto& [target, source] : wanted) {
        Fd copy(::fcntl(source, F_DUPFD_CLOEXEC, static_cast<int>(plan.highest) + 1));
        if (!copy) return fail_errno("spawn: duplicate descriptor {}", source);
        plan.fds.emplace_back(target, copy.get());
        copies.push_back(std::move(copy));
    }

    void* stack = ::mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return fail_errno("spawn: allocate stack");
    // No signal may be handled between clone and exec: its handler would run on our memory.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    const int pid = ::clone(child_main, static_cast<char*>(stack) + kStackSize,
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
    const int clone_errno = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::munmap(stack, kStackSize);
    if (pid < 0) return fail_with(clone_errno, "spawn '{}'", path);
    Process process(pid, Fd(pidfd));
    if (plan.failed_step != nullptr) {
        return fail_with(plan.failed_errno, "spawn '{}': {}", path, plan.failed_step);
    }
    return process;
}

Result<Output> run(const SpawnOptions& options, std::string_view input,
                   std::chrono::milliseconds limit) {
    PipeEnds in = TRY(make_pipe());
    PipeEnds out = TRY(make_pipe());
    PipeEnds err = TRY(make_pipe());
    SpawnOptions with_pipes = options;
    with_pipes.fds.emplace_back(0, in.read.get());
    with_pipes.fds.emplace_back(1, out.write.get());
    with_pipes.fds.emplace_back(2, err.write.get());
    Process process = TRY(spawn(with_pipes));
    in.read.reset();
    out.write.reset();
    err.write.reset();
    if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("set non-blocking");

    Output output;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const auto drain = [](Fd& fd, std::string& text) {
        std::array<char, 16 * 1024> buffer;
        const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
        if (n > 0) {
            const std::size_t room = kOutputLimit - std::min(kOutputLimit, text.size());
            text.append(buffer.data(), std::min(room, static_cast<std::size_t>(n)));
        } else if (n == 0 || errno != EINTR) {
            fd.reset();
        }
    };
    while (out.read || err.read) {
        if (in.write && input.empty()) in.write.reset();
        std::array<pollfd, 3> polls{{{out.read.get(), POLLIN, 0},
                                     {err.read.get(), POLLIN, 0},
                                     {in.write.get(), POLLOUT, 0}}};
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (rest.count() <= 0) break;
        if (::poll(polls.data(), polls.size(), static_cast<int>(rest.count())) < 0 &&
            errno != EINTR) {
            return fail_errno("wait for '{}'", options.argv[0]);
        }
        if (polls[0].revents != 0) drain(out.read, output.out);
        if (polls[1].revents != 0) drain(err.read, output.err);
        if (polls[2].revents != 0) {
            const ssize_t n = ::write(in.write.get(), input.data(), input.size());
            if (n >= 0) input.remove_prefix(static_cast<std::size_t>(n));
            if (n < 0 && errno != EAGAIN && errno != EINTR) in.write.reset();
        }
    }
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const auto status = TRY(process.wait(std::max(rest, std::chrono::milliseconds(0))));
    if (!status) {
        return fail(Code::Unavailable, "'{}' did not end within {} ms", options.argv[0],
                    limit.count());
    }
    output.status = *status;
    return output;
}

void release_code_pages() {
    const auto page = ::sysconf(_SC_PAGESIZE);
    // Whole pages only: behind the last of them begins what can be written.
    ::madvise(&__executable_start,
              static_cast<std::size_t>((&etext - &__executable_start) / page * page),
              MADV_DONTNEED);
}

void assert_single_threaded() {
    const auto tasks = list_dir("/proc/self/task");
    if (!tasks || tasks->size() != 1) abort_at(__FILE__, __LINE__, "a process with threads clones");
}

}  // namespace coffer::sys
