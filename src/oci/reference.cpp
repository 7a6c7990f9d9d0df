#include "oci/reference.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace coffer::oci {

namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kLegacyDomain = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::size_t kMaxPath = 255;
constexpr std::size_t kMaxTag = 128;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_letter(char c) {
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_lower_or_digit(char c) {
    return is_lower(c) || is_digit(c);
}
bool is_word(char c) {
    return is_letter(c) || is_digit(c) || c == '_';
}

bool is_any_hex(std::string_view text) {
    return is_hex(to_lower(text));
}

// Letters and digits in groups, separated by one '.', one or two '_' or any number of '-'.
bool is_path_component(std::string_view text) {
    std::size_t i = 0;
    for (;;) {
        const std::size_t start = i;
        while (i < text.size() && is_lower_or_digit(text[i])) ++i;
        if (i == start) return false;
        if (i == text.size()) return true;
        const char separator = text[i];
        std::size_t run = 0;
        while (i < text.size() && text[i] == separator) ++i, ++run;
        const std::size_t most = separator == '.'   ? 1
                                 : separator == '_' ? 2
                                 : separator == '-' ? text.size()
                                                    : 0;
        if (run > most) return false;
    }
}

bool is_host_label(std::string_view text) {
    if (text.empty() || text.front() == '-' || text.back() == '-') return false;
    return std::ranges::all_of(text,
                               [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

bool is_domain(std::string_view text) {
    std::string_view host = text;
    if (host.starts_with('[')) {
        const std::size_t end = host.find(']');
        if (end == std::string_view::npos || end == 1) return false;
        const auto address = host.substr(1, end - 1);
        if (!std::ranges::all_of(address, [](char c) { return c == ':' || is_any_hex({&c, 1}); }))
            return false;
        host = host.substr(end + 1);
        if (host.empty()) return true;
        if (host.front() != ':') return false;
        host.remove_prefix(1);
        return !host.empty() && std::ranges::all_of(host, is_digit);
    }
    if (const auto parts = cut(host, ":")) {
        if (parts->second.empty() || !std::ranges::all_of(parts->second, is_digit)) return false;
        host = parts->first;
    }
    return std::ranges::all_of(split(host, '.'), is_host_label);
}

// Algorithm names in groups of letters and digits, each beginning with a letter.
bool is_digest_algorithm(std::string_view text) {
    bool group_begins = true;
    for (const char c : text) {
        const bool separator = c == '-' || c == '_' || c == '+' || c == '.';
        if (group_begins ? !is_letter(c) : !(is_letter(c) || is_digit(c) || separator))
            return false;
        group_begins = separator;
    }
    return !group_begins;
}

Failure invalid_format() {
    return fail(Code::InvalidArgument, "invalid reference format");
}

Result<void> check_digest(std::string_view digest) {
    const auto parts = cut(digest, ":");
    if (!parts || !is_digest_algorithm(parts->first) || parts->second.size() < 32 ||
        !is_any_hex(parts->second))
        return invalid_format();
    const std::string_view algorithm = parts->first;
    const std::size_t length = algorithm == "sha256"   ? 64
                               : algorithm == "sha384" ? 96
                               : algorithm == "sha512" ? 128
                                                       : 0;
    if (length == 0) return fail(Code::InvalidArgument, "unsupported digest algorithm");
    if (parts->second.size() != length)
        return fail(Code::InvalidArgument, "invalid checksum digest length");
    if (to_lower(parts->second) != parts->second)
        return fail(Code::InvalidArgument, "invalid checksum digest format");
    return {};
}

// Splits off the registry. A first part without '.', ':' or an upper-case letter, other than
// localhost, is a name on the default registry.
void split_domain(std::string_view text, Reference& out, std::string& rest) {
    const auto parts = cut(text, "/");
    if (!parts) {
        out.domain = kDefaultDomain;
        rest = std::string(kOfficial) + std::string(text);
        return;
    }
    const auto [first, others] = *parts;
    if (first == kLegacyDomain) {
        out.domain = kDefaultDomain;
        rest = others;
    } else if (first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
               to_lower(first) != first) {
        out.domain = first;
        rest = others;
    } else {
        out.domain = kDefaultDomain;
        rest = text;
    }
    if (out.domain == kDefaultDomain && rest.find('/') == std::string::npos)
        rest.insert(0, kOfficial);
}

}  // namespace

bool is_tag(std::string_view text) {
    return !text.empty() && text.size() <= kMaxTag && is_word(text.front()) &&
           std::ranges::all_of(text, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::string Reference::name() const {
    return domain + "/" + path;
}

std::string Reference::familiar_name() const {
    if (domain != kDefaultDomain) return name();
    if (path.starts_with(kOfficial) && path.find('/', kOfficial.size()) == std::string::npos)
        return path.substr(kOfficial.size());
    return path;
}

namespace {

std::string with_suffix(std::string text, const Reference& reference) {
    if (!reference.tag.empty()) text += ":" + reference.tag;
    if (!reference.digest.empty()) text += "@" + reference.digest;
    return text;
}

}  // namespace

std::string Reference::to_string() const {
    return with_suffix(name(), *this);
}

std::string Reference::familiar_string() const {
    return with_suffix(familiar_name(), *this);
}

Result<Reference> parse_reference_as_given(std::string_view text) {
    if (text.size() == 64 && is_hex(text))
        return fail(Code::InvalidArgument,
                    "invalid repository name ({}), cannot specify 64-byte hexadecimal strings",
                    text);
    Reference out;
    std::string rest;
    split_domain(text, out, rest);

    const std::string_view before_tag = std::string_view(rest).substr(0, rest.find(':'));
    if (to_lower(before_tag) != before_tag)
        return fail(Code::InvalidArgument,
                    "invalid reference format: repository name ({}) must be lowercase", before_tag);

    std::string_view path = rest;
    if (const auto parts = cut(path, "@")) {
        path = parts->first;
        TRY(check_digest(parts->second));
        out.digest = parts->second;
    }
    if (const auto parts = cut(path, ":")) {
        path = parts->first;
        if (!is_tag(parts->second)) return invalid_format();
        out.tag = parts->second;
    }
    if (!is_domain(out.domain) || !std::ranges::all_of(split(path, '/'), is_path_component))
        return invalid_format();
    if (path.size() > kMaxPath)
        return fail(Code::InvalidArgument, "repository name must not be more than {} characters",
                    kMaxPath);
    out.path = path;
    return out;
}

Result<Reference> parse_reference(std::string_view text) {
    Reference out = TRY(parse_reference_as_given(text));
    if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
    return out;
}

Result<SearchTerm> parse_search_term(std::string_view text) {
    if (text.find("://") != std::string_view::npos)
        return fail(Code::InvalidArgument,
                    "invalid repository name: repository name ({}) should not have a scheme", text);
    const auto parts = cut(text, "/");
    const bool named = parts && (parts->first.find_first_of(".:") != std::string_view::npos ||
                                 parts->first == "localhost");
    SearchTerm term{"docker.io", std::string(named ? parts->second : text)};
    if (named && parts->first != "docker.io" && parts->first != "index.docker.io")
        term.domain = parts->first;
    else if (term.words.starts_with("library/"))
        term.words.erase(0, 8);
    if (!is_domain(term.domain)) return invalid_format();
    return term;
}

}  // namespace coffer::oci
