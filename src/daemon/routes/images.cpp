#include "engine/images.hpp"

#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> search(Context&, const Request&);
Result<http::Reply> distribution(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> attestations(Context&, const Request&);
Result<http::Reply> history(Context&, const Request&);
Result<http::Reply> pull_or_import(Context&, const Request&);
Result<http::Reply> push(Context&, const Request&);
Result<http::Reply> load(Context&, const Request&);
Result<http::Reply> save(Context&, const Request&);
Result<http::Reply> tag(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> prune(Context&, const Request&);
Result<http::Reply> prune_build_cache(Context&, const Request&);
Result<http::Reply> resolve_registry(Context&, const Request&);
Result<http::Reply> signatures(Context&, const Request&);
Result<http::Reply> add_signature(Context&, const Request&);
Result<http::Reply> pins(Context&, const Request&);
Result<http::Reply> pin(Context&, const Request&);
Result<http::Reply> unpin(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/images/json", &list},
    {Method::Get, "/images/get", &save},
    {Method::Get, "/images/search", &search},
    {Method::Get, "/distribution/{name*}/json", &distribution, Since{1, 30}},
    {Method::Get, "/images/{name*}/json", &inspect},
    // Of version 1.55; older ones have nothing else there.
    {Method::Get, "/images/{name*}/attestations", &attestations},
    {Method::Get, "/images/{name*}/history", &history},
    {Method::Get, "/images/{name*}/get", &save},
    {Method::Post, "/images/create", &pull_or_import},
    {Method::Post, "/images/load", &load},
    {Method::Post, "/images/prune", &prune, Since{1, 25}},
    {Method::Post, "/build/prune", &prune_build_cache, Since{1, 31}},
    {Method::Post, "/images/{name*}/tag", &tag},
    {Method::Post, "/images/{name*}/push", &push},
    {Method::Delete, "/images/{name*}", &remove},
    {Method::Get, "/coffer/registry/resolve", &resolve_registry},
    {Method::Get, "/coffer/images/{name*}/signatures", &signatures},
    {Method::Post, "/coffer/images/{name*}/signatures", &add_signature},
    {Method::Get, "/coffer/pins", &pins},
    {Method::Post, "/coffer/images/{name*}/pin", &pin},
    {Method::Delete, "/coffer/images/{name*}/pin", &unpin},
};

engine::ReadBytes body_of(const http::Request& request) {
    return [&request](char* to, std::size_t size) { return request.body->read(to, size); };
}

Result<oci::Platform> read_platform(const std::string& text) {
    const auto platform = json::decode<oci::Platform>(text);
    if (!platform)
        return fail(Code::InvalidArgument, "failed to parse platform: {}",
                    platform.error().message);
    if (platform->os.empty() || platform->architecture.empty())
        return fail(Code::InvalidArgument, "both OS and Architecture must be provided");
    return oci::normalise(*platform);
}

// The parameter `platform` as JSON, which is known since the given version.
Result<engine::MaybePlatform> platform_of(const Request& request, int minor) {
    const std::vector<std::string> given = request.http().query.all("platform");
    if (given.empty() || given.front().empty() || request.before(1, minor))
        return engine::MaybePlatform();
    if (given.size() > 1) return fail(Code::InvalidArgument, "multiple platforms not supported");
    return engine::MaybePlatform(TRY(read_platform(given.front())));
}

Result<http::Reply> list(Context& context, const Request& request) {
    engine::ImageListOptions options;
    options.all = request.flag("all");
    options.shared_size = request.flag("shared-size");
    options.manifests = request.flag("manifests") && !request.before(1, 47);
    options.last_used = request.flag("last-used");
    options.filters = TRY(request.filters());
    std::vector<api::ImageSummary> images = TRY(context.images.list(options));
    for (api::ImageSummary& image : images) {
        if (request.before(1, 44)) image.virtual_size = image.size;
        if (request.before(1, 43) && image.repo_tags.empty() && image.repo_digests.empty()) {
            image.repo_tags = {"<none>:<none>"};
            image.repo_digests = {"<none>@<none>"};
        }
    }
    return json_reply(images);
}

Result<http::Reply> search(Context& context, const Request& request) {
    engine::ImageSearchOptions options;
    options.term = request.text("term");
    options.limit = TRY(request.number("limit"));
    options.filters = TRY(request.filters());
    options.auth = request.registry_auth();
    return json_reply(TRY(context.images.search(options, request.hangup())));
}

Result<http::Reply> distribution(Context& context, const Request& request) {
    return json_reply(TRY(
        context.images.distribution(request.name(), request.registry_auth(), request.hangup())));
}

Result<http::Reply> inspect(Context& context, const Request& request) {
    engine::ImageInspectOptions options{
        .platform = TRY(platform_of(request, 49)),
        .manifests = request.flag("manifests") && !request.before(1, 48)};
    if (options.platform && options.manifests)
        return fail(Code::InvalidArgument,
                    "conflicting options: manifests and platform options cannot both be set");
    api::ImageInspect image = TRY(context.images.inspect(request.name(), options));
    if (request.before(1, 44)) image.virtual_size = image.size;
    return json_reply(image);
}

Result<http::Reply> history(Context& context, const Request& request) {
    const auto platform = TRY(platform_of(request, 48));
    return json_reply(TRY(context.images.history(request.name(), platform)));
}

Result<http::Reply> attestations(Context& context, const Request& request) {
    const engine::AttestationOptions options{.platform = TRY(platform_of(request, 0)),
                                             .types = request.http().query.all("type"),
                                             .statement = request.flag("statement")};
    return json_reply(TRY(context.images.attestations(request.name(), options)));
}

http::Reply import(Context& context, const Request& request) {
    engine::ImportOptions options{.repository = request.text("repo"),
                                  .tag = request.text("tag"),
                                  .message = request.text("message"),
                                  .changes = request.http().query.all("changes"),
                                  .platform = request.text("platform")};
    return progress_reply([&images = context.images, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return images.import(options, body_of(http_request), send, http_request.hangup());
    });
}

Result<http::Reply> pull_or_import(Context& context, const Request& request) {
    if (request.text("fromSrc") == "-") return import(context, request);
    if (!request.text("fromSrc").empty()) {
        return fail(Code::NotImplemented, "import from a URL is not supported");
    }
    engine::PullOptions options{.image = request.text("fromImage"),
                                .tag = request.text("tag"),
                                .platform = request.text("platform"),
                                .auth = request.registry_auth(),
                                .move_pin = request.flag("movePin")};
    return progress_reply([&images = context.images, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return images.pull(options, send, http_request.hangup());
    });
}

Result<http::Reply> push(Context& context, const Request& request) {
    auto platform = TRY(platform_of(request, 46));
    engine::PushOptions options{.image = request.name(),
                                .tag = request.text("tag"),
                                .auth = request.registry_auth(),
                                .platform = std::move(platform)};
    return progress_reply([&images = context.images, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return images.push(options, send, http_request.hangup());
    });
}

Result<http::Reply> resolve_registry(Context& context, const Request& request) {
    return json_reply(TRY(context.images.registry_route(request.text("reference"))));
}

Result<http::Reply> signatures(Context& context, const Request& request) {
    return json_reply(
        TRY(context.images.signatures(request.name(), request.registry_auth(), request.hangup())));
}

Result<http::Reply> add_signature(Context& context, const Request& request) {
    const auto added = TRY(request.body<api::AddSignatureRequest>());
    TRY(context.images.add_signature(request.name(), added, request.registry_auth(),
                                     request.hangup()));
    return http::Reply::empty(201);
}

Result<http::Reply> pins(Context& context, const Request&) {
    return json_reply(TRY(context.images.pins()));
}

Result<http::Reply> pin(Context& context, const Request& request) {
    return json_reply(TRY(context.images.pin(request.name())));
}

Result<http::Reply> unpin(Context& context, const Request& request) {
    TRY(context.images.unpin(request.name()));
    return http::Reply::empty(204);
}

Result<http::Reply> load(Context& context, const Request& request) {
    const auto output = request.flag("quiet", true) ? engine::Images::LoadOutput::Quiet
                                                    : engine::Images::LoadOutput::Verbose;
    const auto platform = TRY(platform_of(request, 48));
    return progress_reply([&images = context.images, &http_request = request.http(), output,
                           platform](const SendProgress& send) {
        return images.load(body_of(http_request), output, platform, send, http_request.hangup());
    });
}

Result<http::Reply> save(Context& context, const Request& request) {
    std::vector<std::string> names;
    if (request.has_name()) {
        names = {request.name()};
    } else {
        names = request.http().query.all("names");
    }
    const auto platform = TRY(platform_of(request, 48));
    return http::Reply::stream(200, "application/x-tar",
                               [&images = context.images, &http_request = request.http(),
                                names = std::move(names), platform](http::StreamWriter& out) {
                                   return images.save(
                                       names, platform,
                                       [&](std::string_view bytes) { return out.write(bytes); },
                                       http_request.hangup());
                               });
}

Result<http::Reply> tag(Context& context, const Request& request) {
    TRY(context.images.tag(request.name(), request.text("repo"), request.text("tag")));
    return http::Reply::empty(201);
}

Result<http::Reply> remove(Context& context, const Request& request) {
    engine::ImageRemoveOptions options{
        .force = request.flag("force"), .no_prune = request.flag("noprune"), .platforms = {}};
    if (!request.before(1, 50)) {
        for (const std::string& one : request.http().query.all("platforms"))
            options.platforms.push_back(TRY(read_platform(one)));
    }
    return json_reply(TRY(context.images.remove(request.name(), options)));
}

Result<http::Reply> prune(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(TRY(context.images.prune(filters)));
}

// Nothing is built here, so nothing is kept of it. `docker system prune` asks always.
Result<http::Reply> prune_build_cache(Context&, const Request&) {
    return json_reply(api::BuildCachePruneReport());
}

}  // namespace

std::span<const Route> image_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
