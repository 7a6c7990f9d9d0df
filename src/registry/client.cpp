#include "registry/client.hpp"

#include <poll.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "http/message.hpp"
#include "registry/registries.hpp"

namespace coffer::registry {

namespace {

constexpr int kMaxRedirects = 10;
constexpr std::size_t kMaxErrorBody = 64 * 1024;
constexpr std::chrono::seconds kLongestPause{20};
constexpr std::uint64_t kProgress = 16 * 1024;  // bytes for which a broken connection was worth it

bool is_redirect(long status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What a refusal says of when to come again.
std::string limits_of(const HttpHead& head) {
    std::vector<std::string> parts;
    for (const char* name : {"retry-after", "ratelimit-limit", "ratelimit-remaining"}) {
        if (const std::string value = head.header(name); !value.empty())
            parts.push_back(format("{}: {}", name, value));
    }
    return join(parts, ", ");
}

// What is taken from the headers, but for the location.
Reply reply_of(const HttpHead& head, std::string body) {
    Reply reply;
    reply.status = head.status;
    reply.body = std::move(body);
    reply.content_type = head.header("content-type");
    reply.digest = head.header("docker-content-digest");
    reply.link = head.header("link");
    reply.range = head.header("range");
    reply.subject = head.header("oci-subject");
    reply.authenticate = head.header("www-authenticate");
    reply.limits = limits_of(head);
    return reply;
}

// Appends to `body` up to `limit` bytes.
Transport::BodySink collect(std::string& body, std::size_t limit) {
    return [&body, limit](const HttpHead&, std::string_view bytes) -> Result<void> {
        if (body.size() + bytes.size() > limit)
            return fail(Code::Internal, "answer of the registry is larger than {} bytes", limit);
        body.append(bytes);
        return {};
    };
}

}  // namespace

struct Client::Impl {
    struct Policy {
        bool insecure = false;
        TlsFiles tls;
    };
    struct State {
        Scheme scheme = Scheme::Any;
        bool basic = false;
        std::string identity_token;              // that a token server gave
        std::optional<Distance> farthest;        // from which the registry has answered
        std::map<std::string, Policy> policies;  // by host
    };
    struct Call {
        const Ask& ask;
        const Transport::BodySink& sink;  // gets the body of a success
        std::string error_body;           // of anything else
        std::string url;                  // that was asked last
    };

    Impl(ClientOptions given, const Cancel& cancel_given)
        : options(std::move(given)),
          cancels{&cancel_given, &aborted},
          transport(options.limits),
          address(address_of(options.host)) {
        state.lock()->scheme = options.access.scheme;
    }

    Result<Origin> locate(const std::string& url) const;
    Result<Policy> policy_of(const std::string& host);
    Result<HttpHead> exchange(Call& call);
    Result<void> download(const Ask& ask, const std::string& digest, std::uint64_t size,
                          std::uint64_t& received, const Sink& sink);
    Result<HttpHead> exchange_with(Scheme scheme, Call& call);
    Result<HttpHead> follow(Call& call, const Origin& home, std::string url,
                            const std::string& authorization);
    void go_out(HttpRequest& request, const Origin& origin, bool anonymous);
    std::string authorization_for(const Origin& home, const std::string& scope);
    std::string token_key(const Origin& home, const std::string& scope) const {
        return Tokens::key(home.scheme + "://" + home.host, scope, options.credentials,
                           options.access.headers);
    }
    Tokens& tokens() { return options.tokens != nullptr ? *options.tokens : own_tokens; }
    Result<void> authenticate(const Origin& home, const std::string& url,
                              const std::string& challenge, const std::string& scope);
    Result<Token> fetch_token(const std::string& url, const Challenge& challenge,
                              const std::string& scope);
    Result<void> pause(int attempt, const HttpHead* head) const;

