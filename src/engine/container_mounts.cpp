// Volumes and images for the mounts of containers, and mounts that come and go, also while a
// container runs: the record changes first, so that what is mounted is held whatever happens.
#include <algorithm>

#include "base/log.hpp"
#include "base/rollback.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/images.hpp"
#include "engine/spec_builder.hpp"
#include "engine/volume_view.hpp"
#include "store/store.hpp"
#include "volume/local.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

using Mounts = std::vector<MountRecord>;

// Longer than the shim itself waits.
constexpr std::chrono::seconds kMountLimit{20};

auto depth_of(const std::string& path) {
    return std::count(path.begin(), path.end(), '/');
}

Mounts::iterator find_mount(Mounts& mounts, const std::string& target) {
    return std::find_if(mounts.begin(), mounts.end(),
                        [&](const MountRecord& mount) { return mount.target == target; });
}

// Out of the record, with what asked for them; what lies below others comes first.
Result<Mounts> take_mounts(Record& record, const std::vector<std::string>& targets) {
    Mounts taken;
    for (const std::string& given : targets) {
        const std::string target = TRY(clean_target(given));
        const auto found = find_mount(record.mounts, target);
        if (found == record.mounts.end()) {
            return fail(Code::InvalidArgument, "nothing is mounted on '{}' for its user", target);
        }
        if (!forget_mount(record.host_config, target)) {
            return fail(Code::InvalidArgument,
                        "the mount on '{}' is the image's or another container's", target);
        }
        taken.push_back(std::move(*found));
        record.mounts.erase(found);
    }
    std::stable_sort(taken.begin(), taken.end(), [](const auto& a, const auto& b) {
        return depth_of(a.target) > depth_of(b.target);
    });
    return taken;
}

Result<void> check_free(const Record& record, const std::vector<api::Mount>& add) {
    for (const api::Mount& mount : add) {
        const auto target = clean_target(mount.target);
        const bool taken =
            target && std::any_of(record.mounts.begin(), record.mounts.end(),
                                  [&](const auto& other) { return other.target == *target; });
        if (taken) return fail(Code::InvalidArgument, "Duplicate mount point: {}", *target);
    }
    return {};
}

std::vector<std::string> targets_of(const Mounts& mounts) {
    std::vector<std::string> targets;
    targets.reserve(mounts.size());
    for (const MountRecord& mount : mounts) targets.push_back(mount.target);
    return targets;
}

shim::Mounts request_for(const Record& record, const UnsettledMounts& change,
                         const ImageLayers& layers) {
    shim::Mounts request{.remove = change.removed, .add = {}, .settle = false};
    for (const MountRecord& mount : record.mounts) {
        const auto& added = change.added;
        if (std::find(added.begin(), added.end(), mount.target) == added.end()) continue;
        request.add.push_back(build_user_mount(mount, layers, record.id_base));
    }
    return request;
}

}  // namespace

Result<VolumeRef> Containers::Impl::take_volume(const std::string& id, const MountRecord& mount,
                                                const Caller& caller, Rollback& undo) {
    volume::Volumes& volumes = core.volumes;
    const auto known = volumes.find(mount.name);
    const bool held = known && known->users.contains(id);
    const volume::VolumeRequest request{.name = mount.name,
                                        .driver = mount.driver,
                                        .options = mount.driver_options,
                                        .labels = mount.labels};
    TRY(check_volume_rights(request, caller));
    const auto [made, is_new] = TRY(volumes.create(request, id));
    if (is_new) core.events.publish(volume_event("create", made.name));
    if (!held) {
        TRY(undo.add([&volumes, id, name = made.name, is_new = is_new] {
            volumes.release(id, name);
            if (is_new) ignore(volumes.remove(name), "an unused volume stays, and is shown");
        }));
    }
    const volume::LocalOptions options = TRY(volume::parse_local_options(made.options));
    return VolumeRef{made.name, made.path, !options.is_read_only()};
}

Result<void> Containers::Impl::mount_volumes(const std::string& id,
                                             std::vector<MountRecord>& mounts, Rollback& undo) {
    volume::Volumes& volumes = core.volumes;
    for (MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        const auto known = volumes.find(mount.name);
        const bool used = known && known->runs.contains(id);
        mount.source = TRY(volumes.begin_use(mount.name, id));
        if (used) continue;
        TRY(undo.add([&volumes, id, name = mount.name] { volumes.end_use(name, id); }));
    }
    return {};
}

