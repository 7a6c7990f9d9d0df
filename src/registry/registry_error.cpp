// What a registry said went wrong, in docker's words.
#include <algorithm>

#include "base/text.hpp"
#include "json/value.hpp"
#include "registry/client.hpp"

namespace coffer::registry {

namespace {

// The words that docker has for a code when the registry gives none.
std::string standard_message(std::string_view code) {
    if (code == "DENIED") return "requested access to the resource is denied";
    if (code == "UNAUTHORIZED") return "authentication required";
    if (code == "NAME_UNKNOWN") return "repository name not known to registry";
    if (code == "TOOMANYREQUESTS") return "too many requests";
    std::string words = to_lower(code);
    std::replace(words.begin(), words.end(), '_', ' ');
    return words;
}

RegistryError make_error(std::string code, std::string message) {
    std::string words = to_lower(code);
    std::replace(words.begin(), words.end(), '_', ' ');
    if (message.empty()) message = standard_message(code);
    std::string text = to_utf8(words + ": " + message);
    return {std::move(code), std::move(text)};
}

RegistryError error_of(const Reply& reply) {
    if (reply.status == 401) {
        for (const auto& challenge : parse_challenges(reply.authenticate)) {
            const auto error = challenge.params.find("error");
            if (challenge.scheme != "bearer" || error == challenge.params.end()) continue;
            if (error->second == "insufficient_scope") return make_error("DENIED", {});
            if (error->second == "invalid_token") return make_error("UNAUTHORIZED", {});
        }
    }
    if (const auto document = json::parse(reply.body)) {
        const json::Value* code = document->at_path("errors.0.code");
        const json::Value* message = document->at_path("errors.0.message");
        const auto text = [](const json::Value* value) {
            return value != nullptr && value->if_string() != nullptr ? *value->if_string()
                                                                     : std::string();
        };
        if (!text(code).empty()) return make_error(text(code), text(message));
        const json::Value* details = document->find("details");
        if (!text(details).empty()) return {{}, to_utf8(text(details))};
    }
    if (reply.status == 401) return make_error("UNAUTHORIZED", {});
    if (reply.status == 403) return make_error("DENIED", {});
    if (reply.status == 429) return make_error("TOOMANYREQUESTS", {});
    return {{}, format("received unexpected HTTP status: {}", reply.status)};
}

}  // namespace

RegistryError parse_error(const Reply& reply) {
    RegistryError error = error_of(reply);
    if (reply.status == 429 && !reply.limits.empty())
        error.text += format(" ({})", to_utf8(reply.limits));
    if (!reply.before.empty()) error.text += format(" (before that: {})", reply.before);
    return error;
}

}  // namespace coffer::registry
