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

api::ProgressMessage message_of(const registry::LayerUpdate& update) {
    auto message = progress_message(std::string(words_of(update.step)), short_id(update.digest));
    message.progress_detail.emplace();
    message.progress_detail->current = static_cast<std::int64_t>(update.current);
    message.progress_detail->total = static_cast<std::int64_t>(update.total);
    message.progress = progress_bar(update.current, update.total);
    return message;
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

api::ProgressMessage progress_message(std::string status, std::string id) {
    api::ProgressMessage message;
    message.status = std::move(status);
    message.id = std::move(id);
    return message;
}

registry::ClientOptions Images::Impl::client_options(const oci::Reference& reference,
                                                     const std::string& auth) const {
    return {.host = reference.domain,
            .credentials = registry::decode_auth_header(auth),
            .config = registry,
            .limits = {}};
}

const registry::Config& Images::registries() const {
    return impl_->registry;
}

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
                             .config = impl_->registry,
                             .limits = {}},
                            cancel);
    return api::LoginResponse{"Login Succeeded", TRY(client.log_in())};
}

Result<bool> Images::Impl::pull_one(const oci::Reference& reference, registry::Client& client,
                                    const oci::Platform& platform, bool platform_given,
                                    const ImageProgress& progress, const Cancel& cancel) {
    const auto plan = TRY(registry::resolve(client, reference, platform));
    progress(progress_message("Pulling from " + reference.path, std::string(reference.object())));
    std::string id = plan.manifest.config.digest;
    if (!store.images().get(id)) {
        // Messages come from several threads, one at a time.
        Sync<bool> sending;
        const auto on_layer = [&](const registry::LayerUpdate& update) {
            const auto turn = sending.lock();
            progress(message_of(update));
        };
        id = TRY(registry::fetch_image(client, {store, in_flight}, plan, on_layer, cancel));
    }
    progress(progress_message("Digest: " + plan.digest));
    const std::string by_digest = reference.name() + "@" + plan.digest;
    bool changed = !store.images().find_reference(by_digest);
    {
        const std::scoped_lock lock(changing);
        TRY(store.images().add_digest(by_digest, id));
    }
    if (reference.digest.empty()) changed = TRY(set_tag(reference, id));
    const auto info_of_image = TRY(info(id));
    const auto actual = oci::platform_of(info_of_image->config);
    if (platform_given && oci::match_platform(platform, actual) == 0)
        progress(progress_message(
            format("WARNING: image with reference {} was found but its platform "
                   "({}) does not match the specified platform ({})",
                   reference.familiar_string(), oci::to_string(actual), oci::to_string(platform))));
    return changed;
}

Result<void> Images::pull(const PullOptions& options, const ImageProgress& progress,
                          const Cancel& cancel) {
    const auto wanted = TRY(reference_to_pull(options));
    const auto platform = options.platform.empty() ? oci::host_platform()
                                                   : TRY(oci::parse_platform(options.platform));
    registry::Client client(impl_->client_options(wanted, options.auth), cancel);
    std::vector<oci::Reference> references = {wanted};
    if (wanted.object().empty()) {
        auto tags = registry::list_tags(client, wanted);
        if (!tags) return fail(as_docker_reports(std::move(tags).error()));
        references.clear();
        for (const auto& tag : *tags) {
            references.push_back(wanted);
            references.back().tag = tag;
        }
    }
    bool changed = false;
    for (const auto& reference : references) {
        const auto done = impl_->pull_one(reference, client, platform, !options.platform.empty(),
                                          progress, cancel);
        if (!done) return fail(as_docker_reports(done.error()));
        changed = changed || *done;
    }
    const std::string name = wanted.familiar_string();
    progress(progress_message(changed ? "Status: Downloaded newer image for " + name
                                      : "Status: Image is up to date for " + name));
    const auto id = impl_->find(references.empty() ? name : references.back().to_string());
    impl_->publish("pull", name, wanted.familiar_name(), id ? *id : std::string());
    return {};
}

}  // namespace coffer::engine
