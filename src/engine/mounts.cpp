#include "engine/mounts.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "network/sandbox.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

using Records = std::vector<MountRecord>;

Failure bad_spec(const std::string& text) {
    return fail(Code::InvalidArgument, "invalid volume specification: '{}'", text);
}

// What every mount of host data gets: nothing in it is honoured as setuid or as a device.
std::vector<std::string> bind_options(const MountRecord& mount) {
    std::vector<std::string> options = {mount.recursive ? "rbind" : "bind", "idmap", "nosuid",
                                        "nodev"};
    options.push_back(mount.propagation.empty() ? "rprivate" : mount.propagation);
    const char* read_only = mount.recursive_read_only ? "rro" : "ro";
    // A source that is read-only on the host stays so.
    if (!mount.writable) options.emplace_back(read_only);
    if (!mount.subpath.empty()) options.push_back("subpath=" + mount.subpath);
    return options;
}

// "0-1000-1#1-2000-10": the files' ids, those in the container, how many.
Result<std::vector<IdRange>> parse_ranges(std::string_view text) {
    std::vector<IdRange> ranges;
    for (std::string one : split(text, '#')) {
        if (one.starts_with('@')) one.erase(0, 1);  // podman's "relative to the container": always
        std::vector<std::uint64_t> numbers;
        for (const std::string& part : split(one, '-')) {
            const auto number = parse_uint(part);
            if (number) numbers.push_back(*number);
        }
        constexpr std::uint64_t kMostIds = 0xffffffffU;
        const bool valid = numbers.size() == 3 && numbers[0] < kMostIds && numbers[2] > 0 &&
                           numbers[2] <= network::kIdCount &&
                           numbers[1] + numbers[2] <= network::kIdCount &&
                           numbers[0] + numbers[2] <= kMostIds;
        if (!valid) {
            return fail(Code::InvalidArgument,
                        "invalid idmap '{}': FILES-CONTAINER-SIZE, of which the container has {}",
                        one, network::kIdCount);
        }
        ranges.push_back({static_cast<std::uint32_t>(numbers[0]),
                          static_cast<std::uint32_t>(numbers[1]),
                          static_cast<std::uint32_t>(numbers[2])});
    }
    return ranges;
}

// "uids=RANGES;gids=RANGES"; what only one of them says counts for both.
Result<void> set_id_map(std::string_view text, MountRecord& mount) {
    if (mount.squash_uid != 0) {
        return fail(Code::Forbidden,
                    "idmap is for root alone: a bind of yours has your own rights already");
    }
    for (const std::string& part : split(text, ';')) {
        const auto sides = cut(part, "=");
        const bool known = sides && (sides->first == "uids" || sides->first == "gids");
        if (!known) return fail(Code::InvalidArgument, "invalid idmap '{}'", part);
        (sides->first == "uids" ? mount.uids : mount.gids) = TRY(parse_ranges(sides->second));
    }
    if (mount.uids.empty()) mount.uids = mount.gids;
    if (mount.gids.empty()) mount.gids = mount.uids;
    return {};
}

Result<void> apply_modes(const std::string& modes, const std::string& spec, MountRecord& mount) {
    mount.mode = modes;
    for (const std::string& mode : split(modes, ',')) {
        if (mode == "ro") {
            mount.writable = false;
        } else if (mode == "nocopy" && mount.type == "volume") {
            mount.copy_up = false;
        } else if (mode == "rprivate" || mode == "private" || mode == "rslave" || mode == "slave" ||
                   mode == "rshared" || mode == "shared") {
            mount.propagation = mode;
        } else if (mode.starts_with("idmap=")) {
            TRY(set_id_map(std::string_view(mode).substr(6), mount));
        } else if (mode != "idmap" && mode != "rw" && mode != "z" && mode != "Z" &&
                   mode != "cached" && mode != "delegated" && mode != "consistent" &&
                   !mode.empty()) {
            return fail(Code::InvalidArgument, "invalid mode: {} in volume specification '{}'",
                        mode, spec);
        }
    }
    return {};
}

Result<void> set_source(const std::string& source, const Caller& caller, MountRecord& mount) {
    if (source.starts_with('/')) {
        mount.type = "bind";
        mount.source = TRY(clean_target(source));
        mount.squash_uid = caller.uid;
        mount.squash_gid = caller.gid;
        return {};
    }
    if (!source.empty() && !volume::is_valid_volume_name(source)) {
        return fail(Code::InvalidArgument,
                    "create {}: \"{}\" includes invalid characters for a local volume name, only "
                    "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
                    "directory, use absolute path",
                    source, source);
    }
    mount.type = "volume";
    mount.name = source;
    mount.copy_up = true;
    return {};
}

