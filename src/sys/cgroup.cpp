#include "sys/cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>

#include "sys/cgroup_backend.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace coffer::sys::cgroup {

namespace {

constexpr std::array<std::string_view, 14> kControllers = {
    "cpu",     "cpuacct",  "cpuset",     "memory",  "devices", "freezer", "blkio",
    "net_cls", "net_prio", "perf_event", "hugetlb", "pids",    "rdma",    "misc"};
constexpr std::size_t kMaxDepth = 64;  // of groups below ours
// In groups that are given away: a path of names as long as may be stays below PATH_MAX.
constexpr int kMaxGivenDepth = 12;
constexpr int kMaxGivenGroups = 1000;

void pause_ms(long milliseconds) {
    const timespec time{milliseconds / 1000, (milliseconds % 1000) * 1000 * 1000};
    ::nanosleep(&time, nullptr);
}

bool is_controller(std::string_view name) {
    return name.starts_with("name=") ||
           std::find(kControllers.begin(), kControllers.end(), name) != kControllers.end();
}

// Our own path in a hierarchy as seen below its mount point, whose root may be a group itself.
std::string below_mount(const std::string& own, const std::string& mount_root) {
    if (mount_root == "/") return own;
    if (!own.starts_with(mount_root)) return "/";
    const std::string rest = own.substr(mount_root.size());
    return rest.starts_with('/') ? rest : "/";
}

std::string own_path_of(const std::vector<std::string>& lines, const std::string& controller) {
    for (const std::string& line : lines) {
        const auto id = cut(line, ":");
        if (!id) continue;
        const auto names = cut(id->second, ":");
        if (!names) continue;
        const std::vector<std::string> list = split(names->first, ',');
        if (std::find(list.begin(), list.end(), controller) != list.end()) {
            return std::string(names->second);
        }
    }
    return "/";
}

Result<void> check_path(const std::string& path) {
    for (const std::string& part : split(path, '/')) {
        if (part == ".." || part == ".") {
            return fail(Code::InvalidArgument, "cgroup path '{}' is not plain", path);
        }
    }
    if (path.empty() || path == "/") {
        return fail(Code::InvalidArgument, "cgroup path '{}' names no group of its own", path);
    }
    return {};
}

Result<std::unique_ptr<Backend>> backend_for(const std::string& path, const Layout& layout) {
    TRY(check_path(path));
    if (layout.version == 1) return make_v1(layout, path);
    if (layout.version == 2) return make_v2(layout, path);
    return fail(Code::NotImplemented, "no cgroup hierarchy is mounted");
}

Result<void> collect(const std::string& folder, std::size_t depth, std::vector<int>& pids) {
    const auto procs = read_file(folder + "/cgroup.procs");
    if (!procs) {
        const int error = procs.error().sys_errno;
        return error == ENOENT || error == ENODEV ? Result<void>()
                                                  : Result<void>(fail(procs.error()));
    }
    for (const std::string& line : split_fields(*procs)) {
        if (const auto pid = parse_int(line); pid && *pid > 0) {
            pids.push_back(static_cast<int>(*pid));
        }
    }
    struct stat status {};
    // Two links are the folder itself: nothing is below.
    if (depth == 0 || ::stat(folder.c_str(), &status) != 0 || status.st_nlink == 2) return {};
    for (const std::string& name : TRY(list_dir(folder))) {
        const std::string child = folder + "/" + name;
        if (::lstat(child.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
            TRY(collect(child, depth - 1, pids));
        }
    }
    return {};
}

// 0 when gone, else the errno that keeps it.
int remove_folder(const std::string& folder, std::size_t depth) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return 0;
    if (errno != EBUSY || depth == 0) return errno;
    const auto names = list_dir(folder);
    if (names) {
        for (const std::string& name : *names) {
            const std::string child = folder + "/" + name;
            struct stat status {};
            if (::lstat(child.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
                remove_folder(child, depth - 1);
            }
        }
    }
    return ::rmdir(folder.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace

bool Layout::has(const std::string& controller) const {
    const auto in = [&](const Hierarchy& hierarchy) {
        return std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), controller) !=
               hierarchy.controllers.end();
    };
    return version == 2 ? in(unified) : std::any_of(v1.begin(), v1.end(), in);
}

Result<Layout> parse_layout(std::string_view mountinfo, std::string_view own_cgroups) {
    const std::vector<std::string> own = split(own_cgroups, '\n');
    Layout layout;
    bool v1_controls = false;
    for (mount::Mounted& mounted : mount::parse_mountinfo(mountinfo)) {
        Layout::Hierarchy hierarchy;
        hierarchy.mount_point = std::move(mounted.point);
        if (mounted.type == "cgroup2" && layout.unified.mount_point.empty()) {
            hierarchy.own_path = below_mount(own_path_of(own, ""), mounted.root);
            layout.unified = std::move(hierarchy);
        } else if (mounted.type == "cgroup") {
            for (const std::string& option : split(mounted.options, ',')) {
                if (is_controller(option) && !layout.has(option)) {
                    hierarchy.controllers.push_back(option);
                }
            }
            if (hierarchy.controllers.empty()) continue;
            const std::string& first = hierarchy.controllers.front();
            v1_controls = v1_controls || !first.starts_with("name=");
            hierarchy.own_path = below_mount(own_path_of(own, first), mounted.root);
            layout.v1.push_back(std::move(hierarchy));
        }
    }
    if (!v1_controls && !layout.unified.mount_point.empty()) {
        layout.version = 2;
        layout.unified.controllers =
            split_fields(TRY(read_optional(layout.unified.mount_point + "/cgroup.controllers")));
    } else if (!layout.v1.empty()) {
        layout.version = 1;
    }
    return layout;
}

const Layout& host_layout() {
    static const Layout layout = []() -> Layout {
        const auto mounts = read_file("/proc/self/mountinfo");
        const auto own = read_file("/proc/self/cgroup");
        if (!mounts || !own) return {};
        return parse_layout(*mounts, *own).value_or({});
    }();
    return layout;
}

std::string folder_of(const Layout::Hierarchy& hierarchy, const std::string& path) {
    if (path.starts_with('/')) return hierarchy.mount_point + path;
    const std::string own = hierarchy.own_path == "/" ? std::string() : hierarchy.own_path;
    return hierarchy.mount_point + own + "/" + path;
}

std::vector<std::string> folders_of(const Layout& layout, const std::string& path) {
    std::vector<std::string> folders;
    folders.reserve(layout.v1.size() + 1);
    for (const Layout::Hierarchy& hierarchy : layout.v1)
        folders.push_back(folder_of(hierarchy, path));
    if (layout.version == 2) folders.push_back(folder_of(layout.unified, path));
    return folders;
}

Result<Made> make_folder(const std::string& folder) {
    int made = ::mkdir(folder.c_str(), 0755);
    if (made != 0 && errno == ENOENT) {
        TRY(make_folder(folder.substr(0, folder.rfind('/'))));
        made = ::mkdir(folder.c_str(), 0755);
    }
    if (made != 0 && errno == EEXIST) return Made::Existed;
    if (made != 0) return fail_errno("create cgroup '{}'", folder);
    // Whatever our umask: when a container mounts its group, older kernels (6.1, 6.12) walk to
    // it with the rights of the container's root.
    if (::chmod(folder.c_str(), 0755) != 0) return fail_errno("set the mode of '{}'", folder);
    return Made::New;
}

Result<void> make_leaf(const std::string& folder, int inhabitant) {
    if (TRY(make_folder(folder)) == Made::New) return {};
    std::vector<int> pids = TRY(collect_pids(folder));
    std::erase(pids, inhabitant);
    if (!pids.empty()) {
        return fail(Code::Conflict, "cgroup '{}' exists and has processes", folder);
    }
    return {};
}

void Backend::restore() {
    for (auto file = before_.rbegin(); file != before_.rend(); ++file) {
        ignore(write_existing(file->file, file->value), "the error of apply() matters more");
    }
    before_.clear();
}

Result<void> write_setting(const std::string& folder, const Setting& setting,
                           std::vector<Before>& before) {
    for (const Setting::Choice& choice : setting.choices) {
        // Write-only files have nothing to go back to.
        if (const auto old = read_file(folder + "/" + choice.file)) {
            before.push_back({folder + "/" + choice.file, std::string(trim(*old))});
        }
        auto written = write_existing(folder + "/" + choice.file, choice.value);
        const bool absent = !written && written.error().sys_errno == ENOENT;
        if (!absent || &choice == &setting.choices.back()) {
            TRY_CONTEXT(std::move(written), "set {} to '{}'", choice.file, choice.value);
            return {};
        }
    }
    return {};
}

Result<std::vector<int>> collect_pids(const std::string& folder) {
    std::vector<int> pids;
    TRY(collect(folder, kMaxDepth, pids));
    return pids;
}

Result<void> signal_pids(const std::vector<int>& pids, int number) {
    for (const int pid : pids) {
        if (::kill(pid, number) != 0 && errno != ESRCH) return fail_errno("signal process {}", pid);
    }
    return {};
}

std::vector<std::pair<std::string, std::uint64_t>> parse_flat(std::string_view text) {
    std::vector<std::pair<std::string, std::uint64_t>> rows;
    for (const std::string& line : split(text, '\n')) {
        const auto pair = cut(line, " ");
        if (!pair) continue;
        if (const auto value = parse_uint(trim(pair->second))) {
            rows.emplace_back(std::string(pair->first), *value);
        }
    }
    return rows;
}

std::uint64_t find_flat(const std::vector<std::pair<std::string, std::uint64_t>>& rows,
                        std::string_view key) {
    for (const auto& [name, value] : rows) {
        if (name == key) return value;
    }
    return 0;
}

Result<std::string> read_optional(const std::string& file) {
    auto text = read_file(file);
    if (!text && text.error().sys_errno == ENOENT) return std::string();
    return text;
}

Result<std::uint64_t> read_number(const std::string& file, std::uint64_t none,
                                  std::uint64_t absent) {
    const std::string text = TRY(read_optional(file));
    if (text.empty()) return absent;
    if (trim(text) == "max") return none;
    const auto value = parse_uint(trim(text));
    if (!value) return fail(Code::Internal, "'{}' holds '{}', not a number", file, trim(text));
    return *value;
}

Cgroup::Cgroup() noexcept = default;
Cgroup::Cgroup(std::string path, std::unique_ptr<Backend> backend, bool owned)
    : path_(std::move(path)), backend_(std::move(backend)), owned_(owned) {}
Cgroup::Cgroup(Cgroup&& other) noexcept = default;

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(backend_, other.backend_);
    std::swap(owned_, other.owned_);
    return *this;
}

Cgroup::~Cgroup() {
    if (backend_ && owned_) ignore(remove(), "a group that stays busy is swept by the engine");
}

Result<Cgroup> Cgroup::create(const std::string& path, const Limits& limits, const Layout& layout,
                              int inhabitant) {
    Cgroup group(path, TRY(backend_for(path, layout)), true);
    if (const auto made = group.backend_->make(inhabitant); !made) {
        // Somebody else's processes may be in it: what is there is not ours to remove.
        if (made.error().code == Code::Conflict) group.release();
        return fail(made.error());
    }
    TRY(group.backend_->apply(limits));
    return group;
}

Result<Cgroup> Cgroup::open(const std::string& path, const Layout& layout) {
    Cgroup group(path, TRY(backend_for(path, layout)), false);
    if (!group.backend_->present()) return fail(Code::NotFound, "no cgroup '{}'", path);
    return group;
}

Result<Fd> Cgroup::clone_fd() const {
    return backend_->clone_fd();
}
Result<void> Cgroup::join_self() const {
    return backend_->join_self();
}
Result<Fd> Cgroup::clone_fd_of(int pid) const {
    const std::string text = TRY(read_file(format("/proc/{}/cgroup", pid)));
    const std::string& ours = backend_->folders().front();
    const std::string folder = folder_of(host_layout().unified, own_path_of(split(text, '\n'), ""));
    if (folder != ours && !folder.starts_with(ours + "/"))
        return fail(Code::Conflict, "process {} has left cgroup '{}'", pid, ours);
    return open_file(folder, O_RDONLY | O_DIRECTORY);
}
Result<void> Cgroup::give_to(std::uint32_t uid) const {
    const std::string& folder = backend_->folders().front();
    const Fd group = TRY(open_file(folder, O_RDONLY | O_DIRECTORY));
    TRY(write_existing(folder + "/cgroup.max.depth", std::to_string(kMaxGivenDepth)));
    TRY(write_existing(folder + "/cgroup.max.descendants", std::to_string(kMaxGivenGroups)));
    std::vector<std::string> files =
        split_fields(TRY(read_optional("/sys/kernel/cgroup/delegate")));
    if (files.empty()) files = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
    for (const std::string& file : files) {
        if (::fchownat(group.get(), file.c_str(), uid, static_cast<gid_t>(-1),
                       AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != ENOENT)
            return fail_errno("give '{}/{}' to user {}", folder, file, uid);
    }
    if (::fchown(group.get(), uid, static_cast<gid_t>(-1)) != 0)
        return fail_errno("give cgroup '{}' to user {}", folder, uid);
    return {};
}
Result<void> Cgroup::update(const Limits& limits) const {
    if (limits.memory_check_usage && limits.memory.value_or(-1) >= 0) {
        const std::uint64_t usage = TRY(backend_->stats(Detail::Usage)).memory_usage;
        if (usage > static_cast<std::uint64_t>(*limits.memory)) {
            return fail(Code::Conflict, "memory limit of {} is below the {} bytes in use",
                        *limits.memory, usage);
        }
    }
    auto applied = backend_->apply(limits);
    if (!applied) backend_->restore();
    return applied;
}
Result<void> Cgroup::freeze() const {
    return backend_->set_frozen(true);
}
Result<void> Cgroup::thaw() const {
    return backend_->set_frozen(false);
}
Result<bool> Cgroup::is_frozen() const {
    return backend_->is_frozen();
}
Result<void> Cgroup::kill_all() const {
    return backend_->kill_all();
}
Result<void> Cgroup::signal_all(int number) const {
    return signal_pids(TRY(pids()), number);
}
Result<std::vector<int>> Cgroup::pids() const {
    return collect_pids(backend_->folders().front());
}
Result<Stats> Cgroup::stats(Detail detail) const {
    return backend_->stats(detail);
}
Result<std::uint64_t> Cgroup::oom_kills() const {
    return backend_->oom_kills();
}
Result<Fd> Cgroup::oom_events() const {
    return backend_->oom_events();
}

Result<void> Cgroup::remove() {
    owned_ = false;
    // Killed processes leave the group as they are torn down, which takes the kernel a moment.
    constexpr int kAttempts = 60;
    int error = 0;
    const std::string* busy = nullptr;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        error = 0;
        for (const std::string& folder : backend_->folders()) {
            const int left = remove_folder(folder, kMaxDepth);
            if (left != 0) {
                error = left;
                busy = &folder;
            }
        }
        if (error != EBUSY) break;
        TRY(backend_->kill_all());
        pause_ms(attempt < 10 ? 1 : 50);
    }
    if (error != 0) return fail_with(error, "remove cgroup '{}'", *busy);
    return {};
}

}  // namespace coffer::sys::cgroup
