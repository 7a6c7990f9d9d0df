#include "daemon/api_server.hpp"

#include <malloc.h>

#include "base/log.hpp"
#include "daemon/browsers.hpp"
#include "daemon/reply.hpp"

namespace coffer::daemon {

namespace {

struct VersionedPath {
    ApiVersion version = kMaxApiVersion;
    std::string version_text;  // empty: the path has none
    std::string_view path;
};

// "/v1.43/info" -> 1.43, "/info".
VersionedPath split_version(std::string_view path) {
    VersionedPath result;
    result.path = path;
    if (path.substr(0, 2) != "/v") return result;
    const std::size_t end = path.find('/', 2);
    const std::string_view text = path.substr(2, end == std::string_view::npos ? end : end - 2);
    if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) {
        return result;
    }
    result.version_text = std::string(text);
    // What is no version in form is older than all.
    result.version = parse_api_version(text).value_or(ApiVersion{});
    result.path = end == std::string_view::npos ? "" : path.substr(end);
    return result;
}

Result<void> check_version(const VersionedPath& asked) {
    if (asked.version > kMaxApiVersion) {
        return fail(Code::InvalidArgument,
                    "client version {} is too new. Maximum supported API version is {}",
                    asked.version_text, to_string(kMaxApiVersion));
    }
    if (asked.version < kMinApiVersion) {
        return fail(Code::InvalidArgument,
                    "client version {} is too old. Minimum supported API version is {}, please "
                    "upgrade your client to a newer version",
                    asked.version_text, to_string(kMinApiVersion));
    }
    return {};
}

// Whether reading it has taken so much memory that it is worth giving back: ten thousand ports are
// some megabytes of JSON.
bool has_large_document(const http::Request& request) {
    constexpr std::uint64_t kLarge = 256 << 10;
    return request.headers.get("Content-Type").starts_with("application/json") &&
           parse_uint(request.headers.get("Content-Length")).value_or(0) > kLarge;
}

void add_headers(http::Reply& reply) {
    reply.headers.set("Api-Version", to_string(kMaxApiVersion));
    reply.headers.set("Docker-Experimental", "false");
    reply.headers.set("Ostype", "linux");
    // Clients look for "Docker/<version> (<os>)".
    reply.headers.set("Server", "Docker/" COFFER_VERSION " (linux)");
}

}  // namespace

ApiServer::ApiServer(Router router, Context& context)
    : router_(std::move(router)), context_(context), host_name_(own_host_name()) {}

http::Reply ApiServer::handle(const http::Request& request) const {
    auto reply = dispatch(request);
    if (has_large_document(request)) ::malloc_trim(0);
    if (reply) return *std::move(reply);
    const Error& error = reply.error();
    if (error.code == Code::Internal) {
        LOG_ERROR("{} {}: {}", request.method_text, request.path, error.message);
    } else {
        LOG_DEBUG("{} {}: {}", request.method_text, request.path, error.message);
    }
    http::Reply answer = error_reply(error);
    add_headers(answer);
    return answer;
}

Result<http::Reply> ApiServer::dispatch(const http::Request& request) const {
    TRY(refuse_browsers(request, host_name_));
    const VersionedPath asked = split_version(request.path);
    auto found = router_.find(request.method, asked.path);
    if (!found ||
        asked.version < ApiVersion{found->route->since.major, found->route->since.minor}) {
        const bool too_old = found && asked.version < kMinApiVersion;
        if (too_old) TRY(check_version(asked));
        // Without the usual headers, as docker.
        return error_reply({Code::NotFound, 0, "page not found"});
    }
    TRY(check_version(asked));
    const Request typed(request, asked.version, std::move(found->names));
    http::Reply reply = TRY(found->route->handler(context_, typed));
    add_headers(reply);
    return reply;
}

}  // namespace coffer::daemon
