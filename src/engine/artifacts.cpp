#include "engine/artifacts.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/time.hpp"
#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "registry/resolve.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kTitle = "org.opencontainers.image.title";
constexpr std::string_view kCreated = "org.opencontainers.image.created";
constexpr std::size_t kChunk = 256 * 1024;
constexpr std::size_t kShortestPrefix = 4;  // of a digest that is to find something

Failure no_such(const std::string& name) {
    return fail(Code::NotFound, "no such artifact: {}", name);
}

// A name of an artifact has a tag: nothing is kept for one without.
Result<oci::Reference> read_name(const std::string& name) {
    auto reference = TRY(oci::parse_reference(name));
    if (reference.tag.empty())
        return fail(Code::InvalidArgument, "{}: an artifact needs a tag", name);
    return reference;
}

std::string first_of(std::initializer_list<std::string> texts) {
    for (const std::string& text : texts) {
        if (!text.empty()) return text;
    }
    return {};
}

std::string title_of(const oci::Descriptor& layer) {
    const auto title = layer.annotations.find(std::string(kTitle));
    return title == layer.annotations.end() ? std::string() : title->second;
}

Result<void> check_new(const NewArtifact& artifact) {
    if (artifact.files.empty()) return fail(Code::InvalidArgument, "an artifact needs a file");
    if (artifact.there == NewArtifact::There::Append && !artifact.type.empty())
        return fail(Code::InvalidArgument, "the type of an artifact is not changed by appending");
    for (const ArtifactFile& file : artifact.files) {
        if (file.title.empty() || file.title == "." || file.title == ".." ||
            file.title.find('/') != std::string::npos)
            return fail(Code::InvalidArgument, "'{}' is no name of a file", file.title);
    }
    return {};
}

}  // namespace

void Artifacts::publish(const std::string& action, const std::string& name,
                        const std::string& digest) {
    events_.publish(
        {.type = "artifact", .action = action, .actor = digest, .attributes = {{"name", name}}});
}

Result<std::vector<Artifacts::Found>> Artifacts::all() const {
    const auto& manifests = store_.manifests();
    std::vector<Found> found;
    for (const std::string& repository : TRY(manifests.repositories(""))) {
        for (const std::string& tag : TRY(manifests.tags(repository))) {
            const auto digest = manifests.find_tag(repository, tag);
            if (!digest) continue;  // it has just gone
            const auto kept = TRY(manifests.find(repository, *digest));
            if (kept && oci::is_manifest_type(kept->media_type) && !kept->artifact_type.empty() &&
                !oci::is_config_type(kept->artifact_type))
                found.push_back({repository, tag, *digest});
        }
    }
    return found;
}

Result<Artifacts::Found> Artifacts::find(const std::string& name) const {
    const auto known = TRY(all());
    const auto reference = oci::parse_reference(name);
    const auto named = std::find_if(known.begin(), known.end(), [&](const Found& one) {
        return reference && one.repository == reference->name() &&
               (reference->tag.empty() || one.tag == reference->tag) &&
               (reference->digest.empty() || one.digest == reference->digest);
    });
    if (named != known.end()) return *named;
    const std::string_view prefix =
        name.starts_with("sha256:") ? std::string_view(name).substr(7) : std::string_view(name);
    const Found* found = nullptr;
    for (const Found& one : known) {
        if (prefix.size() < kShortestPrefix || !hex_of(one.digest).starts_with(prefix)) continue;
        if (found != nullptr && found->digest != one.digest)
            return fail(Code::Conflict, "several artifacts have a digest that begins with {}",
                        prefix);
        if (found == nullptr) found = &one;
    }
    if (found == nullptr) return no_such(reference ? reference->familiar_string() : name);
    return *found;
}

