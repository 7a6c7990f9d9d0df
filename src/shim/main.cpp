// coffer-shim: one per running container; and the helper that makes namespaces for the engine.

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "base/log.hpp"
#include "shim/namespaces.hpp"
#include "shim/supervisor.hpp"
#include "sys/file.hpp"
#include "sys/signal.hpp"

namespace coffer::shim {
namespace {

constexpr int kControl = 3;
// Killed later than all that it watches, sooner than what the kernel must keep.
constexpr std::string_view kOomScore = "-998";

Result<void> run(const std::string& argument) {
    if (::fcntl(kControl, F_SETFD, FD_CLOEXEC) != 0) {
        return fail_errno("descriptor {} is the control socket", kControl);
    }
    sys::Fd control(kControl);
    // Neither a folder nor a mount of who started us is held busy.
    if (::chdir("/") != 0) return fail_errno("enter /");
    TRY(sys::signals::ignore_signal(SIGPIPE));
    ignore(sys::write_existing("/proc/self/oom_score_adj", kOomScore), "needs privilege");
    if (argument == "namespaces") return serve_namespaces(control.get());
    if (!argument.starts_with('/')) {
        return fail(Code::InvalidArgument, "the bundle '{}' is no absolute path", argument);
    }
    // Processes that lose their parent come to us, so that their end is seen.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return fail_errno("become subreaper");
    sys::Reactor reactor = TRY(sys::Reactor::create());
    Supervisor supervisor(reactor, argument);
    return supervisor.run(std::move(control));
}

}  // namespace
}  // namespace coffer::shim

int main(int argc, char** argv) {
    if (argc != 2) {
        coffer::log::write(coffer::log::Level::Error, "usage: coffer-shim BUNDLE | namespaces");
        return 2;
    }
    const auto done = coffer::shim::run(argv[1]);
    if (!done) {
        LOG_ERROR("coffer-shim: {}", done.error().message);
        return 1;
    }
    return 0;
}
