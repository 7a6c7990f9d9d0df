#include "runtime/resctrl.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace coffer::runtime::resctrl {

namespace {

// In the order in which they are written.
std::vector<std::string> lines_of(const oci::LinuxIntelRdt& wanted) {
    std::vector<std::string> lines;
    if (!wanted.l3_cache_schema.empty()) lines.push_back(wanted.l3_cache_schema);
    if (!wanted.mem_bw_schema.empty()) lines.push_back(wanted.mem_bw_schema);
    lines.insert(lines.end(), wanted.schemata.begin(), wanted.schemata.end());
    return lines;
}

// "L3:0=07F0;1=1f" as {"L3:0": "7f0", "L3:1": "1f"}: the kernel pads numbers and names.
std::map<std::string, std::string> parse_line(std::string_view line) {
    std::map<std::string, std::string> values;
    const auto parts = cut(line, ":");
    if (!parts) return values;
    for (const std::string& entry : split(parts->second, ';')) {
        const auto pair = cut(entry, "=");
        if (!pair) continue;
        std::string value(trim(pair->second));
        value.erase(0, std::min(value.find_first_not_of('0'), value.size() - 1));
        std::transform(value.begin(), value.end(), value.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        values[format("{}:{}", trim(parts->first), trim(pair->first))] = value;
    }
    return values;
}

Result<void> compare(const std::string& folder, const std::vector<std::string>& wanted) {
    std::map<std::string, std::string> now;
    const std::string text = TRY(sys::read_file(folder + "/schemata"));
    for (const std::string& line : split(text, '\n')) now.merge(parse_line(line));
    for (const std::string& line : wanted) {
        for (const auto& [key, value] : parse_line(line)) {
            const auto found = now.find(key);
            if (found != now.end() && found->second == value) continue;
            return fail(Code::Conflict, "linux.intelRdt: '{}' has other schemata than '{}'", folder,
                        line);
        }
    }
    return {};
}

Result<void> make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        return fail_errno("linux.intelRdt: create '{}'", path);
    }
    return {};
}

Result<void> remove_folder(const std::string& path) {
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("linux.intelRdt: remove '{}'", path);
    }
    return {};
}

}  // namespace

Result<void> check(const oci::LinuxIntelRdt& wanted) {
    const std::string& name = wanted.clos_id;
    const bool plain = name.find_first_of(std::string_view("/\n\0", 3)) == std::string::npos &&
                       name != "." && name != ".." && name != "info" && name != "mon_groups" &&
                       name != "mon_data";
    if (!plain && name != "/") {
        return fail(Code::InvalidArgument, "linux.intelRdt.closID '{}' is not the name of a group",
                    name);
    }
    const auto is_line = [](const std::string& line) {
        return line.find_first_of(std::string_view("\n\0", 2)) == std::string::npos &&
               !parse_line(line).empty();
    };
    if (!wanted.l3_cache_schema.empty() && !is_line(wanted.l3_cache_schema)) {
        return fail(Code::InvalidArgument, "linux.intelRdt.l3CacheSchema '{}' is not a schema",
                    wanted.l3_cache_schema);
    }
    if (!wanted.mem_bw_schema.empty() &&
        (!is_line(wanted.mem_bw_schema) || !wanted.mem_bw_schema.starts_with("MB:"))) {
        return fail(Code::InvalidArgument, "linux.intelRdt.memBwSchema '{}' is not a schema of MB",
                    wanted.mem_bw_schema);
    }
    for (std::size_t i = 0; i < wanted.schemata.size(); ++i) {
        if (is_line(wanted.schemata[i])) continue;
        return fail(Code::InvalidArgument, "linux.intelRdt.schemata[{}] '{}' is not a schema", i,
                    wanted.schemata[i]);
    }
    return {};
}

std::optional<std::string> parse_mount_point(std::string_view mountinfo) {
    for (const auto& mounted : sys::mount::parse_mountinfo(mountinfo)) {
        if (mounted.type == "resctrl") return mounted.point;
    }
    return std::nullopt;
}

Result<std::string> mount_point() {
    auto found = parse_mount_point(TRY(sys::read_file("/proc/self/mountinfo")));
    if (found) return *std::move(found);
    return fail(Code::NotImplemented, "linux.intelRdt: no resctrl file system is mounted");
}

std::vector<std::string> Group::task_files() const {
    std::vector<std::string> files = {folder + "/tasks"};
    if (!monitor.empty()) files.push_back(monitor + "/tasks");
    return files;
}

Group plan(const std::string& root, const std::string& id, const oci::LinuxIntelRdt& wanted) {
    Group group;
    group.ours = wanted.clos_id.empty();
    group.folder = root;
    if (wanted.clos_id != "/") group.folder += "/" + (group.ours ? id : wanted.clos_id);
    const bool monitored = wanted.enable_monitoring || wanted.enable_cmt || wanted.enable_mbm;
    if (monitored) group.monitor = group.folder + "/mon_groups/" + id;
    return group;
}

Result<void> make(const Group& group, const oci::LinuxIntelRdt& wanted) {
    const std::vector<std::string> lines = lines_of(wanted);
    if (!group.ours && sys::exists(group.folder)) {
        TRY(compare(group.folder, lines));
    } else if (!group.ours && lines.empty()) {
        return fail(Code::NotFound, "linux.intelRdt.closID: there is no group '{}'", group.folder);
    } else {
        TRY(make_folder(group.folder));
        TRY(update(group, lines));
    }
    return group.monitor.empty() ? Result<void>() : make_folder(group.monitor);
}

Result<void> update(const Group& group, const std::vector<std::string>& schemata) {
    for (const std::string& line : schemata) {
        TRY_CONTEXT(sys::write_file(group.folder + "/schemata", line + "\n", 0644),
                    "linux.intelRdt: schema '{}'", line);
    }
    return {};
}

Result<void> remove(const Group& group) {
    if (!group.monitor.empty()) TRY(remove_folder(group.monitor));
    if (group.ours && !group.folder.empty()) TRY(remove_folder(group.folder));
    return {};
}

}  // namespace coffer::runtime::resctrl
