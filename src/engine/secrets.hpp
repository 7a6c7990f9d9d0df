#pragma once
// Secrets and configs of this engine: small files that containers are given in memory. What a
// secret says is sealed on disk, and leaves the engine for the memory of a container alone. Safe
// from any thread.

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/secret.hpp"
#include "engine/filters.hpp"
#include "trust/sealing.hpp"

namespace coffer::store {
class Database;
}

namespace coffer::engine {

class Events;

enum class SecretKind : std::uint8_t { Secret, Config };

// What a container wants of one: "NAME[,target=PATH][,uid=N][,gid=N][,mode=OCTAL]".
struct SecretUse {
    SecretKind kind = SecretKind::Secret;
    std::string name;    // or id
    std::string target;  // absolute
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mode = 0400;
};
// The annotations coffer.secrets and coffer.configs, in which several are parted by ';'.
Result<std::vector<SecretUse>> secret_uses(const std::map<std::string, std::string>& annotations);

class Secrets {
  public:
    // `key_file` is made when it is first needed.
    static Result<std::unique_ptr<Secrets>> open(store::Database& database, std::string key_file,
                                                 Events& events);
    // Gives the id. Conflict for a name that is taken; docker's words.
    Result<std::string> create(SecretKind kind, api::SecretSpec spec);
    // Filters id, label, name and names.
    Result<std::vector<api::Secret>> list(SecretKind kind, const Filters& filters) const;
    // By id, name or the beginning of an id. With the data when it is a config.
    Result<api::Secret> inspect(SecretKind kind, const std::string& name) const;
    // Nothing but labels can change; `version` is the one that was seen.
    Result<void> update(SecretKind kind, const std::string& name, std::uint64_t version,
                        const api::SecretSpec& spec);
    // Conflict, in docker's words, while containers use it.
    Result<void> remove(SecretKind kind, const std::string& name);
    // Who uses what; set once before the rest is called.
    using Users = std::function<std::vector<std::string>(SecretKind kind, const api::Secret& one)>;
    void set_users(Users users) { users_ = std::move(users); }

    // The bytes; the caller wipes them.
    Result<std::string> read(SecretKind kind, const std::string& name) const;

  private:
    struct Row;
    Secrets(store::Database& database, std::string key_file, Events& events)
        : database_(database), key_file_(std::move(key_file)), events_(events) {}
    Result<std::vector<Row>> rows(SecretKind kind) const;
    Result<Row> find(SecretKind kind, const std::string& name) const;
    Result<std::string> unseal(SecretKind kind, const Row& row) const;
    Result<const trust::SealingKey*> key() const;
    void publish(SecretKind kind, const std::string& action, const api::Secret& one);

    store::Database& database_;
    const std::string key_file_;
    Events& events_;
    Users users_;
    mutable std::mutex mutex_;  // of changes, and of the key
    mutable std::optional<trust::SealingKey> key_;
};

// Files in a mount of memory at `folder` (made), named by their place in `uses`, owned by the ids
// that a container at `id_base` has for them. unmount_secrets() takes it off the host; containers
// that have mounted the files keep them.
Result<void> mount_secrets(const Secrets& secrets, const std::vector<SecretUse>& uses,
                           const std::string& folder, std::uint32_t id_base);
void unmount_secrets(const std::string& folder);

}  // namespace coffer::engine
