#pragma once
// What a registry asks for and what the client sent along: WWW-Authenticate challenges and the
// X-Registry-Auth header. Pure functions, safe from any thread.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "json/value.hpp"

namespace coffer::registry {

struct Credentials {
    std::string username;
    std::string password;
    std::string identity_token;  // an OAuth2 refresh token
    std::string registry_token;  // a ready-made bearer token

    bool empty() const {
        return username.empty() && identity_token.empty() && registry_token.empty();
    }
};

// Base64url of a JSON object. Docker ignores one that does not decode: anonymous then.
Credentials decode_auth_header(std::string_view header);
// The object in it, which is that of an entry of docker's config.json too.
Credentials decode_login(const json::Value& login);
// "Basic ..." of a user name and password.
std::string basic_authorization(const Credentials& credentials);

struct Challenge {
    std::string scheme;                         // lower case: "basic", "bearer"
    std::map<std::string, std::string> params;  // names in lower case
};
// All challenges of one or more WWW-Authenticate values joined by commas. What cannot be parsed
// ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);

// The address of a token request: the realm with service, each of the scopes (separated by blanks)
// and (for a user) account added; with OfflineAccess::Yes it asks for an identity token too.
enum class OfflineAccess { No, Yes };
std::string token_url(const Challenge& challenge, std::string_view scope,
                      const Credentials& credentials, OfflineAccess offline = OfflineAccess::No);
inline constexpr std::string_view kClientId = "coffer";
std::string url_encode(std::string_view text);

// The answer of a token server.
struct Token {
    std::string text;
    long expires_in_seconds = 60;
    std::string refresh;  // an identity token, when one was asked for and is given
};
Result<Token> parse_token(std::string_view body);

}  // namespace coffer::registry
