#include "engine/secrets.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/id.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "engine/events.hpp"
#include "engine/mounts.hpp"
#include "network/sandbox.hpp"
#include "store/database.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace coffer::engine {

namespace {

namespace m = sys::mount;

constexpr std::string_view kSchema[] = {
    "CREATE TABLE secrets (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, record "
    "TEXT "
    "NOT NULL, sealed TEXT NOT NULL, UNIQUE (kind, name))"};
constexpr std::size_t kLargestSecret = 500 * 1024;  // docker's
constexpr std::size_t kLargestConfig = 1000 * 1024;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kIdLength = 25;  // as those of swarm

std::string word_of(SecretKind kind) {
    return kind == SecretKind::Secret ? "secret" : "config";
}

bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Result<void> check_name(SecretKind kind, const std::string& name) {
    const bool valid = !name.empty() && name.size() <= kLongestName && is_alnum(name.front()) &&
                       is_alnum(name.back()) && std::all_of(name.begin(), name.end(), [](char c) {
                           return is_alnum(c) || c == '-' || c == '_' || c == '.';
                       });
    if (valid) return {};
    return fail(Code::InvalidArgument,
                "invalid {} name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end "
                "character must be [a-zA-Z0-9]",
                word_of(kind));
}

Failure bad_use(SecretKind kind, std::string_view text, std::string_view why) {
    return fail(Code::InvalidArgument, "invalid {} '{}': {}", word_of(kind), text, why);
}

Result<SecretUse> parse_use(SecretKind kind, const std::string& text) {
    SecretUse use;
    use.kind = kind;
    use.mode = kind == SecretKind::Secret ? 0400 : 0444;
    for (const std::string& part : split(text, ',')) {
        const auto sides = cut(part, "=");
        const std::string_view key = sides ? sides->first : "source";
        const std::string_view value = sides ? sides->second : std::string_view(part);
        if (key == "source" || key == "src") {
            use.name = value;
        } else if (key == "target" || key == "dst" || key == "destination") {
            use.target = value;
        } else if (key == "uid" || key == "gid") {
            const auto id = parse_uint(value);
            if (!id || *id >= network::kIdCount)
                return bad_use(kind, text, format("{}={}", key, value));
            (key == "uid" ? use.uid : use.gid) = static_cast<std::uint32_t>(*id);
        } else if (key == "mode") {
            const auto mode = parse_octal(value);
            if (!mode || *mode > 07777) return bad_use(kind, text, format("mode={}", value));
            use.mode = *mode & 0777U;
        } else {
            return bad_use(kind, text, format("unknown option '{}'", key));
        }
    }
    if (use.name.empty()) return bad_use(kind, text, "it has no name");
    const char* folder = kind == SecretKind::Secret ? "/run/secrets/" : "/";
    if (use.target.empty()) use.target = use.name;
    if (!use.target.starts_with('/')) use.target = folder + use.target;
    use.target = TRY(clean_target(use.target));
    if (use.target == "/") return bad_use(kind, text, "the target is the root");
    return use;
}

}  // namespace

Result<std::vector<SecretUse>> secret_uses(const std::map<std::string, std::string>& annotations) {
    std::vector<SecretUse> uses;
    for (const SecretKind kind : {SecretKind::Secret, SecretKind::Config}) {
        const auto found = annotations.find(format("coffer.{}s", word_of(kind)));
        if (found == annotations.end()) continue;
        for (const std::string& text : split(found->second, ';'))
            if (!text.empty()) uses.push_back(TRY(parse_use(kind, text)));
    }
    for (std::size_t i = 0; i < uses.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (uses[i].target == uses[j].target)
                return fail(Code::InvalidArgument, "Duplicate mount point: {}", uses[i].target);
        }
    }
    return uses;
}

struct Secrets::Row {
    api::Secret secret;
    std::string sealed;
};

Result<std::unique_ptr<Secrets>> Secrets::open(store::Database& database, std::string key_file,
                                               Events& events) {
    TRY(database.migrate("secrets", kSchema));
    return std::unique_ptr<Secrets>(new Secrets(database, std::move(key_file), events));
}