    ClientOptions options;
    Cancel aborted;
    Transport::Cancels cancels;
    Transport transport;
    std::string address;
    Tokens own_tokens;
    Sync<State> state;
};

// The registry itself is called as it was named, be it with the port that goes without saying.
Result<Origin> Client::Impl::locate(const std::string& url) const {
    Origin origin = TRY(origin_of(url));
    if (origin.host + (origin.scheme == "http" ? ":80" : ":443") == address) origin.host = address;
    return origin;
}

Result<Client::Impl::Policy> Client::Impl::policy_of(const std::string& host) {
    {
        auto locked = state.lock();
        const auto found = locked->policies.find(host);
        if (found != locked->policies.end()) return found->second;
    }
    // May ask the resolver: not under the lock.
    Policy policy{is_insecure(options.config, host), TRY(find_tls_files(options.config, host))};
    if (host == address) {
        const Host& access = options.access;
        policy.insecure = policy.insecure || access.insecure;
        policy.tls.authorities.insert(policy.tls.authorities.end(), access.tls.authorities.begin(),
                                      access.tls.authorities.end());
        if (!access.tls.client_certificate.empty()) {
            policy.tls.client_certificate = access.tls.client_certificate;
            policy.tls.client_key = access.tls.client_key;
        }
    }
    state.lock()->policies[host] = policy;
    return policy;
}

// Through which proxy, and how far. A registry that is elsewhere has no business here; a manifest,
// which is not the registry's own word, has none beyond the registry's host and its network.
void Client::Impl::go_out(HttpRequest& request, const Origin& origin, bool anonymous) {
    request.proxy = proxy_for(options.config.proxies, origin.scheme, origin.host);
    if (origin.host == address) return;
    const auto farthest = state.lock()->farthest;
    const bool is_host = without_port(origin.host) == without_port(address);
    request.refused = {Distance::Links};
    if (farthest != Distance::Machine || (anonymous && !is_host))
        request.refused.push_back(Distance::Machine);
    if (anonymous && farthest != Distance::Private) request.refused.push_back(Distance::Private);
}

std::string Client::Impl::authorization_for(const Origin& home, const std::string& scope) {
    if (!options.credentials.registry_token.empty())
        return "Bearer " + options.credentials.registry_token;
    if (state.lock()->basic) return basic_authorization(options.credentials);
    const std::string token = tokens().find(token_key(home, scope));
    return token.empty() ? token : "Bearer " + token;
}

Result<HttpHead> Client::Impl::follow(Call& call, const Origin& home, std::string url,
                                      const std::string& authorization) {
    const bool sends = call.ask.method != HttpMethod::Get && call.ask.method != HttpMethod::Head;
    for (int hop = 0; hop <= kMaxRedirects; ++hop) {
        const auto origin = TRY(locate(url));
        const auto policy = TRY(policy_of(origin.host));
        if (origin.scheme == "http" && home.scheme != "http")
            return fail(Code::Internal, "registry redirects to the unencrypted address '{}'", url);
        HttpRequest request{.url = url,
                            .method = call.ask.method,
                            .headers = call.ask.headers,
                            .body = call.ask.body,
                            .tls = policy.tls};
        if (call.ask.anonymous) request.tls.client_certificate = request.tls.client_key = "";
        if (policy.insecure) request.peer = HttpRequest::Peer::Unverified;
        go_out(request, origin, call.ask.anonymous);
        // Credentials are for the registry itself, never for where it points to.
        if (origin == home && !call.ask.anonymous) {
            for (const std::string& header : options.access.headers)
                request.headers.push_back(header);
            if (!authorization.empty())
                request.headers.push_back("Authorization: " + authorization);
        }
        call.url = url;
        call.error_body.clear();
        const auto collect_error = collect(call.error_body, kMaxErrorBody);
        const auto sink = [&](const HttpHead& head, std::string_view bytes) -> Result<void> {
            if (head.status >= 200 && head.status < 300) return call.sink(head, bytes);
            return collect_error(head, bytes);
        };
        auto head = TRY(transport.perform(request, sink, cancels));
        if (origin.host == address) {
            auto locked = state.lock();
            locked->farthest = std::max(locked->farthest.value_or(head.from), head.from);
        }
        const bool repeats = head.status == 307 || head.status == 308;
        if (!is_redirect(head.status) || (sends && !repeats)) return head;
        const std::string location = head.header("location");
        if (location.empty())
            return fail(Code::Internal, "redirect of '{}' without an address", url);
        url = TRY(resolve_url(url, location));
    }
    return fail(Code::Internal, "more than {} redirects from '{}'", kMaxRedirects, call.ask.path);
}

Result<Token> Client::Impl::fetch_token(const std::string& url, const Challenge& challenge,
                                        const std::string& scope) {
    const auto& credentials = options.credentials;
    const auto realm = challenge.params.find("realm");
    if (realm == challenge.params.end() || realm->second.empty())
        return fail(Code::Internal, "no realm in the challenge of registry '{}'", options.host);
    const auto origin = TRY(locate(realm->second));
    if (origin.scheme == "http" && url.starts_with("https:"))
        return fail(Code::Internal, "registry '{}' asks for a login at the unencrypted '{}'",
                    options.host, realm->second);
    const auto policy = TRY(policy_of(origin.host));
    HttpRequest request{.url = token_url(challenge, scope, credentials, options.offline),
                        .headers = {"Accept: application/json"},
                        .body = {},
                        .tls = policy.tls};
    if (policy.insecure) request.peer = HttpRequest::Peer::Unverified;
    go_out(request, origin, false);
    if (!credentials.identity_token.empty()) {
        const auto service = challenge.params.find("service");
        request.url = realm->second;
        request.method = HttpMethod::Post;
        request.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
        std::string& form = request.body.emplace().text;
        form = format("grant_type=refresh_token&client_id={}&scope=", kClientId) +
               url_encode(scope) + "&refresh_token=" + url_encode(credentials.identity_token);
        if (service != challenge.params.end()) form += "&service=" + url_encode(service->second);
    } else if (!credentials.username.empty()) {
        request.headers.push_back("Authorization: " + basic_authorization(credentials));
    }
    std::string body;
    const auto head = TRY(transport.perform(request, collect(body, kMaxErrorBody), cancels));
    if (head.status == 401 || head.status == 403)
        return fail(
            Code::Unauthorized, "Get \"{}\": unauthorized: {}", url,
            credentials.empty() ? "authentication required" : "incorrect username or password");
    if (head.status != 200)
        return fail(is_worth_a_retry(head.status) ? Code::Unavailable : Code::Internal,
                    "fetch a token from '{}': {}", origin.host,
                    parse_error(reply_of(head, std::move(body))).text);
    return parse_token(body);
}

Result<void> Client::Impl::authenticate(const Origin& home, const std::string& url,
                                        const std::string& challenge_text,
                                        const std::string& scope) {
    const auto challenges = parse_challenges(challenge_text);
    const auto find = [&](std::string_view scheme) {
        return std::find_if(challenges.begin(), challenges.end(),
                            [&](const Challenge& one) { return one.scheme == scheme; });
    };
    if (const auto bearer = find("bearer"); bearer != challenges.end()) {
        auto token = TRY(fetch_token(url, *bearer, scope));
        const auto good_for = std::chrono::seconds(std::max(token.expires_in_seconds, 60L) - 5);
        tokens().add(token_key(home, scope), std::move(token.text), good_for);
        state.lock()->identity_token = std::move(token.refresh);
        return {};
    }
    if (find("basic") == challenges.end())
        return fail(Code::Internal, "registry '{}' asks for an unknown kind of login",
                    options.host);
    if (options.credentials.username.empty())
        return fail(Code::Unauthorized, "Get \"{}\": no basic auth credentials", url);
    state.lock()->basic = true;
    return {};
}

Result<HttpHead> Client::Impl::exchange_with(Scheme scheme, Call& call) {
    const Origin home{scheme == Scheme::Http ? "http" : "https", address};
    std::string url = call.ask.url;
    if (url.empty()) {
        const std::string& root = call.ask.root.empty() ? options.access.api_root : call.ask.root;
        url = home.scheme + "://" + address + root + call.ask.path;
        if (!options.origin.empty())
            url +=
                (url.find('?') == std::string::npos ? "?ns=" : "&ns=") + url_encode(options.origin);
    }
    const std::string& scope = call.ask.scope;
    const std::string sent = call.ask.anonymous ? std::string() : authorization_for(home, scope);
    auto head = TRY(follow(call, home, url, sent));
    // Only the registry's own answer may start a login.
    if (head.status != 401 || call.url != url || TRY(locate(url)) != home ||
        sent.starts_with("Basic ") || call.ask.anonymous)
        return head;
    TRY(authenticate(home, url, head.header("www-authenticate"), scope));
    return follow(call, home, url, authorization_for(home, scope));
}

// One attempt. An insecure registry is asked over TLS first and, when no TLS comes about, in plain.
Result<HttpHead> Client::Impl::exchange(Call& call) {
    const Scheme known = state.lock()->scheme;
    // What another host speaks says nothing of the registry.
    if (known == Scheme::Any && call.ask.anonymous) return exchange_with(Scheme::Https, call);
    if (known != Scheme::Any) return exchange_with(known, call);
    auto head = exchange_with(Scheme::Https, call);
    if (head || head.error().code != Code::Unavailable || !TRY(policy_of(address)).insecure) {
        if (head) state.lock()->scheme = Scheme::Https;
        return head;
    }
    head = exchange_with(Scheme::Http, call);
    if (head) state.lock()->scheme = Scheme::Http;
    return head;
}

// Sleeps before the next try, longer each time or as long as the registry asks for.
Result<void> Client::Impl::pause(int attempt, const HttpHead* head) const {
    auto time = options.first_pause * (1 << attempt);
    if (head != nullptr) {
        if (const auto asked = parse_uint(head->header("retry-after")))
            time = std::chrono::seconds(std::min<std::uint64_t>(*asked, 3600));
    }
    time = std::min<std::chrono::milliseconds>(time, kLongestPause);
    pollfd wakes[2] = {{cancels[0]->fd(), POLLIN, 0}, {cancels[1]->fd(), POLLIN, 0}};
    if (::poll(wakes, 2, static_cast<int>(time.count())) > 0)
        return fail(Code::Cancelled, "context canceled");
    return {};
}

Client::Client(ClientOptions options, const Cancel& cancel)
    : impl_(std::make_unique<Impl>(std::move(options), cancel)) {}

Client::~Client() = default;

bool is_worth_a_retry(long status) {
    return status == 429 || status >= 500;
}

std::string pull_scope(const std::string& repository) {
    return "repository:" + repository + ":pull";
}

void Client::abort() {
    impl_->aborted.cancel();
}

Result<Reply> Client::send(const Ask& ask) {
    for (int attempt = 0;; ++attempt) {
        std::string body;
        const auto sink = collect(body, ask.limit);
        Impl::Call call{.ask = ask, .sink = sink, .error_body = {}, .url = {}};
        auto head = impl_->exchange(call);
        const bool last = attempt + 1 >= std::min(ask.tries, impl_->options.tries);
        if (!head) {
            if (last || head.error().code != Code::Unavailable)
                return fail(std::move(head).error());
            TRY(impl_->pause(attempt, nullptr));
            continue;
        }
        if (is_worth_a_retry(head->status) && !last) {
            TRY(impl_->pause(attempt, &*head));
            continue;
        }
        Reply reply = reply_of(*head, std::move(call.error_body.empty() ? body : call.error_body));
        reply.url = call.url;
        if (const auto location = head->header("location"); !location.empty())
            reply.location = TRY(resolve_url(call.url, location));
        return reply;
    }
}

Result<std::string> Client::log_in() {
    const Reply reply = TRY(send({}));
    if (reply.status != 200)
        return fail(reply.status == 401 ? Code::Unauthorized : Code::Internal,
                    "login attempt to {} failed with status: {} {}", reply.url, reply.status,
                    http::reason(static_cast<int>(reply.status)));
    return impl_->state.lock()->identity_token;
}

Ask pull_ask(const std::string& repository, const std::string& path,
             const std::vector<std::string>& accept, std::size_t limit) {
    Ask ask{.path = repository + "/" + path,
            .url = {},
            .scope = pull_scope(repository),
            .headers = {},
            .body = {},
            .limit = limit};
    for (const auto& type : accept) ask.headers.push_back("Accept: " + type);
    return ask;
}

Result<void> Client::download(const std::string& repository, const std::string& digest,
                              std::uint64_t size, std::uint64_t& received, const Sink& sink) {
    return impl_->download(pull_ask(repository, "blobs/" + digest, {}, kMaxErrorBody), digest, size,
                           received, sink);
}

Result<void> Client::download_from(const std::string& url, const std::string& digest,
                                   std::uint64_t size, std::uint64_t& received, const Sink& sink) {
    Ask ask;
    ask.url = url;
    ask.limit = kMaxErrorBody;
    ask.anonymous = true;
    return impl_->download(ask, digest, size, received, sink);
}

Result<void> Client::Impl::download(const Ask& whole, const std::string& digest, std::uint64_t size,
                                    std::uint64_t& received, const Sink& sink) {
    int attempt = 0;
    while (received < size || size == 0) {
        const std::uint64_t from = received;
        std::uint64_t to_skip = 0;
        bool started = false;
        const Transport::BodySink take = [&](const HttpHead& head,
                                             std::string_view bytes) -> Result<void> {
            // A server that ignores Range sends all of it again.
            if (!started && head.status != 206) to_skip = from;
            started = true;
            const auto skipped = std::min<std::uint64_t>(to_skip, bytes.size());
            to_skip -= skipped;
            bytes.remove_prefix(skipped);
            if (bytes.empty()) return {};
            if (bytes.size() > size - received)
                return fail(Code::Internal, "blob {} is larger than the {} bytes declared", digest,
                            size);
            TRY(sink(bytes));
            received += bytes.size();
            return {};
        };
        Ask ask = whole;
        if (from > 0) ask.headers.push_back(format("Range: bytes={}-", from));
        Call call{.ask = ask, .sink = take, .error_body = {}, .url = {}};
        auto head = exchange(call);
        if (received - from >= kProgress) attempt = 0;
        const bool last = ++attempt >= options.tries;
        if (!head) {
            if (last || head.error().code != Code::Unavailable)
                return fail(std::move(head).error());
            TRY(pause(attempt - 1, nullptr));
            continue;
        }
        if (head->status == 200 || head->status == 206) {
            if (received == size) return {};
            return fail(Code::Internal, "blob {} has {} bytes instead of the {} declared", digest,
                        received, size);
        }
        if (is_worth_a_retry(head->status) && !last) {
            TRY(pause(attempt - 1, &*head));
            continue;
        }
        return fail(is_worth_a_retry(head->status) ? Code::Unavailable : Code::Internal,
                    "fetch blob {}: {}", digest,
                    parse_error(reply_of(*head, std::move(call.error_body))).text);
    }
    return {};
}

}  // namespace coffer::registry
