#include "network/networks.hpp"

#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/containers.hpp"
#include "engine/network_view.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> create(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> connect(Context&, const Request&);
Result<http::Reply> disconnect(Context&, const Request&);
Result<http::Reply> prune(Context&, const Request&);
Result<http::Reply> egress(Context&, const Request&);
Result<http::Reply> set_egress(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/networks", &list},
    {Method::Get, "/networks/{id}", &inspect},
    {Method::Post, "/networks/create", &create},
    {Method::Post, "/networks/{id}/connect", &connect},
    {Method::Post, "/networks/{id}/disconnect", &disconnect},
    {Method::Post, "/networks/prune", &prune, Since{1, 25}},
    {Method::Delete, "/networks/{id}", &remove},
    {Method::Get, "/coffer/networks/{id}/egress", &egress},
    {Method::Post, "/coffer/networks/{id}/egress", &set_egress},
};

Result<http::Reply> list(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(TRY(engine::list_networks(context.networks, filters)));
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    return json_reply(TRY(engine::inspect_network(context.networks, request.name())));
}

Result<http::Reply> create(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::NetworkCreateRequest>());
    return json_reply(TRY(engine::create_network(context.networks, context.events, body)), 201);
}

Result<http::Reply> remove(Context& context, const Request& request) {
    TRY(engine::remove_network(context.networks, context.events, request.name()));
    return http::Reply::empty(204);
}

Result<http::Reply> connect(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::NetworkConnectRequest>());
    TRY(context.containers.connect(request.name(), body.container,
                                   body.endpoint_config.value_or(api::EndpointSettings())));
    return http::Reply::empty(200);
}

Result<http::Reply> disconnect(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::NetworkDisconnectRequest>());
    TRY(context.containers.disconnect(request.name(), body.container, body.force));
    return http::Reply::empty(200);
}

Result<http::Reply> prune(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(api::NetworksPruneReport{
        TRY(engine::prune_networks(context.networks, context.events, filters))});
}

Result<http::Reply> egress(Context& context, const Request& request) {
    return json_reply(TRY(engine::network_egress(context.networks, request.name())));
}

Result<http::Reply> set_egress(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::EgressPolicy>());
    TRY(context.networks.set_egress(request.name(), body.policy));
    return http::Reply::empty(204);
}

}  // namespace

std::span<const Route> network_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
