#include "files/view.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "archive/jail.hpp"
#include "runtime/rootfs.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"
#include "sys/process.hpp"

namespace coffer::files {

namespace {

using sys::Fd;
namespace m = sys::mount;

// A folder may be open in each layer of two images, and so may those that it lies in.
constexpr std::uint64_t kDescriptors = 65536;
// Ids of the host that no file has, for as long as we look.
constexpr sys::ns::IdMap kIds{0, 0x80000000U, 65536};

// Those of a folder are whatever has come into it, as in archive/jail.cpp.
constexpr sys::ns::IdMap kAllIds{0, 0x80000000U, 0x7ffffffeU};

Result<void> lock(const View& view, sys::cred::CapSet keep, bool read_only) {
    // After the last change of ids, which clears it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_errno("set death signal");
    std::vector<int> folders = {view.root.get()};
    for (const auto* layers : {&view.lowers, &view.bases}) {
        for (const Fd& layer : *layers) folders.push_back(layer.get());
    }
    return archive::lock_up({.folders = folders,
                             .read_only = read_only,
                             .keep = keep,
                             .calls = {"flistxattr", "fgetxattr", "fremovexattr", "fstatfs",
                                       "sendfile", "copy_file_range"},
                             .descriptors = kDescriptors});
}

Result<void> become_containers_root() {
    TRY(sys::ns::become_root());
    ::umask(0);
    return {};
}

Result<View> join_container() {
    // Both at once: the rights over the one come with the other.
    if (::setns(kPidfd, CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return fail_errno("join the namespaces of the container");
    }
    ::close(kPidfd);
    TRY(become_containers_root());
    return View{TRY(sys::open_file("/", O_RDONLY | O_DIRECTORY)), {}};
}

// `root` is attached somewhere in our mount namespace.
Result<View> move_in(const Fd& root, const Fd& userns) {
    if (::fchdir(root.get()) != 0) return fail_errno("enter root file system");
    TRY(m::pivot_to_working_folder());
    TRY(sys::ns::enter(userns.get(), sys::ns::Kind::User));
    TRY(become_containers_root());
    return View{TRY(sys::open_file("/", O_RDONLY | O_DIRECTORY)), {}};
}

Result<View> assemble(const Request& request) {
    const Fd userns = TRY(sys::ns::create_user({kIds}, {kIds}));
    const oci::Spec spec = TRY_CONTEXT(json::decode<oci::Spec>(request.spec), "read the spec");
    runtime::MountContext context;
    context.user_namespace = true;
    context.root_uid = kIds.outside;
    context.root_gid = kIds.outside;
    context.uids = {kIds};
    context.gids = {kIds};
    context.bundle = request.upper_dir;
    runtime::CreateOptions options;
    options.overlay = {request.lower_dirs, request.upper_dir};
    const auto mounts = TRY(runtime::plan_mounts(spec, context));
    const runtime::RootfsRequest rootfs{spec, options, context, mounts, userns.get()};
    runtime::SourceTrees trees = TRY(runtime::open_sources(rootfs));
    TRY(m::unshare_namespace());
    const Fd root = TRY(runtime::assemble(rootfs, trees));
    return move_in(root, userns);
}

Result<View> stack(const Request& request) {
    const Fd userns = TRY(sys::ns::create_user({kIds}, {kIds}));
    std::vector<Fd> layers;
    constexpr std::uint64_t kFlags = m::kReadOnly | m::kNoSuid | m::kNoDev | m::kNoExec;
    const auto add = [&](const std::string& dir) -> Result<void> {
        layers.push_back(TRY(runtime::open_layer(dir, userns.get(), kFlags)));
        return {};
    };
    TRY(add(request.upper_dir + "/diff"));
    for (const std::string& dir : request.lower_dirs) TRY(add(dir));
    TRY(m::unshare_namespace());
    const Fd place = TRY(sys::open_file(request.upper_dir, O_PATH | O_DIRECTORY));
    const Fd root = TRY(runtime::stack_layers(std::move(layers), place.get(), kFlags));
    TRY(m::attach(root.get(), place.get()));
    return move_in(root, userns);
}

Result<View> open_layers(const Request& request) {
    View view;
    const auto open = [](const std::vector<std::string>& dirs) -> Result<std::vector<Fd>> {
        std::vector<Fd> layers;
        layers.reserve(dirs.size());
        for (const std::string& dir : dirs) {
            layers.push_back(TRY(sys::open_file(dir, O_RDONLY | O_DIRECTORY)));
        }
        return layers;
    };
    view.lowers = TRY(open(request.lower_dirs));
    view.bases = TRY(open(request.base_dirs));
    std::string root = request.upper_dir + "/diff";
    if (request.place == Place::Images) {
        const auto& dirs = request.lower_dirs.empty() ? request.base_dirs : request.lower_dirs;
        if (dirs.empty()) return fail(Code::InvalidArgument, "no layers");
        root = dirs.front();
    }
    view.root = TRY(sys::open_file(root, O_RDONLY | O_DIRECTORY));
    if (::fchdir(view.root.get()) != 0 || ::chroot(".") != 0) return fail_errno("change root");
    return view;
}

Result<View> open_folder(const Request& request) {
    const Fd userns = TRY(sys::ns::create_user({kAllIds}, {kAllIds}));
    const auto open = [&](const std::string& path) {
        return runtime::open_layer(path, userns.get(), m::kNoSuid | m::kNoDev | m::kNoExec);
    };
    if (request.lower_dirs.size() != 1) return fail(Code::InvalidArgument, "no folder");
    const Fd root = TRY(open(request.lower_dirs[0]));
    std::vector<Fd> targets;
    for (const std::string& path : request.base_dirs) {
        const Fd tree = TRY(open(path));
        targets.push_back(TRY(sys::open_at(tree.get(), ".", O_RDONLY | O_DIRECTORY)));
    }
    TRY(m::unshare_namespace());
    const Fd place = TRY(sys::open_file(request.lower_dirs[0], O_PATH | O_DIRECTORY));
    TRY(m::attach(root.get(), place.get()));
    View view = TRY(move_in(root, userns));
    view.bases = std::move(targets);
    return view;
}

Result<View> open_view(const Request& request) {
    switch (request.place) {
        case Place::Running:
            return join_container();
        case Place::Assembled:
            return assemble(request);
        case Place::Image:
            return stack(request);
        case Place::Layers:
        case Place::Images:
            return open_layers(request);
        case Place::Folder:
            return open_folder(request);
    }
    return fail(Code::Internal, "no place");
}

}  // namespace

Result<View> enter_view(const Request& request) {
    sys::assert_single_threaded();
    TRY(sys::cred::set_not_dumpable());
    View view = TRY(open_view(request));
    const bool reads_layers = request.place == Place::Layers || request.place == Place::Images;
    const sys::cred::CapSet keep =
        TRY(reads_layers ? sys::cred::parse_capabilities({"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"})
                         : archive::extraction_rights());
    TRY(lock(view, keep,
             reads_layers || (request.verb != Verb::Write && request.verb != Verb::Copy)));
    return view;
}

}  // namespace coffer::files
