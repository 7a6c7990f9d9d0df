// Images on the host, without a container.
#include <algorithm>

#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

api::ImageMount to_api(const Images::Impl& images, const ImageMount& mount) {
    api::ImageMount out{.image = mount.image, .repo_tags = {}, .path = mount.path};
    if (const auto record = images.store.images().get(mount.image))
        out.repo_tags = familiar_names(record->tags);
    return out;
}

}  // namespace

Result<std::vector<api::ImageMount>> Images::mounts() const {
    std::vector<api::ImageMount> out;
    for (const ImageMount& one : TRY(impl_->mounts.list())) out.push_back(to_api(*impl_, one));
    return out;
}

Result<api::ImageMount> Images::mount(const std::string& name, const std::string& path) {
    // A file system that hangs holds up nobody else.
    sys::Fd place = path.empty() ? sys::Fd() : TRY(ImageMounts::open_place(path));
    // Nobody removes it meanwhile.
    const std::scoped_lock lock(impl_->changing);
    const auto record = TRY(impl_->find_record(name));
    TRY(impl_->check_pin(name, record));
    TRY(impl_->check_trust(name, record));
    const auto layers = TRY(impl_->store.layers().lower_dirs(record.chain_id));
    const auto mounted = TRY(impl_->mounts.mount(record.id, layers, std::move(place)));
    touch(record.id);
    impl_->publish("mount", record.id, name, record.id);
    return to_api(*impl_, mounted);
}

Result<void> Images::Impl::unmount(const ImageMount& mount) {
    // As above: not under the lock.
    const sys::Fd place = TRY(ImageMounts::open(mount));
    const std::scoped_lock lock(changing);
    return mounts.unmount(mount, place);
}

Result<std::vector<api::ImageMount>> Images::unmount(const std::string& target) {
    std::vector<ImageMount> wanted = TRY(impl_->mounts.list());
    if (target.starts_with('/')) {
        std::erase_if(wanted, [&](const ImageMount& one) { return one.path != target; });
        if (wanted.empty()) return fail(Code::NotFound, "no image is mounted at '{}'", target);
    } else {
        const std::string id = TRY(impl_->find(target));
        std::erase_if(wanted, [&](const ImageMount& one) { return one.image != id; });
        if (wanted.empty()) return fail(Code::NotFound, "image {} is not mounted", target);
    }
    std::vector<api::ImageMount> done;
    // Of two at one path the upper one, which is the later.
    std::reverse(wanted.begin(), wanted.end());
    for (const ImageMount& one : wanted) {
        TRY(impl_->unmount(one));
        touch(one.image);
        impl_->publish("unmount", one.image, one.image, one.image);
        done.push_back(to_api(*impl_, one));
    }
    return done;
}

Result<std::vector<std::string>> Images::stray_mounts(bool repair) {
    std::vector<std::string> strays;
    for (const ImageMount& one : TRY(impl_->mounts.list())) {
        if (impl_->store.images().get(one.image)) continue;
        if (repair) TRY(impl_->unmount(one));
        strays.push_back(one.path);
    }
    return strays;
}

}  // namespace coffer::engine
