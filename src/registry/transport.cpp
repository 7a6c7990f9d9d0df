#include "registry/transport.hpp"

#include <curl/curl.h>
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace coffer::registry {

namespace {

using Clock = std::chrono::steady_clock;

// What we use of libcurl. The library and the dozens that it brings are loaded by the first request
// to a registry: an engine that pulls nothing does not carry them.
struct Curl {
    decltype(&::curl_easy_cleanup) easy_cleanup;
    decltype(&::curl_easy_getinfo) easy_getinfo;
    decltype(&::curl_easy_init) easy_init;
    decltype(&::curl_easy_reset) easy_reset;
    decltype(&::curl_easy_setopt) easy_setopt;
    decltype(&::curl_easy_strerror) easy_strerror;
    decltype(&::curl_free) free;
    decltype(&::curl_global_init) global_init;
    decltype(&::curl_multi_add_handle) multi_add_handle;
    decltype(&::curl_multi_cleanup) multi_cleanup;
    decltype(&::curl_multi_info_read) multi_info_read;
    decltype(&::curl_multi_init) multi_init;
    decltype(&::curl_multi_perform) multi_perform;
    decltype(&::curl_multi_poll) multi_poll;
    decltype(&::curl_multi_remove_handle) multi_remove_handle;
    decltype(&::curl_slist_append) slist_append;
    decltype(&::curl_slist_free_all) slist_free_all;
    decltype(&::curl_url) url;
    decltype(&::curl_url_cleanup) url_cleanup;
    decltype(&::curl_url_get) url_get;
    decltype(&::curl_url_set) url_set;
};

template <class Function>
Result<void> find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr) return fail(Code::Internal, "libcurl has no function '{}'", name);
    return {};
}

const Result<Curl>& loaded() {
    static const Result<Curl> curl = []() -> Result<Curl> {
        Curl table{};
        void* library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps the text by thread
            return fail(Code::Internal, "load libcurl: {}", ::dlerror());
        }
        TRY(find(library, "curl_easy_cleanup", table.easy_cleanup));
        TRY(find(library, "curl_easy_getinfo", table.easy_getinfo));
        TRY(find(library, "curl_easy_init", table.easy_init));
        TRY(find(library, "curl_easy_reset", table.easy_reset));
        TRY(find(library, "curl_easy_setopt", table.easy_setopt));
        TRY(find(library, "curl_easy_strerror", table.easy_strerror));
        TRY(find(library, "curl_free", table.free));
        TRY(find(library, "curl_global_init", table.global_init));
        TRY(find(library, "curl_multi_add_handle", table.multi_add_handle));
        TRY(find(library, "curl_multi_cleanup", table.multi_cleanup));
        TRY(find(library, "curl_multi_info_read", table.multi_info_read));
        TRY(find(library, "curl_multi_init", table.multi_init));
        TRY(find(library, "curl_multi_perform", table.multi_perform));
        TRY(find(library, "curl_multi_poll", table.multi_poll));
        TRY(find(library, "curl_multi_remove_handle", table.multi_remove_handle));
        TRY(find(library, "curl_slist_append", table.slist_append));
        TRY(find(library, "curl_slist_free_all", table.slist_free_all));
        TRY(find(library, "curl_url", table.url));
        TRY(find(library, "curl_url_cleanup", table.url_cleanup));
        TRY(find(library, "curl_url_get", table.url_get));
        TRY(find(library, "curl_url_set", table.url_set));
        if (table.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            return fail(Code::Internal, "initialise libcurl");
        }
        return table;
    }();
    return curl;
}

Result<void> load_curl() {
    if (const auto& curl = loaded(); !curl) return fail(curl.error());
    return {};
}

// After load_curl().
const Curl& curl() {
    return *loaded();
}