Result<MountRecord> parse_bind(const std::string& spec, const Caller& caller) {
    const std::vector<std::string> parts = split(spec, ':');
    if (parts.size() > 3 || parts[0].empty()) return bad_spec(spec);
    MountRecord mount;
    if (parts.size() == 1) {
        TRY(set_source("", caller, mount));
        mount.target = TRY(clean_target(parts[0]));
    } else {
        if (parts[1].empty()) return bad_spec(spec);
        TRY(set_source(parts[0], caller, mount));
        mount.target = TRY(clean_target(parts[1]));
        if (parts.size() == 3) TRY(apply_modes(parts[2], spec, mount));
    }
    if (mount.target == "/") {
        return fail(Code::InvalidArgument,
                    "invalid volume specification: '{}': invalid mount config for type \"{}\": "
                    "invalid specification: destination can't be '/'",
                    spec, mount.type);
    }
    return mount;
}

Result<MountRecord> parse_tmpfs(const std::string& target, const std::string& text) {
    MountRecord mount;
    mount.type = "tmpfs";
    mount.target = TRY(clean_target(target));
    mount.mode = text;
    mount.options = {"nosuid", "nodev", "noexec"};
    for (const std::string& option : split(text, ',')) {
        if (option.empty() || option == "nosuid" || option == "nodev" || option == "noexec")
            continue;
        if (option == "exec") {
            std::erase(mount.options, "noexec");
            continue;
        }
        if (option == "ro") mount.writable = false;
        const std::string key = option.substr(0, option.find('='));
        static constexpr std::string_view kKnown[] = {
            "ro",        "rw",      "size",     "mode",       "uid",         "gid",   "nr_inodes",
            "nr_blocks", "noatime", "relatime", "nodiratime", "strictatime", "atime", "huge"};
        if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown)) {
            return fail(Code::InvalidArgument, "invalid tmpfs option [\"{}\"]", option);
        }
        mount.options.push_back(option);
    }
    return mount;
}

Failure bad_mount(const api::Mount& mount, std::string_view why) {
    return fail(Code::InvalidArgument, "invalid mount config for type \"{}\": {}", mount.type, why);
}

// Options of another type are a mistake of the user's.
Result<void> check_options(const api::Mount& wanted) {
    struct Group {
        bool given;
        std::string_view type;
        std::string_view name;
    };
    for (const Group& group : {Group{wanted.bind_options.has_value(), "bind", "BindOptions"},
                               Group{wanted.volume_options.has_value(), "volume", "VolumeOptions"},
                               Group{wanted.image_options.has_value(), "image", "ImageOptions"},
                               Group{wanted.tmpfs_options.has_value(), "tmpfs", "TmpfsOptions"}}) {
        if (group.given && group.type != wanted.type) {
            return bad_mount(wanted, format("field {} must not be specified", group.name));
        }
    }
    if (!wanted.id_map.empty() && wanted.type != "bind" && wanted.type != "volume")
        return bad_mount(wanted, "field IdMap must not be specified");
    return {};
}

Result<void> set_subpath(const api::Mount& wanted, const std::string& subpath, MountRecord& mount) {
    const std::vector<std::string> parts = split(subpath, '/');
    if (subpath.starts_with('/') || subpath.find('\0') != std::string::npos ||
        std::find(parts.begin(), parts.end(), "..") != parts.end()) {
        return bad_mount(wanted, format("Subpath must be a relative path within the {}: '{}'",
                                        wanted.type, subpath));
    }
    mount.subpath = subpath;
    if (!subpath.empty()) mount.copy_up = false;
    return {};
}

