// The files of volumes: out of and into an archive, and from one volume into another. All of it is
// done by the jailed coffer-files, while the volume is mounted for it.
#include "base/id.hpp"
#include "base/time.hpp"
#include "engine/events.hpp"
#include "engine/files_impl.hpp"
#include "engine/volume_view.hpp"
#include "sys/file.hpp"
#include "volume/local.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

// Mounted until the rollback runs; gives where.
Result<std::string> use_volume(volume::Volumes& volumes, const std::string& name,
                               std::string_view what, Rollback& use,
                               volume::Use how = volume::Use::Shared) {
    const std::string user = format("{}-{}", what, random_hex(4));
    std::string path = TRY(volumes.begin_use(name, user, how));
    TRY(use.add([&volumes, name, user] { volumes.end_use(name, user); }));
    return path;
}

files::Request request_for(files::Verb verb, const std::string& folder) {
    files::Request request;
    request.verb = verb;
    request.place = files::Place::Folder;
    request.lower_dirs = {folder};
    request.path = std::string("/");
    return request;
}

Result<void> remove_children(const std::string& folder) {
    for (const std::string& name : TRY(sys::list_dir(folder)))
        TRY(sys::remove_tree(folder + "/" + name));
    return {};
}

}  // namespace

std::vector<std::string> Files::Impl::names_of(const std::set<std::string>& ids) const {
    std::vector<std::string> names;
    for (const std::string& id : ids) {
        if (const auto container = containers.find(id))
            names.push_back((*container)->record()->name);
    }
    return names;
}

Result<std::unique_ptr<FileArchive>> Files::read_volume(const std::string& name,
                                                        const Cancel& cancel) {
    Impl::Prepared prepared;
    prepared.mounted = std::make_unique<Rollback>();
    const std::string path =
        TRY(use_volume(impl_->core.volumes, name, "export", *prepared.mounted));
    auto client = TRY_CONTEXT(impl_->start(request_for(files::Verb::Tree, path), -1, cancel),
                              "export {}", name);
    return std::unique_ptr<FileArchive>(
        std::make_unique<Archive>(std::move(prepared), std::move(client), api::PathStat()));
}

Result<void> Files::write_volume(const std::string& name, const ReadBytes& tar,
                                 const Cancel& cancel) {
    volume::Volumes& volumes = impl_->core.volumes;
    Rollback undo;
    const auto made = TRY(volumes.create({.name = name}));
    if (made.is_new)
        TRY(undo.add(
            [&] { ignore(volumes.remove(name), "an unused volume stays, and is shown"); }));
    if (const auto names = impl_->names_of(made.volume.runs); !names.empty())
        return fail(Code::Conflict, "import {}: volume is in use - [{}]", name, join(names, ", "));
    Rollback use;
    const std::string path = TRY(use_volume(volumes, name, "import", use, volume::Use::Alone));
    if (!TRY(sys::list_dir(path)).empty())
        return fail(Code::Conflict, "import {}: volume is not empty", name);
    const auto written = [&]() -> Result<void> {
        auto client = TRY(impl_->start(request_for(files::Verb::Write, path), -1, cancel));
        return client.write_all(tar);
    }();
    if (written) {
        undo.commit();
        if (made.is_new) impl_->core.events.publish(volume_event("create", name));
        return {};
    }
    ignore(remove_children(path), "the first error counts");
    return fail(
        written.error().code == Code::NotFound ? Code::InvalidArgument : written.error().code,
        "import {}: {}", name, written.error().message);
}

Result<api::VolumeCopy> Files::copy_volume(const std::string& name, const std::string& copy,
                                           const std::map<std::string, std::string>& labels,
                                           const Cancel& cancel) {
    volume::Volumes& volumes = impl_->core.volumes;
    const auto source = volumes.find(name);
    if (!source) return fail(Code::NotFound, "get {}: no such volume", name);
    if (volumes.find(copy))
        return fail(Code::Conflict, "copy {}: there is a volume '{}'", name, copy);
    volume::VolumeRequest request{.name = copy, .options = source->options, .labels = labels};
    // What is on a device, or in memory, comes into a folder of ours.
    const volume::LocalOptions options = TRY(volume::parse_local_options(source->options));
    if (!options.type.empty()) request.options.clear();
    request.labels.insert(source->labels.begin(), source->labels.end());
    const auto made = TRY(volumes.create(request));
    if (!made.is_new) return fail(Code::Conflict, "copy {}: there is a volume '{}'", name, copy);
    Rollback undo;
    TRY(undo.add([&] { ignore(volumes.remove(copy), "an unused volume stays, and is shown"); }));
    Rollback use;
    const std::string from = TRY(use_volume(volumes, name, "copy", use));
    const std::string to = TRY(use_volume(volumes, copy, "copy", use, volume::Use::Alone));
    files::Request wanted = request_for(files::Verb::Copy, from);
    wanted.base_dirs = {to};
    const auto copied = [&]() -> Result<void> {
        auto client = TRY(impl_->start(wanted, -1, cancel));
        char nothing = 0;
        while (TRY(client.read(&nothing, 1)) != 0) {
        }
        return {};
    }();
    if (!copied) return fail(copied.error().code, "copy {}: {}", name, copied.error().message);
    undo.commit();
    impl_->core.events.publish(volume_event("create", copy));
    api::VolumeCopy done{.name = copy, .warnings = {}};
    if (const auto names = impl_->names_of(source->runs); !names.empty())
        done.warnings.push_back(
            format("{} was in use by {} while it was copied", name, join(names, ", ")));
    return done;
}

Result<api::VolumeCopy> Files::snapshot_volume(const std::string& name, const std::string& given,
                                               const Cancel& cancel) {
    const std::string at = to_rfc3339(now());
    std::string label = given;
    if (label.empty()) {
        for (const char c : at)
            if (c != '-' && c != ':') label += c;
    }
    return copy_volume(name, format("{}.{}", name, label),
                       {{"coffer.snapshot.of", name}, {"coffer.snapshot.at", at}}, cancel);
}

Result<void> Files::rename_volume(const std::string& name, const std::string& new_name) {
    volume::Volumes& volumes = impl_->core.volumes;
    const auto volume = volumes.find(name);
    if (volume && !volume->users.empty()) {
        return fail(Code::Conflict, "rename {}: volume is in use - [{}]", name,
                    join(impl_->names_of(volume->users), ", "));
    }
    TRY(volumes.rename(name, new_name));
    impl_->core.events.publish(volume_event("rename", new_name, {{"oldName", name}}));
    return {};
}

Result<std::vector<api::VolumeUse>> Files::volume_usage() const {
    std::vector<api::VolumeUse> all;
    for (const volume::Volume& volume : impl_->core.volumes.list()) {
        const volume::LocalOptions options = TRY(volume::parse_local_options(volume.options));
        api::VolumeUse use;
        use.name = volume.name;
        use.containers = impl_->names_of(volume.users);
        use.limit = static_cast<std::int64_t>(options.size);
        all.push_back(std::move(use));
        if (!options.type.empty() && volume.runs.empty()) continue;  // not there
        const auto size = sys::measure_tree(volume.path);
        if (!size) continue;
        const bool has_disk = options.type.empty() && options.size != 0;
        all.back().files = static_cast<std::int64_t>(size->inodes);
        all.back().size = static_cast<std::int64_t>(has_disk ? stored_bytes(volume) : size->bytes);
    }
    return all;
}

}  // namespace coffer::engine
