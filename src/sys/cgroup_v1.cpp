#include "sys/cgroup_backend.hpp"

// cgroup v1: a folder in every mounted hierarchy.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "sys/cgroup_plan.hpp"
#include "sys/file.hpp"

namespace coffer::sys::cgroup {

namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;
// The kernel's largest page counter, in bytes: what an unlimited group reads as.
constexpr std::uint64_t kLargestCounter = 0x7FFFFFFFFFFFF000;

class V1 : public Backend {
  public:
    V1(const Layout& layout, const std::string& path) {
        for (const Layout::Hierarchy& hierarchy : layout.v1) {
            const std::string folder = folder_of(hierarchy, path);
            folders_.push_back(folder);
            for (const std::string& controller : hierarchy.controllers) {
                by_controller_.emplace_back(controller, folder);
            }
        }
    }

    Result<void> make(int inhabitant) override {
        for (const std::string& folder : folders_) TRY(make_leaf(folder, inhabitant));
        fresh_ = true;
        const std::string cpuset = folder("cpuset");
        if (!cpuset.empty()) TRY(inherit_cpuset(cpuset));
        return {};
    }

    bool present() const override {
        return std::any_of(folders_.begin(), folders_.end(),
                           [](const std::string& folder) { return exists(folder); });
    }

    Result<void> apply(const Limits& limits) override {
        std::vector<Setting> plan = TRY(plan_v1(limits));
        before_.clear();
        if (!fresh_) TRY(order_memory(plan));
        for (std::size_t i = 0; i < plan.size(); ++i) {
            auto written = write(plan[i]);
            // A period that does not fit the quota of before: the new quota goes first.
            if (!written && written.error().sys_errno == EINVAL && i + 1 < plan.size() &&
                plan[i].choices.front().file == "cpu.cfs_period_us" &&
                plan[i + 1].choices.front().file == "cpu.cfs_quota_us") {
                TRY(write(plan[i + 1]));
                written = write(plan[i]);
            }
            TRY(std::move(written));
        }
        fresh_ = false;
        return {};
    }

    Result<void> set_frozen(bool frozen) override {
        const std::string place = folder("freezer");
        if (place.empty()) return fail(Code::NotImplemented, "freeze: no freezer controller");
        const std::string wanted = frozen ? "FROZEN" : "THAWED";
        // A group whose processes fork while it freezes stays FREEZING until it is asked again.
        for (int attempt = 0; attempt < 500; ++attempt) {
            TRY(write_existing(place + "/freezer.state", wanted));
            if (trim(TRY(read_file(place + "/freezer.state"))) == wanted) return {};
            const timespec time{0, attempt < 50 ? 100 * 1000 : 5 * 1000 * 1000};
            ::nanosleep(&time, nullptr);
        }
        if (frozen) ignore(write_existing(place + "/freezer.state", "THAWED"), "best effort");
        return fail(Code::Unavailable, "cgroup '{}' does not become {}", place, wanted);
    }

    Result<bool> is_frozen() const override {
        const std::string place = folder("freezer");
        if (place.empty()) return false;
        const std::string state = TRY(read_optional(place + "/freezer.state"));
        return !state.empty() && trim(state) != "THAWED";
    }

    Result<void> kill_all() override {
        if (!present()) return {};
        // Frozen, nothing can fork away from the list; killed processes die once thawed.
        const bool frozen = !folder("freezer").empty() && set_frozen(true).has_value();
        for (int round = 0; round < (frozen ? 1 : 20); ++round) {
            const std::vector<int> pids = TRY(collect_pids(folders_.front()));
            if (pids.empty()) break;
            TRY(signal_pids(pids, SIGKILL));
        }
        if (frozen) TRY(set_frozen(false));
        return {};
    }

    Result<Stats> stats(Detail detail) const override;

    Result<std::uint64_t> oom_kills() const override {
        const std::string place = folder("memory");
        if (place.empty()) return 0;
        return find_flat(parse_flat(TRY(read_optional(place + "/memory.oom_control"))), "oom_kill");
    }

