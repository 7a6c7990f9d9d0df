#include "http/connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <exception>

#include "base/log.hpp"

namespace coffer::http {

namespace {

// What is read of a body that the handler left, to keep the connection.
constexpr std::size_t kMaxDrain = 256 * 1024;
constexpr auto kLinger = std::chrono::milliseconds(500);

std::string http_date() {
    const time_t seconds = ::time(nullptr);
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                  kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                  kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                  parts.tm_hour, parts.tm_min, parts.tm_sec);
}

bool peer_has_gone(int socket) {
    pollfd poll{socket, POLLRDHUP, 0};
    return ::poll(&poll, 1, 0) == 1;
}

// Path and query of a target in origin form, or in absolute form with its authority dropped.
Result<void> set_target(Request& request) {
    std::string_view target = request.target;
    if (target.substr(0, 7) == "http://") {
        const std::size_t slash = target.find('/', 7);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    if (target.front() != '/' && target != "*") {
        return fail(Code::InvalidArgument, "malformed request target");
    }
    const auto sides = cut(target, "?");
    auto path = percent_decode(sides ? sides->first : target);
    if (!path || path->find('\0') != std::string::npos) {
        return fail(Code::InvalidArgument, "malformed request target");
    }
    request.path = *std::move(path);
    if (sides) request.query = TRY(Query::parse(sides->second));
    return {};
}

class ChunkedWriter final : public StreamWriter {
  public:
    ChunkedWriter(Channel& channel, const Cancel& stop, std::string head, bool chunked,
                  Channel::Limit stall)
        : channel_(channel),
          stop_(stop),
          head_(std::move(head)),
          chunked_(chunked),
          stall_(stall) {}

    Result<void> begin() override {
        if (begun_) return {};
        begun_ = true;
        return channel_.write(head_, stall_);
    }

    Result<void> write(std::string_view bytes) override {
        if (bytes.empty()) return begin();
        const std::string size = chunked_ ? chunk_head(bytes.size()) : "";
        const std::array<std::string_view, 4> parts{begun_ ? "" : std::string_view(head_), size,
                                                    bytes, chunked_ ? "\r\n" : ""};
        begun_ = true;
        return channel_.write(parts, stall_);
    }

    bool closed() override { return stop_.cancelled() || peer_has_gone(channel_.fd()); }

    Wake wait(int fd, std::optional<std::chrono::milliseconds> limit) override {
        std::array<pollfd, 3> polls{
            {{fd, POLLIN, 0}, {channel_.fd(), POLLRDHUP, 0}, {stop_.fd(), POLLIN, 0}}};
        const int n =
            ::poll(polls.data(), polls.size(), limit ? static_cast<int>(limit->count()) : -1);
        if (polls[1].revents != 0 || polls[2].revents != 0) return Wake::Closed;
        return n > 0 ? Wake::Ready : Wake::Timeout;
    }

    bool begun() const { return begun_; }
    Result<void> finish() {
        TRY(begin());
        return chunked_ ? channel_.write("0\r\n\r\n", stall_) : Result<void>();
    }

  private:
    Channel& channel_;
    const Cancel& stop_;
    std::string head_;
    bool chunked_;
    Channel::Limit stall_;
    bool begun_ = false;
};

}  // namespace

void Connection::serve() {
    for (;;) {
        switch (serve_one()) {
            case Next::Request:
                break;
            case Next::Close:
                return;
            case Next::Linger:
                return linger();
        }
    }
}

Connection::Next Connection::serve_one() {
    const auto head_text =
        input_.read_head(context_.options.idle_limit, context_.options.head_limit);
    if (!head_text) {
        if (head_text.error().code != Code::InvalidArgument) return Next::Close;
        return refuse(head_text.error(), input_.too_large() ? 431 : 400);
    }
    if (head_text->empty()) return Next::Close;
    auto head = parse_request_head(*head_text);
    if (!head) return refuse(head.error(), 400);
    const auto framing = request_framing(*head);
    if (!framing) return refuse(framing.error(), 400);

    std::function<Result<void>()> go_on;
    if (head->headers.has_token("Expect", "100-continue")) {
        go_on = [this] {
            return channel_.write("HTTP/1.1 100 Continue\r\n\r\n", context_.options.stall_limit);
        };
    }
    FramedBody body(input_, *framing, std::move(go_on), context_.options.stall_limit);
    std::unique_ptr<HangupWatcher::Watch> watch;
    Request request;
    request.method = parse_method(head->method);
    request.method_text = std::move(head->method);
    request.target = std::move(head->target);
    request.headers = std::move(head->headers);
    request.minor_version = head->minor_version;
    request.peer = peer_;
    request.body = &body;
    request.hangup = [&]() -> Cancel& {
        if (!watch) watch = std::make_unique<HangupWatcher::Watch>(context_.hangups, channel_.fd());
        return watch->cancel;
    };
    if (const auto set = set_target(request); !set) return refuse(set.error(), 400);
    const bool keep = keeps_alive(request.minor_version, request.headers);
    return send(request, call_handler(request), body, keep);
}

Reply Connection::call_handler(const Request& request) {
    try {
        return context_.handler(request);
    } catch (const std::exception& error) {
        LOG_ERROR("{} {}: {}", request.method_text, request.path, error.what());
        return context_.error_reply({Code::Internal, 0, error.what()});
    }
}

Connection::Next Connection::refuse(const Error& error, int status) {
    Reply reply = context_.error_reply(error);
    reply.status = status;
    Request none;
    static_cast<void>(send_buffered(none, reply, false));
    return Next::Linger;
}

Connection::Next Connection::send(const Request& request, Reply reply, FramedBody& body,
                                  bool keep) {
    if (reply.upgrade_function) return hand_over(request, reply);
    if (reply.stream_function && request.method != Method::Head) {
        const Next next = send_stream(request, reply, keep);
        return next == Next::Request && !drain(body) ? Next::Linger : next;
    }
    // Drained before the reply: a client may wait for its request to be taken before it reads.
    keep = drain(body) && keep;
    const Next next = send_buffered(request, reply, keep);
    return next == Next::Close && !body.at_end() ? Next::Linger : next;
}

Connection::Next Connection::send_buffered(const Request& request, Reply& reply, bool keep) {
    reply.headers.set("Date", http_date());
    if (reply.status != 204 && reply.status != 304 && !reply.stream_function) {
        reply.headers.set("Content-Length", format("{}", reply.body.size()));
    }
    if (reply.length) reply.headers.set("Content-Length", format("{}", *reply.length));
    if (!keep) reply.headers.set("Connection", "close");
    const std::string head = write_response_head(reply.status, reason(reply.status), reply.headers);
    const bool bare = request.method == Method::Head || reply.status == 204 || reply.status == 304;
    const std::array<std::string_view, 2> parts{head, bare ? "" : std::string_view(reply.body)};
    return channel_.write(parts, context_.options.stall_limit) && keep ? Next::Request
                                                                       : Next::Close;
}

Connection::Next Connection::send_stream(const Request& request, Reply& reply, bool keep) {
    const bool chunked = request.minor_version == 1 && !reply.length;
    keep = keep && (chunked || reply.length);
    reply.headers.set("Date", http_date());
    if (chunked) reply.headers.set("Transfer-Encoding", "chunked");
    if (reply.length) reply.headers.set("Content-Length", format("{}", *reply.length));
    if (!keep) reply.headers.set("Connection", "close");
    ChunkedWriter writer(channel_, context_.stop,
                         write_response_head(reply.status, reason(reply.status), reply.headers),
                         chunked, context_.options.stall_limit);
    Result<void> result;
    try {
        result = reply.stream_function(writer);
    } catch (const std::exception& error) {
        LOG_ERROR("{} {}: {}", request.method_text, request.path, error.what());
        result = fail(Code::Internal, "{}", error.what());
    }
    if (result) return writer.finish() && keep ? Next::Request : Next::Close;
    if (!writer.begun()) {
        Reply error = context_.error_reply(result.error());
        return send_buffered(request, error, keep);
    }
    // The missing last chunk tells the client that the stream is not whole.
    if (result.error().code != Code::Cancelled) {
        LOG_WARN("{} {}: {}", request.method_text, request.path, result.error().message);
    }
    return Next::Close;
}

Connection::Next Connection::hand_over(const Request& request, Reply& reply) {
    const std::string* protocol = request.headers.find("Upgrade");
    if (protocol != nullptr) {
        reply.status = 101;
        reply.headers.set("Connection", "Upgrade");
        reply.headers.set("Upgrade", *protocol);
    }
    Upgraded upgraded;
    upgraded.greeting = write_response_head(reply.status, reason(reply.status), reply.headers);
    upgraded.early = input_.take_rest();
    auto detached = channel_.detach(upgraded.early);
    if (!detached) {
        LOG_WARN("{} {}: {}", request.method_text, request.path, detached.error().message);
        return Next::Close;
    }
    upgraded.fd = *std::move(detached);
    try {
        reply.upgrade_function(std::move(upgraded));
    } catch (const std::exception& error) {
        LOG_ERROR("{} {}: {}", request.method_text, request.path, error.what());
    }
    return Next::Close;
}

bool Connection::drain(FramedBody& body) {
    // A client that waits for "100 Continue" may send its body or not: nobody can tell.
    if (!body.at_end() && !body.was_asked_for()) return false;
    std::array<char, 16 * 1024> buffer;
    for (std::size_t total = 0; !body.at_end() && total <= kMaxDrain;) {
        const auto n = body.read(buffer.data(), buffer.size());
        if (!n) return false;
        total += *n;
    }
    return body.at_end();
}

// Closing with unread bytes would reset the connection and could destroy the reply on its way.
void Connection::linger() {
    if (channel_.fd() < 0) return;
    ::shutdown(channel_.fd(), SHUT_WR);
    const auto end = std::chrono::steady_clock::now() + kLinger;
    std::array<char, 16 * 1024> buffer;
    while (std::chrono::steady_clock::now() < end) {
        const auto n = channel_.read(buffer.data(), buffer.size(), kLinger);
        if (!n || *n == 0) return;
    }
}

}  // namespace coffer::http
