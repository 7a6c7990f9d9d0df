#include "http/message.hpp"

#include <algorithm>
#include <array>

namespace coffer::http {

namespace {

constexpr std::array<std::pair<Method, std::string_view>, 7> kMethods{{
    {Method::Get, "GET"},
    {Method::Head, "HEAD"},
    {Method::Post, "POST"},
    {Method::Put, "PUT"},
    {Method::Patch, "PATCH"},
    {Method::Delete, "DELETE"},
    {Method::Options, "OPTIONS"},
}};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

const std::string* find_in(const std::vector<Header>& list, std::string_view name) {
    for (const Header& entry : list) {
        if (entry.name == name) return &entry.value;
    }
    return nullptr;
}

Reply reply_of(int status, std::string content_type, std::string body) {
    Reply reply;
    reply.status = status;
    reply.headers.set("Content-Type", std::move(content_type));
    reply.body = std::move(body);
    return reply;
}

}  // namespace

Method parse_method(std::string_view text) {
    for (const auto& [method, name] : kMethods) {
        if (name == text) return method;
    }
    return Method::Other;
}

std::string_view to_text(Method method) {
    for (const auto& [known, name] : kMethods) {
        if (known == method) return name;
    }
    return "";
}

void Headers::add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
}

void Headers::set(std::string name, std::string value) {
    remove(name);
    add(std::move(name), std::move(value));
}

void Headers::remove(std::string_view name) {
    std::erase_if(fields_,
                  [&](const Header& field) { return equals_ignoring_case(field.name, name); });
}

const std::string* Headers::find(std::string_view name) const {
    for (const Header& field : fields_) {
        if (equals_ignoring_case(field.name, name)) return &field.value;
    }
    return nullptr;
}

std::string_view Headers::get(std::string_view name) const {
    const std::string* value = find(name);
    return value == nullptr ? std::string_view() : *value;
}

std::size_t Headers::count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(fields_.begin(), fields_.end(),
                      [&](const Header& field) { return equals_ignoring_case(field.name, name); }));
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
    for (const Header& field : fields_) {
        if (!equals_ignoring_case(field.name, name)) continue;
        for (const std::string& element : split(field.value, ',')) {
            if (equals_ignoring_case(trim(element), token)) return true;
        }
    }
    return false;
}

std::string percent_encode(std::string_view text) {
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += kDigits[byte >> 4U];
        out += kDigits[byte & 15U];
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]);
        const int low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

Result<Query> Query::parse(std::string_view text) {
    Query query;
    if (text.empty()) return query;
    for (std::string& part : split(text, '&')) {
        if (part.empty()) continue;
        std::replace(part.begin(), part.end(), '+', ' ');
        const auto sides = cut(part, "=");
        auto name = percent_decode(sides ? sides->first : std::string_view(part));
        auto value = percent_decode(sides ? sides->second : std::string_view());
        if (!name || !value) {
            return fail(Code::InvalidArgument, "invalid URL escape in query '{}'", part);
        }
        query.add(*std::move(name), *std::move(value));
    }
    return query;
}

void Query::add(std::string name, std::string value) {
    parameters_.push_back({std::move(name), std::move(value)});
}

const std::string* Query::find(std::string_view name) const {
    return find_in(parameters_, name);
}

std::string_view Query::get(std::string_view name) const {
    const std::string* value = find(name);
    return value == nullptr ? std::string_view() : *value;
}

std::vector<std::string> Query::all(std::string_view name) const {
    std::vector<std::string> values;
    for (const Header& parameter : parameters_) {
        if (parameter.name == name) values.push_back(parameter.value);
    }
    return values;
}

std::string Query::encode() const {
    std::string out;
    for (const Header& parameter : parameters_) {
        if (!out.empty()) out += '&';
        out += percent_encode(parameter.name) + "=" + percent_encode(parameter.value);
    }
    return out;
}

std::string_view reason(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "UPGRADED";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 301:
            return "Moved Permanently";
        case 304:
            return "Not Modified";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Request Entity Too Large";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        default:
            return "Unknown";
    }
}

Result<std::string> BodyReader::read_all(std::size_t limit) {
    std::string out;
    std::array<char, 16 * 1024> buffer;
    for (;;) {
        const std::size_t n = TRY(read(buffer.data(), buffer.size()));
        if (n == 0) return out;
        if (out.size() + n > limit) {
            return fail(Code::InvalidArgument, "body is larger than {} bytes", limit);
        }
        out.append(buffer.data(), n);
    }
}

Reply Reply::empty(int status) {
    Reply reply;
    reply.status = status;
    return reply;
}

Reply Reply::text(int status, std::string body) {
    return reply_of(status, "text/plain; charset=utf-8", std::move(body));
}

Reply Reply::json(int status, std::string body) {
    return reply_of(status, "application/json", std::move(body));
}

Reply Reply::stream(int status, std::string content_type, Stream run) {
    Reply reply = reply_of(status, std::move(content_type), {});
    reply.stream_function = std::move(run);
    return reply;
}

Reply Reply::upgrade(std::string content_type, Upgrade run) {
    Reply reply = reply_of(200, std::move(content_type), {});
    reply.upgrade_function = std::move(run);
    return reply;
}

}  // namespace coffer::http