Result<void> set_bind(const api::Mount& wanted, const Caller& caller, MountRecord& mount) {
    if (wanted.source.empty()) return bad_mount(wanted, "field Source must not be empty");
    if (!wanted.source.starts_with('/')) {
        return bad_mount(
            wanted, format("invalid mount path: '{}' mount path must be absolute", wanted.source));
    }
    TRY(set_source(wanted.source, caller, mount));
    const api::BindOptions options = wanted.bind_options.value_or(api::BindOptions());
    if (!options.create_mountpoint && !sys::exists(mount.source)) {
        return bad_mount(wanted, format("bind source path does not exist: {}", wanted.source));
    }
    static constexpr std::string_view kPropagations[] = {"",       "private", "rprivate", "slave",
                                                         "rslave", "shared",  "rshared"};
    if (std::find(std::begin(kPropagations), std::end(kPropagations), options.propagation) ==
        std::end(kPropagations)) {
        return bad_mount(wanted, format("invalid propagation mode: {}", options.propagation));
    }
    const bool half = options.read_only_non_recursive;
    const bool whole = options.read_only_force_recursive;
    if (half && whole) {
        return bad_mount(wanted,
                         "ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other");
    }
    if ((half || whole) && !wanted.read_only) {
        return bad_mount(wanted, format("{} needs ReadOnly",
                                        half ? "ReadOnlyNonRecursive" : "ReadOnlyForceRecursive"));
    }
    mount.propagation = options.propagation;
    mount.recursive = !options.non_recursive;
    mount.recursive_read_only = !half;
    return {};
}

Result<void> set_volume(const api::Mount& wanted, const Caller& caller, MountRecord& mount) {
    TRY(set_source(wanted.source, caller, mount));
    if (mount.type != "volume") return bad_mount(wanted, "a path is no volume name");
    if (!wanted.volume_options) return {};
    const api::VolumeOptions& options = *wanted.volume_options;
    if (options.no_copy) mount.copy_up = false;
    if (options.driver_config) {
        mount.driver = options.driver_config->name;
        mount.driver_options = options.driver_config->options;
    }
    mount.labels = options.labels;
    if (!options.subpath.empty() && wanted.source.empty()) {
        return bad_mount(wanted, "must not set Subpath when using anonymous volumes");
    }
    return set_subpath(wanted, options.subpath, mount);
}

Result<MountRecord> parse_tmpfs_mount(const api::Mount& wanted) {
    if (!wanted.source.empty()) return bad_mount(wanted, "field Source must not be specified");
    std::vector<std::string> options;
    if (wanted.tmpfs_options) {
        const api::TmpfsOptions& given = *wanted.tmpfs_options;
        if (given.size_bytes > 0) options.push_back(format("size={}", given.size_bytes));
        if (given.mode != 0) options.push_back(format("mode={:o}", given.mode));
        for (const auto& option : given.options) options.push_back(join(option, "="));
    }
    if (wanted.read_only) options.emplace_back("ro");
    return parse_tmpfs(wanted.target, join(options, ","));
}

Result<void> set_image(const api::Mount& wanted, const FindImage& find_image, MountRecord& mount) {
    if (wanted.source.empty()) return bad_mount(wanted, "field Source must not be empty");
    const auto image = find_image(wanted.source);
    if (!image) return bad_mount(wanted, image.error().message);
    mount.source = wanted.source;
    mount.image_id = image->id;
    mount.chain_id = image->chain_id;
    mount.writable = false;
    return set_subpath(wanted, wanted.image_options ? wanted.image_options->subpath : "", mount);
}

Result<MountRecord> parse_mount(const api::Mount& wanted, const Caller& caller,
                                const FindImage& find_image) {
    if (wanted.target.empty()) return bad_mount(wanted, "field Target must not be empty");
    MountRecord mount;
    mount.type = wanted.type;
    mount.target = TRY(clean_target(wanted.target));
    mount.writable = !wanted.read_only;
    if (mount.target == "/") {
        return bad_mount(wanted, "invalid specification: destination can't be '/'");
    }
    TRY(check_options(wanted));
    if (wanted.type == "bind") {
        TRY(set_bind(wanted, caller, mount));
    } else if (wanted.type == "volume") {
        TRY(set_volume(wanted, caller, mount));
    } else if (wanted.type == "image") {
        TRY(set_image(wanted, find_image, mount));
    } else if (wanted.type == "tmpfs") {
        return parse_tmpfs_mount(wanted);
    } else {
        return bad_mount(wanted, "mount type unknown");
    }
    if (!wanted.id_map.empty()) TRY(set_id_map(wanted.id_map, mount));
    return mount;
}

// docker makes a missing source of -v as a folder; only root may ask for that.
Result<void> check_source(const MountRecord& mount, const Caller& caller) {
    if (mount.type != "bind" || sys::exists(mount.source)) return {};
    if (caller.uid != 0) {
        return fail(Code::InvalidArgument, "bind source path does not exist: {}", mount.source);
    }
    TRY_CONTEXT(sys::make_dirs(mount.source), "error while creating mount source path '{}'",
                mount.source);
    return {};
}

