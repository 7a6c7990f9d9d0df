#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/stats.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> stats(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/containers/{id}/stats", &stats},
};

// One sample after the other until the client hangs up or the container is removed. `skipped` of
// the first ones are left out.
Result<void> send_samples(engine::Stats::Watch& watch, int skipped, bool stream,
                          http::StreamWriter& out) {
    if (stream) TRY(out.begin());
    while (out.wait(watch.fd()) != http::StreamWriter::Wake::Closed) {
        const auto news = watch.take();
        if (news.removed) break;
        if (!news.sample || skipped-- > 0) continue;
        TRY(out.write(to_json(*news.sample)));
        if (!stream) break;
    }
    return {};
}

Result<http::Reply> stats(Context& context, const Request& request) {
    const bool stream = request.flag("stream", true);
    const bool one_shot = !request.before(1, 41) && request.flag("one-shot");
    if (stream && one_shot) {
        return fail(Code::InvalidArgument, "cannot have stream=true and one-shot=true");
    }
    if (!stream) {
        api::StatsResponse now = TRY(context.stats.once(request.name()));
        // What does not run has nothing to be compared with.
        const bool runs = now.read != api::StatsResponse().read;
        if (one_shot || !runs) return json_reply(now);
    }
    auto watch = TRY(context.stats.watch(request.name()));
    // Without a stream the one sample tells what was used in the second before it.
    return http::Reply::stream(200, "application/json", [watch, stream](http::StreamWriter& out) {
        return send_samples(*watch, stream ? 0 : 1, stream, out);
    });
}

}  // namespace

std::span<const Route> container_stats_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
