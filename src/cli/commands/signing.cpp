// coffer image sign and verify: signatures made and checked here, kept at the registry.
#include "cli/commands/signing.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/hash.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/user_config.hpp"
#include "sys/file.hpp"
#include "trust/signature.hpp"

namespace coffer::cli {

namespace {

constexpr std::size_t kMaxKeyFile = 64 * 1024;

constexpr std::array kSignFlags = {
    text("key", 0, "File of the private key, in PEM or as cosign keeps it"),
};
constexpr std::array kVerifyFlags = {
    text("key", 0, "File of the public key, in PEM"),
};

std::string path_of(const oci::Reference& reference) {
    return "/coffer" + image_path(reference.to_string(), "/signatures");
}

Result<std::string> key_of(const Invocation& call) {
    std::string path = call.flags.text("key");
    if (path.empty()) return fail(Code::InvalidArgument, "--key FILE is needed");
    return path;
}

// What the registry has: {Digest, Signatures}.
Result<json::Value> fetch(Invocation& call, const oci::Reference& reference) {
    ApiCall request{.path = path_of(reference)};
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(reference.domain)));
    json::Value found = TRY(call.api.ask(request));
    const std::string digest = text_of(found, "Digest");
    if (!is_digest(digest) || (!reference.digest.empty() && digest != reference.digest))
        return fail(Code::Internal, "asked for {}, the engine answers with {}",
                    reference.familiar_string(), digest);
    return found;
}

Result<int> sign(Invocation& call) {
    const auto reference = TRY(oci::parse_reference(call.args[0]));
    const std::string path = TRY(key_of(call));
    const auto key = TRY(load_signing_key(path));
    const json::Value found = TRY(fetch(call, reference));
    TRY(sign_image(call, key, reference, text_of(found, "Digest")));
    return 0;
}

Result<int> verify(Invocation& call) {
    const auto reference = TRY(oci::parse_reference(call.args[0]));
    const std::string path = TRY(key_of(call));
    const std::string pem = TRY(sys::read_file(path, kMaxKeyFile));
    const auto key = TRY_CONTEXT(trust::PublicKey::parse(pem), "key '{}'", path);
    const json::Value found = TRY(fetch(call, reference));
    const std::string digest = text_of(found, "Digest");
    std::size_t good = 0;
    for (const json::Value& one : array_of(found, "Signatures")) {
        const auto payload = from_base64(text_of(one, "Payload"));
        const auto signature = from_base64(text_of(one, "Signature"));
        if (!payload || !signature || !key.verify(*payload, *signature)) continue;
        const auto claim = trust::parse_payload(*payload);
        if (!claim || claim->digest != digest) continue;
        TRY(print_line(format("{}@{}: signed with {} for {}", reference.familiar_name(), digest,
                              path, claim->reference)));
        ++good;
    }
    if (good > 0) return 0;
    return fail(Code::Forbidden, "none of the {} signatures of {} was made with {}",
                array_of(found, "Signatures").size(), digest, path);
}

}  // namespace

Result<trust::SigningKey> load_signing_key(const std::string& path) {
    const std::string pem = TRY(sys::read_file(path, kMaxKeyFile));
    const auto ask = [&]() -> Result<std::string> {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread
        if (const char* given = std::getenv("COFFER_SIGN_PASSWORD")) return std::string(given);
        if (!is_terminal(STDIN_FILENO))
            return fail(Code::InvalidArgument,
                        "it needs a pass phrase: set COFFER_SIGN_PASSWORD, or use a terminal");
        return read_password(format("Pass phrase of {}: ", path));
    };
    return TRY_CONTEXT(trust::SigningKey::parse(pem, ask), "key '{}'", path);
}

Result<void> sign_image(Invocation& call, const trust::SigningKey& key,
                        const oci::Reference& reference, const std::string& digest) {
    const std::string payload = trust::make_payload({reference.to_string(), digest});
    const std::string signature = TRY(key.sign(payload));
    ApiCall request{.method = http::Method::Post, .path = path_of(reference)};
    request.body = json::Object{{"Digest", digest},
                                {"Signature", json::Object{{"Payload", to_base64(payload)},
                                                           {"Signature", to_base64(signature)}}}};
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(reference.domain)));
    TRY(call.api.ask(request));
    return print_line(format("Signed {} ({})", reference.familiar_string(), digest));
}

namespace commands {

constinit const Command kImageSign{
    .name = "sign",
    .arguments = "--key FILE NAME[:TAG|@DIGEST]",
    .summary = "Sign an image at its registry; the key stays here",
    .run = &sign,
    .flags = {kSignFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Images,
};
constinit const Command kImageVerify{
    .name = "verify",
    .arguments = "--key FILE NAME[:TAG|@DIGEST]",
    .summary = "Check the signatures of an image at its registry",
    .run = &verify,
    .flags = {kVerifyFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Images,
};

}  // namespace commands

}  // namespace coffer::cli
