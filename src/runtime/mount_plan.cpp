#include "runtime/mount_plan.hpp"

#include <algorithm>
#include <optional>

#include "sys/cgroup.hpp"

namespace coffer::runtime {

namespace {

using sys::mount::Attributes;
using sys::mount::Depth;
using sys::mount::Propagation;
namespace m = sys::mount;

constexpr std::pair<std::string_view, Propagation> kPropagations[] = {
    {"private", Propagation::Private},
    {"slave", Propagation::Slave},
    {"shared", Propagation::Shared},
    {"unbindable", Propagation::Unbindable},
};

void apply(Attributes& attributes, const m::Flag& flag) {
    attributes.set = (attributes.set & ~flag.clear) | flag.set;
    attributes.clear = (attributes.clear & ~flag.set) | flag.clear;
}

bool take_flag(MountPlan& plan, std::string_view option) {
    if (const auto flag = m::find_flag(option)) {
        apply(plan.attributes, *flag);
        return true;
    }
    if (const auto flag = option.starts_with('r') ? m::find_flag(option.substr(1)) : std::nullopt) {
        apply(plan.recursive_attributes, *flag);
        return true;
    }
    for (const auto& [name, propagation] : kPropagations) {
        const bool recursive = option.starts_with('r') && option.substr(1) == name;
        if (option != name && !recursive) continue;
        plan.attributes.propagation = propagation;
        plan.propagation_depth = recursive ? Depth::Recursive : Depth::One;
        return true;
    }
    return false;
}

// v1 hierarchies, and groups of the host bound in, exist already: there is nothing to choose.
bool takes_options(MountKind kind) {
    if (kind == MountKind::CgroupBind || kind == MountKind::ProcBind) return false;
    return kind != MountKind::Cgroup || sys::cgroup::host_layout().version == 2;
}

Result<void> take_options(MountPlan& plan, const oci::Mount& mount, bool bind) {
    for (const std::string& option : mount.options) {
        if (option == "bind" || option == "rbind") {
            if (option == "rbind") plan.depth = Depth::Recursive;
        } else if ((bind && option == "copyup") ||
                   (plan.kind == MountKind::Tmpfs && option == "tmpcopyup")) {
            plan.copy_up = true;
        } else if (option == "idmap" || option == "ridmap") {
            plan.id_mapped = true;
            if (option == "ridmap") plan.id_map_depth = Depth::Recursive;
        } else if (take_flag(plan, option) || m::is_without_effect(option) ||
                   (option == "remount" && plan.kind == MountKind::Remount)) {
            continue;
        } else if ((bind || plan.kind == MountKind::Layers) && option.starts_with("subpath=")) {
            plan.subpath = option.substr(option.find('=') + 1);
        } else if (bind || option == "tmpcopyup" || !takes_options(plan.kind)) {
            return fail(Code::InvalidArgument, "mount '{}': option '{}' is not supported",
                        mount.destination, option);
        } else if (const auto parts = cut(option, "=")) {
            plan.options.emplace_back(parts->first, parts->second);
        } else {
            plan.options.emplace_back(option, "");
        }
    }
    return {};
}

// Ids given to a file system that the stage makes are the container's; the stage is outside.
Result<void> map_option_ids(MountPlan& plan, const MountContext& context) {
    if (!context.user_namespace && !context.unprivileged) return {};
    bool has_uid = false;
    bool has_gid = false;
    for (auto option = plan.options.begin(); option != plan.options.end();) {
        const bool uid = option->first == "uid";
        if (!uid && option->first != "gid") {
            ++option;
            continue;
        }
        const auto id = parse_uint(option->second);
        if (!id || *id > 0xfffffffe) {
            return fail(Code::InvalidArgument, "mount '{}': option '{}={}'", plan.destination,
                        option->first, option->second);
        }
        auto mapped =
            sys::ns::map_id(uid ? context.uids : context.gids, static_cast<std::uint32_t>(*id));
        if (!mapped && plan.kind == MountKind::Devpts) {
            // The group tty of a container that has no such group.
            option = plan.options.erase(option);
            continue;
        }
        const std::uint32_t outside =
            TRY_CONTEXT(std::move(mapped), "mount '{}'", plan.destination);
        option->second = format("{}", outside);
        (uid ? has_uid : has_gid) = true;
        ++option;
    }
    if (plan.kind != MountKind::Devpts) {
        if (!has_uid) plan.options.emplace_back("uid", format("{}", context.root_uid));
        if (!has_gid) plan.options.emplace_back("gid", format("{}", context.root_gid));
    }
    return {};
}

Result<MountKind> kind_of(const oci::Mount& mount, const std::string& destination, bool bind,
                          const MountContext& context) {
    if (bind) return MountKind::Bind;
    const bool id_mapped =
        std::find(mount.options.begin(), mount.options.end(), "idmap") != mount.options.end();
    if (mount.type == "overlay" && id_mapped) return MountKind::Layers;
    if (mount.type == "tmpfs") return destination == "/dev" ? MountKind::Dev : MountKind::Tmpfs;
    if (mount.type == "devpts") return MountKind::Devpts;
    if (mount.type == "proc") {
        return context.host_processes ? MountKind::ProcBind : MountKind::Proc;
    }
    if (mount.type == "mqueue") return MountKind::Mqueue;
    // sysfs shows devices of a network namespace and belongs to who owns that.
    if (mount.type == "sysfs") return context.owns_network ? MountKind::Sysfs : MountKind::Bind;
    if (mount.type == "cgroup" || mount.type == "cgroup2") {
        return context.private_cgroups ? MountKind::Cgroup : MountKind::CgroupBind;
    }
    if (mount.type.empty() || mount.type.find('/') != std::string::npos || mount.type == "none") {
        return fail(Code::InvalidArgument, "mount '{}': type '{}' is not supported", destination,
                    mount.type);
    }
    return MountKind::Other;
}

bool made_inside(MountKind kind) {
    return kind == MountKind::Proc || kind == MountKind::ProcBind || kind == MountKind::Sysfs ||
           kind == MountKind::Mqueue || kind == MountKind::Cgroup || kind == MountKind::CgroupBind;
}

}  // namespace

sys::ns::IdMaps to_maps(const std::vector<oci::LinuxIdMapping>& mappings) {
    sys::ns::IdMaps maps;
    for (const auto& map : mappings) maps.push_back({map.container_id, map.host_id, map.size});
    return maps;
}

Result<MountPlan> plan_mount(const oci::Mount& mount, const MountContext& context) {
    MountPlan plan;
    if (!mount.destination.starts_with('/')) {
        return fail(Code::InvalidArgument, "mount destination '{}' is not absolute",
                    mount.destination);
    }
    plan.destination = clean_path(mount.destination);
    if (plan.destination == "/") {
        return fail(Code::InvalidArgument, "mount destination '/' is the root file system");
    }
    const auto has = [&](std::string_view option) {
        return std::find(mount.options.begin(), mount.options.end(), option) != mount.options.end();
    };
    const bool bind = mount.type == "bind" || has("bind") || has("rbind");
    if (has("remount")) {
        plan.kind = MountKind::Remount;
        TRY(take_options(plan, mount, bind));
        return plan;
    }
    plan.kind = TRY(kind_of(mount, plan.destination, bind, context));
    plan.inside = made_inside(plan.kind);
    TRY(take_options(plan, mount, bind));
    if (!bind) {
        // A new mount is a tree of one.
        const Attributes& all = plan.recursive_attributes;
        plan.attributes.set = (plan.attributes.set & ~all.clear) | all.set;
    }
    plan.type = mount.type;
    plan.source = mount.source;
    if (plan.kind == MountKind::Bind && !bind) {
        // The host's sysfs, with what is mounted in it, for who cannot have one of its own.
        plan.source = "/sys";
        plan.depth = Depth::Recursive;
        plan.options.clear();
        apply(plan.recursive_attributes, {"", m::kReadOnly, 0});
    }
    if (bind && plan.source.empty()) {
        return fail(Code::InvalidArgument, "mount '{}': no source", plan.destination);
    }
    if (bind && !plan.source.starts_with('/')) plan.source = context.bundle + "/" + plan.source;
    plan.uids = to_maps(mount.uid_mappings);
    plan.gids = to_maps(mount.gid_mappings);
    if (plan.uids.empty() != plan.gids.empty()) {
        return fail(Code::InvalidArgument, "mount '{}': id mappings need users and groups",
                    plan.destination);
    }
    if (!plan.uids.empty()) plan.id_mapped = true;
    if (plan.kind == MountKind::Layers) {
        for (const auto& [name, value] : plan.options) {
            if (name == "lowerdir+") continue;
            return fail(Code::InvalidArgument, "mount '{}': option '{}' beside 'idmap'",
                        plan.destination, name);
        }
        if (plan.options.empty() || !plan.uids.empty()) {
            return fail(Code::InvalidArgument,
                        "mount '{}': an id-mapped overlay takes layers and "
                        "the ids of the container",
                        plan.destination);
        }
    }
    if (plan.id_mapped && !bind && plan.kind != MountKind::Layers) {
        return fail(Code::InvalidArgument, "mount '{}': only binds have id mappings",
                    plan.destination);
    }
    if (plan.id_mapped && plan.uids.empty() && !context.user_namespace) {
        return fail(Code::InvalidArgument, "mount '{}': 'idmap' needs a user namespace",
                    plan.destination);
    }
    if (plan.attributes.propagation == Propagation::Keep) {
        plan.attributes.propagation = Propagation::Private;
        plan.propagation_depth = Depth::Recursive;
    }
    if (plan.kind == MountKind::Devpts || plan.kind == MountKind::Tmpfs ||
        plan.kind == MountKind::Dev) {
        TRY(map_option_ids(plan, context));
    }
    return plan;
}

std::vector<std::string> mount_options() {
    std::vector<std::string> names = {"bind",    "rbind",     "idmap", "ridmap",
                                      "remount", "tmpcopyup", "copyup"};
    for (const std::string_view name : m::kWithoutEffect) names.emplace_back(name);
    for (const m::Flag& flag : m::kFlags) {
        names.emplace_back(flag.name);
        names.push_back(format("r{}", flag.name));
    }
    for (const auto& [name, propagation] : kPropagations) {
        names.emplace_back(name);
        names.push_back(format("r{}", name));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::string clean_path(std::string_view path) {
    std::vector<std::string> kept;
    for (std::string& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!kept.empty()) kept.pop_back();
        } else {
            kept.push_back(std::move(part));
        }
    }
    return "/" + join(kept, "/");
}

bool is_below(std::string_view path, std::string_view folder) {
    if (folder == "/") return true;
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Result<std::vector<MountPlan>> plan_mounts(const oci::Spec& spec, const MountContext& context) {
    std::vector<MountPlan> plans;
    plans.reserve(spec.mounts.size());
    for (const oci::Mount& mount : spec.mounts) {
        MountPlan plan = TRY(plan_mount(mount, context));
        const std::string& label = spec.linux->mount_label;
        const bool labelled = plan.kind == MountKind::Dev || plan.kind == MountKind::Tmpfs ||
                              plan.kind == MountKind::Devpts || plan.kind == MountKind::Mqueue;
        if (labelled && !label.empty()) plan.options.emplace_back("context", label);
        plans.push_back(std::move(plan));
    }
    const auto covers_dev = [](const MountPlan& plan) {
        return plan.destination == "/dev" && plan.kind != MountKind::Remount;
    };
    if (std::none_of(plans.begin(), plans.end(), covers_dev)) {
        // The devices that the specification promises need a place that allows devices.
        const oci::Mount dev{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755"},
                             {},     {}};
        plans.insert(plans.begin(), TRY(plan_mount(dev, context)));
    }
    for (std::size_t i = 0; i < plans.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (!plans[j].inside || !is_below(plans[i].destination, plans[j].destination)) continue;
            if (plans[i].kind != MountKind::Bind && plans[i].kind != MountKind::Remount &&
                !made_inside(plans[i].kind)) {
                return fail(Code::InvalidArgument,
                            "mount '{}' lies below '{}', which is not supported",
                            plans[i].destination, plans[j].destination);
            }
            plans[i].inside = true;
        }
    }
    return plans;
}

}  // namespace coffer::runtime
