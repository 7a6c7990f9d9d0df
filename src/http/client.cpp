#include "http/client.hpp"

#include <sys/socket.h>

#include <array>

#include "http/address.hpp"
#include "http/input.hpp"

namespace coffer::http {

namespace {

constexpr auto kConnectLimit = std::chrono::seconds(10);
constexpr std::size_t kMaxIdle = 4;
constexpr std::size_t kMaxRefusal = 1024 * 1024;
constexpr std::size_t kSourceBuffer = 64 * 1024;

struct Link {
    std::unique_ptr<Channel> channel;
    Input input;
    bool used = false;  // a request was answered on it before

    explicit Link(std::unique_ptr<Channel> channel_)
        : channel(std::move(channel_)), input(*channel) {}
};

// False when the peer takes no more. Fails when the source does: the connection must be given up
// then, so that the body does not look whole.
Result<bool> send_chunks(Channel& channel, const Call& call) {
    std::string buffer(kSourceBuffer, '\0');
    for (std::size_t n = 1; n != 0;) {
        n = TRY(call.source(buffer.data(), buffer.size()));
        const std::string size = chunk_head(n);
        const std::array<std::string_view, 3> chunk{size, std::string_view(buffer.data(), n),
                                                    "\r\n"};
        if (!channel.write(chunk)) return false;
    }
    return true;
}

}  // namespace

struct Client::Impl {
    struct Shared {
        std::vector<std::unique_ptr<Link>> idle;
        std::vector<std::unique_ptr<Channel>> handed_over;  // TLS: their relays run until the end
    };
    Endpoint endpoint;
    Cancel end;
    Sync<Shared> shared;

    Result<std::unique_ptr<Link>> connect();
    Result<std::unique_ptr<Link>> take();
    void give_back(std::unique_ptr<Link> link);
    // Sends the request and reads the final head. `stale` tells that nothing came back.
    Result<ResponseHead> exchange(Link& link, const Call& call, bool& stale);
    Result<ResponseHead> exchange_on_fresh(std::unique_ptr<Link>& link, const Call& call);
    Headers headers_of(const Call& call) const;
};

struct Response::Impl {
    Client::Impl* client;
    std::unique_ptr<Link> link;
    ResponseHead head;
    std::unique_ptr<FramedBody> body;