Result<const trust::SealingKey*> Secrets::key() const {
    const std::lock_guard lock(mutex_);
    if (!key_) key_.emplace(TRY(trust::SealingKey::open(key_file_)));
    return &*key_;
}

Result<std::vector<Secrets::Row>> Secrets::rows(SecretKind kind) const {
    std::vector<Row> all;
    for (const store::Row& row : TRY(database_.query(
             "SELECT record, sealed FROM secrets WHERE kind = ? ORDER BY name", {word_of(kind)}))) {
        all.push_back({TRY(json::decode<api::Secret>(row.text(0))), row.text(1)});
    }
    return all;
}

Result<Secrets::Row> Secrets::find(SecretKind kind, const std::string& name) const {
    if (name.empty()) return fail(Code::NotFound, "{} {} not found", word_of(kind), name);
    const auto found = TRY(database_.query(
        "SELECT record, sealed FROM secrets WHERE kind = ? AND (id = ? OR name = ? OR "
        "substr(id, 1, length(?)) = ?) ORDER BY id = ? DESC, name = ? DESC",
        {word_of(kind), name, name, name, name, name, name}));
    if (found.empty()) return fail(Code::NotFound, "{} {} not found", word_of(kind), name);
    Row row{TRY(json::decode<api::Secret>(found[0].text(0))), found[0].text(1)};
    const bool exact = row.secret.id == name || row.secret.spec.name == name;
    if (!exact && found.size() > 1)
        return fail(Code::InvalidArgument, "{} {} is ambiguous", word_of(kind), name);
    return row;
}

void Secrets::publish(SecretKind kind, const std::string& action, const api::Secret& one) {
    events_.publish({word_of(kind), action, one.id, {{"name", one.spec.name}}});
}

Result<std::string> Secrets::create(SecretKind kind, api::SecretSpec spec) {
    TRY(check_name(kind, spec.name));
    if (!spec.driver.is_null() || !spec.templating.is_null()) {
        return fail(Code::InvalidArgument, "drivers and templates of {}s need a swarm",
                    word_of(kind));
    }
    auto plain = from_base64(spec.data.value_or(""));
    const std::size_t most = kind == SecretKind::Secret ? kLargestSecret : kLargestConfig;
    if (!plain || plain->empty() || plain->size() >= most) {
        return fail(Code::InvalidArgument, "{} data must be larger than 0 and less than {} bytes",
                    word_of(kind), most);
    }
    api::Secret one;
    one.id = random_hex(16).substr(0, kIdLength);
    one.version.index = 1;
    one.created_at = to_rfc3339(now());
    one.updated_at = one.created_at;
    trust::wipe(*spec.data);
    spec.data.reset();
    one.spec = std::move(spec);
    const trust::SealingKey* sealing = TRY(key());
    const std::string sealed = to_base64(sealing->seal(*plain, word_of(kind) + one.id));
    trust::wipe(*plain);
    const auto kept =
        database_.run("INSERT INTO secrets (id, kind, name, record, sealed) VALUES (?, ?, ?, ?, ?)",
                      {one.id, word_of(kind), one.spec.name, json::encode(one), sealed});
    if (!kept && kept.error().code == Code::Conflict)
        return fail(Code::Conflict, "rpc error: code = AlreadyExists desc = {} {} already exists",
                    word_of(kind), one.spec.name);
    TRY(kept);
    publish(kind, "create", one);
    return one.id;
}

Result<std::vector<api::Secret>> Secrets::list(SecretKind kind, const Filters& filters) const {
    TRY(filters.accept({"id", "label", "name", "names"}));
    const auto passes = [&](const std::string& key, const std::string& text) {
        const auto& wanted = filters.get(key);
        return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const auto& one) {
                   return key == "names" ? text == one : text.starts_with(one);
               });
    };
    std::vector<api::Secret> found;
    for (const Row& row : TRY(rows(kind))) {
        const api::SecretSpec& spec = row.secret.spec;
        if (passes("id", row.secret.id) && passes("name", spec.name) &&
            passes("names", spec.name) && filters.match_labels(spec.labels)) {
            api::Secret one = row.secret;
            if (kind == SecretKind::Config) one.spec.data = to_base64(TRY(unseal(kind, row)));
            found.push_back(std::move(one));
        }
    }
    return found;
}