// A multi handle keeps the connections of the easy handle that runs in it.
class Session {
  public:
    Session() : multi_(curl().multi_init()), easy_(curl().easy_init()) {}
    ~Session() {
        curl().easy_cleanup(easy_);
        curl().multi_cleanup(multi_);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    Session(Session&&) = delete;
    Session& operator=(Session&&) = delete;

    CURLM* multi() const { return multi_; }
    CURL* easy() const { return easy_; }

  private:
    CURLM* multi_;
    CURL* easy_;
};

struct Exchange {
    const HttpRequest& request;
    const Transport::BodySink& sink;
    const TransportLimits& limits;
    HttpHead head = {};
    std::optional<Error> sink_error = {};  // why a callback ended it
    Clock::time_point last_byte = Clock::now();
    std::uint64_t moved = 0;       // bytes either way
    std::uint64_t sent = 0;        // of the request's body
    std::size_t header_bytes = 0;  // of all answers
};

std::uint64_t size_of(const HttpBody& body) {
    return body.file >= 0 ? body.size : body.text.size();
}

// libcurl asks for the next piece of the request's body.
std::size_t on_upload(char* to, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    if (!exchange.request.body) return 0;
    const HttpBody& body = *exchange.request.body;
    const auto wanted = std::min<std::uint64_t>(size * count, size_of(body) - exchange.sent);
    if (body.file < 0) {
        std::copy_n(body.text.data() + exchange.sent, wanted, to);
        exchange.sent += wanted;
        return wanted;
    }
    ssize_t got = 0;
    do {
        got = ::pread(body.file, to, wanted, static_cast<off_t>(body.offset + exchange.sent));
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && wanted > 0)) {
        exchange.sink_error = Error{Code::Internal, errno, "read what is to be sent"};
        return CURL_READFUNC_ABORT;
    }
    exchange.sent += static_cast<std::uint64_t>(got);
    exchange.moved += static_cast<std::uint64_t>(got);
    exchange.last_byte = Clock::now();
    if (body.on_sent) body.on_sent(exchange.sent);
    return static_cast<std::size_t>(got);
}

// And to begin again, on another connection.
int on_rewind(void* user, curl_off_t offset, int origin) {
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Exchange*>(user)->sent = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::string_view line = trim(std::string_view(data, size * count));
    exchange.last_byte = Clock::now();
    exchange.moved += size * count;
    exchange.header_bytes += size * count;
    if (exchange.header_bytes > exchange.limits.headers) {
        exchange.sink_error = Error{Code::Internal, 0,
                                    format("\"{}\": the answer has more than {} bytes of headers",
                                           exchange.request.url, exchange.limits.headers)};
        return 0;
    }
    if (line.starts_with("HTTP/")) {
        exchange.head = {};
        const auto fields = split_fields(line);
        if (fields.size() > 1) exchange.head.status = std::atol(fields[1].c_str());
    } else if (const auto pair = cut(line, ":")) {
        auto& value = exchange.head.headers[to_lower(trim(pair->first))];
        if (!value.empty()) value += ", ";
        value += trim(pair->second);
    }
    return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const auto taken = exchange.sink(exchange.head, std::string_view(data, size * count));
    exchange.last_byte = Clock::now();
    exchange.moved += size * count;
    if (taken) return size * count;
    exchange.sink_error = taken.error();
    return CURL_WRITEFUNC_ERROR;
}

Result<void> check_distance(const HttpRequest& request, std::optional<Distance> distance) {
    const auto& refused = request.refused;
    if (!distance || std::find(refused.begin(), refused.end(), *distance) == refused.end())
        return {};
    return fail(
        Code::Forbidden, "\"{}\" is an address {}, to which a registry may not send us",
        request.url,
        *distance == Distance::Private ? "of a private network" : "of this machine or its links");
}

bool may_reach(Exchange& exchange, std::optional<Distance> distance) {
    auto checked = check_distance(exchange.request, distance);
    if (checked) return true;
    exchange.sink_error = std::move(checked).error();
    return false;
}

// Stands between the resolver and connect(2): what a name stood for before does not matter.
curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* address) {
    if (!may_reach(*static_cast<Exchange*>(user), distance_of(address->addr)))
        return CURL_SOCKET_BAD;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Stands before the request, also on a connection that was made for another one.
int on_connection(void* user, char* peer, char*, int, int) {
    return may_reach(*static_cast<Exchange*>(user), distance_of(std::string(peer)))
               ? CURL_PREREQFUNC_OK
               : CURL_PREREQFUNC_ABORT;
}

// CURLOPT_CAINFO would replace the system's authorities; this adds to them.
CURLcode on_ssl_context(CURL*, void* context, void* user) {
    const auto& tls = *static_cast<const TlsFiles*>(user);
    for (const auto& file : tls.authorities) {
        if (::SSL_CTX_load_verify_locations(static_cast<SSL_CTX*>(context), file.c_str(),
                                            nullptr) != 1)
            return CURLE_SSL_CACERT_BADFILE;
    }
    ::ERR_clear_error();
    return CURLE_OK;
}

// Failures of the connection rather than of what was asked: another try may do.
bool is_transient(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PARTIAL_FILE:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return true;
        default:
            return false;
    }
}

