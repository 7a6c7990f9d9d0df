// Of volumes, what docker has not: archives, copies, other names and how much there is in them.
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "daemon/routes/tar_reply.hpp"
#include "engine/files.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> usage(Context&, const Request&);
Result<http::Reply> export_volume(Context&, const Request&);
Result<http::Reply> import_volume(Context&, const Request&);
Result<http::Reply> clone(Context&, const Request&);
Result<http::Reply> snapshot(Context&, const Request&);
Result<http::Reply> rename(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/coffer/volumes/usage", &usage},
    {Method::Get, "/coffer/volumes/{name}/export", &export_volume},
    {Method::Post, "/coffer/volumes/{name}/import", &import_volume},
    {Method::Post, "/coffer/volumes/{name}/clone", &clone},
    {Method::Post, "/coffer/volumes/{name}/snapshot", &snapshot},
    {Method::Post, "/coffer/volumes/{name}/rename", &rename},
};

Result<http::Reply> usage(Context& context, const Request&) {
    return json_reply(TRY(context.files.volume_usage()));
}

Result<http::Reply> export_volume(Context& context, const Request& request) {
    return tar_reply("application/x-tar",
                     TRY(context.files.read_volume(request.name(), request.hangup())));
}

Result<http::Reply> import_volume(Context& context, const Request& request) {
    http::BodyReader& body = *request.http().body;
    TRY(context.files.write_volume(
        request.name(), [&](char* to, std::size_t size) { return body.read(to, size); },
        request.hangup()));
    return http::Reply::empty(204);
}

Result<http::Reply> clone(Context& context, const Request& request) {
    return json_reply(
        TRY(context.files.copy_volume(request.name(), request.text("to"), {}, request.hangup())),
        201);
}

Result<http::Reply> snapshot(Context& context, const Request& request) {
    return json_reply(
        TRY(context.files.snapshot_volume(request.name(), request.text("label"), request.hangup())),
        201);
}

Result<http::Reply> rename(Context& context, const Request& request) {
    TRY(context.files.rename_volume(request.name(), request.text("to")));
    return http::Reply::empty(204);
}

}  // namespace

std::span<const Route> volume_file_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
