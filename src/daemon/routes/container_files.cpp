#include "api/system.hpp"
#include "base/text.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "daemon/routes/tar_reply.hpp"
#include "engine/files.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> archive_info(Context&, const Request&);
Result<http::Reply> archive(Context&, const Request&);
Result<http::Reply> extract(Context&, const Request&);
Result<http::Reply> changes(Context&, const Request&);
Result<http::Reply> export_root(Context&, const Request&);
Result<http::Reply> commit(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Head, "/containers/{id}/archive", &archive_info},
    {Method::Get, "/containers/{id}/archive", &archive},
    {Method::Put, "/containers/{id}/archive", &extract},
    {Method::Get, "/containers/{id}/changes", &changes},
    {Method::Get, "/containers/{id}/export", &export_root},
    {Method::Post, "/commit", &commit},
};

Result<std::string> path_of(const Request& request) {
    std::string path = request.text("path");
    if (path.empty()) return fail(Code::InvalidArgument, "bad parameter: path cannot be empty");
    return path;
}

void set_stat(http::Reply& reply, const api::PathStat& stat) {
    reply.headers.set("X-Docker-Container-Path-Stat", to_base64(json::encode(stat)));
}

Result<http::Reply> archive_info(Context& context, const Request& request) {
    const std::string path = TRY(path_of(request));
    http::Reply reply = http::Reply::empty(200);
    set_stat(reply, TRY(context.files.stat(request.name(), path, request.hangup())));
    return reply;
}

Result<http::Reply> archive(Context& context, const Request& request) {
    const std::string path = TRY(path_of(request));
    std::shared_ptr<engine::FileArchive> tar =
        TRY(context.files.read(request.name(), path, request.hangup()));
    http::Reply reply = tar_reply("application/x-tar", tar);
    set_stat(reply, tar->stat());
    return reply;
}

Result<http::Reply> extract(Context& context, const Request& request) {
    const std::string path = TRY(path_of(request));
    const engine::WriteOptions options{.keep_kinds = request.flag("noOverwriteDirNonDir"),
                                       .own = request.flag("copyUIDGID")};
    http::BodyReader& body = *request.http().body;
    TRY(context.files.write(
        request.name(), path, options,
        [&](char* to, std::size_t size) { return body.read(to, size); }, request.hangup()));
    return http::Reply::empty(200);
}

Result<http::Reply> changes(Context& context, const Request& request) {
    return list_reply_of<api::ChangeItem>(
        TRY(context.files.changes(request.name(), request.hangup())));
}

Result<http::Reply> export_root(Context& context, const Request& request) {
    return tar_reply("application/octet-stream",
                     TRY(context.files.read_root(request.name(), request.hangup())));
}

Result<http::Reply> commit(Context& context, const Request& request) {
    engine::CommitOptions options{.container = request.text("container"),
                                  .repository = request.text("repo"),
                                  .tag = request.text("tag"),
                                  .comment = request.text("comment"),
                                  .author = request.text("author"),
                                  .changes = request.http().query.all("changes"),
                                  .config = {},
                                  .pause = request.flag("pause", true)};
    // Clients without a configuration of their own send "null".
    const auto config = TRY(request.body<json::Value>(Request::NeedBody::No));
    if (!config.is_null()) options.config = TRY(json::decode_value<api::ContainerConfig>(config));
    return json_reply(api::IdResponse{TRY(context.files.commit(options, request.hangup()))}, 201);
}

}  // namespace

std::span<const Route> container_file_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
