// docker top: the machine's ps, told about the processes of one container.
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "engine/containers_impl.hpp"
#include "sys/cgroup.hpp"
#include "sys/process.hpp"

namespace coffer::engine {

namespace {

constexpr std::chrono::seconds kLimit(10);

// "-o user=PID" would call another column PID, and ps would tell about all processes.
Result<void> check_arguments(const std::vector<std::string>& arguments) {
    for (const std::string& argument : arguments) {
        const auto sides = cut(argument, "=");
        if (!sides || !sides->second.starts_with("PID")) continue;
        const std::string_view column = sides->first.substr(sides->first.rfind(',') + 1);
        if (column == "pid") continue;
        return fail(Code::InvalidArgument, "specifying \"{}\" is not allowed", argument);
    }
    return {};
}

Result<std::string> run_ps(const std::vector<std::string>& arguments) {
    sys::SpawnOptions options;
    options.argv = {"/bin/ps"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.env = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
    const sys::Output output = TRY(sys::run(options, "", kLimit));
    if (output.status == 0) return output.out;
    // The first line says why; the rest is the usage.
    return fail(Code::Internal, "ps: {}", output.err.substr(0, output.err.find('\n')));
}

// The ids that ps prints are the machine's; people want to see the container's. ps cuts names that
// are too long: "2086535+".
void show_own_users(api::TopResponse& response, const std::string& ps_args, std::uint32_t id_base) {
    constexpr std::uint32_t kIds = 65536;
    const bool numbers = ps_args.find("uid") != std::string::npos;
    const auto pid_column = static_cast<std::size_t>(
        std::find(response.titles.begin(), response.titles.end(), "PID") - response.titles.begin());
    std::uint32_t uid = 0;
    for (std::vector<std::string>& row : response.processes) {
        struct stat process {};
        const std::string& pid = row.at(pid_column);
        if (pid != "-" && ::stat(format("/proc/{}", pid).c_str(), &process) == 0) {
            uid = process.st_uid;
        }
        if (uid < id_base || uid - id_base >= kIds) continue;
        const std::string outside = std::to_string(uid);
        const std::string inside =
            uid == id_base && !numbers ? "root" : std::to_string(uid - id_base);
        for (std::size_t i = 0; i < row.size() && i < response.titles.size(); ++i) {
            const std::string& title = response.titles[i];
            if (!title.ends_with("UID") && !title.ends_with("USER")) continue;
            const bool is_cut =
                row[i].ends_with('+') && outside.starts_with(row[i].substr(0, row[i].size() - 1));
            if (is_cut || row[i] == outside) row[i] = inside;
        }
    }
}

}  // namespace

Result<api::TopResponse> parse_processes(const std::string& output, const std::vector<int>& pids) {
    const std::set<std::string> wanted = [&] {
        std::set<std::string> texts;
        for (const int pid : pids) texts.insert(std::to_string(pid));
        return texts;
    }();
    api::TopResponse response;
    std::size_t pid_column = 0;
    bool in_container = false;
    for (const std::string& line : split(output, '\n')) {
        std::vector<std::string> fields = split_fields(line);
        if (response.titles.empty()) {
            const auto found = std::find(fields.begin(), fields.end(), "PID");
            if (found == fields.end()) {
                return fail(Code::Internal, "Couldn't find PID field in ps output");
            }
            pid_column = static_cast<std::size_t>(found - fields.begin());
            response.titles = std::move(fields);
            continue;
        }
        if (fields.size() <= pid_column) continue;
        // A "-" is a thread of the process above it.
        if (fields[pid_column] != "-") in_container = wanted.contains(fields[pid_column]);
        if (!in_container) continue;
        // The last column is a command line: what is left of the fields belongs to it.
        while (fields.size() > response.titles.size()) {
            const std::string last = fields.back();
            fields.pop_back();
            fields.back() += " " + last;
        }
        response.processes.push_back(std::move(fields));
    }
    return response;
}

Result<api::TopResponse> Containers::top(const std::string& name,
                                         const std::string& ps_args) const {
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    std::vector<std::string> arguments = split_fields(ps_args.empty() ? "-ef" : ps_args);
    TRY(check_arguments(arguments));
    if (!record->is_up()) return fail(Code::Conflict, "container {} is not running", record->id);
    if (record->state() == Status::Restarting) return fail_restarting(*record);
    const auto cgroup = TRY(sys::cgroup::Cgroup::open(record->cgroup_path));
    const std::vector<int> pids = TRY(cgroup.pids());
    // With their pids ps tells about all of them, whatever terminal they are on; some options (f)
    // do not go with that.
    std::vector<std::string> words;
    words.reserve(pids.size());
    for (const int pid : pids) words.push_back(std::to_string(pid));
    std::vector<std::string> with_pids = arguments;
    with_pids.insert(with_pids.end(), {"-q", join(words, ",")});
    auto told = run_ps(with_pids);
    if (!told) told = run_ps(arguments);
    const std::string output = TRY(std::move(told));
    api::TopResponse response = TRY(parse_processes(output, pids));
    if (record->id_base != 0) show_own_users(response, ps_args, record->id_base);
    impl_->publish_event(*record, "top");
    return response;
}

}  // namespace coffer::engine
