#include "engine/containers.hpp"

#include <algorithm>

#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> create(Context&, const Request&);
Result<http::Reply> recreate(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> start(Context&, const Request&);
Result<http::Reply> stop(Context&, const Request&);
Result<http::Reply> restart(Context&, const Request&);
Result<http::Reply> kill(Context&, const Request&);
Result<http::Reply> pause(Context&, const Request&);
Result<http::Reply> unpause(Context&, const Request&);
Result<http::Reply> rename(Context&, const Request&);
Result<http::Reply> update(Context&, const Request&);
Result<http::Reply> resize(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> prune(Context&, const Request&);
Result<http::Reply> top(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/containers/json", &list},
    {Method::Post, "/containers/create", &create},
    {Method::Post, "/containers/prune", &prune, Since{1, 25}},
    {Method::Get, "/containers/{id}/json", &inspect},
    {Method::Get, "/containers/{id}/top", &top},
    {Method::Post, "/containers/{id}/start", &start},
    {Method::Post, "/containers/{id}/stop", &stop},
    {Method::Post, "/containers/{id}/restart", &restart},
    {Method::Post, "/containers/{id}/kill", &kill},
    {Method::Post, "/containers/{id}/pause", &pause},
    {Method::Post, "/containers/{id}/unpause", &unpause},
    {Method::Post, "/containers/{id}/rename", &rename},
    {Method::Post, "/containers/{id}/update", &update},
    {Method::Post, "/containers/{id}/resize", &resize},
    {Method::Delete, "/containers/{id}", &remove},
    {Method::Post, "/coffer/containers/{id}/recreate", &recreate},
};

// `signal` and `t` of stop and restart; the signal was ignored before 1.42.
Result<engine::StopOptions> stop_options(const Request& request) {
    engine::StopOptions options;
    if (!request.before(1, 42) && !request.text("signal").empty()) {
        options.signal = request.text("signal");
    }
    if (const auto seconds = TRY(request.number("t"))) {
        options.seconds = static_cast<int>(std::clamp<std::int64_t>(*seconds, -1, 1 << 30));
    }
    return options;
}

// A verified certificate is an administrator's. On plain tcp anybody of the machine may have
// connected: nobody's rights, no part of the host.
engine::Caller caller_of(const Request& request) {
    constexpr std::uint32_t kNobody = 65534;
    const http::Peer& peer = request.http().peer;
    if (peer.local) return {peer.uid, peer.gid, format("uid {}", peer.uid)};
    if (!peer.certificate.empty()) return {0, 0, "certificate " + peer.certificate};
    return {kNobody, kNobody, "address " + peer.address};
}

Result<http::Reply> list(Context& context, const Request& request) {
    engine::ListOptions options;
    options.all = request.flag("all");
    options.size = request.flag("size");
    const std::int64_t limit = TRY(request.number("limit", 0));
    options.limit = static_cast<int>(std::clamp<std::int64_t>(limit, 0, 1 << 30));
    options.filters = TRY(request.filters());
    return json_reply(TRY(context.containers.list(options)));
}

Result<http::Reply> create(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::ContainerCreateRequest>());
    return json_reply(
        TRY(context.containers.create(request.text("name"), body, caller_of(request))), 201);
}

Result<http::Reply> recreate(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::ContainerCreateRequest>());
    const auto seconds = std::clamp<std::int64_t>(TRY(request.number("t", 0)), 0, 1 << 20);
    return json_reply(TRY(context.containers.recreate(
                          request.name(), body, static_cast<int>(seconds), caller_of(request))),
                      201);
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    api::ContainerInspect view =
        TRY(context.containers.inspect(request.name(), request.flag("size")));
    if (request.before(1, 45)) {  // since then a name of DNSNames alone
        for (auto& [network, settings] : view.network_settings.networks) {
            if (!settings.dns_names.empty()) settings.aliases.push_back(view.id.substr(0, 12));
        }
    }
    return json_reply(view);
}

Result<http::Reply> top(Context& context, const Request& request) {
    const std::string given = request.text("ps_args");
    return json_reply(TRY(context.containers.top(request.name(), given.empty() ? "-ef" : given)));
}

Result<http::Reply> start(Context& context, const Request& request) {
    if (request.has_body()) {
        return fail(Code::InvalidArgument,
                    "starting container with non-empty request body was deprecated since API v1.22 "
                    "and removed in v1.24");
    }
    TRY(context.containers.start(request.name()));
    return http::Reply::empty(204);
}

Result<http::Reply> stop(Context& context, const Request& request) {
    const engine::StopOptions options = TRY(stop_options(request));
    TRY(context.containers.stop(request.name(), options, caller_of(request)));
    return http::Reply::empty(204);
}

Result<http::Reply> restart(Context& context, const Request& request) {
    const engine::StopOptions options = TRY(stop_options(request));
    TRY(context.containers.restart(request.name(), options, caller_of(request)));
    return http::Reply::empty(204);
}

Result<http::Reply> kill(Context& context, const Request& request) {
    TRY(context.containers.kill(request.name(), request.text("signal"), caller_of(request)));
    return http::Reply::empty(204);
}

Result<http::Reply> pause(Context& context, const Request& request) {
    TRY(context.containers.pause(request.name()));
    return http::Reply::empty(204);
}

Result<http::Reply> unpause(Context& context, const Request& request) {
    TRY(context.containers.unpause(request.name()));
    return http::Reply::empty(204);
}

Result<http::Reply> rename(Context& context, const Request& request) {
    TRY(context.containers.rename(request.name(), request.text("name")));
    return http::Reply::empty(204);
}

Result<http::Reply> update(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::ContainerUpdateRequest>());
    const bool changes_log = !body.log_config.config.empty();
    const bool changes_ports = !body.publish_add.empty() || !body.publish_remove.empty();
    if (changes_log && changes_ports) {
        return fail(Code::InvalidArgument, "limits of the log and ports are changed by themselves");
    }
    if (!changes_log && !changes_ports) {
        return json_reply(TRY(context.containers.update(request.name(), body)));
    }
    if (changes_log) TRY(context.containers.set_log_limits(request.name(), body.log_config.config));
    if (changes_ports) {
        TRY(context.containers.set_ports(request.name(), body.publish_add, body.publish_remove));
    }
    return json_reply(api::ContainerUpdateResponse());
}

Result<http::Reply> resize(Context& context, const Request& request) {
    const WindowSize size = TRY(request.window_size());
    TRY(context.containers.resize(request.name(), size.height, size.width));
    return http::Reply::empty(200);
}

Result<http::Reply> remove(Context& context, const Request& request) {
    if (request.flag("link")) return fail(Code::NotImplemented, "links are not supported");
    TRY(context.containers.remove(request.name(),
                                  {.force = request.flag("force"), .volumes = request.flag("v")},
                                  caller_of(request)));
    return http::Reply::empty(204);
}

Result<http::Reply> prune(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(TRY(context.containers.prune(filters)));
}

}  // namespace

std::span<const Route> container_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