void configure(CURL* easy, const HttpRequest& request, const TransportLimits& limits,
               Exchange& exchange, char* error_text) {
    const auto set = [easy](CURLoption option, auto value) {
        // Fails only for options that this libcurl was built without.
        static_cast<void>(curl().easy_setopt(easy, option, value));
    };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_USERAGENT, "coffer/" COFFER_VERSION);
    set(CURLOPT_BUFFERSIZE, 512L * 1024L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
    set(CURLOPT_ERRORBUFFER, error_text);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
    if (request.method == HttpMethod::Head) {
        set(CURLOPT_NOBODY, 1L);
    } else if (request.method != HttpMethod::Get) {
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_CUSTOMREQUEST, to_string(request.method).data());
        set(CURLOPT_READFUNCTION, &on_upload);
        set(CURLOPT_READDATA, static_cast<void*>(&exchange));
        set(CURLOPT_SEEKFUNCTION, &on_rewind);
        set(CURLOPT_SEEKDATA, static_cast<void*>(&exchange));
        set(CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024L);
        set(CURLOPT_INFILESIZE_LARGE,
            static_cast<curl_off_t>(request.body ? size_of(*request.body) : 0));
    }
    // Always said, so that libcurl does not read the environment by rules of its own.
    set(CURLOPT_PROXY, request.proxy.c_str());
    set(CURLOPT_NOPROXY, "");
    if (!request.refused.empty() && request.proxy.empty()) {
        set(CURLOPT_OPENSOCKETFUNCTION, &on_socket);
        set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(&exchange));
        set(CURLOPT_PREREQFUNCTION, &on_connection);
        set(CURLOPT_PREREQDATA, static_cast<void*>(&exchange));
    }
    if (request.peer == HttpRequest::Peer::Unverified) {
        set(CURLOPT_SSL_VERIFYPEER, 0L);
        set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_CTX_FUNCTION, &on_ssl_context);
    set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(const_cast<TlsFiles*>(&request.tls)));
    if (!request.tls.client_certificate.empty()) {
        set(CURLOPT_SSLCERT, request.tls.client_certificate.c_str());
        set(CURLOPT_SSLKEY, request.tls.client_key.c_str());
    }
}

std::string verb_of(HttpMethod method) {  // as Go's client says it
    std::string verb = to_lower(to_string(method));
    verb.front() = static_cast<char>(verb.front() - 'a' + 'A');
    return verb;
}

bool any_cancelled(const Transport::Cancels& cancels) {
    return std::any_of(cancels.begin(), cancels.end(),
                       [](const Cancel* one) { return one->cancelled(); });
}

// Runs the prepared exchange; nullopt when it was cancelled or has stalled.
std::optional<CURLcode> run(const Session& session, const TransportLimits& limits,
                            const Exchange& exchange, const Transport::Cancels& cancels) {
    std::vector<curl_waitfd> wakes;
    for (const Cancel* cancel : cancels) wakes.push_back({cancel->fd(), CURL_WAIT_POLLIN, 0});
    constexpr int kPollMilliseconds = 1000;
    auto window = Clock::now();
    std::uint64_t before = 0;  // moved, when the window began
    int running = 1;
    while (running > 0) {
        if (const auto code = curl().multi_perform(session.multi(), &running); code != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (any_cancelled(cancels)) return std::nullopt;
        if (running == 0) break;
        if (Clock::now() - exchange.last_byte > limits.stall) return std::nullopt;
        if (Clock::now() - window > 5 * limits.stall) {
            if (exchange.moved - before < limits.trickle) return std::nullopt;
            window = Clock::now();
            before = exchange.moved;
        }
        const auto poll = std::min<long>(kPollMilliseconds, limits.stall.count());
        curl().multi_poll(session.multi(), wakes.data(), static_cast<unsigned>(wakes.size()),
                          static_cast<int>(poll), nullptr);
    }
    int left = 0;
    while (const CURLMsg* message = curl().multi_info_read(session.multi(), &left)) {
        if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    return CURLE_FAILED_INIT;
}

}  // namespace

std::string_view to_string(HttpMethod method) {
    switch (method) {
        case HttpMethod::Get:
            return "GET";
        case HttpMethod::Head:
            return "HEAD";
        case HttpMethod::Post:
            return "POST";
        case HttpMethod::Put:
            return "PUT";
        case HttpMethod::Patch:
            return "PATCH";
    }
    return {};
}

std::string HttpHead::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
}