    Impl(Client::Impl* client_, std::unique_ptr<Link> link_, ResponseHead head_, Framing framing)
        : client(client_),
          link(std::move(link_)),
          head(std::move(head_)),
          body(std::make_unique<FramedBody>(link->input, framing, nullptr)) {}
    ~Impl() {
        if (body->at_end() && keeps_alive(head.minor_version, head.headers)) {
            client->give_back(std::move(link));
        }
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    Impl(Impl&&) = delete;
    Impl& operator=(Impl&&) = delete;
};

Result<Endpoint> parse_endpoint(std::string_view text) {
    const auto sides = cut(text, "://");
    if (!sides) return fail(Code::InvalidArgument, "unable to parse docker host `{}`", text);
    Endpoint endpoint;
    if (sides->first == "unix") {
        endpoint.path = std::string(sides->second);
        return endpoint;
    }
    if (sides->first != "tcp" && sides->first != "http") {
        return fail(Code::InvalidArgument, "unable to parse docker host `{}`", text);
    }
    HostPort address = TRY(parse_host_port(sides->second, 2375));
    endpoint.is_unix = false;
    endpoint.host = address.host.empty() ? "127.0.0.1" : std::move(address.host);
    endpoint.port = address.port;
    return endpoint;
}

Result<std::unique_ptr<Link>> Client::Impl::connect() {
    if (endpoint.is_unix) {
        return std::make_unique<Link>(
            make_plain_channel(TRY(sys::connect_unix(endpoint.path, SOCK_STREAM)), &end));
    }
    sys::Fd socket = TRY(connect_to({endpoint.host, endpoint.port}, &end, kConnectLimit));
    if (!endpoint.tls) return std::make_unique<Link>(make_plain_channel(std::move(socket), &end));
    return std::make_unique<Link>(
        TRY(endpoint.tls->connect(std::move(socket), endpoint.host, &end, kConnectLimit)));
}

Result<std::unique_ptr<Link>> Client::Impl::take() {
    {
        auto locked = shared.lock();
        if (!locked->idle.empty()) {
            std::unique_ptr<Link> link = std::move(locked->idle.back());
            locked->idle.pop_back();
            return link;
        }
    }
    return connect();
}

void Client::Impl::give_back(std::unique_ptr<Link> link) {
    if (!link->input.buffered().empty()) return;
    link->used = true;
    auto locked = shared.lock();
    if (locked->idle.size() < kMaxIdle) locked->idle.push_back(std::move(link));
}

Headers Client::Impl::headers_of(const Call& call) const {
    Headers headers;
    headers.add("Host",
                endpoint.is_unix ? "localhost" : format("{}:{}", endpoint.host, endpoint.port));
    headers.add("User-Agent", "coffer/" COFFER_VERSION);
    for (const Header& field : call.headers) headers.add(field.name, field.value);
    const bool has_body = call.method == Method::Post || call.method == Method::Put;
    if (call.source) {
        headers.set("Transfer-Encoding", "chunked");
    } else if (has_body || !call.body.empty()) {
        headers.set("Content-Length", format("{}", call.body.size()));
    }
    return headers;
}

Result<ResponseHead> Client::Impl::exchange(Link& link, const Call& call, bool& stale) {
    stale = true;
    const std::string head = write_request_head(call.method, call.target, headers_of(call));
    const std::array<std::string_view, 2> parts{head,
                                                call.source ? "" : std::string_view(call.body)};
    // A server that refuses may answer and close before it has taken all: its answer is read even
    // when sending fails.
    bool sent = link.channel->write(parts).has_value();
    if (call.source && sent) sent = TRY(send_chunks(*link.channel, call));
    for (;;) {
        const std::string text = TRY(link.input.read_head({}, {}));
        if (text.empty()) {
            return fail(
                Code::Unavailable, "{}",
                sent ? "the server closed the connection" : "the server hung up on the request");
        }
        stale = false;
        ResponseHead response = TRY(parse_response_head(text));
        if (response.status >= 200 || response.status == 101) return response;
    }
}

// An idle connection may have been closed by the server in the meantime; then once more on a new
// one, unless the body is a stream, of which a part may be gone.
Result<ResponseHead> Client::Impl::exchange_on_fresh(std::unique_ptr<Link>& link,
                                                     const Call& call) {
    link = call.source ? TRY(connect()) : TRY(take());
    bool stale = false;
    auto response = exchange(*link, call, stale);
    if (response || !stale || !link->used) return response;
    shared.lock()->idle.clear();
    link = TRY(connect());
    return exchange(*link, call, stale);
}

Response::Response(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Response::~Response() = default;
Response::Response(Response&&) noexcept = default;
Response& Response::operator=(Response&&) noexcept = default;

int Response::status() const {
    return impl_->head.status;
}

const Headers& Response::headers() const {
    return impl_->head.headers;
}

BodyReader& Response::body() {
    return *impl_->body;
}

int Response::fd() const {
    return impl_->link->channel->fd();
}

bool Response::has_buffered() const {
    return !impl_->link->input.buffered().empty() || impl_->link->channel->has_buffered();
}

Client::Client(Endpoint endpoint) : impl_(std::make_unique<Impl>()) {
    impl_->endpoint = std::move(endpoint);
}

Client::~Client() {
    impl_->end.cancel();
}

Result<Response> Client::send(const Call& call) {
    std::unique_ptr<Link> link;
    ResponseHead head = TRY(impl_->exchange_on_fresh(link, call));
    const Framing framing = TRY(response_framing(head, call.method));
    return Response(
        std::make_unique<Response::Impl>(impl_.get(), std::move(link), std::move(head), framing));
}

Result<Client::UpgradeResult> Client::upgrade(const Call& call, std::string_view protocol) {
    Call asking = call;
    asking.headers.set("Connection", "Upgrade");
    asking.headers.set("Upgrade", std::string(protocol));
    std::unique_ptr<Link> link;
    ResponseHead head = TRY(impl_->exchange_on_fresh(link, asking));
    UpgradeResult result;
    result.status = head.status;
    if (head.status != 101) {
        FramedBody body(link->input, TRY(response_framing(head, call.method)), nullptr);
        result.body = TRY(body.read_all(kMaxRefusal));
        result.headers = std::move(head.headers);
        return result;
    }
    result.headers = std::move(head.headers);
    Upgraded upgraded;
    upgraded.early = link->input.take_rest();
    upgraded.fd = TRY(link->channel->detach(upgraded.early));
    result.upgraded = std::move(upgraded);
    if (impl_->endpoint.tls) {
        impl_->shared.lock()->handed_over.push_back(std::move(link->channel));
    }
    return result;
}

}  // namespace coffer::http
