#pragma once
// The user's config.json, shared with docker's command line: logins to registries, detach keys.
// One thread.

#include <string>
#include <string_view>

#include "json/value.hpp"

namespace coffer::cli {

class UserConfig {
  public:
    // `folder` empty: $DOCKER_CONFIG, else ~/.docker. An absent file is an empty one.
    static Result<UserConfig> load(std::string folder);

    const std::string& folder() const { return folder_; }
    std::string detach_keys() const;
    // The value of X-Registry-Auth for an image of `registry` ("docker.io", "host:5000").
    Result<std::string> registry_auth(std::string_view registry) const;
    // {username, password, ...} that is stored or kept by a credential helper.
    Result<json::Value> login_of(std::string_view registry) const;
    Result<void> store_login(std::string_view registry, const json::Value& login);
    // False when there was none.
    Result<bool> remove_login(std::string_view registry);

  private:
    std::string helper_of(std::string_view key) const;
    Result<void> save() const;

    std::string folder_;
    json::Value document_{json::Object{}};
};

// Docker Hub goes by a name of its own in config.json.
std::string login_key(std::string_view registry);

}  // namespace coffer::cli