Result<void> add_unique(Records& all, MountRecord mount) {
    const bool taken = std::any_of(all.begin(), all.end(), [&](const MountRecord& other) {
        return other.target == mount.target;
    });
    if (taken) return fail(Code::InvalidArgument, "Duplicate mount point: {}", mount.target);
    all.push_back(std::move(mount));
    return {};
}

}  // namespace

bool forget_mount(api::HostConfig& host, const std::string& target) {
    const auto is_meant = [&](const std::string& path) {
        const auto clean = clean_target(path);
        return clean && *clean == target;
    };
    std::size_t count = std::erase_if(host.binds, [&](const std::string& spec) {
        const auto bind = parse_bind(spec, {});
        return bind && bind->target == target;
    });
    count += std::erase_if(host.mounts, [&](const auto& one) { return is_meant(one.target); });
    count += std::erase_if(host.tmpfs, [&](const auto& one) { return is_meant(one.first); });
    return count > 0;
}

Result<std::string> clean_target(const std::string& path) {
    if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
        return fail(Code::InvalidArgument, "invalid mount path: '{}' mount path must be absolute",
                    path);
    }
    std::vector<std::string> parts;
    for (std::string& part : split(path, '/')) {
        if (part == "..") {
            if (!parts.empty()) parts.pop_back();
        } else if (!part.empty() && part != ".") {
            parts.push_back(std::move(part));
        }
    }
    return "/" + join(parts, "/");
}

Result<void> inherit_mounts(const Records& theirs, const std::string& source, const Caller& caller,
                            Records& inherited) {
    const auto sides = cut(source, ":");
    const std::string mode(sides ? sides->second : "");
    if (!mode.empty() && mode != "ro" && mode != "rw" && mode != "z" && mode != "Z") {
        return fail(Code::InvalidArgument, "invalid mode: {}", mode);
    }
    for (MountRecord mount : theirs) {
        if (mount.type != "bind" && mount.type != "volume") continue;
        if (mode == "ro") mount.writable = false;
        if (mount.type == "bind" && caller.uid != 0) {
            mount.squash_uid = caller.uid;
            mount.squash_gid = caller.gid;
            mount.uids.clear();
            mount.gids.clear();
        }
        inherited.push_back(std::move(mount));
    }
    return {};
}

Result<Records> collect_mounts(const api::ContainerConfig& config, const api::HostConfig& host,
                               const Records& inherited, const Caller& caller,
                               const FindImage& find_image, const GetVolume& make_volume) {
    Records all;
    for (const std::string& bind : host.binds) {
        MountRecord parsed = TRY(parse_bind(bind, caller));
        TRY(add_unique(all, std::move(parsed)));
    }
    for (const api::Mount& mount : host.mounts) {
        MountRecord parsed = TRY(parse_mount(mount, caller, find_image));
        TRY(add_unique(all, std::move(parsed)));
    }
    for (const auto& [target, options] : host.tmpfs) {
        MountRecord parsed = TRY(parse_tmpfs(target, options));
        TRY(add_unique(all, std::move(parsed)));
    }
    const auto add_uncovered = [&](MountRecord mount) {
        const bool covered = std::any_of(all.begin(), all.end(), [&](const MountRecord& other) {
            return other.target == mount.target;
        });
        if (!covered) all.push_back(std::move(mount));
    };
    for (const MountRecord& mount : inherited) add_uncovered(mount);
    for (const auto& [target, nothing] : config.volumes) {
        MountRecord mount;
        mount.type = "volume";
        mount.copy_up = true;
        mount.target = TRY(clean_target(target));
        add_uncovered(std::move(mount));
    }
    for (const MountRecord& mount : all) TRY(check_source(mount, caller));
    for (MountRecord& mount : all) {
        if (mount.type == "volume") {
            if (mount.driver.empty()) mount.driver = host.volume_driver;
            const VolumeRef volume = TRY(make_volume(mount));
            mount.name = volume.name;
            mount.source = volume.path;
            mount.copy_up = mount.copy_up && volume.may_be_filled;
        }
        if (mount.type == "bind" || mount.type == "volume") mount.options = bind_options(mount);
    }
    return all;
}

}  // namespace coffer::engine
