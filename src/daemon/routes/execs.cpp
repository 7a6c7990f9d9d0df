#include "engine/execs.hpp"

#include <sys/socket.h>

#include "api/system.hpp"
#include "base/log.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "http/stream.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> create(Context&, const Request&);
Result<http::Reply> start(Context&, const Request&);
Result<http::Reply> resize(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Post, "/containers/{id}/exec", &create},
    {Method::Post, "/exec/{id}/start", &start},
    {Method::Post, "/exec/{id}/resize", &resize},
    {Method::Get, "/exec/{id}/json", &inspect},
};

Result<http::Reply> create(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::ExecCreateRequest>());
    return json_reply(api::IdResponse{TRY(context.execs.create(request.name(), body))}, 201);
}

// Errors after the upgrade go down the stream: there is no status any more.
void start_on(engine::Execs& execs, const std::string& id, const api::ExecStartRequest& body,
              bool tty, http::Upgraded upgraded) {
    const auto copy = upgraded.fd.duplicate();
    if (!copy || !sys::write_all(upgraded.fd.get(), upgraded.greeting)) return;
    // docker-py loses what arrives together with the head.
    sys::wait_until_read(upgraded.fd.get());
    const auto started = execs.start(id, body, std::move(upgraded.fd), std::move(upgraded.early));
    if (started) return;
    LOG_DEBUG("exec {}: {}", id, started.error().message);
    const std::string text = started.error().message + "\r\n";
    std::string bytes = tty ? text : std::string();
    if (!tty) http::append_frames(bytes, http::FrameType::Stdout, text);
    ignore(sys::write_all(copy->get(), bytes), "the client has gone");
    // A shim that does not answer may hold the connection yet, in a message that it has not read.
    ::shutdown(copy->get(), SHUT_RDWR);
}

Result<http::Reply> start(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::ExecStartRequest>());
    const bool tty = TRY(context.execs.prepare_start(request.name(), body));
    if (body.detach) {
        TRY(context.execs.start(request.name(), body, {}, {}));
        return http::Reply::empty(200);
    }
    return http::Reply::upgrade(
        stream_type(tty, request.version()),
        [&execs = context.execs, id = request.name(), body, tty](http::Upgraded upgraded) {
            start_on(execs, id, body, tty, std::move(upgraded));
        });
}

Result<http::Reply> resize(Context& context, const Request& request) {
    const WindowSize size = TRY(request.window_size());
    TRY(context.execs.resize(request.name(), size.height, size.width));
    return http::Reply::empty(200);
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    return json_reply(TRY(context.execs.inspect(request.name())));
}

}  // namespace

std::span<const Route> exec_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
