#pragma once
// Request: an HTTP request as the routes see it: API version, placeholders of the path, parameters
// and JSON body by Docker's rules. Belongs to the connection's thread.

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "engine/filters.hpp"
#include "http/message.hpp"
#include "json/codec.hpp"

namespace coffer::daemon {

struct ApiVersion {
    int major = 0;
    int minor = 0;
    auto operator<=>(const ApiVersion&) const = default;
};
// "1.43"; nullopt unless it is two numbers.
std::optional<ApiVersion> parse_api_version(std::string_view text);
std::string to_string(ApiVersion version);

inline constexpr ApiVersion kMinApiVersion{1, 24};
inline constexpr ApiVersion kMaxApiVersion{1, 50};

struct WindowSize {
    unsigned height = 0;
    unsigned width = 0;
};

class Request {
  public:
    Request(const http::Request& http_request, ApiVersion version, std::vector<std::string> names)
        : http_(http_request), version_(version), names_(std::move(names)) {}

    const http::Request& http() const { return http_; }
    ApiVersion version() const { return version_; }
    bool before(int major, int minor) const { return version_ < ApiVersion{major, minor}; }
    // The text for the n-th placeholder of the route's path.
    const std::string& name(std::size_t n = 0) const { return names_.at(n); }
    bool has_name() const { return !names_.empty(); }

    std::string text(std::string_view parameter) const;
    // "", "0", "no", "false" and "none" are false, all else is true.
    bool flag(std::string_view parameter, bool otherwise = false) const;
    // Absent or empty: `otherwise`.
    Result<std::int64_t> number(std::string_view parameter, std::int64_t otherwise) const;
    Result<std::optional<std::int64_t>> number(std::string_view parameter) const;
    // `h` and `w` of the resize calls.
    Result<WindowSize> window_size() const;
    // Docker's `filters`: {"key":{"value":true}} or {"key":["value"]}.
    Result<engine::Filters> filters() const;
    // The body as T. No body at all gives a default T; `NeedBody::Yes` makes that an error.
    enum class NeedBody { No, Yes };
    template <class T>
    Result<T> body(NeedBody need = NeedBody::Yes) const {
        const std::optional<std::string> text = TRY(json_text(need));
        if (!text) return T{};
        return TRY_CONTEXT(json::decode<T>(*text), "invalid JSON");
    }
    bool has_body() const { return !http_.body->at_end(); }
    // X-Registry-Auth.
    std::string registry_auth() const { return std::string(http_.headers.get("X-Registry-Auth")); }
    Cancel& hangup() const { return http_.hangup(); }

  private:
    Result<std::optional<std::string>> json_text(NeedBody need) const;

    const http::Request& http_;
    ApiVersion version_;
    std::vector<std::string> names_;
};

}  // namespace coffer::daemon
