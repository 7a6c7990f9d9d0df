// Of images, what docker has not: their layers, what changes between them, and mounts on the host.
#include "daemon/reply.hpp"
#include "daemon/routes/caller.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/files.hpp"
#include "engine/images.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> layers(Context&, const Request&);
Result<http::Reply> changes(Context&, const Request&);
Result<http::Reply> mounts(Context&, const Request&);
Result<http::Reply> mount(Context&, const Request&);
Result<http::Reply> unmount(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/coffer/images/layers", &layers},
    {Method::Get, "/coffer/images/{name*}/changes", &changes},
    {Method::Get, "/coffer/images/mounts", &mounts},
    {Method::Post, "/coffer/images/{name*}/mount", &mount},
    {Method::Post, "/coffer/images/unmount", &unmount},
};

Result<http::Reply> layers(Context& context, const Request& request) {
    return json_reply(TRY(context.images.layers(request.http().query.all("image"))));
}

Result<http::Reply> changes(Context& context, const Request& request) {
    return list_reply_of<api::ChangeItem>(
        TRY(context.files.image_changes(request.name(), request.text("base"), request.hangup())));
}

Result<http::Reply> mounts(Context& context, const Request&) {
    return json_reply(TRY(context.images.mounts()));
}

// Files of an image as the host's own: what is root's in the one is root's in the other.
Result<void> for_root(const Request& request) {
    if (caller_of(request).uid == 0) return {};
    return fail(Code::Forbidden, "only root may mount images on the host");
}

Result<http::Reply> mount(Context& context, const Request& request) {
    TRY(for_root(request));
    return json_reply(TRY(context.images.mount(request.name(), request.text("path"))));
}

Result<http::Reply> unmount(Context& context, const Request& request) {
    TRY(for_root(request));
    return json_reply(TRY(context.images.unmount(request.text("target"))));
}

}  // namespace

std::span<const Route> image_file_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