Result<std::string> Secrets::unseal(SecretKind kind, const Row& row) const {
    const trust::SealingKey* sealing = TRY(key());
    return TRY_CONTEXT(
        sealing->unseal(from_base64(row.sealed).value_or(""), word_of(kind) + row.secret.id),
        "read {} {}", word_of(kind), row.secret.spec.name);
}

Result<std::string> Secrets::read(SecretKind kind, const std::string& name) const {
    return unseal(kind, TRY(find(kind, name)));
}

Result<api::Secret> Secrets::inspect(SecretKind kind, const std::string& name) const {
    Row row = TRY(find(kind, name));
    if (kind == SecretKind::Config) row.secret.spec.data = to_base64(TRY(unseal(kind, row)));
    return std::move(row.secret);
}

Result<void> Secrets::update(SecretKind kind, const std::string& name, std::uint64_t version,
                             const api::SecretSpec& spec) {
    const std::lock_guard lock(mutex_);
    Row row = TRY(find(kind, name));
    if (version != row.secret.version.index)
        return fail(Code::InvalidArgument,
                    "rpc error: code = Unknown desc = update out of sequence");
    const bool other_data = kind == SecretKind::Secret && spec.data && !spec.data->empty();
    if (spec.name != row.secret.spec.name || other_data)
        return fail(Code::InvalidArgument, "only updates to Labels are allowed");
    row.secret.spec.labels = spec.labels;
    row.secret.version.index += 1;
    row.secret.updated_at = to_rfc3339(now());
    TRY(database_.run("UPDATE secrets SET record = ? WHERE id = ?",
                      {json::encode(row.secret), row.secret.id}));
    publish(kind, "update", row.secret);
    return {};
}

Result<void> Secrets::remove(SecretKind kind, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const Row row = TRY(find(kind, name));
    const auto users = users_ ? users_(kind, row.secret) : std::vector<std::string>();
    if (!users.empty()) {
        return fail(Code::Conflict, "{} '{}' is in use by the following container{}: {}",
                    word_of(kind), row.secret.spec.name, users.size() > 1 ? "s" : "",
                    join(users, ", "));
    }
    TRY(database_.run("DELETE FROM secrets WHERE id = ?", {row.secret.id}));
    publish(kind, "remove", row.secret);
    return {};
}

Result<void> mount_secrets(const Secrets& secrets, const std::vector<SecretUse>& uses,
                           const std::string& folder, std::uint32_t id_base) {
    TRY(sys::make_dirs(folder, 0700));
    // Of all file systems the one whose memory is never swapped out.
    const sys::Fd memory =
        TRY(m::create("ramfs", {{"mode", "0700"}}, m::kNoSuid | m::kNoDev | m::kNoExec));
    const sys::Fd root = TRY(sys::open_at(memory.get(), ".", O_RDONLY | O_DIRECTORY));
    for (std::size_t i = 0; i < uses.size(); ++i) {
        const SecretUse& use = uses[i];
        std::string bytes = TRY(secrets.read(use.kind, use.name));
        const auto write = [&]() -> Result<void> {
            const sys::Fd file =
                TRY(sys::open_at(root.get(), format("{}", i), O_WRONLY | O_CREAT | O_EXCL, 0600));
            TRY(sys::write_all(file.get(), bytes));
            if (::fchown(file.get(), id_base + use.uid, id_base + use.gid) != 0 ||
                ::fchmod(file.get(), use.mode) != 0) {
                return fail_errno("set the owner of {}", use.name);
            }
            return {};
        };
        const auto written = write();
        trust::wipe(bytes);
        TRY(written);
    }
    const sys::Fd place = TRY(sys::open_file(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    return m::attach(memory.get(), place.get());
}

void unmount_secrets(const std::string& folder) {
    const auto gone = m::detach_path(folder);
    if (!gone) LOG_WARN("{}", gone.error().message);
}

}  // namespace coffer::engine
