#include "engine/images.hpp"

#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> list(Context&, const Request&);
Result<http::Reply> inspect(Context&, const Request&);
Result<http::Reply> history(Context&, const Request&);
Result<http::Reply> pull_or_import(Context&, const Request&);
Result<http::Reply> push(Context&, const Request&);
Result<http::Reply> load(Context&, const Request&);
Result<http::Reply> save(Context&, const Request&);
Result<http::Reply> tag(Context&, const Request&);
Result<http::Reply> remove(Context&, const Request&);
Result<http::Reply> prune(Context&, const Request&);
Result<http::Reply> prune_build_cache(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/images/json", &list},
    {Method::Get, "/images/get", &save},
    {Method::Get, "/images/{name*}/json", &inspect},
    {Method::Get, "/images/{name*}/history", &history},
    {Method::Get, "/images/{name*}/get", &save},
    {Method::Post, "/images/create", &pull_or_import},
    {Method::Post, "/images/load", &load},
    {Method::Post, "/images/prune", &prune, Since{1, 25}},
    {Method::Post, "/build/prune", &prune_build_cache, Since{1, 31}},
    {Method::Post, "/images/{name*}/tag", &tag},
    {Method::Post, "/images/{name*}/push", &push},
    {Method::Delete, "/images/{name*}", &remove},
};

engine::ReadBytes body_of(const http::Request& request) {
    return [&request](char* to, std::size_t size) { return request.body->read(to, size); };
}

Result<http::Reply> list(Context& context, const Request& request) {
    engine::ImageListOptions options;
    options.all = request.flag("all");
    options.shared_size = request.flag("shared-size");
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

Result<http::Reply> inspect(Context& context, const Request& request) {
    api::ImageInspect image = TRY(context.images.inspect(request.name()));
    if (request.before(1, 44)) image.virtual_size = image.size;
    return json_reply(image);
}

Result<http::Reply> history(Context& context, const Request& request) {
    return json_reply(TRY(context.images.history(request.name())));
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
                                .auth = std::string(request.http().headers.get("X-Registry-Auth"))};
    return progress_reply([&images = context.images, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return images.pull(options, send, http_request.hangup());
    });
}

Result<http::Reply> push(Context& context, const Request& request) {
    if (!request.text("platform").empty())
        return fail(Code::NotImplemented, "push of one platform of several is not supported");
    engine::PushOptions options{.image = request.name(),
                                .tag = request.text("tag"),
                                .auth = std::string(request.http().headers.get("X-Registry-Auth"))};
    return progress_reply([&images = context.images, &http_request = request.http(),
                           options = std::move(options)](const SendProgress& send) {
        return images.push(options, send, http_request.hangup());
    });
}

Result<http::Reply> load(Context& context, const Request& request) {
    const auto output = request.flag("quiet", true) ? engine::Images::LoadOutput::Quiet
                                                    : engine::Images::LoadOutput::Verbose;
    return progress_reply([&images = context.images, &http_request = request.http(),
                           output](const SendProgress& send) {
        return images.load(body_of(http_request), output, send, http_request.hangup());
    });
}

Result<http::Reply> save(Context& context, const Request& request) {
    std::vector<std::string> names;
    if (request.has_name()) {
        names = {request.name()};
    } else {
        names = request.http().query.all("names");
    }
    return http::Reply::stream(200, "application/x-tar",
                               [&images = context.images, &http_request = request.http(),
                                names = std::move(names)](http::StreamWriter& out) {
                                   return images.save(
                                       names,
                                       [&](std::string_view bytes) { return out.write(bytes); },
                                       http_request.hangup());
                               });
}

Result<http::Reply> tag(Context& context, const Request& request) {
    TRY(context.images.tag(request.name(), request.text("repo"), request.text("tag")));
    return http::Reply::empty(201);
}

Result<http::Reply> remove(Context& context, const Request& request) {
    return json_reply(TRY(context.images.remove(
        request.name(), {.force = request.flag("force"), .no_prune = request.flag("noprune")})));
}

Result<http::Reply> prune(Context& context, const Request& request) {
    const engine::Filters filters = TRY(request.filters());
    return json_reply(TRY(context.images.prune(filters)));
}

// Nothing is built here, so nothing is kept of it. `docker system prune` asks always.
Result<http::Reply> prune_build_cache(Context&, const Request&) {
    return http::Reply::json(200, R"({"CachesDeleted":null,"SpaceReclaimed":0})");
}

}  // namespace

std::span<const Route> image_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
