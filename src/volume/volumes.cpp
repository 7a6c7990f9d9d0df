#include "volume/volumes.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/id.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "json/codec.hpp"
#include "sys/file.hpp"

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
    f("Anonymous", s.anonymous);
}

bool is_valid_volume_name(std::string_view name) {
    if (name.size() < 2 || name.size() > 255 || !is_alnum(name.front())) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Result<std::unique_ptr<Volumes>> Volumes::open(const std::string& folder) {
    TRY(sys::make_dirs(folder, 0700));
    std::unique_ptr<Volumes> volumes(new Volumes(folder));
    for (const std::string& name : TRY(sys::list_dir(folder))) {
        const std::string own = folder + "/" + name;
        const bool claimed = sys::exists(own + kRecord);
        const auto text = sys::read_file(own + (claimed ? kRecord : kUnclaimed), kRecordLimit);
        const auto volume = text ? json::decode<Volume>(*text) : Result<Volume>(fail(text.error()));
        if (!volume || volume->name != name) {
            // A crash came between the folder and its record: nobody has used it.
            LOG_WARN("volume folder '{}' has no record and is removed", own);
            ignore(sys::remove_tree(own), "tried again at the next start");
            continue;
        }
        Volume known = *volume;
        known.path = own + "/_data";
        known.claimed = claimed;
        volumes->volumes_.emplace(name, std::move(known));
    }
    return volumes;
}

Result<Volumes::Created> Volumes::create(const std::string& wanted,
                                         const std::map<std::string, std::string>& labels,
                                         const std::string& user) {
    const std::string name = wanted.empty() ? random_hex(32) : wanted;
    if (!is_valid_volume_name(name)) {
        return fail(Code::InvalidArgument,
                    "create {}: \"{}\" includes invalid characters for a local volume name, only "
                    "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
                    "directory, use absolute path",
                    name, name);
    }
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found != volumes_.end()) {
        if (!user.empty()) found->second.users.insert(user);
        return Created{found->second, false};
    }
    Volume volume{name,
                  folder_ + "/" + name + "/_data",
                  to_rfc3339(now()),
                  labels,
                  wanted.empty(),
                  user.empty(),
                  {}};
    if (!user.empty()) volume.users.insert(user);
    TRY(sys::make_dirs(folder_ + "/" + name, 0700));
    TRY(sys::make_dirs(volume.path, 0755));
    TRY(sys::replace_file(folder_ + "/" + name + (volume.claimed ? kRecord : kUnclaimed),
                          json::encode(volume)));
    volumes_.emplace(name, volume);
    return Created{std::move(volume), true};
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
    {
        const std::lock_guard lock(mutex_);
        for (auto& [name, volume] : volumes_) {
            if (volume.claimed) continue;
            if (volume.users.empty())
                unwanted.push_back(name);
            else
                set_claimed(volume, true);
        }
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

Result<void> Volumes::remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found == volumes_.end()) return fail(Code::NotFound, "get {}: no such volume", name);
    const auto& users = found->second.users;
    if (!users.empty()) {
        const std::vector<std::string> ids(users.begin(), users.end());
        return fail(Code::Conflict, "remove {}: volume is in use - [{}]", name, join(ids, ", "));
    }
    // The record goes first: what a crash leaves of the rest is removed at the next start.
    TRY(sys::remove_tree(folder_ + "/" + name + kUnclaimed));
    TRY(sys::remove_tree(folder_ + "/" + name + kRecord));
    volumes_.erase(found);
    TRY_CONTEXT(sys::remove_tree(folder_ + "/" + name), "remove volume '{}'", name);
    return {};
}

}  // namespace coffer::volume
