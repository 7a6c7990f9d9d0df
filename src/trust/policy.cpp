#include "trust/policy.hpp"

#include <algorithm>

#include "json/reader.hpp"

namespace coffer::trust {

namespace {

constexpr std::size_t kMaxKeys = 64;  // of one requirement
constexpr std::size_t kMaxDepth = 32;

Result<std::string> required(const json::Reader& reader, std::string_view key) {
    std::string text = TRY(reader.text(key));
    if (text.empty()) return fail(Code::InvalidArgument, "{}: no \"{}\"", reader.where(), key);
    return text;
}

Result<oci::Reference> read_name(const json::Reader& reader, std::string_view key) {
    const std::string text = TRY(required(reader, key));
    return TRY_CONTEXT(oci::parse_reference_as_given(text), "{}: {} \"{}\"", reader.where(), key,
                       text);
}

Result<SignedIdentity> read_identity(const json::Reader& reader) {
    using Match = SignedIdentity::Match;
    SignedIdentity identity;
    TRY(reader.allow({"type", "dockerReference", "dockerRepository", "prefix", "signedPrefix"}));
    const std::string type = TRY(required(reader, "type"));
    if (type == "exactReference") {
        TRY(reader.allow({"type", "dockerReference"}));
        const auto name = TRY(read_name(reader, "dockerReference"));
        if (name.object().empty())
            return fail(Code::InvalidArgument, "{}: dockerReference without tag and digest",
                        reader.where());
        identity.match = Match::ExactReference;
        identity.reference = name.to_string();
        return identity;
    }
    if (type == "exactRepository") {
        TRY(reader.allow({"type", "dockerRepository"}));
        const auto name = TRY(read_name(reader, "dockerRepository"));
        identity.match = Match::ExactRepository;
        identity.reference = name.name();
        return identity;
    }
    if (type == "remapIdentity") {
        TRY(reader.allow({"type", "prefix", "signedPrefix"}));
        identity.match = Match::Remap;
        identity.prefix = TRY(required(reader, "prefix"));
        identity.signed_prefix = TRY(required(reader, "signedPrefix"));
        for (const std::string& prefix : {identity.prefix, identity.signed_prefix}) {
            // As a host alone it would be a short name of docker.io.
            const auto name = oci::parse_reference_as_given(prefix + "/x/y");
            if (!name || name->to_string() != prefix + "/x/y")
                return fail(Code::InvalidArgument,
                            "{}: \"{}\" is no host, or host and path, written in full",
                            reader.where(), prefix);
        }
        return identity;
    }
    TRY(reader.allow({"type"}));
    if (type == "matchRepoDigestOrExact") return identity;
    identity.match = type == "matchExact" ? Match::Exact : Match::Repository;
    if (type == "matchExact" || type == "matchRepository") return identity;
    return fail(Code::InvalidArgument, "{}: unknown type \"{}\"", reader.where(), type);
}

Result<std::vector<std::string>> read_keys(const json::Reader& reader, std::string_view one,
                                           std::string_view several) {
    std::vector<std::string> keys;
    if (reader.has(one)) keys.push_back(TRY(required(reader, one)));
    if (!reader.has(several)) return keys;
    keys = TRY(reader.texts(several));
    const bool empty = std::any_of(keys.begin(), keys.end(), [](auto& key) { return key.empty(); });
    if (keys.empty() || keys.size() > kMaxKeys || empty)
        return fail(Code::InvalidArgument, "{}: {} has no key, an empty one, or more than {}",
                    reader.where(), several, kMaxKeys);
    return keys;
}

Result<Requirement> read_signed(const json::Reader& reader) {
    TRY(reader.allow({"type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki",
                      "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
                      "rekorPublicKeyDatas", "signedIdentity"}));
    Requirement requirement{.kind = Requirement::Kind::Signed};
    int sources = 0;
    for (const char* key : {"keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki"})
        sources += reader.has(key) ? 1 : 0;
    if (sources != 1)
        return fail(Code::InvalidArgument,
                    "{}: exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki",
                    reader.where());
    requirement.key_files = TRY(read_keys(reader, "keyPath", "keyPaths"));
    for (const std::string& data : TRY(read_keys(reader, "keyData", "keyDatas"))) {
        auto pem = from_base64(data);
        if (!pem) return fail(Code::InvalidArgument, "{}: keyData is no base64", reader.where());
        requirement.key_texts.push_back(*std::move(pem));
    }
    const json::Value* identity = reader.value().find("signedIdentity");
    if (identity != nullptr)
        requirement.identity =
            TRY(read_identity(json::Reader(*identity, reader.where() + ".signedIdentity")));
    for (const char* key : {"fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths",
                            "rekorPublicKeyData", "rekorPublicKeyDatas"}) {
        if (!reader.has(key)) continue;
        requirement.kind = Requirement::Kind::Unsupported;
        requirement.what = format("sigstoreSigned with {}", key);
    }
    return requirement;
}

Result<Requirement> read_requirement(const json::Reader& reader) {
    if (!reader.value().is_object()) TRY(reader.allow({}));
    const std::string type = TRY(required(reader, "type"));
    if (type == "sigstoreSigned") return read_signed(reader);
    if (type == "signedBy") {
        TRY(reader.allow({"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}));
        return Requirement{.kind = Requirement::Kind::Unsupported, .what = "signedBy (GPG)"};
    }
    TRY(reader.allow({"type"}));
    if (type == "insecureAcceptAnything") return Requirement{.kind = Requirement::Kind::Accept};
    if (type == "reject") return Requirement{.kind = Requirement::Kind::Reject};
    return fail(Code::InvalidArgument, "{}: unknown type \"{}\"", reader.where(), type);
}

Result<Scope> read_scope(const json::Reader& reader, const std::string& key, std::string name) {
    Scope scope{.name = std::move(name), .requirements = {}};
    for (const json::Reader& one : TRY(reader.objects(key)))
        scope.requirements.push_back(TRY(read_requirement(one)));
    if (scope.requirements.empty())
        return fail(Code::InvalidArgument, "{}: no requirements", scope.name);
    return scope;
}

// What `image` is asked for with: the tag counts for nothing beside a digest.
oci::Reference as_used(oci::Reference image) {
    if (!image.digest.empty()) image.tag.clear();
    return image;
}

bool is_below(std::string_view name, std::string_view prefix) {
    return name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/');
}

}  // namespace

bool matches(const SignedIdentity& identity, const oci::Reference& given,
             std::string_view signed_for) {
    using Match = SignedIdentity::Match;
    const auto claimed = oci::parse_reference_as_given(signed_for);
    if (!claimed) return false;
    const oci::Reference image = as_used(given);
    const auto is_exactly = [&](const std::string& wanted) {
        return !claimed->object().empty() && claimed->to_string() == wanted;
    };
    switch (identity.match) {
        case Match::Exact:
            return is_exactly(image.to_string());
        case Match::Repository:
            return claimed->name() == image.name();
        case Match::ExactReference:
            return is_exactly(identity.reference);
        case Match::ExactRepository:
            return claimed->name() == identity.reference;
        case Match::RepoDigestOrExact:
            return image.digest.empty() ? is_exactly(image.to_string())
                                        : claimed->name() == image.name();
        case Match::Remap:
            break;
    }
    std::string name = image.to_string();
    if (is_below(image.name(), identity.prefix))
        name.replace(0, identity.prefix.size(), identity.signed_prefix);
    const auto mapped = oci::parse_reference_as_given(name);
    return mapped && matches(SignedIdentity(), *mapped, signed_for);
}

bool Scope::needs_signatures() const {
    return std::any_of(requirements.begin(), requirements.end(), [](const Requirement& one) {
        return one.kind == Requirement::Kind::Signed;
    });
}

const Scope& Policy::scope_of(const oci::Reference& given) const {
    const oci::Reference image = as_used(given);
    std::vector<std::string> names = {image.to_string(), image.name()};
    for (std::string name = image.name(); name.find('/') != std::string::npos;) {
        name.resize(name.rfind('/'));
        names.push_back(name);
    }
    const std::string host = image.domain.substr(0, image.domain.find(':'));
    for (auto dot = host.find('.'); dot != std::string::npos; dot = host.find('.', dot + 1))
        names.push_back("*" + host.substr(dot));
    names.emplace_back();
    for (const std::string& name : names) {
        if (const auto found = docker.find(name); found != docker.end()) return found->second;
    }
    return fallback;
}

Result<Policy> parse_policy(std::string_view text, const std::string& path) {
    const json::Value document = TRY_CONTEXT(
        json::parse(text, {.depth = kMaxDepth, .repeated = json::RepeatedKeys::Refused}), "{}",
        path);
    const json::Reader reader(document, path, ": ");
    TRY(reader.allow({"default", "transports"}));
    Policy policy;
    policy.fallback = TRY(read_scope(reader, "default", path + ": default"));
    const json::Value* transports = reader.value().find("transports");
    if (transports == nullptr) return policy;
    // The other transports must be right too, though they have nothing to do with registries.
    const json::Reader all(*transports, path + ": transports");
    for (const auto& [transport, scopes] : TRY(all.members())) {
        for (const auto& [name, requirements] : TRY(scopes.members())) {
            auto scope = TRY(read_scope(scopes, name, requirements.where()));
            if (transport == "docker") policy.docker.emplace(name, std::move(scope));
        }
    }
    return policy;
}

}  // namespace coffer::trust
