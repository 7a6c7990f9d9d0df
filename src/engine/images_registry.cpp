// What registries are asked without a pull: login, search, and what stands under a name.
#include "base/text.hpp"
#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "registry/resolve.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kMaxResults = 1U << 20U;  // bytes
constexpr std::int64_t kMaxLimit = 100;

struct SearchReply {
    std::vector<api::ImageSearchResult> results;
};

void describe(json::Fields& f, const SearchReply& s) {
    f("results", s.results);
}

}  // namespace

Result<api::LoginResponse> Images::log_in(const api::LoginRequest& login,
                                          const Cancel& cancel) const {
    // "https://index.docker.io/v1/", "http://host:5000", "host": what counts is the host.
    std::string_view host = login.server_address;
    if (const auto scheme = host.find("://"); scheme != std::string_view::npos)
        host.remove_prefix(scheme + 3);
    host = host.substr(0, host.find('/'));
    if (host.empty() || host == "index.docker.io") host = "docker.io";
    registry::Client client({.host = std::string(host),
                             .credentials = {login.username, login.password, login.identity_token,
                                             login.registry_token},
                             .offline = registry::OfflineAccess::Yes,
                             .config = impl_->registries.config(),
                             .limits = {}},
                            cancel);
    auto token = TRY(client.log_in());
    return api::LoginResponse{"Login Succeeded", std::move(token)};
}

Result<std::vector<api::ImageSearchResult>> Images::search(const ImageSearchOptions& options,
                                                           const Cancel& cancel) const {
    const Filters& filters = options.filters;
    TRY(filters.accept({"is-automated", "is-official", "stars"}));
    const bool automated = TRY(filters.boolean("is-automated", false));
    const bool official = TRY(filters.boolean("is-official", false));
    std::int64_t stars = 0;
    for (const std::string& text : filters.get("stars")) {
        const auto number = parse_uint(text);
        if (!number || *number > INT32_MAX)
            return fail(Code::InvalidArgument, "invalid filter 'stars={}'", text);
        stars = std::max(stars, static_cast<std::int64_t>(*number));
    }
    if (options.limit && (*options.limit < 0 || *options.limit > kMaxLimit))
        return fail(Code::InvalidArgument, "limit {} is outside the range of [1, {}]",
                    *options.limit, kMaxLimit);
    // Nothing is built automatically any more.
    if (automated) return std::vector<api::ImageSearchResult>();

    const oci::SearchTerm term = TRY(oci::parse_search_term(options.term));
    registry::Client client({.host = term.domain == "docker.io" ? "index.docker.io" : term.domain,
                             .credentials = registry::decode_auth_header(options.auth),
                             .config = impl_->registries.config(),
                             .limits = {}},
                            cancel);
    registry::Ask ask;
    ask.root = "/v1/";
    ask.path = "search?q=" + registry::url_encode(term.words);
    if (options.limit.value_or(0) > 0) ask.path += format("&n={}", *options.limit);
    ask.headers = {"Accept: application/json"};
    ask.limit = kMaxResults;
    const auto reply = TRY(client.send(ask));
    if (reply.status != 200) return fail(Code::Internal, "Unexpected status code {}", reply.status);
    auto found = json::decode<SearchReply>(reply.body);
    if (!found) return fail(Code::Internal, "error unmarshalling json: {}", found.error().message);
    std::erase_if(found->results, [&](const api::ImageSearchResult& one) {
        return (filters.has("is-official") && one.is_official != official) ||
               one.star_count < stars;
    });
    return std::move(found->results);
}

Result<api::DistributionInspect> Images::distribution(const std::string& name,
                                                      const std::string& auth,
                                                      const Cancel& cancel) const {
    if (is_digest(name) || (name.size() == 64 && is_hex(name)))
        return fail(Code::InvalidArgument, "unknown image reference format: {}", name);
    const auto reference = TRY(oci::parse_reference(name));
    const auto repository = TRY(open_repository(impl_->registries, reference, auth, cancel));
    auto found = TRY(registry::describe(*repository, reference));
    return api::DistributionInspect{std::move(found.descriptor), std::move(found.platforms)};
}

}  // namespace coffer::engine
