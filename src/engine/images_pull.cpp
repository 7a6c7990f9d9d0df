#include <algorithm>

#include "base/log.hpp"
#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

std::string_view words_of(registry::LayerStep step) {
    using registry::LayerStep;
    switch (step) {
        case LayerStep::AlreadyExists:
            return "Already exists";
        case LayerStep::PullingFsLayer:
            return "Pulling fs layer";
        case LayerStep::Waiting:
            return "Waiting";
        case LayerStep::Downloading:
            return "Downloading";
        case LayerStep::VerifyingChecksum:
            return "Verifying Checksum";
        case LayerStep::DownloadComplete:
            return "Download complete";
        case LayerStep::Extracting:
            return "Extracting";
        case LayerStep::PullComplete:
            return "Pull complete";
    }
    return {};
}

// docker's reading of fromImage and tag; an empty tag and digest stand for all tags.
Result<oci::Reference> reference_to_pull(const PullOptions& options) {
    std::string image = options.image;
    if (image.ends_with(':')) image.pop_back();
    auto reference = TRY(oci::parse_reference_as_given(image));
    if (is_digest(options.tag)) {
        reference.tag.clear();
        reference.digest = options.tag;
    } else if (!options.tag.empty()) {
        if (!oci::is_tag(options.tag)) return fail(Code::InvalidArgument, "invalid tag format");
        reference.tag = options.tag;
    }
    if (reference.familiar_name() == "scratch")
        return fail(Code::InvalidArgument, "'scratch' is a reserved name");
    return reference;
}

// What a registry refuses is no fault of the request that the client could mend by logging in to
// us: docker answers 500, and clients take other codes for their own.
Error as_docker_reports(Error error) {
    if (error.code != Code::NotFound && error.code != Code::InvalidArgument &&
        error.code != Code::Cancelled)
        error.code = Code::Internal;
    return error;
}

}  // namespace

api::ProgressMessage message_of(const registry::LayerUpdate& update) {
    auto message = progress_message(std::string(words_of(update.step)), short_id(update.digest));
    message.progress_detail.emplace();
    message.progress_detail->current = static_cast<std::int64_t>(update.current);
    message.progress_detail->total = static_cast<std::int64_t>(update.total);
    message.progress = progress_bar(update.current, update.total);
    return message;
}

api::ProgressMessage progress_message(std::string status, std::string id) {
    api::ProgressMessage message;
    message.status = std::move(status);
    message.id = std::move(id);
    return message;
}

bool Images::Impl::is_whole(const store::ImageRecord& image) const {
    return std::all_of(image.blobs.begin(), image.blobs.end(), [&](const store::ImageBlob& blob) {
        return store.content().has(blob.digest);
    });
}

// Whether an image that is here already is what the registry has for a reference and a platform:
// then its digest there, otherwise an empty text.
Result<std::string> Images::Impl::find_up_to_date(const oci::Reference& reference,
                                                  registry::Repository& repository,
                                                  const oci::Platform& platform) {
    const auto id = store.images().find_reference(stored_name(reference));
    if (!id) return std::string();
    const auto image = store.images().get(*id);
    if (!image || !is_whole(*image)) return std::string();
    const auto known = info(*id);
    if (!known || oci::match_platform(platform, oci::platform_of((*known)->config)) == 0)
        return std::string();
    std::string digest = TRY(registry::resolve_digest(repository, reference));
    if (digest.empty()) return digest;
    const auto same = store.images().find_reference(reference.name() + "@" + digest);
    return same == id ? digest : std::string();
}