struct Transport::Impl {
    TransportLimits limits;
    Sync<std::vector<std::unique_ptr<Session>>> idle;

    std::unique_ptr<Session> take() {
        auto sessions = idle.lock();
        if (sessions->empty()) return std::make_unique<Session>();
        auto session = std::move(sessions->back());
        sessions->pop_back();
        return session;
    }
};

Transport::Transport(TransportLimits limits) : impl_(std::make_unique<Impl>()) {
    impl_->limits = limits;
}

Transport::~Transport() = default;

Result<HttpHead> Transport::perform(const HttpRequest& request, const BodySink& sink,
                                    const Cancels& cancels) {
    TRY(load_curl());
    if (!request.refused.empty() && !request.proxy.empty()) {
        const auto origin = TRY(origin_of(request.url));
        TRY(check_distance(request, distance_of(without_port(origin.host))));
    }
    auto session = impl_->take();
    CURL* easy = session->easy();
    Exchange exchange{request, sink, impl_->limits};
    std::array<char, CURL_ERROR_SIZE> error_text{};
    curl().easy_reset(easy);
    configure(easy, request, impl_->limits, exchange, error_text.data());
    curl_slist* headers = curl().slist_append(nullptr, "Expect:");
    for (const auto& header : request.headers)
        headers = curl().slist_append(headers, header.c_str());
    curl().easy_setopt(easy, CURLOPT_HTTPHEADER, headers);

    curl().multi_add_handle(session->multi(), easy);
    const auto code = run(*session, impl_->limits, exchange, cancels);
    curl().multi_remove_handle(session->multi(), easy);
    curl().slist_free_all(headers);

    const std::string verb = verb_of(request.method);
    if (!code) {
        if (any_cancelled(cancels)) return fail(Code::Cancelled, "context canceled");
        return fail(Code::Unavailable, "{} \"{}\": no answer within {} seconds", verb, request.url,
                    impl_->limits.stall.count() / 1000);
    }
    if (exchange.sink_error) return fail(std::move(*exchange.sink_error));
    if (*code != CURLE_OK) {
        const std::string why =
            error_text[0] != '\0' ? error_text.data() : curl().easy_strerror(*code);
        return fail(is_transient(*code) ? Code::Unavailable : Code::Internal, "{} \"{}\": {}", verb,
                    request.url, why);
    }
    const char* peer = nullptr;
    curl().easy_getinfo(easy, CURLINFO_PRIMARY_IP, &peer);
    if (request.proxy.empty() && peer != nullptr)
        exchange.head.from = distance_of(std::string(peer)).value_or(Distance::World);
    impl_->idle.lock()->push_back(std::move(session));
    return std::move(exchange.head);
}

namespace {

class Url {
  public:
    Url() : url_(curl().url()) {}
    ~Url() { curl().url_cleanup(url_); }
    Url(const Url&) = delete;
    Url& operator=(const Url&) = delete;
    Url(Url&&) = delete;
    Url& operator=(Url&&) = delete;

    bool set(const std::string& text) {
        return curl().url_set(url_, CURLUPART_URL, text.c_str(), 0) == CURLUE_OK;
    }
    std::string part(CURLUPart part) const {
        char* text = nullptr;
        if (curl().url_get(url_, part, &text, 0) != CURLUE_OK) return {};
        std::string copy = text;
        curl().free(text);
        return copy;
    }

  private:
    CURLU* url_;
};

}  // namespace

Result<std::string> resolve_url(const std::string& base, const std::string& reference) {
    TRY(load_curl());
    Url url;
    if (!url.set(base) || !url.set(reference))
        return fail(Code::Internal, "invalid address '{}' given by '{}'", reference, base);
    return url.part(CURLUPART_URL);
}

Result<Origin> origin_of(const std::string& text) {
    TRY(load_curl());
    Url url;
    if (!url.set(text)) return fail(Code::Internal, "invalid address '{}'", text);
    Origin origin{to_lower(url.part(CURLUPART_SCHEME)), to_lower(url.part(CURLUPART_HOST))};
    if (origin.scheme != "http" && origin.scheme != "https")
        return fail(Code::Internal, "address '{}' is neither http nor https", text);
    if (!url.part(CURLUPART_USER).empty())
        return fail(Code::Internal, "address of host '{}' carries a user name", origin.host);
    const std::string port = url.part(CURLUPART_PORT);
    if (!port.empty() && port != (origin.scheme == "http" ? "80" : "443"))
        origin.host += ":" + port;
    return origin;
}

}  // namespace coffer::registry
