#include "registry/auth.hpp"

#include "base/text.hpp"

namespace coffer::registry {

namespace {

std::string text_of(const json::Value& object, std::string_view key) {
    const json::Value* value = object.find(key);
    const std::string* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string() : *text;
}

// The grammar of RFC 9110, section 11: token, quoted string, blanks.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    void skip_blanks() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
            rest_.remove_prefix(1);
    }
    void skip_commas() {
        for (skip_blanks(); take(','); skip_blanks()) {
        }
    }
    bool take(char wanted) {
        if (rest_.empty() || rest_.front() != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::string token() {
        constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
        std::size_t length = 0;
        while (length < rest_.size()) {
            const char c = rest_[length];
            const bool alphanumeric =
                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!alphanumeric && kSymbols.find(c) == std::string_view::npos) break;
            ++length;
        }
        std::string taken(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return taken;
    }
    // nullopt when the closing quote is missing.
    std::optional<std::string> value() {
        if (!take('"')) return token();
        std::string text;
        while (!rest_.empty()) {
            if (take('"')) return text;
            if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
            text += rest_.front();
            rest_.remove_prefix(1);
        }
        return std::nullopt;
    }
    std::string_view rest() const { return rest_; }
    void go_back_to(std::string_view rest) { rest_ = rest; }

  private:
    std::string_view rest_;
};

// The parameters up to the next scheme or the end; false when they cannot be parsed.
bool parse_params(Scanner& scan, Challenge& challenge) {
    for (;;) {
        scan.skip_commas();
        const std::string_view before = scan.rest();
        const std::string name = to_lower(scan.token());
        scan.skip_blanks();
        if (name.empty()) return scan.rest().empty();
        if (!scan.take('=')) {  // the scheme of the next challenge
            scan.go_back_to(before);
            return true;
        }
        scan.skip_blanks();
        auto value = scan.value();
        if (!value) return false;
        challenge.params[name] = std::move(*value);
    }
}

}  // namespace

Credentials decode_auth_header(std::string_view header) {
    const auto decoded = from_base64(header);
    if (!decoded) return {};
    const auto document = json::parse(*decoded);
    return document ? decode_login(*document) : Credentials();
}

Credentials decode_login(const json::Value& login) {
    Credentials credentials{text_of(login, "username"), text_of(login, "password"),
                            text_of(login, "identitytoken"), text_of(login, "registrytoken")};
    const auto packed = from_base64(text_of(login, "auth"));
    if (credentials.username.empty() && packed) {
        if (const auto pair = cut(*packed, ":")) {
            credentials.username = pair->first;
            credentials.password = pair->second;
        }
    }
    return credentials;
}

std::string basic_authorization(const Credentials& credentials) {
    return "Basic " + to_base64(credentials.username + ":" + credentials.password);
}

std::vector<Challenge> parse_challenges(std::string_view header) {
    std::vector<Challenge> challenges;
    Scanner scan(header);
    for (;;) {
        scan.skip_commas();
        Challenge challenge{to_lower(scan.token()), {}};
        if (challenge.scheme.empty()) return challenges;
        scan.skip_blanks();
        const bool whole = parse_params(scan, challenge);
        if (!whole) return challenges;
        challenges.push_back(std::move(challenge));
    }
}

std::string url_encode(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            encoded += c;
        else
            encoded += format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    return encoded;
}

std::string token_url(const Challenge& challenge, std::string_view scope,
                      const Credentials& credentials, OfflineAccess offline) {
    const auto param = [&](const std::string& name) {
        const auto found = challenge.params.find(name);
        return found == challenge.params.end() ? std::string() : found->second;
    };
    std::string url = param("realm");
    char separator = url.find('?') == std::string::npos ? '?' : '&';
    const auto add = [&](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        url += separator + std::string(name) + "=" + url_encode(value);
        separator = '&';
    };
    add("service", param("service"));
    for (const std::string& one : split_fields(scope)) add("scope", one);
    add("account", credentials.username);
    if (offline == OfflineAccess::Yes) {
        add("offline_token", "true");
        add("client_id", kClientId);
    }
    return url;
}

Result<Token> parse_token(std::string_view body) {
    const auto document = TRY_CONTEXT(json::parse(body), "unable to decode token response");
    Token token;
    token.text = text_of(document, "token");
    token.refresh = text_of(document, "refresh_token");
    if (token.text.empty()) token.text = text_of(document, "access_token");
    if (token.text.empty())
        return fail(Code::Internal, "authorization server did not include a token in the response");
    // It becomes a header: no way to add another one.
    if (token.text.find_first_of("\r\n") != std::string::npos)
        return fail(Code::Internal, "authorization server gave a token with a line break");
    if (const json::Value* seconds = document.find("expires_in"))
        token.expires_in_seconds = static_cast<long>(seconds->to_int().value_or(60));
    return token;
}

}  // namespace coffer::registry
