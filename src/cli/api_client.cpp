#include "cli/api_client.hpp"

#include <cerrno>

#include "base/text.hpp"

namespace coffer::cli {

namespace {

constexpr std::size_t kMaxReply = std::size_t{256} << 20;
constexpr std::size_t kMaxError = std::size_t{1} << 20;

Code code_of_status(int status) {
    switch (status) {
        case 400:
            return Code::InvalidArgument;
        case 401:
            return Code::Unauthorized;
        case 403:
            return Code::Forbidden;
        case 404:
            return Code::NotFound;
        case 409:
            return Code::Conflict;
        case 501:
            return Code::NotImplemented;
        case 503:
            return Code::Unavailable;
        default:
            return Code::Internal;
    }
}

Failure daemon_error(int status, const std::string& body) {
    std::string message;
    if (const Result<json::Value> parsed = json::parse(body)) message = text_of(*parsed, "message");
    if (message.empty()) message = std::string(trim(body));
    if (message.empty()) {
        return fail(code_of_status(status),
                    "request returned {} for API route and version, check if the server supports "
                    "the requested API version",
                    http::reason(status));
    }
    return fail(code_of_status(status), "Error response from daemon: {}", message);
}

std::string encode_path_part(std::string_view text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        if (kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += http::percent_encode(std::string_view(&c, 1));
        }
    }
    return out;
}

}  // namespace

Result<std::string> normal_host(std::string_view text) {
    const auto refuse = [&] {
        return fail(Code::InvalidArgument, "invalid bind address format: {}", text);
    };
    text = trim(text);
    const auto sides = cut(text, "://");
    if (!sides && text.starts_with('/')) return format("unix://{}", text);
    const std::string_view scheme = sides ? sides->first : "tcp";
    std::string rest(sides ? sides->second : text);
    if (scheme == "unix") {
        return rest.empty() ? std::string("unix:///run/coffer.sock") : format("unix://{}", rest);
    }
    if (scheme != "tcp" && scheme != "http" && scheme != "https") return refuse();
    if (rest.find("://") != std::string::npos) return refuse();
    if (rest.empty()) rest = "localhost";
    if (rest.starts_with(':')) rest.insert(0, "localhost");
    const std::size_t colon = rest.rfind(':');
    const std::size_t bracket = rest.rfind(']');
    const bool has_port =
        colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
    if (!has_port) {
        rest += ":2375";
    } else if (const auto port = parse_uint(std::string_view(rest).substr(colon + 1));
               !port || *port > 65535) {
        return refuse();
    }
    return format("tcp://{}", rest);
}

Result<std::unique_ptr<Api>> Api::create(const HostOptions& options) {
    const std::string host = TRY(normal_host(options.host));
    http::Endpoint endpoint = TRY(http::parse_endpoint(host));
    if (options.tls && !endpoint.is_unix) {
        endpoint.tls = TRY(http::TlsContext::client(
            options.files, options.tls_verify ? http::TlsContext::Verify::Peer
                                              : http::TlsContext::Verify::Nothing));
    }
    return std::unique_ptr<Api>(new Api(host, std::move(endpoint)));
}

Api::Api(std::string host, http::Endpoint endpoint)
    : host_(std::move(host)), client_(std::move(endpoint)) {}

http::Call Api::encode(const ApiCall& call) const {
    http::Call out;
    out.method = call.method;
    out.target = call.path;
    http::Query query;
    for (const auto& [name, value] : call.query) query.add(name, value);
    if (!call.query.empty()) out.target += "?" + query.encode();
    out.headers = call.headers;
    out.headers.set("User-Agent", "Coffer-Client/" COFFER_VERSION " (linux)");
    if (call.body) {
        out.headers.set("Content-Type", "application/json");
        out.body = json::write(*call.body) + "\n";
    }
    out.source = call.source;
    return out;
}

Failure Api::explain(Error error) const {
    switch (error.sys_errno) {
        case EACCES:
        case EPERM:
            return fail(Code::Forbidden,
                        "permission denied while trying to connect to the Coffer daemon socket at "
                        "{}: {}",
                        host_, error.message);
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ETIMEDOUT:
            return fail(Code::Unavailable,
                        "Cannot connect to the Coffer daemon at {}. Is the coffer daemon running?",
                        host_);
        default:
            return fail(error.code, "error during connect: {}", error.message);
    }
}

Result<http::Response> Api::open(const ApiCall& call) {
    if (call.path.starts_with("/containers//")) {
        return fail(Code::InvalidArgument, "invalid container name or ID: value is empty");
    }
    Result<http::Response> response = client_.send(encode(call));
    if (!response) return explain(std::move(response).error());
    if (response->status() < 400) return response;
    const Result<std::string> body = response->body().read_all(kMaxError);
    return daemon_error(response->status(), body ? *body : "");
}

