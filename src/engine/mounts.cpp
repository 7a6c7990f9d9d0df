#include "engine/mounts.hpp"

#include <sys/stat.h>

#include <algorithm>

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
    std::vector<std::string> options = {"rbind", "idmap", "nosuid", "nodev"};
    options.push_back(mount.propagation.empty() ? "rprivate" : mount.propagation);
    options.emplace_back(mount.writable ? "rw" : "rro");
    return options;
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
        } else if (mode != "rw" && mode != "z" && mode != "Z" && mode != "cached" &&
                   mode != "delegated" && mode != "consistent" && !mode.empty()) {
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

Result<MountRecord> parse_mount(const api::Mount& wanted, const Caller& caller) {
    if (wanted.target.empty()) return bad_mount(wanted, "field Target must not be empty");
    MountRecord mount;
    mount.type = wanted.type;
    mount.target = TRY(clean_target(wanted.target));
    mount.writable = !wanted.read_only;
    if (mount.target == "/") {
        return bad_mount(wanted, "invalid specification: destination can't be '/'");
    }
    if (wanted.type == "bind") {
        if (wanted.source.empty()) return bad_mount(wanted, "field Source must not be empty");
        if (!wanted.source.starts_with('/')) {
            return bad_mount(wanted, format("invalid mount path: '{}' mount path must be absolute",
                                            wanted.source));
        }
        TRY(set_source(wanted.source, caller, mount));
        const bool make = wanted.bind_options && wanted.bind_options->create_mountpoint;
        if (!sys::exists(mount.source) && !make) {
            return bad_mount(wanted, format("bind source path does not exist: {}", wanted.source));
        }
        if (wanted.bind_options) mount.propagation = wanted.bind_options->propagation;
    } else if (wanted.type == "volume") {
        TRY(set_source(wanted.source, caller, mount));
        if (mount.type != "volume") return bad_mount(wanted, "a path is no volume name");
        if (wanted.volume_options && !wanted.volume_options->subpath.empty()) {
            return fail(Code::NotImplemented, "volume-subpath is not supported yet");
        }
        if (wanted.volume_options && wanted.volume_options->no_copy) mount.copy_up = false;
    } else if (wanted.type == "tmpfs") {
        std::string options;
        if (wanted.tmpfs_options) {
            if (wanted.tmpfs_options->size_bytes > 0) {
                options += format("size={},", wanted.tmpfs_options->size_bytes);
            }
            if (wanted.tmpfs_options->mode != 0) {
                options += format("mode={:o},", wanted.tmpfs_options->mode);
            }
        }
        if (wanted.read_only) options += "ro";
        mount = TRY(parse_tmpfs(wanted.target, options));
    } else {
        return bad_mount(wanted, "mount type unknown");
    }
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
        }
        inherited.push_back(std::move(mount));
    }
    return {};
}

Result<Records> collect_mounts(const api::ContainerConfig& config, const api::HostConfig& host,
                               const Records& inherited, const Caller& caller,
                               const GetVolume& make_volume) {
    Records all;
    for (const std::string& bind : host.binds) {
        MountRecord parsed = TRY(parse_bind(bind, caller));
        TRY(add_unique(all, std::move(parsed)));
    }
    for (const api::Mount& mount : host.mounts) {
        MountRecord parsed = TRY(parse_mount(mount, caller));
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
            const VolumeRef volume = TRY(make_volume(mount.name, {}));
            mount.name = volume.name;
            mount.source = volume.path;
        }
        if (mount.type != "tmpfs") mount.options = bind_options(mount);
    }
    return all;
}

}  // namespace coffer::engine