    Result<Fd> oom_events() const override {
        const std::string place = folder("memory");
        if (place.empty()) return Fd();
        const Fd control = TRY(open_file(place + "/memory.oom_control", O_RDONLY));
        Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!event) return fail_errno("create eventfd");
        TRY(write_existing(place + "/cgroup.event_control",
                           format("{} {}", event.get(), control.get())));
        return event;
    }

    Result<Fd> clone_fd() const override { return Fd(); }

    // The kernel takes its lock over all forks for a whole process, and for another thread, but not
    // for a thread that moves itself.
    Result<void> join_self() const override {
        for (const std::string& folder : folders_) TRY(write_existing(folder + "/tasks", "0"));
        return {};
    }

    const std::vector<std::string>& folders() const override { return folders_; }

  private:
    std::string folder(std::string_view controller) const {
        for (const auto& [name, place] : by_controller_) {
            if (name == controller) return place;
        }
        return {};
    }

    Result<void> write(const Setting& setting) {
        const std::string place = folder(setting.controller);
        if (!place.empty()) return write_setting(place, setting, before_);
        if (setting.lifts) return {};
        const Setting::Choice& choice = setting.choices.front();
        return fail(Code::NotImplemented, "set {} to '{}': no {} controller", choice.file,
                    choice.value, setting.controller);
    }

    // A new cpuset has no processors and no memory nodes, and takes no process until it has. With
    // clone_children in the parent the kernel copies them; else we do, from the top down.
    static Result<void> inherit_cpuset(const std::string& place) {
        if (!trim(TRY(read_optional(place + "/cpuset.mems"))).empty() &&
            !trim(TRY(read_optional(place + "/cpuset.cpus"))).empty()) {
            return {};
        }
        const std::string parent = place.substr(0, place.rfind('/'));
        if (!exists(parent + "/cpuset.mems")) {
            return fail(Code::Internal, "no cpuset above '{}' has processors", place);
        }
        TRY(inherit_cpuset(parent));
        TRY(write_existing(parent + "/cgroup.clone_children", "1"));
        for (const std::string file : {"/cpuset.cpus", "/cpuset.mems"}) {
            const std::string above = TRY(read_file(parent + file));
            TRY(write_existing(place + file, trim(above)));
        }
        return {};
    }

    // The kernel refuses memory above memory and swap together at any moment: the plan lowers
    // memory first; when the pair is raised, swap goes first.
    Result<void> order_memory(std::vector<Setting>& plan) const {
        const auto find = [&](std::string_view file) {
            return std::find_if(plan.begin(), plan.end(), [&](const Setting& setting) {
                return setting.choices.front().file == file;
            });
        };
        const auto memory = find("memory.limit_in_bytes");
        const auto swap = find("memory.memsw.limit_in_bytes");
        if (memory == plan.end() || swap == plan.end()) return {};
        const std::uint64_t current =
            TRY(read_number(folder("memory") + "/memory.limit_in_bytes", kNoLimit, kNoLimit));
        const auto wanted = parse_uint(swap->choices.front().value);
        if (!wanted || current < *wanted) std::iter_swap(memory, swap);
        return {};
    }

    std::vector<std::string> folders_;
    std::vector<std::pair<std::string, std::string>> by_controller_;
    bool fresh_ = false;
};

// "8:0 Read 4096"; the "Total" of all devices has no device and is left out.
std::vector<Stats::Row> parse_blkio(std::string_view text) {
    std::vector<Stats::Row> rows;
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split_fields(line);
        if (fields.size() != 3) continue;
        const auto device = cut(fields[0], ":");
        const auto value = parse_uint(fields[2]);
        if (!device || !value) continue;
        const auto major = parse_uint(device->first);
        const auto minor = parse_uint(device->second);
        if (major && minor) rows.push_back({*major, *minor, fields[1], *value});
    }
    return rows;
}

