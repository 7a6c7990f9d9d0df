#include "engine/system.hpp"

#include "api/event.hpp"
#include "base/time.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/collector.hpp"
#include "engine/events.hpp"
#include "engine/images.hpp"

namespace coffer::daemon {

namespace {

using http::Method;

Result<http::Reply> ping(Context&, const Request&);
Result<http::Reply> version(Context&, const Request&);
Result<http::Reply> info(Context&, const Request&);
Result<http::Reply> events(Context&, const Request&);
Result<http::Reply> disk_usage(Context&, const Request&);
Result<http::Reply> check_login(Context&, const Request&);
Result<http::Reply> check(Context&, const Request&);
Result<http::Reply> collect(Context&, const Request&);

constexpr Route kRoutes[] = {
    {Method::Get, "/_ping", &ping},
    {Method::Head, "/_ping", &ping},
    {Method::Get, "/version", &version},
    {Method::Get, "/info", &info},
    {Method::Get, "/events", &events},
    {Method::Get, "/system/df", &disk_usage},
    {Method::Post, "/auth", &check_login},
    {Method::Post, "/coffer/system/check", &check},
    {Method::Post, "/coffer/system/gc", &collect},
};

Result<http::Reply> ping(Context&, const Request& request) {
    http::Reply reply = http::Reply::text(200, request.http().method == Method::Head ? "" : "OK");
    reply.headers.set("Cache-Control", "no-cache, no-store, must-revalidate");
    reply.headers.set("Pragma", "no-cache");
    reply.headers.set("Swarm", "inactive");
    return reply;
}

Result<http::Reply> version(Context& context, const Request&) {
    return json_reply(context.system.version());
}

Result<http::Reply> info(Context& context, const Request& request) {
    api::Info info = TRY(context.system.info());
    if (request.before(1, 49)) info.firewall_backend.reset();
    if (request.before(1, 50)) {
        info.bridge_nf_iptables = info.bridge_nf_ip6tables = false;
        info.discovered_devices.clear();
    }
    return json_reply(info);
}

Result<http::Reply> check_login(Context& context, const Request& request) {
    const auto login = TRY(request.body<api::LoginRequest>());
    return json_reply(TRY(context.images.log_in(login, request.hangup())));
}

Result<http::Reply> check(Context& context, const Request& request) {
    return json_reply(TRY(context.system.check(request.flag("deep"), request.flag("repair"))));
}

Result<http::Reply> collect(Context& context, const Request& request) {
    using Run = engine::Collector::Run;
    std::optional<engine::Watermark> target;
    if (const std::string to = request.text("to"); !to.empty())
        target = TRY(engine::parse_watermark(to));
    return json_reply(
        TRY(context.collector.collect(target, request.flag("dry-run") ? Run::Dry : Run::Real)));
}

Result<http::Reply> disk_usage(Context& context, const Request& request) {
    const std::vector<std::string> wanted =
        request.before(1, 42) ? std::vector<std::string>() : request.http().query.all("type");
    engine::DiskUsageKinds kinds;
    if (!wanted.empty()) kinds = {false, false, false, false};
    for (const std::string& type : wanted) {
        if (type == "container") {
            kinds.containers = true;
        } else if (type == "image") {
            kinds.images = true;
        } else if (type == "volume") {
            kinds.volumes = true;
        } else if (type == "build-cache") {
            kinds.build_cache = true;
        } else {
            return fail(Code::InvalidArgument, "unknown object type: {}", type);
        }
    }
    return json_reply(TRY(context.system.disk_usage(kinds)));
}

// `legacy` adds what clients below 1.52 read.
api::Event view_of(const engine::Event& event, bool legacy) {
    api::Event view;
    view.type = event.type;
    view.action = event.action;
    view.actor = {event.actor, event.attributes};
    view.time = unix_seconds(event.time());
    view.time_nano = event.time_ns;
    if (legacy && (event.type == "container" || event.type == "image")) {
        view.status = event.action;
        view.id = event.actor;
        const auto image = event.attributes.find("image");
        if (event.type == "container" && image != event.attributes.end()) view.from = image->second;
    }
    return view;
}

// Sends the events until the client hangs up, or until `until` when there is one.
Result<void> send_events(engine::Events& source, Time since, std::optional<Time> until,
                         const engine::Filters& filters, bool legacy, http::StreamWriter& out) {
    const engine::Events::Replay replay = TRY(source.subscribe(since));
    TRY(out.begin());
    std::vector<engine::Event> events = replay.past;
    for (;;) {
        for (const engine::Event& event : events) {
            if (until && event.time() > *until) return {};
            if (engine::Events::matches(event, filters))
                TRY(out.write(to_json(view_of(event, legacy))));
        }
        std::optional<std::chrono::milliseconds> limit;
        if (until) limit = std::chrono::ceil<std::chrono::milliseconds>(*until - now());
        if (limit && limit->count() <= 0) return {};
        if (out.wait(replay.live->fd(), limit) == http::StreamWriter::Wake::Closed) return {};
        events = replay.live->take();
    }
}

// An absent time stays nullopt; a wrong one is an error.
Result<std::optional<Time>> time_parameter(const Request& request, std::string_view name) {
    const std::string text = request.text(name);
    if (text.empty()) return std::optional<Time>();
    const auto time = parse_timestamp(text, now());
    if (!time) return fail(Code::InvalidArgument, "invalid value for \"{}\": {}", name, text);
    return time;
}

Result<http::Reply> events(Context& context, const Request& request) {
    const auto since = TRY(time_parameter(request, "since"));
    const auto until = TRY(time_parameter(request, "until"));
    if (since && until && *since > *until) {
        return fail(Code::InvalidArgument, "`since` time ({}) cannot be after `until` time ({})",
                    request.text("since"), request.text("until"));
    }
    const engine::Filters filters = TRY(request.filters());
    // Who asks for a time is told about what is remembered.
    const Time from = since.value_or(until ? Time{} : kZeroTime);
    return http::Reply::stream(200, "application/json",
                               [&source = context.events, from, until, filters,
                                legacy = request.before(1, 52)](http::StreamWriter& out) {
                                   return send_events(source, from, until, filters, legacy, out);
                               });
}

}  // namespace

std::span<const Route> system_routes() {
    return kRoutes;
}

}  // namespace coffer::daemon
