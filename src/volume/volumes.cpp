#include "volume/volumes.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/id.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "json/codec.hpp"
#include "sys/file.hpp"
#include "volume/local.hpp"

namespace coffer::volume {

namespace {

constexpr std::size_t kRecordLimit = 1024 * 1024;
constexpr const char* kRecord = "/volume.json";
constexpr const char* kUnclaimed = "/unclaimed.json";  // the record until the volume is claimed

bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

void describe(json::Fields& f, const Volume& s) {
    f("Name", s.name);
    f("CreatedAt", s.created_at);
    f("Labels", s.labels);
    f("Options", s.options);
    f("Project", s.project);
    f("Anonymous", s.anonymous);
}

bool is_valid_volume_name(std::string_view name) {
    if (name.size() < 2 || name.size() > 255 || !is_alnum(name.front())) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Result<void> check_volume_name(const std::string& name) {
    if (name.size() == 1) {
        return fail(Code::InvalidArgument,
                    "create {}: volume name is too short, names should be at least two "
                    "alphanumeric characters",
                    name);
    }
    if (!is_valid_volume_name(name)) {
        return fail(Code::InvalidArgument,
                    "create {}: \"{}\" includes invalid characters for a local volume name, only "
                    "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
                    "directory, use absolute path",
                    name, name);
    }
    return {};
}

Volumes::Turn::Turn(Volumes& volumes, std::string name)
    : volumes_(volumes), name_(std::move(name)) {
    std::unique_lock lock(volumes_.mutex_);
    volumes_.turned_.wait(lock, [&] { return volumes_.busy_.insert(name_).second; });
}

Volumes::Turn::~Turn() {
    const std::lock_guard lock(volumes_.mutex_);
    volumes_.busy_.erase(name_);
    volumes_.turned_.notify_all();
}

Result<std::unique_ptr<Volumes>> Volumes::open(const std::string& folder) {
    TRY(sys::make_dirs(folder, 0700));
    std::unique_ptr<Volumes> volumes(new Volumes(folder));
    for (const std::string& name : TRY(sys::list_dir(folder))) {
        const std::string own = folder + "/" + name;
        const bool claimed = sys::exists(own + kRecord);
        const auto text = sys::read_file(own + (claimed ? kRecord : kUnclaimed), kRecordLimit);
        const auto volume = text ? json::decode<Volume>(*text) : Result<Volume>(fail(text.error()));
        if (!volume) {
            // A crash came between the folder and its record: nobody has used it.
            LOG_WARN("volume folder '{}' has no record and is removed", own);
            ignore(unmount_local(own), "then it stays, and is tried again at the next start");
            ignore(sys::remove_tree(own), "tried again at the next start");
            continue;
        }
        Volume known = *volume;
        known.name = name;  // an end in the middle of a rename leaves the old one in the record
        known.path = own + "/_data";
        known.claimed = claimed;
        volumes->last_project_ = std::max(volumes->last_project_, known.project);
        volumes->volumes_.emplace(name, std::move(known));
    }
    return volumes;
}

Result<Volume> Volumes::make(const VolumeRequest& request, const std::string& name,
                             const std::string& user) {
    const LocalOptions options =
        TRY_CONTEXT(parse_local_options(request.options), "create {}", name);
    const std::string own = own_folder(name);
    Volume volume;
    volume.name = name;
    volume.path = own + "/_data";
    volume.created_at = to_rfc3339(now());
    volume.labels = request.labels;
    volume.options = request.options;
    volume.anonymous = request.name.empty();
    volume.claimed = user.empty();
    if (!user.empty()) volume.users.insert(user);
    if (options.size != 0) {
        const std::lock_guard lock(mutex_);
        volume.project = ++last_project_;
    }
    const auto made = [&]() -> Result<void> {
        TRY(sys::make_dirs(own, 0700));
        TRY(create_local(options, own, volume.project));
        return sys::replace_file(own + (volume.claimed ? kRecord : kUnclaimed),
                                 json::encode(volume));
    }();
    if (made) return volume;
    clear_local(own, volume.project);
    ignore(sys::remove_tree(own), "removed at the next start");
    return fail(made.error().code, "create {}: {}", name, made.error().message);
}

Result<Volumes::Created> Volumes::create(const VolumeRequest& request, const std::string& user) {
    const std::string name = request.name.empty() ? random_hex(32) : request.name;
    if (!request.driver.empty() && request.driver != "local") {
        return fail(Code::NotFound,
                    "create {}: error looking up volume plugin {}: plugin \"{}\" not found", name,
                    request.driver, request.driver);
    }
    TRY(check_volume_name(name));
    const Turn turn(*this, name);
    {
        const std::lock_guard lock(mutex_);
        const auto found = volumes_.find(name);
        if (found != volumes_.end()) {
            if (!user.empty()) found->second.users.insert(user);
            return Created{found->second, false};
        }
    }
    Volume volume = TRY(make(request, name, user));
    const std::lock_guard lock(mutex_);
    volumes_.emplace(name, volume);
    return Created{std::move(volume), true};
}

Result<std::string> Volumes::begin_use(const std::string& name, const std::string& user, Use use) {
    const Turn turn(*this, name);
    const auto volume = find(name);
    if (!volume) return fail(Code::NotFound, "get {}: no such volume", name);
    if (volume->alone || (use == Use::Alone && !volume->runs.empty()))
        return fail(Code::Conflict, "use {}: volume is in use - [{}]", name,
                    join({volume->runs.begin(), volume->runs.end()}, ", "));
    const LocalOptions options = TRY(parse_local_options(volume->options));
    TRY(mount_local(options, own_folder(name)));
    const std::lock_guard lock(mutex_);
    volumes_.at(name).runs.insert(user);
    volumes_.at(name).alone = use == Use::Alone;
    return volume->path;
}

void Volumes::end_use(const std::string& name, const std::string& user) {
    const Turn turn(*this, name);
    {
        const std::lock_guard lock(mutex_);
        const auto found = volumes_.find(name);
        if (found == volumes_.end() || found->second.runs.erase(user) == 0) return;
        found->second.alone = false;
        if (!found->second.runs.empty()) return;
    }
    const auto unmounted = unmount_local(own_folder(name));
    if (!unmounted) LOG_WARN("{}", unmounted.error().message);
}

void Volumes::set_claimed(Volume& volume, bool claimed) {
    const std::string own = folder_ + "/" + volume.name;
    const std::string from = own + (claimed ? kUnclaimed : kRecord);
    if (::rename(from.c_str(), (own + (claimed ? kRecord : kUnclaimed)).c_str()) != 0) {
        LOG_ERROR("rename '{}': {}", from, errno_text(errno));
        return;
    }
    volume.claimed = claimed;
}

void Volumes::claim(const std::string& user) {
    const std::lock_guard lock(mutex_);
    for (auto& [name, volume] : volumes_) {
        if (!volume.claimed && volume.users.contains(user)) set_claimed(volume, true);
    }
}

void Volumes::disclaim(const std::string& user) {
    const std::lock_guard lock(mutex_);
    for (auto& [name, volume] : volumes_) {
        if (volume.anonymous && volume.claimed && volume.users == std::set{user})
            set_claimed(volume, false);
    }
}

void Volumes::sweep() {
    std::vector<std::string> unwanted;
    std::vector<std::string> unused;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [name, volume] : volumes_) {
            if (volume.runs.empty()) unused.push_back(name);
            if (volume.claimed) continue;
            if (volume.users.empty())
                unwanted.push_back(name);
            else
                set_claimed(volume, true);
        }
    }
    for (const std::string& name : unused) {
        const auto unmounted = unmount_local(own_folder(name));
        if (!unmounted) LOG_WARN("{}", unmounted.error().message);
    }
    for (const std::string& name : unwanted) ignore(remove(name), "tried again at the next start");
}

void Volumes::hold(const std::string& name, const std::string& user) {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found != volumes_.end()) found->second.users.insert(user);
}

