#include "http/wire.hpp"

#include <algorithm>

namespace coffer::http {

namespace {

constexpr std::size_t kMaxChunkLine = 1024;
constexpr std::size_t kMaxTrailer = 8 * 1024;

bool is_token(std::string_view text) {
    static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kOthers.find(c) != std::string_view::npos;
    });
}

// Printable, blank, tab or above ASCII: no control character can hide in a value.
bool is_field_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= ' ' && byte != 0x7f);
    });
}

bool is_target(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > ' ' && byte != 0x7f;
    });
}

Result<int> parse_version(std::string_view text) {
    if (text == "HTTP/1.1") return 1;
    if (text == "HTTP/1.0") return 0;
    return fail(Code::InvalidArgument, "unsupported protocol version");
}

// The fields of a head after its first line, up to the blank line.
Result<Headers> parse_fields(std::string_view text) {
    Headers headers;
    while (text != "\r\n") {
        const auto line = cut(text, "\r\n");
        if (!line) return fail(Code::InvalidArgument, "malformed header");
        const auto field = cut(line->first, ":");
        // A blank before the colon or at the start of a line (folding) is no token either.
        if (!field || !is_token(field->first) || !is_field_value(field->second)) {
            return fail(Code::InvalidArgument, "malformed header field");
        }
        if (headers.size() == kMaxFields) {
            return fail(Code::InvalidArgument, "more than {} header fields", kMaxFields);
        }
        headers.add(std::string(field->first), std::string(trim(field->second)));
        text = line->second;
    }
    return headers;
}

// Length or Chunked where the head says so; None otherwise.
Result<Framing> explicit_framing(int minor_version, const Headers& headers) {
    const std::size_t lengths = headers.count("Content-Length");
    const std::size_t codings = headers.count("Transfer-Encoding");
    if (lengths + codings > 1) {
        return fail(Code::InvalidArgument, "ambiguous body length");
    }
    if (codings == 1) {
        if (minor_version == 0 ||
            !equals_ignoring_case(headers.get("Transfer-Encoding"), "chunked")) {
            return fail(Code::InvalidArgument, "unsupported transfer encoding");
        }
        return Framing{Framing::Kind::Chunked, 0};
    }
    if (lengths == 0) return Framing{};
    const auto length = parse_uint(headers.get("Content-Length"));
    if (!length || *length > (1ULL << 62U)) {
        return fail(Code::InvalidArgument, "bad Content-Length");
    }
    return Framing{*length == 0 ? Framing::Kind::None : Framing::Kind::Length, *length};
}

std::optional<std::uint64_t> parse_chunk_size(std::string_view text) {
    if (text.empty() || text.size() > 15) return std::nullopt;
    std::uint64_t size = 0;
    for (const char c : text) {
        unsigned digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<unsigned>(c - 'A') + 10;
        } else {
            return std::nullopt;
        }
        size = size * 16 + digit;
    }
    return size;
}

void append_fields(std::string& out, const Headers& headers) {
    for (const Header& field : headers) {
        out += field.name;
        out += ": ";
        // A value that came from outside must not end the line.
        for (const char c : field.value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
        out += "\r\n";
    }
    out += "\r\n";
}

}  // namespace

std::optional<std::size_t> find_head_end(std::string_view buffer, std::size_t from) {
    const std::size_t at = buffer.find("\r\n\r\n", from < 3 ? 0 : from - 3);
    if (at == std::string_view::npos) return std::nullopt;
    return at + 4;
}

Result<RequestHead> parse_request_head(std::string_view head) {
    const auto lines = cut(head, "\r\n");
    if (!lines) return fail(Code::InvalidArgument, "malformed request line");
    const std::vector<std::string> parts = split(lines->first, ' ');
    if (parts.size() != 3 || !is_token(parts[0]) || !is_target(parts[1])) {
        return fail(Code::InvalidArgument, "malformed request line");
    }
    RequestHead request;
    request.method = parts[0];
    request.target = parts[1];
    request.minor_version = TRY(parse_version(parts[2]));
    request.headers = TRY(parse_fields(lines->second));
    const std::size_t hosts = request.headers.count("Host");
    if (hosts > 1 || (hosts == 0 && request.minor_version == 1)) {
        return fail(Code::InvalidArgument, "missing or repeated Host header");
    }
    return request;
}

