#include "engine/image_mounts.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "base/hash.hpp"
#include "runtime/rootfs.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace coffer::engine {

namespace {

namespace m = sys::mount;
using sys::Fd;

constexpr std::uint64_t kFlags = m::kReadOnly | m::kNoSuid | m::kNoDev;
constexpr std::string_view kEmpty = "/empty";  // a layer without files; nothing is ever in it

// On a thread that ends with it: a working folder, or a mount namespace, is nobody else's then.
Result<void> run_apart(int what_is_its_own, const std::function<Result<void>()>& work) {
    Result<void> done;
    std::thread([&] {
        done = ::unshare(what_is_its_own) == 0 ? work() : fail_errno("set a thread apart");
    }).join();
    return done;
}

}  // namespace

std::string ImageMounts::source_of(std::string_view image) const {
    return format("{}-image:{}", engine_, image);
}

void ImageMounts::tidy() const {
    const auto names = sys::list_dir(folder_);
    if (!names) return;
    for (const std::string& name : *names) {
        const std::string path = folder_ + "/" + name;
        if (path != folder_ + std::string(kEmpty)) ::rmdir(path.c_str());  // not of a mount
    }
}

Result<std::vector<ImageMount>> ImageMounts::list() const {
    const std::string own = source_of("");
    std::vector<ImageMount> found;
    for (m::Mounted& one : m::parse_mountinfo(TRY(sys::read_file("/proc/self/mountinfo")))) {
        if (one.type != "overlay" || !one.source.starts_with(own)) continue;
        found.push_back({one.source.substr(own.size()), std::move(one.point), one.id});
    }
    return found;
}

Result<std::vector<ImageMount>> ImageMounts::of(std::string_view image) const {
    std::vector<ImageMount> found = TRY(list());
    std::erase_if(found, [&](const ImageMount& one) { return one.image != image; });
    return found;
}

Result<Fd> ImageMounts::open_own(const std::string& image) const {
    const std::string own = folder_ + "/" + std::string(hex_of(image));
    TRY(sys::make_dirs(own, 0700));
    return sys::open_file(own, O_PATH | O_DIRECTORY);
}

Result<Fd> ImageMounts::open_place(const std::string& path) {
    if (!path.starts_with('/'))
        return fail(Code::InvalidArgument, "'{}' is not an absolute path", path);
    return sys::open_file(path, O_PATH | O_DIRECTORY);
}

Result<ImageMount> ImageMounts::mount(const std::string& image,
                                      const std::vector<std::string>& layers, Fd place) const {
    TRY(sys::make_dirs(folder_ + std::string(kEmpty), 0700));
    const bool is_own = !place;
    if (is_own) place = TRY(open_own(image));
    const std::string point =
        TRY(sys::read_link(AT_FDCWD, format("/proc/self/fd/{}", place.get())));
    for (ImageMount& one : TRY(list())) {
        if (one.path != point) continue;
        if (is_own) return std::move(one);
        return fail(Code::Conflict, "image {} is mounted at '{}'", one.image, point);
    }
    const Fd home = TRY(sys::open_file("/proc/thread-self/ns/mnt", O_RDONLY));
    std::vector<Fd> lowers;
    lowers.reserve(layers.size() + 1);
    for (const std::string& layer : layers)
        lowers.push_back(TRY(runtime::open_layer(layer, -1, kFlags)));
    // Two are the least that overlayfs takes.
    lowers.push_back(TRY(runtime::open_layer(folder_ + std::string(kEmpty), -1, kFlags)));
    // Where the kernel wants the layers attached somewhere, it is out of everybody's sight.
    const auto attached = run_apart(CLONE_NEWNS, [&]() -> Result<void> {
        TRY(m::isolate_propagation());
        const Fd scratch = TRY(sys::open_file(folder_ + std::string(kEmpty), O_PATH | O_DIRECTORY));
        std::vector<int> fds;
        fds.reserve(lowers.size());
        for (const Fd& lower : lowers) fds.push_back(lower.get());
        const Fd overlay = TRY(m::create_overlay(fds, -1, scratch.get(), kFlags, source_of(image)));
        if (::setns(home.get(), CLONE_NEWNS) != 0)
            return fail_errno("return to the mount namespace");
        return m::attach(overlay.get(), place.get());
    });
    TRY_CONTEXT(attached, "mount image {} at '{}'", image, point);
    for (ImageMount& one : TRY(of(image))) {
        if (one.path == point) return std::move(one);
    }
    return fail(Code::Internal, "image {} is not mounted at '{}'", image, point);
}

Result<Fd> ImageMounts::open(const ImageMount& mount) {
    const sys::RootedDir root = TRY(sys::RootedDir::open("/"));
    return root.open_no_links(mount.path, O_PATH | O_DIRECTORY);
}

Result<void> ImageMounts::unmount(const ImageMount& mount, const Fd& place) const {
    // What lies at that path may have changed: only the very mount is taken away.
    if (!TRY(m::is_mount_root(place.get())) || TRY(m::mount_id(place.get())) != mount.mount)
        return fail(Code::Conflict, "something else is mounted at '{}'", mount.path);
    const auto detached = run_apart(CLONE_FS, [&]() -> Result<void> {
        if (::fchdir(place.get()) != 0) return fail_errno("enter it");
        return m::detach_working_folder();
    });
    TRY_CONTEXT(detached, "unmount '{}'", mount.path);
    if (mount.path == folder_ + "/" + std::string(hex_of(mount.image))) ::rmdir(mount.path.c_str());
    return {};
}

}  // namespace coffer::engine