Result<api::Artifact> Artifacts::view(const Found& found) const {
    const std::string text = TRY(store_.content().read(found.digest));
    const auto manifest = TRY(oci::parse_manifest(text, ""));
    api::Artifact out;
    out.name = familiar(found.repository + ":" + found.tag);
    out.digest = found.digest;
    out.type = oci::artifact_type_of(manifest);
    for (const auto& layer : manifest.layers) out.size += layer.size;
    if (const auto created = manifest.annotations.find(std::string(kCreated));
        created != manifest.annotations.end())
        out.created = created->second;
    out.manifest = TRY(json::parse(text));
    return out;
}

Result<std::vector<api::Artifact>> Artifacts::list() const {
    std::vector<api::Artifact> out;
    for (const Found& one : TRY(all())) {
        auto viewed = view(one);
        if (viewed) {
            out.push_back(*std::move(viewed));
            out.back().manifest = {};
            continue;
        }
        // One that is damaged hides no other.
        api::Artifact damaged;
        damaged.name = familiar(one.repository + ":" + one.tag);
        damaged.digest = one.digest;
        damaged.error = std::move(viewed).error().message;
        out.push_back(std::move(damaged));
    }
    return out;
}

Result<api::Artifact> Artifacts::inspect(const std::string& name) const {
    return view(TRY(find(name)));
}

Result<Artifacts::Blob> Artifacts::open_blob(const std::string& name,
                                             const std::string& digest) const {
    const Found found = TRY(find(name));
    auto used = TRY(oci::parse_reference(found.repository + ":" + found.tag));
    if (const auto given = oci::parse_reference(name); given && given->name() == used.name())
        used.digest = given->digest;
    TRY(images_.check_artifact(used, found.digest));
    const std::string text = TRY(store_.content().read(found.digest));
    const auto manifest = TRY(oci::parse_manifest(text, ""));
    for (const auto& layer : manifest.layers) {
        if (layer.digest != digest) continue;
        return Blob{TRY(store_.content().open(digest)), static_cast<std::uint64_t>(layer.size)};
    }
    return fail(Code::NotFound, "artifact {} has no file {}", name, digest);
}

// What the manifest refers to is here, held by the lease.
Result<void> Artifacts::keep_locked(const oci::Reference& name, const std::string& media_type,
                                    const std::string& text, const Vouchers& vouchers,
                                    store::Lease& lease) {
    const auto manifest = TRY(oci::parse_manifest(text, media_type));
    const std::string digest = digest_of(text);
    const std::string repository = name.name();
    lease.blob(digest);
    TRY(store_.content().put(text));
    std::vector<store::KeptBlob> blobs;
    for (const auto& part : parts_of(manifest))
        blobs.push_back({part.digest, static_cast<std::uint64_t>(part.size)});
    if (store_.images().find_reference(repository + ":" + name.tag))
        return fail(Code::Conflict, "{}:{} is an image", name.familiar_name(), name.tag);
    TRY(store_.manifests().add({.repository = repository,
                                .digest = digest,
                                .media_type = media_type,
                                .artifact_type = oci::artifact_type_of(manifest),
                                .subject = manifest.subject ? manifest.subject->digest : "",
                                .size = text.size()},
                               blobs));
    if (!vouchers.digest.empty())
        TRY(store_.signatures().put(vouchers.digest, vouchers.signatures));
    return store_.manifests().move_tag(repository, name.tag, digest);
}

// A file that comes becomes a blob.
Result<std::string> Artifacts::take(const ArtifactFile& file, const ReadBytes& bytes,
                                    store::Lease& lease, const Cancel& cancel) const {
    auto writer = TRY(store_.content().create(file.size));
    std::string chunk(kChunk, '\0');
    while (writer.written() < file.size) {
        if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
        const auto wanted = std::min<std::uint64_t>(chunk.size(), file.size - writer.written());
        const std::size_t n = TRY(bytes(chunk.data(), static_cast<std::size_t>(wanted)));
        if (n == 0)
            return fail(Code::InvalidArgument, "file '{}' ends after {} of {} bytes", file.title,
                        writer.written(), file.size);
        TRY(writer.write(std::string_view(chunk).substr(0, n)));
    }
    std::string digest = TRY(writer.commit());
    lease.blob(digest);
    return digest;
}