void Volumes::release(const std::string& user) {
    const std::lock_guard lock(mutex_);
    for (auto& [name, volume] : volumes_) volume.users.erase(user);
}

void Volumes::release(const std::string& user, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found != volumes_.end()) found->second.users.erase(user);
}

std::optional<Volume> Volumes::find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    return found == volumes_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Volume> Volumes::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<Volume> all;
    all.reserve(volumes_.size());
    for (const auto& [name, volume] : volumes_) all.push_back(volume);
    return all;
}

Result<void> Volumes::rename(const std::string& name, const std::string& new_name) {
    TRY(check_volume_name(new_name));
    if (name == new_name) return fail(Code::Conflict, "rename {}: that is its name", name);
    // Everybody who takes two turns takes them in this order.
    const Turn first(*this, std::min(name, new_name));
    const Turn second(*this, std::max(name, new_name));
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found == volumes_.end()) return fail(Code::NotFound, "get {}: no such volume", name);
    if (volumes_.contains(new_name))
        return fail(Code::Conflict, "rename {}: there is a volume '{}'", name, new_name);
    if (!found->second.users.empty() || !found->second.runs.empty())
        return fail(Code::Conflict, "rename {}: volume is in use", name);
    if (::rename(own_folder(name).c_str(), own_folder(new_name).c_str()) != 0)
        return fail_errno("rename volume '{}'", name);
    Volume volume = found->second;
    volume.name = new_name;
    volume.path = own_folder(new_name) + "/_data";
    volume.anonymous = false;
    volumes_.erase(found);
    volumes_.emplace(new_name, volume);
    return sys::replace_file(own_folder(new_name) + (volume.claimed ? kRecord : kUnclaimed),
                             json::encode(volume));
}

Result<void> Volumes::remove(const std::string& name) {
    const Turn turn(*this, name);
    std::uint32_t project = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto found = volumes_.find(name);
        if (found == volumes_.end()) return fail(Code::NotFound, "get {}: no such volume", name);
        std::set<std::string> users = found->second.users;
        users.insert(found->second.runs.begin(), found->second.runs.end());
        if (!users.empty()) {
            return fail(Code::Conflict, "remove {}: volume is in use - [{}]", name,
                        join({users.begin(), users.end()}, ", "));
        }
        project = found->second.project;
        // The record goes first: what a crash leaves of the rest is removed at the next start.
        TRY(sys::remove_tree(own_folder(name) + kUnclaimed));
        TRY(sys::remove_tree(own_folder(name) + kRecord));
        volumes_.erase(found);
    }
    TRY_CONTEXT(unmount_local(own_folder(name)), "remove volume '{}'", name);
    clear_local(own_folder(name), project);
    TRY_CONTEXT(sys::remove_tree(own_folder(name)), "remove volume '{}'", name);
    return {};
}

}  // namespace coffer::volume
