#include "cli/user_config.hpp"

#include <cstdlib>

#include "base/text.hpp"
#include "cli/api_client.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::cli {

namespace {

std::string environment(const char* name) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this program never changes its environment
    const char* value = ::getenv(name);
    return value != nullptr ? value : "";
}

// Runs docker-credential-<helper> as docker does: the request on its input, JSON on its output.
Result<std::string> ask_helper(const std::string& helper, const std::string& verb,
                               std::string_view input) {
    const std::string program = "docker-credential-" + helper;
    for (const std::string& folder : split(environment("PATH"), ':')) {
        const std::string path = folder + "/" + program;
        if (folder.empty() || !sys::exists(path)) continue;
        sys::SpawnOptions options;
        options.argv = {path, verb};
        options.env = {"PATH=" + environment("PATH"), "HOME=" + environment("HOME")};
        const sys::Output output = TRY(sys::run(options, input, std::chrono::seconds(30)));
        if (output.status != 0) {
            return fail(Code::NotFound, "error getting credentials: {}", trim(output.out));
        }
        return output.out;
    }
    return fail(Code::NotFound, "error getting credentials: exec: \"{}\": not found in $PATH",
                program);
}

}  // namespace

std::string login_key(std::string_view registry) {
    if (registry.empty() || registry == "docker.io" || registry == "index.docker.io") {
        return "https://index.docker.io/v1/";
    }
    return std::string(registry);
}

Result<UserConfig> UserConfig::load(std::string folder) {
    UserConfig config;
    if (folder.empty()) folder = environment("DOCKER_CONFIG");
    if (folder.empty()) folder = environment("HOME") + "/.docker";
    config.folder_ = folder;
    const std::string path = folder + "/config.json";
    if (!sys::exists(path)) return config;
    const std::string text = TRY(sys::read_file(path));
    if (trim(text).empty()) return config;
    config.document_ = TRY_CONTEXT(json::parse(text), "{}", path);
    return config;
}

std::string UserConfig::detach_keys() const {
    return text_of(document_, "detachKeys");
}

std::string UserConfig::helper_of(std::string_view key) const {
    if (const json::Value* helpers = document_.find("credHelpers")) {
        if (const json::Value* helper = helpers->find(key)) {
            if (const std::string* name = helper->if_string()) return *name;
        }
    }
    return text_of(document_, "credsStore");
}

Result<json::Value> UserConfig::login_of(std::string_view registry) const {
    const std::string key = login_key(registry);
    json::Value login{json::Object{}};
    if (const std::string helper = helper_of(key); !helper.empty()) {
        const Result<std::string> answer = ask_helper(helper, "get", key);
        if (!answer) return login;  // not logged in there
        const json::Value reply = TRY(json::parse(*answer));
        if (text_of(reply, "Username") == "<token>") {
            login.set("identitytoken", text_of(reply, "Secret"));
        } else {
            login.set("username", text_of(reply, "Username"));
            login.set("password", text_of(reply, "Secret"));
        }
        login.set("serveraddress", key);
        return login;
    }
    const json::Value* auths = document_.find("auths");
    const json::Value* entry = auths != nullptr ? auths->find(key) : nullptr;
    if (entry == nullptr && auths != nullptr) entry = auths->find("https://" + key);
    if (entry == nullptr) return login;
    const auto decoded = from_base64(text_of(*entry, "auth"));
    if (const auto sides = cut(decoded ? *decoded : "", ":")) {
        login.set("username", sides->first);
        login.set("password", sides->second);
    }
    if (const std::string token = text_of(*entry, "identitytoken"); !token.empty()) {
        login.set("identitytoken", token);
    }
    login.set("serveraddress", key);
    return login;
}

Result<std::string> UserConfig::registry_auth(std::string_view registry) const {
    return to_base64(json::write(TRY(login_of(registry))), Base64::Url);
}

Result<void> UserConfig::store_login(std::string_view registry, const json::Value& login) {
    const std::string key = login_key(registry);
    json::Value entry{json::Object{}};
    if (document_.find("auths") == nullptr) document_.set("auths", json::Object{});
    if (const std::string helper = helper_of(key); !helper.empty()) {
        // docker's form: a helper tells a token by the user's name.
        const std::string token = text_of(login, "identitytoken");
        const json::Value secret(json::Object{
            {"ServerURL", key},
            {"Username", token.empty() ? text_of(login, "username") : std::string("<token>")},
            {"Secret", token.empty() ? text_of(login, "password") : token}});
        TRY(ask_helper(helper, "store", json::write(secret)));
        document_.find("auths")->set(key, std::move(entry));
        return save();
    }
    entry.set("auth", to_base64(text_of(login, "username") + ":" + text_of(login, "password")));
    if (const std::string token = text_of(login, "identitytoken"); !token.empty()) {
        entry.set("auth", to_base64(text_of(login, "username") + ":"));
        entry.set("identitytoken", token);
    }
    document_.find("auths")->set(key, std::move(entry));
    return save();
}

Result<bool> UserConfig::remove_login(std::string_view registry) {
    const std::string key = login_key(registry);
    json::Value* auths = document_.find("auths");
    json::Object* entries = auths != nullptr ? auths->if_object() : nullptr;
    if (entries == nullptr) return false;
    const std::size_t removed =
        std::erase_if(*entries, [&](const json::Member& member) { return member.key == key; });
    if (removed == 0) return false;
    if (const std::string helper = helper_of(key); !helper.empty())
        TRY(ask_helper(helper, "erase", key));
    TRY(save());
    return true;
}

Result<void> UserConfig::save() const {
    TRY(sys::make_dirs(folder_, 0700));
    return sys::replace_file(
        folder_ + "/config.json",
        json::write(document_, {.escape = json::Escape::Plain, .indent = 4}) + "\n");
}

}  // namespace coffer::cli
