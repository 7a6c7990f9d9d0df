#include <sys/socket.h>

#include <thread>

#include "base/log.hpp"
#include "base/time.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/containers.hpp"
#include "http/stream.hpp"
#include "http/websocket.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> attach(Context&, const Request&);
Result<http::Reply> attach_websocket(Context&, const Request&);
Result<http::Reply> wait(Context&, const Request&);
Result<http::Reply> logs(Context&, const Request&);

constexpr std::size_t kMaxIgnoredBody = 64 << 10;

constexpr Route kRoutes[] = {
    {Method::Post, "/containers/{id}/attach", &attach},
    {Method::Get, "/containers/{id}/attach/ws", &attach_websocket},
    {Method::Post, "/containers/{id}/wait", &wait},
    {Method::Get, "/containers/{id}/logs", &logs},
};

engine::AttachOptions attach_options(const Request& request) {
    engine::AttachOptions options;
    options.stdin_open = request.flag("stdin");
    options.stdout_open = request.flag("stdout");
    options.stderr_open = request.flag("stderr");
    options.stream = request.flag("stream");
    options.logs = request.flag("logs");
    options.detach_keys = request.text("detachKeys");
    return options;
}

Result<http::Reply> attach(Context& context, const Request& request) {
    const engine::AttachOptions options = attach_options(request);
    // Some clients say the same once more in a body, which is no input of the container.
    if (request.has_body()) TRY(request.http().body->read_all(kMaxIgnoredBody));
    auto ticket = TRY(context.containers.prepare_attach(request.name(), options));
    const bool tty = ticket.tty;
    return http::Reply::upgrade(
        stream_type(tty, request.version()),
        [&containers = context.containers, ticket = std::move(ticket)](http::Upgraded upgraded) {
            const auto attached = containers.attach(ticket, std::move(upgraded.fd),
                                                    upgraded.greeting, std::move(upgraded.early));
            if (!attached) LOG_WARN("attach to {}: {}", ticket.id, attached.error().message);
        });
}

// The relay serves the client on this thread, while another hands its inner end over: that may send
// the log first.
void serve_websocket(engine::Containers& containers, const engine::AttachTicket& ticket,
                     http::Upgraded upgraded, const Cancel& end) {
    auto pair = sys::make_socketpair(SOCK_STREAM);
    if (!pair) {
        LOG_ERROR("attach to {}: {}", ticket.id, pair.error().message);
        return;
    }
    const std::size_t head = upgraded.greeting.size();
    std::thread handing([&, inner = std::move(pair->theirs)]() mutable {
        const auto attached = containers.attach(ticket, std::move(inner), upgraded.greeting, {});
        if (!attached) LOG_WARN("attach to {}: {}", ticket.id, attached.error().message);
    });
    const auto relayed = http::relay_websocket(
        {std::move(upgraded.fd), std::move(upgraded.early), std::move(pair->ours), head}, end);
    if (!relayed) LOG_WARN("attach to {}: {}", ticket.id, relayed.error().message);
    handing.join();
}

Result<http::Reply> attach_websocket(Context& context, const Request& request) {
    engine::AttachOptions options = attach_options(request);
    options.raw = true;
    if (request.before(1, 42)) {
        options.stdin_open = options.stdout_open = options.stderr_open = true;
    }
    auto ticket = TRY(context.containers.prepare_attach(request.name(), options));
    const std::string accept = TRY(http::accept_websocket(request.http()));
    // Made now: the connection gives its socket away with the upgrade.
    const Cancel& end = request.http().hangup();
    http::Reply reply =
        http::Reply::upgrade("", [&containers = context.containers, &end,
                                  ticket = std::move(ticket)](http::Upgraded upgraded) {
            serve_websocket(containers, ticket, std::move(upgraded), end);
        });
    reply.headers.remove("Content-Type");
    reply.headers.set("Sec-WebSocket-Accept", accept);
    return reply;
}

Result<engine::WaitCondition> wait_condition(const Request& request) {
    const std::string text = request.before(1, 30) ? "" : request.text("condition");
    if (text.empty() || text == "not-running") return engine::WaitCondition::NotRunning;
    if (text == "next-exit") return engine::WaitCondition::NextExit;
    if (text == "removed") return engine::WaitCondition::Removed;
    return fail(Code::InvalidArgument, "invalid condition: \"{}\"", text);
}

