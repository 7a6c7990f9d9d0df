#include "trust/signature.hpp"

#include "base/hash.hpp"
#include "json/reader.hpp"

namespace coffer::trust {

namespace {

constexpr std::string_view kType = "cosign container image signature";
constexpr std::size_t kMaxDepth = 16;

// An object that has all of the keys and no others.
Result<void> expect(const json::Reader& reader, std::initializer_list<std::string_view> keys) {
    TRY(reader.allow(keys));
    for (const std::string_view key : keys) {
        if (!reader.has(key))
            return fail(Code::InvalidArgument, "{}: no \"{}\"", reader.where(), key);
    }
    return {};
}

}  // namespace

Result<Claim> parse_payload(std::string_view payload) {
    const json::Value document = TRY_CONTEXT(
        json::parse(
            payload,
            {.depth = kMaxDepth, .bytes = kMaxPayload, .repeated = json::RepeatedKeys::Refused}),
        "payload");
    const json::Reader top(document, "payload", ": ");
    TRY(top.allow({"critical", "optional"}));
    const json::Value none;
    const auto part = [&](const json::Reader& of, std::string_view key) {
        const json::Value* value = of.value().find(key);
        return json::Reader(value == nullptr ? none : *value, format("{}: {}", of.where(), key));
    };
    const json::Reader critical = part(top, "critical");
    TRY(expect(critical, {"identity", "image", "type"}));
    const json::Reader identity = part(critical, "identity");
    TRY(expect(identity, {"docker-reference"}));
    const json::Reader image = part(critical, "image");
    TRY(expect(image, {"docker-manifest-digest"}));
    if (const std::string type = TRY(critical.text("type")); type != kType)
        return fail(Code::InvalidArgument, "payload: type \"{}\" is not \"{}\"", type, kType);
    Claim claim;
    claim.reference = TRY(identity.text("docker-reference"));
    claim.digest = TRY(image.text("docker-manifest-digest"));
    if (!is_digest(claim.digest))
        return fail(Code::InvalidArgument, "payload: invalid digest \"{}\"", claim.digest);
    return claim;
}

std::string make_payload(const Claim& claim) {
    return json::write(json::Object{
        {"critical", json::Object{{"identity", json::Object{{"docker-reference", claim.reference}}},
                                  {"image", json::Object{{"docker-manifest-digest", claim.digest}}},
                                  {"type", kType}}},
        {"optional", nullptr}});
}

std::string signature_tag(std::string_view digest) {
    return format("sha256-{}.sig", hex_of(digest));
}

}  // namespace coffer::trust
