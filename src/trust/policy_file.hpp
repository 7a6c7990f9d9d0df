#pragma once
// The policy of this machine, read again when its file has changed. A file that is wrong makes
// reading fail: what it said before does not count. Safe from any thread.

#include <memory>
#include <string>

#include "base/sync.hpp"
#include "trust/policy.hpp"

namespace coffer::trust {

class PolicyFile {
  public:
    // `path` must be there. Empty: /etc/coffer/policy.json, or else what podman and skopeo use,
    // /etc/containers/policy.json.
    explicit PolicyFile(std::string path) : path_(std::move(path)) {}

    // nullptr when there is no file and never was: anything goes. Shared by who reads while it is
    // replaced.
    Result<std::shared_ptr<const Policy>> read();

  private:
    struct Loaded {
        std::string path;
        std::string stamp;
        std::shared_ptr<const Policy> policy;
    };
    std::string path_;
    Sync<Loaded> loaded_;
};

}  // namespace coffer::trust