void Containers::Impl::unmount_volumes(const std::string& id,
                                       const std::vector<MountRecord>& mounts) const {
    for (const MountRecord& mount : mounts)
        if (mount.type == "volume") core.volumes.end_use(mount.name, id);
}

Result<ImageRef> Containers::Impl::find_image(const std::string& name, store::Lease& lease) const {
    ImageForContainer found = TRY(core.images.take(name, {}, lease));
    return ImageRef{std::move(found.id), std::move(found.chain_id)};
}

Result<void> Containers::set_mounts(const std::string& name, const std::vector<api::Mount>& add,
                                    const std::vector<std::string>& remove, const Caller& caller) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    const Record before = claim.copy();
    Record record = before;
    if (container->removed()) {
        return fail(Code::Conflict, "Container is marked for removal and cannot be \"update\".");
    }
    const Mounts removed = TRY(take_mounts(record, remove));
    TRY(check_free(record, add));
    Rollback undo;
    const auto lease = impl_->core.store.lease();
    api::HostConfig wanted;
    wanted.mounts = add;
    Mounts added = TRY(collect_mounts(
        {}, wanted, {}, caller,
        [&](const std::string& image) { return impl_->find_image(image, *lease); },
        [&](const MountRecord& mount) {
            return impl_->take_volume(record.id, mount, caller, undo);
        }));
    std::stable_sort(added.begin(), added.end(), [](const auto& a, const auto& b) {
        return depth_of(a.target) < depth_of(b.target);
    });
    const auto link = container->link();
    const bool live = record.is_running() && link;
    if (live) TRY(impl_->mount_volumes(record.id, added, undo));
    record.mounts.insert(record.mounts.end(), added.begin(), added.end());
    auto& asked = record.host_config.mounts;
    asked.insert(asked.end(), add.begin(), add.end());

    if (live) {
        record.unsettled_mounts = UnsettledMounts{targets_of(removed), targets_of(added)};
        const ImageLayers layers = TRY(impl_->image_layers(record));
        shim::Mounts request = request_for(record, *record.unsettled_mounts, layers);
        TRY(impl_->save(claim, record));
        TRY(undo.add([&] {
            const auto restored = impl_->save(claim, before);
            if (!restored) LOG_WARN("mounts of {}: {}", before.id, restored.error().message);
        }));
        const auto reply = link->request(std::move(request), {}, kMountLimit);
        if (!reply && !link->closed()) {
            // It may still come to be: the next engine sees to it.
            undo.commit();
            impl_->core.volumes.claim(record.id);
        }
        if (!reply) return fail(reply.error());
        if (!reply->ok) {
            return fail(Code::Conflict, "Cannot update container {}: {}", record.id,
                        reply->message);
        }
        record.unsettled_mounts.reset();
    }
    TRY(impl_->save(claim, record));
    undo.commit();
    impl_->core.volumes.claim(record.id);
    for (const MountRecord& mount : removed) {
        const bool kept = std::any_of(record.mounts.begin(), record.mounts.end(),
                                      [&](const auto& other) { return other.name == mount.name; });
        if (kept) continue;
        impl_->unmount_volumes(record.id, {mount});
        impl_->core.volumes.release(record.id, mount.name);
    }
    if (record.is_running()) {
        impl_->publish_mounts(record.id, removed, Impl::Mounts::Gone);
        impl_->publish_mounts(record.id, added, Impl::Mounts::Made);
    }
    impl_->publish_event(record, "update");
    return {};
}

void Containers::Impl::settle_mounts(Container::Claim& claim) {
    Record record = claim.copy();
    if (!record.unsettled_mounts) return;
    const auto settle = [&]() -> Result<void> {
        const ImageLayers layers = TRY(image_layers(record));
        shim::Mounts request = request_for(record, *record.unsettled_mounts, layers);
        request.settle = true;
        const shim::Reply reply = TRY(claim->link()->request(std::move(request), {}, kMountLimit));
        if (!reply.ok) return fail(Code::Conflict, "{}", reply.message);
        return {};
    };
    const auto settled = settle();
    if (!settled) LOG_WARN("mounts of {}: {}", record.id, settled.error().message);
    record.unsettled_mounts.reset();
    ignore(save(claim, record), "tried again by the next engine");
}

}  // namespace coffer::engine
