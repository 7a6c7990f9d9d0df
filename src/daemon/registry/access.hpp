#pragma once
// Who may use our registry: the users of an htpasswd file (bcrypt), by basic authentication or by
// a token that they got with it; reading may be free. Safe from any thread.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/sync.hpp"
#include "http/message.hpp"

namespace coffer::daemon {

// "name:hash" lines of an htpasswd file; `#` begins a comment. Only bcrypt ($2a$, $2b$, $2y$).
Result<std::map<std::string, std::string>> parse_htpasswd(const std::string& text);

struct AccessOptions {
    std::string htpasswd;  // empty: all may do all
    bool anonymous_read = false;
};

class Access {
  public:
    enum class Right { Read, Write };

    // Reads the file; a change of it counts at once.
    static Result<std::unique_ptr<Access>> create(AccessOptions options);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
    Access(Access&&) = delete;
    Access& operator=(Access&&) = delete;

    bool allows(const http::Request& request, Right right);
    // The value of WWW-Authenticate. With free reading clients must ask for a token: they send a
    // password only where a registry demands one of everybody.
    std::string challenge(const http::Request& request) const;
    // What GET of the token address answers; nullopt: the password is wrong.
    std::optional<std::string> token(const http::Request& request);

    static constexpr std::string_view kTokenPath = "/v2/_token";

  private:
    struct Impl;
    explicit Access(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::daemon
