#include "daemon/registry/access.hpp"

#include <crypt.h>
#include <sys/stat.h>

#include "base/hash.hpp"
#include "base/id.hpp"
#include "base/log.hpp"
#include "json/value.hpp"
#include "sys/file.hpp"

namespace coffer::daemon {

namespace {

using Clock = std::chrono::steady_clock;
using Users = std::map<std::string, std::string>;

constexpr std::size_t kMaxFile = 1024 * 1024;
constexpr std::size_t kMaxSecret = 72;  // what bcrypt looks at
constexpr std::size_t kMaxTokens = 10'000;
constexpr auto kTokenLife = std::chrono::minutes(5);
// What a name that nobody has is checked against, so that it takes as long.
constexpr const char* kNobody = "$2y$10$abcdefghijklmnopqrstuuKqLxbjQ1ZLsM1wV4qkJ6Zk9oZ0V4FvS";

struct Login {
    std::string user;
    std::string password;
};

// What Authorization says by that scheme.
std::optional<std::string_view> credentials(const http::Request& request, std::string_view scheme) {
    const auto sides = cut(request.headers.get("Authorization"), " ");
    if (!sides || !equals_ignoring_case(sides->first, scheme)) return {};
    return trim(sides->second);
}

std::optional<Login> basic_login(const http::Request& request) {
    const auto encoded = credentials(request, "basic");
    const auto text = encoded ? from_base64(*encoded) : std::nullopt;
    if (!text) return {};
    const auto sides = cut(*text, ":");
    if (!sides || sides->second.size() > kMaxSecret) return {};
    return Login{std::string(sides->first), std::string(sides->second)};
}

// In the same time whatever differs.
bool is_same(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

}  // namespace

Result<Users> parse_htpasswd(const std::string& text) {
    Users users;
    std::size_t number = 0;
    for (const std::string& line : split(text, '\n')) {
        ++number;
        const std::string_view entry = trim(line);
        if (entry.empty() || entry.starts_with('#')) continue;
        const auto sides = cut(entry, ":");
        if (!sides || sides->first.empty())
            return fail(Code::InvalidArgument, "line {}: expected NAME:HASH", number);
        const std::string_view hash = sides->second;
        const bool bcrypt =
            hash.size() == 60 &&
            (hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$"));
        if (!bcrypt)
            return fail(Code::InvalidArgument,
                        "line {}: the password of '{}' is not hashed by bcrypt (htpasswd -B)",
                        number, sides->first);
        users[std::string(sides->first)] = hash;
    }
    return users;
}

struct Access::Impl {
    AccessOptions options;
    struct Known {
        Users users;
        timespec changed{};
        std::map<std::string, std::string> verified;  // user -> keyed hash of the password
    };
    Sync<Known> known;
    std::mutex checking;  // one password at a time is all that who guesses gets
    const std::string key = random_hex(32);
    const std::string reader = random_hex(32);  // the token of all without a password
    Sync<std::map<std::string, Clock::time_point, std::less<>>> writers;  // token -> its end

    // A file that cannot be read leaves the users that were known.
    Result<void> reload(Known& state) {
        struct stat status {};
        if (::stat(options.htpasswd.c_str(), &status) != 0)
            return fail_errno("open '{}'", options.htpasswd);
        if (status.st_mtim.tv_sec == state.changed.tv_sec &&
            status.st_mtim.tv_nsec == state.changed.tv_nsec)
            return {};
        const std::string text = TRY(sys::read_file(options.htpasswd, kMaxFile));
        state.users = TRY_CONTEXT(parse_htpasswd(text), "read '{}'", options.htpasswd);
        state.changed = status.st_mtim;
        state.verified.clear();
        writers.lock()->clear();
        return {};
    }

    Sync<Known>::Lock newest() {
        auto state = known.lock();
        if (const auto read = reload(*state); !read) LOG_WARN("registry: {}", read.error().message);
        return state;
    }

    bool was_verified(const Login& login, const std::string& proof) {
        auto state = newest();
        const auto done = state->verified.find(login.user);
        return done != state->verified.end() && is_same(done->second, proof);
    }

    // The hash of the password; nullopt for nobody.
    std::optional<std::string> hash_of(const std::string& name) {
        auto state = known.lock();
        const auto user = state->users.find(name);
        return user == state->users.end() ? std::nullopt : std::optional(user->second);
    }

    bool is_user(const Login& login) {
        const std::string proof =
            sha256_hex(key + sha256_hex(login.user) + sha256_hex(login.password));
        if (was_verified(login, proof)) return true;
        const std::scoped_lock turn(checking);
        if (was_verified(login, proof)) return true;  // while this one waited
        const auto hash = hash_of(login.user);
        const std::string setting = hash.value_or(kNobody);
        auto data = std::make_unique<crypt_data>();
        const char* made = ::crypt_r(login.password.c_str(), setting.c_str(), data.get());
        if (!hash || made == nullptr || !is_same(made, setting)) return false;
        auto state = newest();
        const auto user = state->users.find(login.user);
        if (user == state->users.end() || user->second != *hash) return false;
        state->verified[login.user] = proof;
        return true;
    }
};

Access::Access(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Access::~Access() = default;

Result<std::unique_ptr<Access>> Access::create(AccessOptions options) {
    auto impl = std::make_unique<Impl>();
    impl->options = std::move(options);
    if (!impl->options.htpasswd.empty()) TRY(impl->reload(*impl->known.lock()));
    return std::unique_ptr<Access>(new Access(std::move(impl)));
}

bool Access::allows(const http::Request& request, Right right) {
    if (impl_->options.htpasswd.empty()) return true;
    if (const auto login = basic_login(request)) return impl_->is_user(*login);
    if (const auto token = credentials(request, "bearer")) {
        if (impl_->options.anonymous_read && is_same(*token, impl_->reader))
            return right == Right::Read;
        impl_->newest();
        auto writers = impl_->writers.lock();
        const auto found = writers->find(*token);
        return found != writers->end() && found->second >= Clock::now();
    }
    // GET /v2/ is where clients learn that there are users at all.
    return impl_->options.anonymous_read && right == Right::Read && request.path != "/v2/" &&
           request.path != "/v2";
}

std::string Access::challenge(const http::Request& request) const {
    if (!impl_->options.anonymous_read) return "Basic realm=\"coffer registry\"";
    return format("Bearer realm=\"{}://{}{}\",service=\"coffer registry\"",
                  request.peer.tls ? "https" : "http", request.headers.get("Host"), kTokenPath);
}

std::optional<std::string> Access::token(const http::Request& request) {
    std::string token = impl_->reader;
    if (request.headers.has("Authorization")) {
        const auto login = basic_login(request);
        if (!login || !impl_->is_user(*login)) return {};
        token = random_hex(32);
        auto writers = impl_->writers.lock();
        const auto now = Clock::now();
        std::erase_if(*writers, [&](const auto& one) { return one.second < now; });
        // Asking again is all that a client loses.
        if (writers->size() >= kMaxTokens) writers->clear();
        writers->emplace(token, now + kTokenLife);
    } else if (!impl_->options.anonymous_read) {
        return {};
    }
    return json::write(json::Object{
        {"token", token},
        {"access_token", token},
        {"expires_in", std::chrono::duration_cast<std::chrono::seconds>(kTokenLife).count()}});
}

}  // namespace coffer::daemon
