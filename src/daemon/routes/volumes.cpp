#include "volume/volumes.hpp"

#include "daemon/reply.hpp"
#include "daemon/routes/caller.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/volume_view.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> create(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> prune(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/volumes", &list},
    {Method::Get, "/volumes/{name}", &inspect},
    {Method::Post, "/volumes/create", &create},
    {Method::Post, "/volumes/prune", &prune, Since{1, 25}},
    {Method::Delete, "/volumes/{name}", &remove},
};

Result<http::Reply> list(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    api::VolumeListResponse response;
    response.volumes = TRY(engine::list_volumes(context.volumes, filters));
    return json_reply(response);
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    const auto volume = context.volumes.find(request.name());
    if (!volume) return fail(Code::NotFound, "get {}: no such volume", request.name());
    return json_reply(engine::view_of(*volume));
}

Result<http::Reply> create(Context& context, const Request& request) {
    const auto body = TRY(request.body<api::VolumeCreateRequest>());
    return json_reply(
        TRY(engine::create_volume(context.volumes, context.events, body, caller_of(request))), 201);
}

Result<http::Reply> remove(Context& context, const Request& request) {
    auto removed = engine::remove_volume(context.volumes, context.events, request.name());
    // `force` makes an absent volume a success, nothing else.
    const bool absent = !removed && removed.error().code == Code::NotFound;
    if (!removed && !(absent && request.flag("force"))) return fail(std::move(removed).error());
    return http::Reply::empty(204);
}

Result<http::Reply> prune(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    const auto which =
        request.before(1, 42) ? engine::VolumesToPrune::All : engine::VolumesToPrune::Anonymous;
    return json_reply(TRY(engine::prune_volumes(context.volumes, context.events, filters, which)));
}

}  // namespace

std::span<const Route> volume_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
