// Which images may be used: the signature policy at a pull, and when a container is made.
#include <algorithm>

#include "engine/images_impl.hpp"
#include "registry/signatures.hpp"

namespace coffer::engine {

namespace {

// The digests under which an image that is here may be signed: of what its repository has it as,
// an index or a manifest, and of its manifests.
std::vector<std::string> digests_of(const store::ImageRecord& image, const std::string& repository,
                                    const std::string& target) {
    std::vector<std::string> digests;
    const auto add = [&](const std::string& digest) {
        if (std::find(digests.begin(), digests.end(), digest) == digests.end())
            digests.push_back(digest);
    };
    if (image.find(store::BlobKind::Index, target) != nullptr) add(target);
    for (const std::string& name : image.digests) {
        if (repository_of(name) == repository) add(name.substr(name.find('@') + 1));
    }
    for (const store::ImageBlob& blob : image.blobs) {
        if (blob.kind == store::BlobKind::Manifest) add(blob.digest);
    }
    return digests;
}

// The error of several tries, each of which would have done.
Failure all_failed(const std::vector<Error>& errors) {
    std::vector<std::string> messages;
    messages.reserve(errors.size());
    for (const Error& error : errors) messages.push_back(error.message);
    return fail(errors.front().code, "{}", join(messages, "; "));
}

}  // namespace

Result<Terms> Images::Impl::terms_for(const oci::Reference& reference) {
    Terms terms{.policy = TRY(policy.read())};
    if (!terms.policy) return terms;
    terms.scope = &terms.policy->scope_of(reference);
    TRY(trust::admit(*terms.scope, reference));
    return terms;
}

Result<void> Images::Impl::verify_kept(const Terms& terms, const oci::Reference& reference,
                                       const std::vector<std::string>& digests) {
    if (terms.scope == nullptr || !terms.scope->needs_signatures()) return {};
    std::vector<Error> errors;
    for (const std::string& digest : digests) {
        std::vector<trust::Signature> signatures;
        for (store::KeptSignature& one : TRY(store.signatures().get(digest)))
            signatures.push_back({std::move(one.payload), std::move(one.signature)});
        auto verified = trust::verify(*terms.scope, reference, digest, signatures);
        if (verified) return {};
        errors.push_back(std::move(verified).error());
    }
    if (errors.empty())
        return trust::verify(*terms.scope, reference, "an image of no registry", {});
    return all_failed(errors);
}

Result<Vouchers> Images::Impl::vouch_here(const Terms& terms, const oci::Reference& reference,
                                          registry::Repository& repository,
                                          const std::string& digest) {
    const auto id = store.images().find_reference(reference.name() + "@" + digest);
    if (!id) return vouch(terms, reference, repository, {digest});
    const auto image = TRY(store.images().get(*id));
    return vouch(terms, reference, repository, digests_of(image, reference.name(), digest));
}

Result<void> Images::Impl::keep(const Vouchers& vouchers) {
    if (vouchers.digest.empty()) return {};
    return store.signatures().put(vouchers.digest, vouchers.signatures);
}

Result<Vouchers> Images::Impl::vouch(const Terms& terms, const oci::Reference& reference,
                                     registry::Repository& repository,
                                     const std::vector<std::string>& digests) {
    if (verify_kept(terms, reference, digests)) return Vouchers();
    std::vector<Error> errors;
    for (const std::string& digest : digests) {
        const auto signatures = TRY(registry::fetch_signatures(repository, digest));
        auto verified = trust::verify(*terms.scope, reference, digest, signatures);
        if (!verified) {
            errors.push_back(std::move(verified).error());
            continue;
        }
        Vouchers vouchers{.digest = digest, .signatures = {}};
        for (const trust::Signature& one : signatures)
            vouchers.signatures.push_back({one.payload, one.signature});
        return vouchers;
    }
    return all_failed(errors);
}

Result<void> Images::Impl::check_trust(const std::string& name, const store::ImageRecord& image) {
    Terms terms{.policy = TRY(policy.read())};
    if (!terms.policy) return {};
    const auto found = TRY(find_named(name));
    std::vector<oci::Reference> references;
    if (found.reference) {
        references.push_back(*found.reference);
    } else {
        // An id stands for all names of the image: one that is accepted is enough.
        for (const std::string& one : names_of(image))
            references.push_back(TRY(oci::parse_reference(one)));
    }
    if (references.empty()) {
        terms.scope = &terms.policy->fallback;
        const oci::Reference nameless{"docker.io", "library/<none>", {}, image.id};
        TRY(trust::admit(*terms.scope, nameless));
        return verify_kept(terms, nameless, {});
    }
    std::vector<Error> errors;
    for (const oci::Reference& reference : references) {
        terms.scope = &terms.policy->scope_of(reference);
        auto verified = trust::admit(*terms.scope, reference);
        const auto target = store.images().target_of(stored_name(reference));
        if (verified)
            verified = verify_kept(terms, reference,
                                   digests_of(image, reference.name(), target.value_or("")));
        if (verified) return {};
        errors.push_back(std::move(verified).error());
    }
    return all_failed(errors);
}

Result<Vouchers> Images::vouch_for_artifact(const oci::Reference& name,
                                            registry::Repository& repository,
                                            const std::string& digest) {
    const Terms terms = TRY(impl_->terms_for(name));
    return impl_->vouch(terms, name, repository, {digest});
}

Result<void> Images::check_artifact(const oci::Reference& name, const std::string& digest) const {
    const Terms terms = TRY(impl_->terms_for(name));
    return impl_->verify_kept(terms, name, {digest});
}

Result<ImageForContainer> Images::resolve(const std::string& name,
                                          const std::string& platform) const {
    auto found = TRY(look_up(name, platform));
    const auto image = TRY(impl_->store.images().get(found.id));
    TRY(impl_->check_pin(name, image));
    TRY(impl_->check_trust(name, image));
    return found;
}

Result<api::ImageSignatures> Images::signatures(const std::string& name, const std::string& auth,
                                                const Cancel& cancel) const {
    const auto reference = TRY(oci::parse_reference(name));
    const auto repository = TRY(open_repository(impl_->registries, reference, auth, cancel));
    api::ImageSignatures out{.reference = reference.to_string(), .digest = {}, .signatures = {}};
    out.digest = TRY(registry::describe(*repository, reference)).descriptor.digest;
    for (const auto& one : TRY(registry::fetch_signatures(*repository, out.digest)))
        out.signatures.push_back({to_base64(one.payload), to_base64(one.signature)});
    return out;
}

Result<void> Images::add_signature(const std::string& name, const api::AddSignatureRequest& added,
                                   const std::string& auth, const Cancel& cancel) {
    const auto reference = TRY(oci::parse_reference(name));
    auto payload = from_base64(added.signature.payload);
    auto bytes = from_base64(added.signature.signature);
    if (!payload || !bytes || added.signature.signature.size() > trust::kMaxSignature)
        return fail(Code::InvalidArgument, "invalid signature: no base64, or too long");
    const auto claim = TRY(trust::parse_payload(*payload));
    const auto claimed = TRY(oci::parse_reference_as_given(claim.reference));
    if (claim.digest != added.digest || claimed.name() != reference.name())
        return fail(Code::InvalidArgument, "the payload is about {} of {}, not {} of {}",
                    claim.digest, claimed.name(), added.digest, reference.name());
    const auto repository = TRY(open_repository(impl_->registries, reference, auth, cancel));
    return registry::add_signature(*repository, added.digest,
                                   {*std::move(payload), *std::move(bytes)});
}

}  // namespace coffer::engine