Result<Stats> V1::stats(Detail detail) const {
    if (!present()) return fail(Code::NotFound, "the cgroup is gone");
    Stats stats;
    if (const std::string place = folder("cpuacct"); !place.empty()) {
        stats.cpu_ns = TRY(read_number(place + "/cpuacct.usage", 0, 0));
        const auto rows = parse_flat(TRY(read_optional(place + "/cpuacct.stat")));
        const auto tick = static_cast<std::uint64_t>(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
        stats.cpu_user_ns = find_flat(rows, "user") * tick;
        stats.cpu_system_ns = find_flat(rows, "system") * tick;
        for (const std::string& field :
             split_fields(TRY(read_optional(place + "/cpuacct.usage_percpu")))) {
            stats.cpu_per_cpu_ns.push_back(parse_uint(field).value_or(0));
        }
    }
    if (const std::string place = folder("cpu"); !place.empty()) {
        const auto rows = parse_flat(TRY(read_optional(place + "/cpu.stat")));
        stats.periods = find_flat(rows, "nr_periods");
        stats.throttled_periods = find_flat(rows, "nr_throttled");
        stats.throttled_ns = find_flat(rows, "throttled_time");
    }
    if (const std::string place = folder("memory"); !place.empty()) {
        stats.memory_usage = TRY(read_number(place + "/memory.usage_in_bytes", 0, 0));
        stats.memory_max_usage = TRY(read_number(place + "/memory.max_usage_in_bytes", 0, 0));
        stats.memory_limit = TRY(read_number(place + "/memory.limit_in_bytes", kNoLimit, kNoLimit));
        if (stats.memory_limit >= kLargestCounter) stats.memory_limit = kNoLimit;
        stats.memory_failures = TRY(read_number(place + "/memory.failcnt", 0, 0));
        stats.memory_stat = parse_flat(TRY(read_optional(place + "/memory.stat")));
    }
    if (const std::string place = folder("pids"); !place.empty()) {
        stats.pids = TRY(read_number(place + "/pids.current", 0, 0));
        stats.pids_limit = TRY(read_number(place + "/pids.max", 0, 0));
    }
    if (const std::string place = folder("blkio"); !place.empty()) {
        // The scheduler's own counters when it keeps some, else those of the throttling layer.
        for (const std::string prefix : {"/blkio.bfq.", "/blkio.throttle."}) {
            stats.io_service_bytes =
                parse_blkio(TRY(read_optional(place + prefix + "io_service_bytes_recursive")));
            stats.io_serviced =
                parse_blkio(TRY(read_optional(place + prefix + "io_serviced_recursive")));
            if (!stats.io_service_bytes.empty()) break;
        }
        for (const std::string name :
             {"io_queued", "io_service_time", "io_wait_time", "io_merged", "time", "sectors"}) {
            auto rows =
                parse_blkio(TRY(read_optional(place + "/blkio.bfq." + name + "_recursive")));
            if (!rows.empty()) stats.io_other.emplace_back(name, std::move(rows));
        }
    }
    if (detail == Detail::Usage) return stats;
    if (const std::string place = folder("memory"); !place.empty()) {
        stats.memory_swap = TRY(read_counter(place, "memory.memsw"));
        stats.memory_kernel = TRY(read_counter(place, "memory.kmem"));
        stats.memory_kernel_tcp = TRY(read_counter(place, "memory.kmem.tcp"));
        stats.memory_hierarchy = TRY(read_number(place + "/memory.use_hierarchy", 0, 0)) == 1;
    }
    if (const std::string place = folder("cpuset"); !place.empty()) {
        TRY(read_cpuset(place, stats));
    }
    if (const std::string place = folder("hugetlb"); !place.empty()) {
        for (const std::string& size : huge_page_sizes()) {
            stats.hugetlb.emplace_back(size, TRY(read_counter(place, "hugetlb." + size)));
        }
    }
    return stats;
}

}  // namespace

std::unique_ptr<Backend> make_v1(const Layout& layout, const std::string& path) {
    return std::make_unique<V1>(layout, path);
}

}  // namespace coffer::sys::cgroup
