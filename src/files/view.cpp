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
using sys::mount::Depth;
namespace m = sys::mount;

// Ids of the host that no file has, for as long as we look.
constexpr sys::ns::IdMap kIds{0, 0x80000000U, 65536};

Result<void> lock(const View& view, sys::cred::CapSet keep, bool read_only) {
    // After the last change of ids, which clears it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_errno("set death signal");
    std::vector<int> folders = {view.root.get()};
    for (const Fd& lower : view.lowers) folders.push_back(lower.get());
    return archive::lock_up({.folders = folders,
                             .read_only = read_only,
                             .keep = keep,
                             .calls = {"flistxattr", "fgetxattr", "fstatfs"}});
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

Result<void> own_mount_namespace() {
    if (::unshare(CLONE_NEWNS) != 0) return fail_errno("create mount namespace");
    return m::isolate_propagation();
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
    TRY(own_mount_namespace());
    const Fd root = TRY(runtime::assemble(rootfs, trees));
    return move_in(root, userns);
}

Result<Fd> open_layer(const std::string& path, const Fd& userns) {
    Fd tree = TRY(m::clone_tree(AT_FDCWD, path, Depth::One));
    TRY_CONTEXT(m::set_attributes(tree.get(),
                                  {.set = m::kReadOnly | m::kNoSuid | m::kNoDev | m::kNoExec,
                                   .propagation = m::Propagation::Private,
                                   .idmap_userns = userns.get()},
                                  Depth::One),
                "layer '{}'", path);
    return tree;
}

// Without an upper layer, overlayfs needs two others and a single folder is what it is.
Result<View> stack(const Request& request) {
    const Fd userns = TRY(sys::ns::create_user({kIds}, {kIds}));
    std::vector<Fd> layers;
    layers.push_back(TRY(open_layer(request.upper_dir + "/diff", userns)));
    for (const std::string& dir : request.lower_dirs) {
        layers.push_back(TRY(open_layer(dir, userns)));
    }
    TRY(own_mount_namespace());
    const Fd place = TRY(sys::open_file(request.upper_dir, O_PATH | O_DIRECTORY));
    Fd root = layers.size() == 1 ? std::move(layers.front()) : Fd();
    if (!root) {
        std::vector<int> fds;
        fds.reserve(layers.size());
        for (const Fd& layer : layers) fds.push_back(layer.get());
        constexpr std::uint64_t kFlags = m::kReadOnly | m::kNoSuid | m::kNoDev;
        auto overlay = m::create_overlay(fds, -1, -1, kFlags);
        if (!overlay && overlay.error().code == Code::NotImplemented) {
            overlay = m::overlay_by_path(fds, -1, place.get(), kFlags);
        }
        root = TRY(std::move(overlay));
    }
    TRY(m::attach(root.get(), place.get()));
    return move_in(root, userns);
}

Result<View> open_layers(const Request& request) {
    View view;
    view.root = TRY(sys::open_file(request.upper_dir + "/diff", O_RDONLY | O_DIRECTORY));
    for (const std::string& dir : request.lower_dirs) {
        view.lowers.push_back(TRY(sys::open_file(dir, O_RDONLY | O_DIRECTORY)));
    }
    if (::fchdir(view.root.get()) != 0 || ::chroot(".") != 0) return fail_errno("change root");
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
            return open_layers(request);
    }
    return fail(Code::Internal, "no place");
}

}  // namespace

Result<View> enter_view(const Request& request) {
    sys::assert_single_threaded();
    TRY(sys::cred::set_not_dumpable());
    View view = TRY(open_view(request));
    const bool reads_layers = request.place == Place::Layers;
    const sys::cred::CapSet keep =
        TRY(reads_layers ? sys::cred::parse_capabilities({"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"})
                         : archive::extraction_rights());
    TRY(lock(view, keep, reads_layers || request.verb != Verb::Write));
    return view;
}

}  // namespace coffer::files
