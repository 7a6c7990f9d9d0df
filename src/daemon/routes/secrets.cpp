// Secrets and configs. docker has them in a swarm alone; here they are the engine's.
#include "engine/secrets.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using engine::SecretKind;
using http::Method;

template <SecretKind kind>
Result<http::Reply> list(Context&, const Request&);
template <SecretKind kind>
Result<http::Reply> create(Context&, const Request&);
template <SecretKind kind>
Result<http::Reply> inspect(Context&, const Request&);
template <SecretKind kind>
Result<http::Reply> update(Context&, const Request&);
template <SecretKind kind>
Result<http::Reply> remove(Context&, const Request&);

constexpr auto kSecret = SecretKind::Secret;
constexpr auto kConfig = SecretKind::Config;

constexpr Route kRoutes[] = {
    {Method::Get, "/secrets", &list<kSecret>, Since{1, 25}},
    {Method::Post, "/secrets/create", &create<kSecret>, Since{1, 25}},
    {Method::Get, "/secrets/{id}", &inspect<kSecret>, Since{1, 25}},
    {Method::Post, "/secrets/{id}/update", &update<kSecret>, Since{1, 26}},
    {Method::Delete, "/secrets/{id}", &remove<kSecret>, Since{1, 25}},
    {Method::Get, "/configs", &list<kConfig>, Since{1, 30}},
    {Method::Post, "/configs/create", &create<kConfig>, Since{1, 30}},
    {Method::Get, "/configs/{id}", &inspect<kConfig>, Since{1, 30}},
    {Method::Post, "/configs/{id}/update", &update<kConfig>, Since{1, 30}},
    {Method::Delete, "/configs/{id}", &remove<kConfig>, Since{1, 30}},
};

template <SecretKind kind>
Result<http::Reply> list(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(TRY(context.secrets.list(kind, filters)));
}

template <SecretKind kind>
Result<http::Reply> create(Context& context, const Request& request) {
    auto spec = TRY(request.body<api::SecretSpec>());
    return json_reply(api::SecretCreated{TRY(context.secrets.create(kind, std::move(spec)))}, 201);
}

template <SecretKind kind>
Result<http::Reply> inspect(Context& context, const Request& request) {
    return json_reply(TRY(context.secrets.inspect(kind, request.name())));
}

template <SecretKind kind>
Result<http::Reply> update(Context& context, const Request& request) {
    const auto version = parse_uint(request.text("version"));
    if (!version) {
        return fail(Code::InvalidArgument, "invalid version '{}': it is a number",
                    request.text("version"));
    }
    const auto spec = TRY(request.body<api::SecretSpec>());
    TRY(context.secrets.update(kind, request.name(), *version, spec));
    return http::Reply::empty(200);
}

template <SecretKind kind>
Result<http::Reply> remove(Context& context, const Request& request) {
    TRY(context.secrets.remove(kind, request.name()));
    return http::Reply::empty(204);
}

}  // namespace

std::span<const Route> secret_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