Result<std::string> Artifacts::add(const NewArtifact& artifact, const ReadBytes& bytes,
                                   const Cancel& cancel) {
    TRY(check_new(artifact));
    const auto name = TRY(read_name(artifact.name));
    const auto lease = store_.lease();
    std::vector<oci::Descriptor> files;
    for (const ArtifactFile& file : artifact.files) {
        oci::Descriptor one;
        one.media_type =
            first_of({file.media_type, artifact.file_type, "application/octet-stream"});
        one.size = static_cast<std::int64_t>(file.size);
        one.annotations = artifact.annotations;
        one.annotations[std::string(kTitle)] = file.title;
        files.push_back(std::move(one));
    }
    // What cannot be is refused before anything is sent. Files may take long to come: meanwhile
    // others may append to it too.
    TRY(manifest_with(artifact, name, files, *lease));
    for (std::size_t i = 0; i < files.size(); ++i)
        files[i].digest = TRY(take(artifact.files[i], bytes, *lease, cancel));
    const std::scoped_lock lock(changing_);
    const auto manifest = TRY(manifest_with(artifact, name, files, *lease));
    if (manifest.config.media_type == oci::media_type::kEmpty) TRY(store_.content().put("{}"));
    const std::string text = json::encode(manifest);
    TRY(keep_locked(name, std::string(oci::media_type::kManifest), text, {}, *lease));
    std::string digest = digest_of(text);
    publish("add", name.familiar_string(), digest);
    return digest;
}

// What is there, or a new one, and the files.
Result<oci::Manifest> Artifacts::manifest_with(const NewArtifact& artifact,
                                               const oci::Reference& name,
                                               const std::vector<oci::Descriptor>& files,
                                               store::Lease& lease) const {
    oci::Manifest manifest;
    if (artifact.there == NewArtifact::There::Refuse &&
        store_.manifests().find_tag(name.name(), name.tag))
        return fail(Code::Conflict, "{}: artifact already exists", name.familiar_string());
    if (artifact.there == NewArtifact::There::Append) {
        const Found found = TRY(find(name.to_string()));
        const std::string text = TRY(store_.content().read(found.digest));
        manifest = TRY(oci::parse_manifest(text, ""));
        for (const auto& layer : manifest.layers) lease.blob(layer.digest);
    } else {
        manifest.media_type = oci::media_type::kManifest;
        manifest.artifact_type =
            artifact.type.empty() ? std::string(oci::media_type::kUnknownArtifact) : artifact.type;
        manifest.annotations[std::string(kCreated)] = to_rfc3339(now());
        manifest.config.media_type = oci::media_type::kEmpty;
        manifest.config.data = "e30=";  // {}
        manifest.config.size = 2;
        manifest.config.digest = digest_of("{}");
    }
    lease.blob(manifest.config.digest);
    for (const oci::Descriptor& file : files) {
        const std::string title = title_of(file);
        if (std::any_of(manifest.layers.begin(), manifest.layers.end(),
                        [&](const auto& layer) { return title_of(layer) == title; }))
            return fail(Code::Conflict, "{}: file: already exists", title);
        manifest.layers.push_back(file);
    }
    return manifest;
}

Result<api::ArtifactDeleteItem> Artifacts::remove(const std::string& name) {
    const std::scoped_lock lock(changing_);
    const Found found = TRY(find(name));
    TRY(store_.manifests().drop_tag(found.repository, found.tag));
    const auto left = TRY(store_.manifests().find(found.repository, found.digest));
    const std::string shown = familiar(found.repository + ":" + found.tag);
    publish("remove", shown, found.digest);
    return api::ArtifactDeleteItem{.untagged = shown, .deleted = left ? "" : found.digest};
}

}  // namespace coffer::engine
