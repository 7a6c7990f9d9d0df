#include "runtime/devices.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

constexpr std::pair<const char*, const char*> kLinks[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

Result<mode_t> type_of(const oci::LinuxDevice& device) {
    if (device.type == "c" || device.type == "u") return S_IFCHR;
    if (device.type == "b") return S_IFBLK;
    if (device.type == "p") return S_IFIFO;
    return fail(Code::InvalidArgument, "device '{}': type '{}'", device.path, device.type);
}

Result<void> make_node(int folder_fd, const std::string& name, const oci::LinuxDevice& device,
                       const MountContext& context) {
    const mode_t type = TRY(type_of(device));
    const auto mode = static_cast<mode_t>(device.file_mode.value_or(0666) & 07777);
    const dev_t number =
        ::makedev(static_cast<unsigned>(device.major), static_cast<unsigned>(device.minor));
    if (::mknodat(folder_fd, name.c_str(), type | mode, number) != 0) {
        return fail_errno("create device '{}'", device.path);
    }
    if (::fchmodat(folder_fd, name.c_str(), mode, 0) != 0) {
        return fail_errno("set mode of device '{}'", device.path);
    }
    if (!device.uid && !device.gid) return {};
    std::uint32_t uid = device.uid.value_or(0);
    std::uint32_t gid = device.gid.value_or(0);
    if (context.user_namespace) {
        uid = TRY_CONTEXT(sys::ns::map_id(context.uids, uid), "owner of device '{}'", device.path);
        gid = TRY_CONTEXT(sys::ns::map_id(context.gids, gid), "group of device '{}'", device.path);
    }
    if (::fchownat(folder_fd, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("set owner of device '{}'", device.path);
    }
    return {};
}

// The folder below /dev that a device goes into, made, and its name there.
struct Place {
    sys::Fd folder;
    std::string name;
};
Result<Place> place_of(const sys::RootedDir& dev, const oci::LinuxDevice& device) {
    const std::string below = clean_path(device.path).substr(4);
    const std::size_t slash = below.rfind('/');
    // Nobody else sees this tmpfs yet; only earlier entries of the same list can be in the way.
    return Place{TRY(dev.make_dirs(below.substr(0, slash))), below.substr(slash + 1)};
}

// The host's own node, as a mount, for who may not make any.
Result<sys::Fd> open_hosts(const oci::LinuxDevice& device) {
    const std::string path = clean_path(device.path);
    sys::Fd tree = TRY_CONTEXT(sys::mount::clone_tree(AT_FDCWD, path, sys::mount::Depth::One),
                               "device '{}'", path);
    struct stat status {};
    if (::fstat(tree.get(), &status) != 0) return fail_errno("stat '{}'", path);
    const bool same = (status.st_mode & S_IFMT) == TRY(type_of(device)) &&
                      status.st_rdev == ::makedev(static_cast<unsigned>(device.major),
                                                  static_cast<unsigned>(device.minor));
    if (!same) return fail(Code::Forbidden, "device '{}': the host's is another one", path);
    return tree;
}

}  // namespace

namespace {

// What every container has of its own there, whatever the host's device of that name is.
bool is_our_own(const oci::Spec& spec, const std::string& path) {
    return path == "/dev/ptmx" ||
           (path == "/dev/console" && spec.process && spec.process->terminal);
}

// Below /dev: those that every container has, unless the spec says otherwise, and the spec's.
std::vector<oci::LinuxDevice> all_devices(const oci::Spec& spec) {
    const auto& wanted = spec.linux->devices;
    std::vector<oci::LinuxDevice> all;
    for (const oci::LinuxDevice& device : default_devices()) {
        const auto is_same = [&](const auto& other) {
            return clean_path(other.path) == device.path;
        };
        if (std::none_of(wanted.begin(), wanted.end(), is_same)) all.push_back(device);
    }
    for (const oci::LinuxDevice& device : wanted) {
        const std::string path = clean_path(device.path);
        if (is_below(path, "/dev") && !is_our_own(spec, path)) all.push_back(device);
    }
    return all;
}

}  // namespace

const std::vector<oci::LinuxDevice>& default_devices() {
    static const std::vector<oci::LinuxDevice> devices = [] {
        std::vector<oci::LinuxDevice> list;
        for (const auto& [path, minor] : {std::pair<const char*, int>{"/dev/null", 3},
                                          {"/dev/zero", 5},
                                          {"/dev/full", 7},
                                          {"/dev/random", 8},
                                          {"/dev/urandom", 9}}) {
            list.push_back({path, "c", 1, minor, 0666, {}, {}});
        }
        list.push_back({"/dev/tty", "c", 5, 0, 0666, {}, {}});
        return list;
    }();
    return devices;
}

std::vector<oci::LinuxDevice> devices_elsewhere(const oci::Spec& spec) {
    std::vector<oci::LinuxDevice> elsewhere;
    for (const oci::LinuxDevice& device : spec.linux->devices) {
        if (!is_below(clean_path(device.path), "/dev")) elsewhere.push_back(device);
    }
    return elsewhere;
}

Result<sys::Fd> open_device(const sys::Fd& nodes, const std::string& name,
                            const oci::LinuxDevice& device, const MountContext& context) {
    if (context.unprivileged) return open_hosts(device);
    TRY(make_node(nodes.get(), name, device, context));
    return sys::mount::clone_tree(nodes.get(), name, sys::mount::Depth::One);
}

Result<void> bind_devices(const sys::Fd& mount, const oci::Spec& spec) {
    const sys::RootedDir dev(TRY(mount.duplicate()));
    for (const oci::LinuxDevice& device : all_devices(spec)) {
        const sys::Fd tree = TRY(open_hosts(device));
        const auto [folder, name] = TRY(place_of(dev, device));
        TRY(sys::open_at(folder.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0666));
        const sys::Fd place = TRY(sys::open_at(folder.get(), name, O_PATH | O_NOFOLLOW));
        TRY_CONTEXT(sys::mount::attach(tree.get(), place.get()), "device '{}'", device.path);
    }
    return {};
}

Result<sys::Fd> make_dev(const oci::Spec& spec, const MountPlan& plan,
                         const MountContext& context) {
    sys::Fd mount = TRY(sys::mount::create(
        "tmpfs", plan.options, plan.attributes.set & ~sys::mount::kReadOnly & ~sys::mount::kNoDev,
        "tmpfs"));
    const sys::RootedDir dev(TRY(mount.duplicate()));
    if (!context.unprivileged) {
        for (const oci::LinuxDevice& device : all_devices(spec)) {
            const auto [folder, name] = TRY(place_of(dev, device));
            TRY(make_node(folder.get(), name, device, context));
        }
    }
    for (const auto& [name, target] : kLinks) {
        if (::symlinkat(target, mount.get(), name) != 0) return fail_errno("create /dev/{}", name);
    }
    if (spec.process && spec.process->terminal) {
        TRY(sys::open_at(mount.get(), "console", O_CREAT | O_EXCL | O_WRONLY, 0600));
    }
    return mount;
}

}  // namespace coffer::runtime
