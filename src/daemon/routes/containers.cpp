#include "engine/containers.hpp"

#include <algorithm>

#include "daemon/reply.hpp"
#include "daemon/routes/caller.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> create(Context&, const Request&);
Result<http::Reply> recreate(Context&, const Request&);
Result<http::Reply> egress(Context&, const Request&);
Result<http::Reply> set_egress(Context&, const Request&);
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
    {Method::Get, "/coffer/containers/{id}/egress", &egress},
    {Method::Post, "/coffer/containers/{id}/egress", &set_egress},
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

Result<http::Reply> list(Context& context, const Request& request) {
    engine::ListOptions options;
    options.all = request.flag("all");
    if (request.flag("size")) options.size = engine::SizeOf::Writable;
    const std::int64_t limit = TRY(request.number("limit", 0));
    options.limit = static_cast<int>(std::clamp<std::int64_t>(limit, 0, 1 << 30));
    options.filters = TRY(request.filters());
    return json_reply(TRY(context.containers.list(options)));
}

// Of a mount: what the version of the request does not know is ignored, as dockerd does, or an
// error where somebody would count on it.
Result<void> fit_to_version(const Request& request, api::Mount& mount) {
    const auto needs = [](std::string_view what, std::string_view version) {
        return fail(Code::InvalidArgument, "{} needs API v{} or newer", what, version);
    };
    if (auto& bind = mount.bind_options) {
        if (request.before(1, 40)) bind->non_recursive = false;
        if (request.before(1, 42)) bind->create_mountpoint = false;
        if (request.before(1, 44) && bind->read_only_force_recursive) {
            return needs("BindOptions.ReadOnlyForceRecursive", "1.44");
        }
    }
    if (request.before(1, 42)) {  // not checked before
        if (mount.type != "volume") mount.volume_options.reset();
        if (mount.type != "tmpfs") mount.tmpfs_options.reset();
    }
    if (request.before(1, 45) && mount.volume_options && !mount.volume_options->subpath.empty()) {
        return needs("VolumeOptions.Subpath", "1.45");
    }
    if (request.before(1, 48) && mount.type == "image") return needs("mount type image", "1.48");
    return {};
}

// The same of all that a container is made of.
Result<api::ContainerCreateRequest> create_request(const Request& request) {
    auto body = TRY(request.body<api::ContainerCreateRequest>());
    body.platform = request.text("platform");
    api::HostConfig& host = body.host_config;
    for (api::Mount& mount : host.mounts) TRY(fit_to_version(request, mount));
    if (request.before(1, 25)) host.auto_remove = false;  // the client does it
    if (request.before(1, 42)) host.console_size = {0, 0};
    if (request.before(1, 43)) host.annotations.clear();
    if (request.before(1, 44) && body.config.healthcheck) {
        body.config.healthcheck->start_interval = 0;
    }
    if (request.before(1, 48)) {
        for (auto& [network, settings] : body.networking_config.endpoints_config) {
            settings.gw_priority = 0;
        }
    }
    return body;
}

Result<http::Reply> create(Context& context, const Request& request) {
    const auto body = TRY(create_request(request));
    return json_reply(
        TRY(context.containers.create(request.text("name"), body, caller_of(request))), 201);
}

Result<http::Reply> recreate(Context& context, const Request& request) {
    const auto body = TRY(create_request(request));
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
    const bool changes_mounts = !body.mount_add.empty() || !body.mount_remove.empty();
    const int kinds = int{changes_log} + int{changes_ports} + int{changes_mounts};
    if (kinds > 1) {
        return fail(Code::InvalidArgument,
                    "limits of the log, ports and mounts are changed by themselves");
    }
    if (kinds == 0) return json_reply(TRY(context.containers.update(request.name(), body)));
    if (changes_log) TRY(context.containers.set_log_limits(request.name(), body.log_config.config));
    if (changes_ports) {
        TRY(context.containers.set_ports(request.name(), body.publish_add, body.publish_remove));
    }
    if (changes_mounts) {
        TRY(context.containers.set_mounts(request.name(), body.mount_add, body.mount_remove,
                                          caller_of(request)));
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

Result<http::Reply> egress(Context& context, const Request& request) {
    return json_reply(TRY(context.containers.egress(request.name())));
}

Result<http::Reply> set_egress(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::EgressPolicy>());
    TRY(context.containers.set_egress(request.name(), body.policy));
    return http::Reply::empty(204);
}

}  // namespace

std::span<const Route> container_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
