// Artifacts, which docker has not.
#include "engine/artifacts.hpp"

#include "archive/source.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> blob(Context&, const Request&);
Result<http::Reply> pull(Context&, const Request&);
Result<http::Reply> push(Context&, const Request&);
Result<http::Reply> add(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> referrers(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/coffer/artifacts/json", &list},
    {Method::Get, "/coffer/artifacts/{name*}/json", &inspect},
    {Method::Get, "/coffer/artifacts/{name*}/blob", &blob},
    {Method::Post, "/coffer/artifacts/{name*}/pull", &pull},
    {Method::Post, "/coffer/artifacts/{name*}/push", &push},
    {Method::Post, "/coffer/artifacts/{name*}/add", &add},
    {Method::Delete, "/coffer/artifacts/{name*}", &remove},
    {Method::Get, "/coffer/images/{name*}/referrers", &referrers},
};

Result<http::Reply> list(Context& context, const Request&) {
    return json_reply(TRY(context.artifacts.list()));
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    return json_reply(TRY(context.artifacts.inspect(request.name())));
}

Result<http::Reply> blob(Context& context, const Request& request) {
    auto found = TRY(context.artifacts.open_blob(request.name(), request.text("digest")));
    // Shared by the copies of the function.
    const auto file = std::make_shared<sys::Fd>(std::move(found.file));
    http::Reply reply = http::Reply::stream(200, "application/octet-stream",
                                            [file](http::StreamWriter& out) -> Result<void> {
                                                archive::FdSource source(file->get());
                                                for (;;) {
                                                    const auto piece = TRY(source.next());
                                                    if (piece.empty()) return {};
                                                    TRY(out.write(piece));
                                                }
                                            });
    reply.length = found.size;
    return reply;
}

Result<http::Reply> pull(Context& context, const Request& request) {
    return progress_reply([&artifacts = context.artifacts, &http_request = request.http(),
                           name = request.name(),
                           auth = request.registry_auth()](const SendProgress& send) {
        return artifacts.pull(name, auth, send, http_request.hangup());
    });
}

Result<http::Reply> push(Context& context, const Request& request) {
    engine::ArtifactPushOptions options{.name = request.name(),
                                        .subject = request.text("subject"),
                                        .auth = request.registry_auth()};
    return progress_reply([&artifacts = context.artifacts, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return artifacts.push(options, send, http_request.hangup());
    });
}

// Parameters `title` and `size`, and maybe `mediaType`, one of each for every file whose bytes the
// body has.
Result<http::Reply> add(Context& context, const Request& request) {
    const auto& query = request.http().query;
    using There = engine::NewArtifact::There;
    engine::NewArtifact artifact{.name = request.name(),
                                 .type = request.text("type"),
                                 .file_type = request.text("fileType"),
                                 .annotations = {},
                                 .there = request.flag("append")    ? There::Append
                                          : request.flag("replace") ? There::Replace
                                                                    : There::Refuse,
                                 .files = {}};
    for (const std::string& text : query.all("annotation")) {
        const auto sides = cut(text, "=");
        if (!sides) return fail(Code::InvalidArgument, "invalid annotation '{}'", text);
        artifact.annotations[std::string(sides->first)] = sides->second;
    }
    const auto titles = query.all("title");
    const auto sizes = query.all("size");
    if (titles.size() != sizes.size())
        return fail(Code::InvalidArgument, "{} titles, but {} sizes", titles.size(), sizes.size());
    auto types = query.all("mediaType");
    if (types.empty()) types.resize(titles.size());
    if (titles.size() != types.size())
        return fail(Code::InvalidArgument, "{} titles, but {} media types", titles.size(),
                    types.size());
    for (std::size_t i = 0; i < titles.size(); ++i) {
        const auto size = parse_uint(sizes[i]);
        if (!size) return fail(Code::InvalidArgument, "invalid size '{}'", sizes[i]);
        artifact.files.push_back({titles[i], *size, types[i]});
    }
    const auto& http_request = request.http();
    const auto body = [&](char* to, std::size_t size) { return http_request.body->read(to, size); };
    return json_reply(
        api::ArtifactAdded{TRY(context.artifacts.add(artifact, body, http_request.hangup()))});
}

Result<http::Reply> remove(Context& context, const Request& request) {
    return json_reply(TRY(context.artifacts.remove(request.name())));
}

Result<http::Reply> referrers(Context& context, const Request& request) {
    return json_reply(TRY(context.artifacts.referrers(request.name(), request.text("type"),
                                                      request.registry_auth(), request.hangup())));
}

}  // namespace

std::span<const Route> artifact_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
