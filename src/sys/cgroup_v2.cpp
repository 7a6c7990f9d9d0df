// cgroup v2: one folder in the unified hierarchy.

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "sys/cgroup_devices.hpp"
#include "sys/cgroup_plan.hpp"
#include "sys/file.hpp"

namespace coffer::sys::cgroup {

namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;

class V2 : public Backend {
  public:
    V2(const Layout& layout, const std::string& path)
        : root_(layout.unified.mount_point), folders_{folder_of(layout.unified, path)} {}

    Result<void> make(int inhabitant) override {
        const std::string& leaf = folders_.front();
        const std::string below = leaf.substr(root_.size() + 1);
        std::string current = root_;
        TRY(delegate(current));
        const std::vector<std::string> parts = split(below, '/');
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            if (parts[i].empty()) continue;
            current += "/" + parts[i];
            TRY(make_folder(current));
            TRY(delegate(current));
        }
        return make_leaf(leaf, inhabitant);
    }

    bool present() const override { return exists(folders_.front()); }

    Result<void> apply(const Limits& limits) override {
        const std::string& folder = folders_.front();
        Limits whole = limits;
        before_.clear();
        // Memory and swap together say what swap alone may be only beside memory's limit.
        if (limits.memory_swap.value_or(-1) >= 0 && !limits.memory) {
            const std::uint64_t now = TRY(read_number(folder + "/memory.max", kNoLimit, kNoLimit));
            if (now != kNoLimit) whole.memory = static_cast<std::int64_t>(now);
        }
        for (const Setting& setting : TRY(plan_v2(whole))) {
            const Setting::Choice& choice = setting.choices.front();
            auto written = write_setting(folder, setting, before_);
            if (!written && written.error().sys_errno == ENOENT) {
                if (setting.lifts) continue;
                return fail(Code::NotImplemented,
                            "set {} to '{}': no such file, the {} controller "
                            "is not enabled or lacks it",
                            choice.file, choice.value, setting.controller);
            }
            TRY(std::move(written));
        }
        if (limits.devices.empty()) return {};
        const Fd fd = TRY(open_file(folder, O_RDONLY | O_DIRECTORY));
        return restrict_devices(fd.get(), limits.devices);
    }

    Result<void> set_frozen(bool frozen) override {
        const std::string& folder = folders_.front();
        TRY(write_existing(folder + "/cgroup.freeze", frozen ? "1" : "0"));
        for (int attempt = 0; attempt < 500; ++attempt) {
            const auto events = parse_flat(TRY(read_file(folder + "/cgroup.events")));
            if ((find_flat(events, "frozen") == 1) == frozen) return {};
            const timespec time{0, attempt < 50 ? 100 * 1000 : 5 * 1000 * 1000};
            ::nanosleep(&time, nullptr);
        }
        return fail(Code::Unavailable, "cgroup '{}' does not {}", folder,
                    frozen ? "freeze" : "thaw");
    }

    Result<bool> is_frozen() const override {
        return trim(TRY(read_optional(folders_.front() + "/cgroup.freeze"))) == "1";
    }

    Result<void> kill_all() override {
        const std::string& folder = folders_.front();
        if (!present()) return {};
        auto killed = write_existing(folder + "/cgroup.kill", "1");
        if (killed || killed.error().sys_errno != ENOENT) return killed;
        // Before Linux 5.14: frozen, nothing can fork away from the list.
        ignore(set_frozen(true), "killing works without, only less surely");
        const std::vector<int> pids = TRY(collect_pids(folder));
        TRY(signal_pids(pids, SIGKILL));
        return set_frozen(false);
    }

    Result<Stats> stats(Detail detail) const override;

    Result<std::uint64_t> oom_kills() const override {
        const auto events = parse_flat(TRY(read_optional(folders_.front() + "/memory.events")));
        return find_flat(events, "oom_kill");
    }

    Result<Fd> oom_events() const override {
        const std::string file = folders_.front() + "/memory.events";
        if (!exists(file)) return Fd();
        Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!watch) return fail_errno("create inotify");
        if (::inotify_add_watch(watch.get(), file.c_str(), IN_MODIFY) < 0) {
            return fail_errno("watch '{}'", file);
        }
        return watch;
    }

    Result<Fd> clone_fd() const override {
        return open_file(folders_.front(), O_RDONLY | O_DIRECTORY);
    }
    Result<void> join_self() const override { return {}; }
    const std::vector<std::string>& folders() const override { return folders_; }

  private:
    // Lets the groups below use all controllers that this one has.
    Result<void> delegate(const std::string& folder) const {
        const std::vector<std::string> available =
            split_fields(TRY(read_optional(folder + "/cgroup.controllers")));
        const std::string file = folder + "/cgroup.subtree_control";
        const std::vector<std::string> enabled = split_fields(TRY(read_optional(file)));
        std::vector<std::string> missing;
        for (const std::string& name : available) {
            if (std::find(enabled.begin(), enabled.end(), name) == enabled.end()) {
                missing.push_back("+" + name);
            }
        }
        if (missing.empty()) return {};
        auto written = write_existing(file, join(missing, " "));
        if (!written && written.error().sys_errno == EBUSY && folder == root_) {
            // We run in a container ourselves, and its processes sit in what is our root: a group
            // with processes gives nothing to those below, so they move into one of their own.
            TRY(make_dirs(folder + "/init"));
            for (const std::string& pid : split_fields(TRY(read_file(folder + "/cgroup.procs")))) {
                ignore(write_existing(folder + "/init/cgroup.procs", pid), "it may have ended");
            }
            written = write_existing(file, join(missing, " "));
        }
        if (written) return {};
        // One controller may be refused for its own reasons (cpu beside real-time processes); the
        // others are wanted all the same, and a limit that needs it fails by its own name.
        for (const std::string& name : missing) {
            ignore(write_existing(file, name), "reported when a limit needs it");
        }
        return {};
    }

    std::string root_;
    std::vector<std::string> folders_;
};

// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..."
void parse_io(std::string_view text, Stats& stats) {
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split_fields(line);
        const auto device = fields.empty() ? std::nullopt : cut(fields[0], ":");
        if (!device) continue;
        const auto major = parse_uint(device->first);
        const auto minor = parse_uint(device->second);
        if (!major || !minor) continue;
        for (const std::string& field : fields) {
            const auto pair = cut(field, "=");
            const auto value = pair ? parse_uint(pair->second) : std::nullopt;
            if (!value) continue;
            if (pair->first == "rbytes" || pair->first == "wbytes") {
                stats.io_service_bytes.push_back(
                    {*major, *minor, pair->first == "rbytes" ? "read" : "write", *value});
            } else if (pair->first == "rios" || pair->first == "wios") {
                stats.io_serviced.push_back(
                    {*major, *minor, pair->first == "rios" ? "read" : "write", *value});
            }
        }
    }
}

Result<Stats> V2::stats(Detail detail) const {
    const std::string& place = folders_.front();
    if (!present()) return fail(Code::NotFound, "the cgroup is gone");
    Stats stats;
    const auto cpu = parse_flat(TRY(read_optional(place + "/cpu.stat")));
    stats.cpu_ns = find_flat(cpu, "usage_usec") * 1000;
    stats.cpu_user_ns = find_flat(cpu, "user_usec") * 1000;
    stats.cpu_system_ns = find_flat(cpu, "system_usec") * 1000;
    stats.periods = find_flat(cpu, "nr_periods");
    stats.throttled_periods = find_flat(cpu, "nr_throttled");
    stats.throttled_ns = find_flat(cpu, "throttled_usec") * 1000;
    stats.memory_usage = TRY(read_number(place + "/memory.current", 0, 0));
    stats.memory_limit = TRY(read_number(place + "/memory.max", kNoLimit, kNoLimit));
    const auto events = parse_flat(TRY(read_optional(place + "/memory.events")));
    stats.memory_failures = find_flat(events, "max");
    stats.memory_ooms = find_flat(events, "oom");
    stats.memory_stat = parse_flat(TRY(read_optional(place + "/memory.stat")));
    stats.pids = TRY(read_number(place + "/pids.current", 0, 0));
    stats.pids_limit = TRY(read_number(place + "/pids.max", 0, 0));
    stats.memory_max_usage = TRY(read_number(place + "/memory.peak", 0, 0));
    stats.memory_hierarchy = true;
    parse_io(TRY(read_optional(place + "/io.stat")), stats);
    if (detail == Detail::Usage) return stats;
    stats.memory_swap.usage = TRY(read_number(place + "/memory.swap.current", 0, 0));
    stats.memory_swap.limit = TRY(read_number(place + "/memory.swap.max", kNoLimit, 0));
    stats.memory_swap.max = TRY(read_number(place + "/memory.swap.peak", 0, 0));
    TRY(read_cpuset(place, stats));
    for (const std::string& size : huge_page_sizes()) {
        const std::string base = place + "/hugetlb." + size;
        if (!exists(base + ".current")) continue;
        Stats::Counter counter;
        counter.usage = TRY(read_number(base + ".current", 0, 0));
        counter.limit = TRY(read_number(base + ".max", kNoLimit, 0));
        counter.failures = find_flat(parse_flat(TRY(read_optional(base + ".events"))), "max");
        stats.hugetlb.emplace_back(size, counter);
    }
    for (const std::string name : {"cpu", "memory", "io"}) {
        // Where pressure is switched off, the files are there but cannot be read.
        auto text = read_file(place + "/" + name + ".pressure");
        if (text) stats.pressure.emplace_back(name, *std::move(text));
    }
    return stats;
}

}  // namespace

std::unique_ptr<Backend> make_v2(const Layout& layout, const std::string& path) {
    return std::make_unique<V2>(layout, path);
}

}  // namespace coffer::sys::cgroup
