#include "api/image.hpp"

namespace coffer::api {

void describe(json::Fields& f, const ManifestSize& s) {
    f("Content", s.content);
    f("Total", s.total);
}

void describe(json::Fields& f, const ManifestImageData& s) {
    f("Platform", s.platform);
    f("Containers", s.containers);
    f("Size", s.size);
}

void describe(json::Fields& f, const UnpackedSize& s) {
    f("Unpacked", s.unpacked);
}

void describe(json::Fields& f, const ManifestAttestationData& s) {
    f("For", s.attested);
}

void describe(json::Fields& f, const ManifestSummary& s) {
    f("ID", s.id);
    f("Descriptor", s.descriptor);
    f("Available", s.available);
    f("Size", s.size);
    f("Kind", s.kind);
    f("ImageData", s.image_data, json::kOmitEmpty);
    f("AttestationData", s.attestation_data, json::kOmitEmpty);
}

void describe(json::Fields& f, const AttestationStatement& s) {
    f("Descriptor", s.descriptor);
    f("PredicateType", s.predicate_type);
    f("Statement", s.statement, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImageSummary& s) {
    f("Containers", s.containers);
    f("Created", s.created);
    f("Id", s.id);
    f("Labels", s.labels, json::kNullIfEmpty);
    f("ParentId", s.parent_id);
    f("RepoDigests", s.repo_digests);
    f("RepoTags", s.repo_tags);
    f("SharedSize", s.shared_size);
    f("Size", s.size);
    f("VirtualSize", s.virtual_size, json::kOmitEmpty);
    f("Descriptor", s.descriptor, json::kOmitEmpty);
    f("Manifests", s.manifests, json::kOmitEmpty);
    f("LastUsedAt", s.last_used_at, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImageConfig& s) {
    f("ArgsEscaped", s.args_escaped, json::kOmitEmpty);
    f("Cmd", s.cmd, json::kNullIfEmpty);
    f("Entrypoint", s.entrypoint, json::kNullIfEmpty);
    f("Env", s.env);
    f("ExposedPorts", s.exposed_ports, json::kOmitEmpty);
    f("Healthcheck", s.healthcheck, json::kOmitEmpty);
    f("Labels", s.labels, json::kNullIfEmpty);
    f("OnBuild", s.on_build, json::kNullIfEmpty);
    f("Shell", s.shell, json::kOmitEmpty);
    f("StopSignal", s.stop_signal, json::kOmitEmpty);
    f("User", s.user);
    f("Volumes", s.volumes, json::kNullIfEmpty);
    f("WorkingDir", s.working_dir);
}

void describe(json::Fields& f, const RootFs& s) {
    f("Type", s.type);
    f("Layers", s.layers, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImageMetadata& s) {
    f("LastTagTime", s.last_tag_time);
}

void describe(json::Fields& f, const ImageInspect& s) {
    f("Id", s.id);
    f("RepoTags", s.repo_tags);
    f("RepoDigests", s.repo_digests);
    f("Parent", s.parent);
    f("Comment", s.comment);
    f("Created", s.created, json::kOmitEmpty);
    f("DockerVersion", s.docker_version);
    f("Author", s.author);
    f("Config", s.config);
    f("Architecture", s.architecture);
    f("Variant", s.variant, json::kOmitEmpty);
    f("Os", s.os);
    f("OsVersion", s.os_version, json::kOmitEmpty);
    f("Size", s.size);
    f("VirtualSize", s.virtual_size, json::kOmitEmpty);
    f("GraphDriver", s.graph_driver);
    f("RootFS", s.root_fs);
    f("Metadata", s.metadata);
    f("Descriptor", s.descriptor, json::kOmitEmpty);
    f("Manifests", s.manifests, json::kOmitEmpty);
}

void describe(json::Fields& f, const HistoryItem& s) {
    f("Comment", s.comment);
    f("Created", s.created);
    f("CreatedBy", s.created_by);
    f("Id", s.id);
    f("Size", s.size);
    f("Tags", s.tags, json::kNullIfEmpty);
}

void describe(json::Fields& f, const ImageLayer& s) {
    f("ChainId", s.chain_id);
    f("DiffId", s.diff_id);
    f("Parent", s.parent);
    f("Size", s.size);
    f("Images", s.images);
}

void describe(json::Fields& f, const ImageMount& s) {
    f("Image", s.image);
    f("RepoTags", s.repo_tags);
    f("Path", s.path);
}

void describe(json::Fields& f, const ImageDeleteItem& s) {
    f("Deleted", s.deleted, json::kOmitEmpty);
    f("Untagged", s.untagged, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImagesPruneReport& s) {
    f("ImagesDeleted", s.images_deleted, json::kNullIfEmpty);
    f("SpaceReclaimed", s.space_reclaimed);
}

void describe(json::Fields& f, const ImageSearchResult& s) {
    f("star_count", s.star_count);
    f("is_official", s.is_official);
    f("name", s.name);
    f("is_automated", s.is_automated);
    f("description", s.description);
}

void describe(json::Fields& f, const DistributionInspect& s) {
    f("Descriptor", s.descriptor);
    f("Platforms", s.platforms);
}

void describe(json::Fields& f, const ProgressDetail& s) {
    f("current", s.current, json::kOmitEmpty);
    f("total", s.total, json::kOmitEmpty);
    f("start", s.start, json::kOmitEmpty);
    f("hidecounts", s.hide_counts, json::kOmitEmpty);
    f("units", s.units, json::kOmitEmpty);
}

void describe(json::Fields& f, const ErrorDetail& s) {
    f("code", s.code, json::kOmitEmpty);
    f("message", s.message);
}

void describe(json::Fields& f, const ProgressMessage& s) {
    f("stream", s.stream, json::kOmitEmpty);
    f("status", s.status, json::kOmitEmpty);
    f("progressDetail", s.progress_detail, json::kOmitEmpty);
    f("progress", s.progress, json::kOmitEmpty);
    f("id", s.id, json::kOmitEmpty);
    f("errorDetail", s.error_detail, json::kOmitEmpty);
    f("error", s.error, json::kOmitEmpty);
    f("aux", s.aux, json::kOmitEmpty);
}

void describe(json::Fields& f, const AuthConfig& s) {
    f("username", s.username, json::kOmitEmpty);
    f("password", s.password, json::kOmitEmpty);
    f("auth", s.auth, json::kOmitEmpty);
    f("email", s.email, json::kOmitEmpty);
    f("serveraddress", s.serveraddress, json::kOmitEmpty);
    f("identitytoken", s.identitytoken, json::kOmitEmpty);
    f("registrytoken", s.registrytoken, json::kOmitEmpty);
}

void describe(json::Fields& f, const AuthResponse& s) {
    f("IdentityToken", s.identity_token);
    f("Status", s.status);
}

}  // namespace coffer::api