Result<http::Reply> wait(Context& context, const Request& request) {
    const engine::WaitCondition condition = TRY(wait_condition(request));
    const auto waiter = TRY(context.containers.wait(request.name(), condition));
    return http::Reply::stream(
        200, "application/json", [waiter](http::StreamWriter& out) -> Result<void> {
            // The client starts the container only once it has the head.
            TRY(out.begin());
            while (out.wait(waiter->fd()) != http::StreamWriter::Wake::Closed) {
                if (const auto response = waiter->result()) return out.write(to_json(*response));
            }
            return {};
        });
}

Result<engine::LogOptions> log_options(const Request& request) {
    engine::LogOptions options;
    options.stdout_wanted = request.flag("stdout");
    options.stderr_wanted = request.flag("stderr");
    if (!options.stdout_wanted && !options.stderr_wanted) {
        return fail(Code::InvalidArgument, "Bad parameters: you must choose at least one stream");
    }
    options.read.follow = request.flag("follow");
    // What is no number means all, as docker has it.
    const auto tail = parse_uint(request.text("tail"));
    if (tail) options.read.tail = *tail;
    for (const auto& [name, time] :
         {std::pair("since", &options.read.since), std::pair("until", &options.read.until)}) {
        const std::string text = request.text(name);
        if (text.empty() || text == "0") continue;
        *time = parse_timestamp(text, now());
        if (!*time) return fail(Code::InvalidArgument, "invalid value for \"{}\": {}", name, text);
    }
    return options;
}

// url.QueryEscape of Go.
std::string query_escape(std::string_view text) {
    std::string out;
    for (const std::string& word : split(text, ' ')) out += http::percent_encode(word) + "+";
    out.pop_back();  // one "+" for each blank, which is one less than words
    return out;
}

// "key=value,other=value", in the order of the keys.
std::string details_of(const logs::Attributes& attributes) {
    std::string out;
    for (const auto& [key, value] : attributes) {
        if (!out.empty()) out += ",";
        out += query_escape(key) + "=" + query_escape(value);
    }
    return out;
}

// Sends records as they come; without follow in larger pieces.
class LogSender {
  public:
    struct Options {
        bool framed = false;
        bool timestamps = false;
        bool details = false;
        bool follow = false;
    };
    LogSender(http::StreamWriter& out, const Options& options) : out_(out), options_(options) {}

    bool send(const logger::Record& record) {
        std::string text = options_.timestamps ? to_rfc3339(record.time) + " " : std::string();
        if (options_.details) text += details_of(record.attributes) + " ";
        text += record.text;
        if (options_.framed) {
            const bool is_stdout = record.stream == logs::Stream::Stdout;
            http::append_frames(
                pending_, is_stdout ? http::FrameType::Stdout : http::FrameType::Stderr, text);
        } else {
            pending_ += text;
        }
        return (!options_.follow && pending_.size() < kPiece) || flush();
    }
    bool flush() {
        const std::string bytes = std::exchange(pending_, {});
        return bytes.empty() || out_.write(bytes).has_value();
    }

  private:
    static constexpr std::size_t kPiece = 64 * 1024;
    http::StreamWriter& out_;
    Options options_;
    std::string pending_;
};

Result<http::Reply> logs(Context& context, const Request& request) {
    const engine::LogOptions options = TRY(log_options(request));
    const bool tty = TRY(context.containers.prepare_logs(request.name()));
    const LogSender::Options how{.framed = !tty,
                                 .timestamps = request.flag("timestamps"),
                                 .details = request.flag("details"),
                                 .follow = options.read.follow};
    return http::Reply::stream(
        200, stream_type(tty, request.version()),
        [&containers = context.containers, &http_request = request.http(), name = request.name(),
         options, how](http::StreamWriter& out) -> Result<void> {
            // A follower of a silent container must not hang without a head.
            if (options.read.follow) TRY(out.begin());
            LogSender sender(out, how);
            TRY(containers.read_logs(name, options, http_request.hangup(),
                                     [&](const auto& record) { return sender.send(record); }));
            sender.flush();
            return {};
        });
}

}  // namespace

std::span<const Route> container_stream_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
