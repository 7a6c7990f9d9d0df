#pragma once
// A registry as a client sees it: authenticated requests below /v2/ of one host, with redirects,
// retries, the plain-HTTP fallback of insecure registries, and blobs that resume where they broke
// off. Credentials are bound to the host: a redirect elsewhere gets none. Safe from any thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sync.hpp"
#include "registry/auth.hpp"
#include "registry/rules.hpp"
#include "registry/tokens.hpp"
#include "registry/transport.hpp"

namespace coffer::registry {

inline constexpr int kTries = 4;  // of what may go well another time

struct ClientOptions {
    std::string host;         // as in a reference: "docker.io", "registry.example:5000"
    Host access;              // how it is reached; its address and path do not count
    std::string origin = {};  // the registry that a mirror stands for, where it wants to know
    Credentials credentials;
    OfflineAccess offline = OfflineAccess::No;  // Yes for Client::log_in
    Tokens* tokens = nullptr;                   // shared with other clients; null: its own
    Config config;
    TransportLimits limits;
    int tries = kTries;                          // at most
    std::chrono::milliseconds first_pause{250};  // before the second try; doubles each time
};

struct Reply {
    long status = 0;
    std::string url;
    std::string body;
    std::string content_type;
    std::string digest;    // Docker-Content-Digest
    std::string link;      // Link: the next page of a list
    std::string location;  // Location, made absolute
    std::string range;     // Range: how much of an upload has come
    std::string subject;   // OCI-Subject: of which manifest this one is now listed as a referrer
    std::string authenticate;
    std::string limits;  // the headers about too many requests, for messages
    std::string before;  // hosts that were asked before this one, and what they said
};

// "repository:a/b:pull": what a token must allow.
std::string pull_scope(const std::string& repository);

bool is_worth_a_retry(long status);

struct Ask {
    HttpMethod method = HttpMethod::Get;
    std::string path;   // below `root`
    std::string url;    // instead, when given: where the registry pointed to
    std::string scope;  // several are separated by blanks
    std::vector<std::string> headers;
    std::optional<HttpBody> body;
    std::size_t limit = 64 * 1024;  // bytes of the answer
    std::string root;               // empty: of the host's API ("/v2/")
    int tries = kTries;             // of a connection that breaks or a registry that is overloaded
    bool anonymous = false;         // no login, and nothing else that is the registry's
};

// GET of a path in a repository.
Ask pull_ask(const std::string& repository, const std::string& path,
             const std::vector<std::string>& accept, std::size_t limit);

class Client {
  public:
    // `cancel` must outlive the client.
    Client(ClientOptions options, const Cancel& cancel);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    Client(Client&&) = delete;
    Client& operator=(Client&&) = delete;

    // Any status but 401-before-login, 429 and 5xx is an answer; those become one when the tries
    // are used up.
    Result<Reply> send(const Ask& ask);
    // Whether the registry takes the credentials. Gives the identity token to use in their place
    // from now on; empty when the registry has none.
    Result<std::string> log_in();
    using Sink = std::function<Result<void>(std::string_view)>;
    // Streams a blob of exactly `size` bytes from byte `received` on, which moves along: each byte
    // reaches the sink once, in order, however often the connection breaks.
    Result<void> download(const std::string& repository, const std::string& digest,
                          std::uint64_t size, std::uint64_t& received, const Sink& sink);
    // The same of another address, which a manifest gives: https unless the registry is asked
    // without, nowhere near this machine unless the registry is, and without credentials.
    Result<void> download_from(const std::string& url, const std::string& digest,
                               std::uint64_t size, std::uint64_t& received, const Sink& sink);
    // Ends what runs, and all that comes, with Code::Cancelled.
    void abort();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// What a registry said went wrong, in docker's words: "manifest unknown: manifest unknown".
struct RegistryError {
    std::string code;  // "MANIFEST_UNKNOWN"; empty when the body was no error document
    std::string text;
};
RegistryError parse_error(const Reply& reply);

}  // namespace coffer::registry
