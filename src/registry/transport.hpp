#pragma once
// One HTTP exchange over libcurl (HTTP/2 where TLS settles on it), with connections kept for the
// next one. No policy: no redirect, no authentication, no retry. Safe from any thread; each
// exchange takes its own handle.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sync.hpp"
#include "registry/config.hpp"

namespace coffer::registry {

enum class HttpMethod { Get, Head, Post, Put, Patch };
std::string_view to_string(HttpMethod method);  // "GET"

// What a request carries: a text, or a part of a file that stays open meanwhile. Can be sent again.
struct HttpBody {
    std::string text;
    int file = -1;  // when >= 0
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::function<void(std::uint64_t sent)> on_sent;  // how far it is; may be empty
};

struct HttpRequest {
    std::string url;
    HttpMethod method = HttpMethod::Get;
    std::vector<std::string> headers;  // "Name: value"
    std::optional<HttpBody> body;      // not of Get and Head
    TlsFiles tls;
    enum class Peer { Verified, Unverified } peer = Peer::Verified;
    std::string proxy;  // empty: the host itself
    // Where it must not go, for addresses that a registry gave. It is the address of the connection
    // that counts; through a proxy, which resolves names itself, what the URL says.
    std::vector<Distance> refused;
};

struct HttpHead {
    Distance from = Distance::World;  // who sent it; through a proxy nobody knows
    long status = 0;
    std::map<std::string, std::string> headers;  // names in lower case; repeats joined by ", "

    std::string header(const std::string& name) const;
};

struct TransportLimits {
    std::chrono::milliseconds connect{30'000};
    std::chrono::milliseconds stall{60'000};  // without a single byte
    // In five times that, fewer bytes than these are as good as none.
    std::uint64_t trickle = 64 * 1024;
    std::size_t headers = 256 * 1024;  // bytes of them
};

class Transport {
  public:
    explicit Transport(TransportLimits limits = {});
    ~Transport();
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    Transport(Transport&&) = delete;
    Transport& operator=(Transport&&) = delete;

    // Called with each piece of the body; may block. Its error ends the exchange and is returned.
    using BodySink = std::function<Result<void>(const HttpHead&, std::string_view)>;
    // Fails with Unavailable when the connection failed or broke off: worth another try. Each of
    // `cancels` ends it.
    using Cancels = std::vector<const Cancel*>;
    Result<HttpHead> perform(const HttpRequest& request, const BodySink& sink,
                             const Cancels& cancels);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Absolute form of `reference` (a Location header) as seen from `base`.
Result<std::string> resolve_url(const std::string& base, const std::string& reference);
struct Origin {
    std::string scheme;  // "http" or "https"
    std::string host;    // with ":port" unless it is the scheme's own
    bool operator==(const Origin&) const = default;
};
// Refuses other schemes than http and https, and user names in the address.
Result<Origin> origin_of(const std::string& url);

}  // namespace coffer::registry