Result<Pulled> Images::Impl::pull_one(const oci::Reference& reference, const oci::Reference& used,
                                      registry::Repository& repository,
                                      const oci::Platform& platform, bool platform_given,
                                      const ImageProgress& progress, const Cancel& cancel) {
    const Terms terms = TRY(terms_for(used));
    if (auto digest = TRY(find_up_to_date(reference, repository, platform)); !digest.empty()) {
        const auto vouchers = TRY(vouch_here(terms, used, repository, digest));
        TRY(keep(vouchers));
        progress(
            progress_message("Pulling from " + reference.path, std::string(reference.object())));
        progress(progress_message("Digest: " + digest));
        if (const auto id = store.images().find_reference(stored_name(reference)))
            uses.lock()->insert_or_assign(*id, now());
        return Pulled{std::move(digest)};
    }
    const auto plan = TRY(registry::resolve(repository, reference, platform));
    std::vector<std::string> digests = {plan.digest};
    if (plan.documents.size() > 1) digests.push_back(plan.documents.back().digest);
    const auto vouchers = TRY(vouch(terms, used, repository, digests));
    // Until it has its name.
    const auto lease = store.lease();
    lease->blob(plan.manifest.config.digest);
    progress(progress_message("Pulling from " + reference.path, std::string(reference.object())));
    std::string id = plan.manifest.config.digest;
    auto known = store.images().get(id);
    const auto has = [&](const std::string& digest) {
        return std::any_of(known->blobs.begin(), known->blobs.end(),
                           [&](const auto& blob) { return blob.digest == digest; });
    };
    // The image is here, but not that it is of this index. One that came without its manifest (from
    // a docker-archive) stays as it is.
    const bool other_index = known && has(plan.documents.back().digest) && !has(plan.digest);
    const bool is_new = !known;
    if (is_new || other_index || !is_whole(*known)) {
        // Messages come from several threads, one at a time.
        Sync<bool> sending;
        const auto on_layer = [&](const registry::LayerUpdate& update) {
            const auto turn = sending.lock();
            progress(message_of(update));
        };
        id = TRY(registry::fetch_image(repository, {store, in_flight}, plan, on_layer, cancel));
        known = TRY(store.images().get(id));
    }
    const std::string target = has(plan.digest) ? plan.digest : std::string();
    progress(progress_message("Digest: " + plan.digest));
    const std::string by_digest = reference.name() + "@" + plan.digest;
    bool changed = is_new || !store.images().find_reference(by_digest);
    {
        const std::scoped_lock lock(changing);
        const std::string chosen = target.empty() ? id : TRY(choose_locked(target, id));
        TRY(store.images().add_digest(by_digest, chosen));
        TRY(keep(vouchers));
    }
    uses.lock()->insert_or_assign(id, now());
    if (reference.digest.empty()) changed = TRY(set_tag(reference, id, target)) || is_new;
    const auto info_of_image = TRY(info(id));
    const auto actual = oci::platform_of(info_of_image->config);
    if (platform_given && oci::match_platform(platform, actual) == 0)
        progress(progress_message(
            format("WARNING: image with reference {} was found but its platform "
                   "({}) does not match the specified platform ({})",
                   reference.familiar_string(), oci::to_string(actual), oci::to_string(platform))));
    return Pulled{plan.digest, changed};
}

// A pinned tag stands for its digest, whatever it means at the registry by now.
Result<bool> Images::Impl::pull_pinned(const oci::Reference& reference,
                                       registry::Repository& repository,
                                       const oci::Platform& platform, const PullOptions& options,
                                       const ImageProgress& progress, const Cancel& cancel) {
    const bool platform_given = !options.platform.empty();
    const auto pin = TRY(pin_of(reference));
    oci::Reference pulled = reference;
    if (pin && !options.move_pin) {
        TRY(warn_of_moved(reference, *pin, repository, progress));
        pulled.digest = *pin;
    }
    const auto done =
        TRY(pull_one(pulled, reference, repository, platform, platform_given, progress, cancel));
    if (!pin) return done.changed;
    if (options.move_pin) {
        TRY(store.pins().put({reference.to_string(), done.digest}));
        return done.changed;
    }
    const auto image = TRY(find_record(stored_name(pulled)));
    const bool has = find_document(image, *pin) != nullptr;
    const bool tagged = TRY(set_tag(reference, image.id, has ? *pin : std::string()));
    return done.changed || tagged;
}

Result<void> Images::pull(const PullOptions& options, const ImageProgress& progress,
                          const Cancel& cancel) {
    const auto wanted = TRY(reference_to_pull(options));
    const auto platform = options.platform.empty() ? oci::host_platform()
                                                   : TRY(oci::parse_platform(options.platform));
    const auto repository = TRY(open_repository(impl_->registries, wanted, options.auth, cancel));
    std::vector<oci::Reference> references = {wanted};
    if (wanted.object().empty()) {
        auto tags = registry::list_tags(*repository, wanted);
        if (!tags) return fail(as_docker_reports(std::move(tags).error()));
        references.clear();
        for (const auto& tag : *tags) {
            references.push_back(wanted);
            references.back().tag = tag;
        }
    }
    bool changed = false;
    for (const auto& reference : references) {
        const auto done =
            impl_->pull_pinned(reference, *repository, platform, options, progress, cancel);
        if (!done) return fail(as_docker_reports(done.error()));
        changed = changed || *done;
    }
    const std::string name = wanted.familiar_string();
    progress(progress_message(changed ? "Status: Downloaded newer image for " + name
                                      : "Status: Image is up to date for " + name));
    const auto id = impl_->find(references.empty() ? name : references.back().to_string());
    impl_->publish("pull", name, wanted.familiar_name(), id ? *id : std::string());
    impl_->tell_growth();
    return {};
}

}  // namespace coffer::engine