Result<std::string> Api::text(const ApiCall& call) {
    http::Response response = TRY(open(call));
    return response.body().read_all(kMaxReply);
}

Result<json::Value> Api::ask(const ApiCall& call) {
    const std::string body = TRY(text(call));
    if (trim(body).empty()) return json::Value();
    return TRY_CONTEXT(json::parse(body), "read the reply of {}", call.path);
}

Result<http::Upgraded> Api::hijack(const ApiCall& call) {
    auto result = client_.upgrade(encode(call));
    if (!result) return explain(std::move(result).error());
    if (!result->upgraded) return daemon_error(result->status, result->body);
    return *std::move(result->upgraded);
}

Result<json::Value> Api::get(std::string path, Query query) {
    return ask(ApiCall{.path = std::move(path), .query = std::move(query)});
}

Result<json::Value> Api::post(std::string path, Query query, std::optional<json::Value> body) {
    return ask(ApiCall{.method = http::Method::Post,
                       .path = std::move(path),
                       .query = std::move(query),
                       .body = std::move(body)});
}

Result<json::Value> Api::remove(std::string path, Query query) {
    return ask(ApiCall{
        .method = http::Method::Delete, .path = std::move(path), .query = std::move(query)});
}

std::string container_path(std::string_view name, std::string_view rest) {
    return format("/containers/{}{}", http::percent_encode(trim(name)), rest);
}

std::string image_path(std::string_view name, std::string_view rest) {
    return format("/images/{}{}", encode_path_part(name, "/:@"), rest);
}

void add_filters(Query& query, const std::vector<std::string>& filters) {
    std::map<std::string, std::map<std::string, bool>> sets;
    for (const std::string& filter : filters) {
        if (const auto sides = cut(filter, "=")) {
            sets[std::string(sides->first)][std::string(sides->second)] = true;
        }
    }
    if (sets.empty()) return;
    json::Value out{json::Object{}};
    for (const auto& [name, values] : sets) {
        json::Value set{json::Object{}};
        for (const auto& [value, yes] : values) set.set(value, yes);
        out.set(name, std::move(set));
    }
    query.emplace("filters", json::write(out, {.escape = json::Escape::Plain}));
}

Result<std::optional<json::Value>> JsonLines::next() {
    for (;;) {
        const std::size_t newline = pending_.find('\n');
        if (newline != std::string::npos) {
            const std::string line(trim(std::string_view(pending_).substr(0, newline)));
            pending_.erase(0, newline + 1);
            if (line.empty()) continue;
            return std::optional(TRY(json::parse(line)));
        }
        const std::size_t had = pending_.size();
        constexpr std::size_t kStep = 16384;
        if (had > kMaxReply) return fail(Code::Internal, "a line of the reply is too long");
        pending_.resize(had + kStep);
        const std::size_t got = TRY(response_.body().read(pending_.data() + had, kStep));
        pending_.resize(had + got);
        if (got > 0) continue;
        if (trim(pending_).empty()) return std::optional<json::Value>();
        pending_ += '\n';  // the last document may lack its end of line
    }
}

std::string text_of(const json::Value& value, std::string_view path) {
    const json::Value* item = path.empty() ? &value : value.at_path(path);
    const std::string* text = item != nullptr ? item->if_string() : nullptr;
    return text != nullptr ? *text : std::string();
}

std::int64_t int_of(const json::Value& value, std::string_view path) {
    const json::Value* item = value.at_path(path);
    return item != nullptr ? item->to_int().value_or(0) : 0;
}

bool bool_of(const json::Value& value, std::string_view path) {
    const json::Value* item = value.at_path(path);
    return item != nullptr && item->to_bool().value_or(false);
}

const json::Array& array_of(const json::Value& value, std::string_view path) {
    static const json::Array kNone;
    const json::Value* item = path.empty() ? &value : value.at_path(path);
    const json::Array* list = item != nullptr ? item->if_array() : nullptr;
    return list != nullptr ? *list : kNone;
}

std::vector<std::string> words_of(const json::Value& value, std::string_view path) {
    std::vector<std::string> words;
    for (const json::Value& word : array_of(value, path)) words.push_back(text_of(word, ""));
    return words;
}

const json::Object& object_of(const json::Value& value, std::string_view path) {
    static const json::Object kNone;
    const json::Value* item = path.empty() ? &value : value.at_path(path);
    const json::Object* object = item != nullptr ? item->if_object() : nullptr;
    return object != nullptr ? *object : kNone;
}

}  // namespace coffer::cli
