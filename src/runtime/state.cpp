#include "runtime/state.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "json/codec.hpp"

namespace coffer::runtime {

void describe(json::Fields& f, const State& s);
void describe(json::Fields& f, const State& s) {
    f("ociVersion", s.oci_version);
    f("id", s.id);
    f("pid", s.pid);
    f("pidStartTime", s.pid_start_time);
    f("bundle", s.bundle);
    f("rootfs", s.rootfs);
    f("created", s.created);
    f("cgroupPath", s.cgroup_path);
    f("systemdUnit", s.systemd_unit, json::kOmitEmpty);
    f("resctrlGroup", s.resctrl.folder, json::kOmitEmpty);
    f("resctrlGroupIsOurs", s.resctrl.ours, json::kOmitEmpty);
    f("resctrlMonitor", s.resctrl.monitor, json::kOmitEmpty);
    f("owner", s.owner);
    f("resources", s.resources);
    f("attendant", s.attendant, json::kOmitEmpty);
    f("attendantStartTime", s.attendant_start_time, json::kOmitEmpty);
    f("annotations", s.annotations);
}

namespace {

constexpr std::size_t kStateLimit = 1024 * 1024;
constexpr std::size_t kConfigLimit = 16U << 20U;

Failure fail_absent(const std::string& id) {
    return fail(Code::NotFound, "container does not exist: '{}'", id);
}

Result<State> load_from(const std::string& folder, const std::string& id) {
    auto text = sys::read_regular_file(AT_FDCWD, folder + "/state.json", kStateLimit);
    if (!text && text.error().sys_errno == ENOENT) {
        // Somebody is between making the folder and writing into it, or died there.
        State state;
        state.id = id;
        return state;
    }
    if (!text) return fail(std::move(text).error());
    return json::decode<State>(*text);
}

}  // namespace

const char* to_text(Status status) {
    switch (status) {
        case Status::Creating:
            return "creating";
        case Status::Created:
            return "created";
        case Status::Running:
            return "running";
        case Status::Paused:
            return "paused";
        case Status::Stopped:
            return "stopped";
    }
    return "";
}

Result<void> check_id(const std::string& id) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '+' || c == '-' || c == '.';
    };
    if (id.empty() || id.size() > 255 || id == "." || id == ".." ||
        !std::all_of(id.begin(), id.end(), allowed)) {
        return fail(Code::InvalidArgument, "invalid container id format: '{}'", id);
    }
    return {};
}

Result<StateFolder> StateFolder::create(const std::string& root, const std::string& id) {
    TRY(check_id(id));
    TRY(sys::make_dirs(root, 0700));
    const std::string path = root + "/" + id;
    if (::mkdir(path.c_str(), 0700) != 0) {
        if (errno == EEXIST) {
            return fail(Code::Conflict, "container with given ID already exists: '{}'", id);
        }
        return fail_errno("create folder '{}'", path);
    }
    auto lock = sys::FileLock::wait(path + "/lock");
    if (!lock) {
        ignore(sys::remove_tree(path), "the lock's error matters more");
        return fail(lock.error());
    }
    return StateFolder(path, *std::move(lock));
}

Result<StateFolder> StateFolder::open(const std::string& root, const std::string& id) {
    TRY(check_id(id));
    const std::string path = root + "/" + id;
    auto lock = sys::FileLock::wait(path + "/lock");
    if (!lock && lock.error().sys_errno == ENOENT) return fail_absent(id);
    StateFolder folder(path, TRY(std::move(lock)));
    // It may have been removed while we waited for the lock.
    if (!sys::exists(path + "/lock")) return fail_absent(id);
    return folder;
}

Result<std::optional<StateFolder>> StateFolder::open_abandoned(const std::string& root,
                                                               const std::string& id) {
    TRY(check_id(id));
    const std::string path = root + "/" + id;
    if (!sys::exists(path)) return std::optional<StateFolder>();
    auto lock = sys::FileLock::try_lock(path + "/lock");
    if (!lock) return std::optional<StateFolder>();  // somebody is at work
    StateFolder folder(path, *std::move(lock));
    if (!sys::exists(path + "/lock")) return std::optional<StateFolder>();
    const State state = TRY(folder.load());
    const Status status = status_of(state, path);
    const bool unattended =
        status == Status::Stopped && state.attendant != 0 &&
        live_start_time(state.attendant) != std::optional(state.attendant_start_time);
    if (status != Status::Creating && !unattended) return std::optional<StateFolder>();
    return std::optional(std::move(folder));
}

Result<State> StateFolder::load() const {
    return load_from(path_, path_.substr(path_.rfind('/') + 1));
}

Result<void> StateFolder::save(const State& state) const {
    const std::string temporary = path_ + "/state.json.new";
    const std::string path = path_ + "/state.json";
    TRY(sys::write_file(temporary, json::encode(state), 0600));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("replace '{}'", path);
    return {};
}

Result<void> StateFolder::keep_config(const std::string& bundle) const {
    const std::string text =
        TRY(sys::read_regular_file(AT_FDCWD, bundle + "/config.json", kConfigLimit));
    return sys::write_file(path_ + "/config.json", text, 0600);
}

Result<void> StateFolder::remove() {
    return sys::remove_tree(path_);
}

Result<std::vector<std::string>> list_ids(const std::string& root) {
    if (!sys::exists(root)) return std::vector<std::string>();
    std::vector<std::string> ids;
    for (std::string& name : TRY(sys::list_dir(root))) {
        if (check_id(name) && sys::exists(root + "/" + name + "/lock")) {
            ids.push_back(std::move(name));
        }
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

Result<State> load_state(const std::string& root, const std::string& id) {
    TRY(check_id(id));
    const std::string folder = root + "/" + id;
    if (!sys::exists(folder + "/lock")) return fail_absent(id);
    return load_from(folder, id);
}

std::optional<std::uint64_t> live_start_time(int pid) {
    if (pid <= 0) return std::nullopt;
    const auto text = sys::read_file(format("/proc/{}/stat", pid), 4096);
    if (!text) return std::nullopt;
    // The command, in parentheses, may hold anything: the fields start after the last one.
    const std::size_t end = text->rfind(')');
    if (end == std::string::npos) return std::nullopt;
    const std::vector<std::string> fields = split_fields(std::string_view(*text).substr(end + 1));
    if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
    return parse_uint(fields[19]);
}

Status status_of(const State& state, const std::string& folder) {
    if (state.pid == 0) return Status::Creating;
    const auto started = live_start_time(state.pid);
    if (!started || *started != state.pid_start_time) return Status::Stopped;
    if (sys::exists(folder + "/start.sock")) return Status::Created;
    return Status::Running;
}

}  // namespace coffer::runtime