Result<ResponseHead> parse_response_head(std::string_view head) {
    const auto lines = cut(head, "\r\n");
    if (!lines) return fail(Code::InvalidArgument, "malformed status line");
    const auto version = cut(lines->first, " ");
    if (!version || !is_field_value(version->second)) {
        return fail(Code::InvalidArgument, "malformed status line");
    }
    ResponseHead response;
    response.minor_version = TRY(parse_version(version->first));
    const std::string_view rest = version->second;
    const auto status = parse_uint(rest.substr(0, 3));
    if (rest.size() < 3 || (rest.size() > 3 && rest[3] != ' ') || !status || *status < 100 ||
        *status > 599) {
        return fail(Code::InvalidArgument, "malformed status line");
    }
    response.status = static_cast<int>(*status);
    response.headers = TRY(parse_fields(lines->second));
    return response;
}

Result<Framing> request_framing(const RequestHead& head) {
    return explicit_framing(head.minor_version, head.headers);
}

Result<Framing> response_framing(const ResponseHead& head, Method request) {
    if (request == Method::Head || head.status < 200 || head.status == 204 || head.status == 304) {
        return Framing{};
    }
    const Framing framing = TRY(explicit_framing(head.minor_version, head.headers));
    const bool told = head.headers.has("Content-Length") || head.headers.has("Transfer-Encoding");
    return told ? framing : Framing{Framing::Kind::UntilClose, 0};
}

bool keeps_alive(int minor_version, const Headers& headers) {
    if (headers.has_token("Connection", "close")) return false;
    return minor_version == 1 || headers.has_token("Connection", "keep-alive");
}

Result<ChunkDecoder::Step> ChunkDecoder::step(std::string_view input, std::size_t max_data) {
    if (state_ == State::Done || input.empty()) return Step{};
    if (state_ == State::Data) {
        const std::size_t n = std::min<std::uint64_t>({left_, input.size(), max_data});
        left_ -= n;
        if (left_ == 0) state_ = State::DataEnd;
        return Step{n, input.substr(0, n)};
    }
    if (state_ == State::DataEnd) {
        if (input[0] != '\r' || (input.size() > 1 && input[1] != '\n')) {
            return fail(Code::InvalidArgument, "malformed chunk");
        }
        if (input.size() < 2) return Step{};
        state_ = State::Size;
        return Step{2, {}};
    }
    const auto line = cut(input, "\r\n");
    // The line is checked as far as it is here: a lone CR at the end may still get its LF.
    std::string_view text = line ? line->first : input;
    if (!line && text.back() == '\r') text.remove_suffix(1);
    if (!is_field_value(text) || text.size() > kMaxChunkLine) {
        return fail(Code::InvalidArgument, "malformed chunk");
    }
    if (!line) return Step{};
    const std::size_t consumed = text.size() + 2;
    if (state_ == State::Trailer) {
        trailer_bytes_ += consumed;
        if (trailer_bytes_ > kMaxTrailer) return fail(Code::InvalidArgument, "trailer too large");
        if (text.empty()) state_ = State::Done;
        return Step{consumed, {}};
    }
    const auto extension = cut(text, ";");
    const auto size = parse_chunk_size(extension ? extension->first : text);
    if (!size) return fail(Code::InvalidArgument, "malformed chunk size");
    left_ = *size;
    state_ = left_ == 0 ? State::Trailer : State::Data;
    return Step{consumed, {}};
}

std::string chunk_head(std::size_t size) {
    return format("{:x}\r\n", size);
}

std::string write_request_head(Method method, std::string_view target, const Headers& headers) {
    std::string out = format("{} {} HTTP/1.1\r\n", to_text(method), target);
    append_fields(out, headers);
    return out;
}

std::string write_response_head(int status, std::string_view phrase, const Headers& headers) {
    std::string out = format("HTTP/1.1 {} {}\r\n", status, phrase);
    append_fields(out, headers);
    return out;
}

}  // namespace coffer::http
