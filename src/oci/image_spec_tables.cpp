#include "oci/image_spec.hpp"

namespace coffer::oci {

void describe(json::Fields& f, const Platform& s) {
    f("architecture", s.architecture);
    f("os", s.os);
    f("os.version", s.os_version, json::kOmitEmpty);
    f("os.features", s.os_features, json::kOmitEmpty);
    f("variant", s.variant, json::kOmitEmpty);
}

void describe(json::Fields& f, const Descriptor& s) {
    f("mediaType", s.media_type);
    f("digest", s.digest);
    f("size", s.size);
    f("urls", s.urls, json::kOmitEmpty);
    f("annotations", s.annotations, json::kOmitEmpty);
    f("data", s.data, json::kOmitEmpty);
    f("platform", s.platform, json::kOmitEmpty);
    f("artifactType", s.artifact_type, json::kOmitEmpty);
}

void describe(json::Fields& f, const Manifest& s) {
    f("schemaVersion", s.schema_version);
    f("mediaType", s.media_type, json::kOmitEmpty);
    f("artifactType", s.artifact_type, json::kOmitEmpty);
    f("config", s.config);
    f("layers", s.layers);
    f("subject", s.subject, json::kOmitEmpty);
    f("annotations", s.annotations, json::kOmitEmpty);
}

void describe(json::Fields& f, const Index& s) {
    f("schemaVersion", s.schema_version);
    f("mediaType", s.media_type, json::kOmitEmpty);
    f("artifactType", s.artifact_type, json::kOmitEmpty);
    f("manifests", s.manifests);
    f("subject", s.subject, json::kOmitEmpty);
    f("annotations", s.annotations, json::kOmitEmpty);
}

void describe(json::Fields& f, const Healthcheck& s) {
    f("Test", s.test, json::kOmitEmpty);
    f("Interval", s.interval, json::kOmitEmpty);
    f("Timeout", s.timeout, json::kOmitEmpty);
    f("StartPeriod", s.start_period, json::kOmitEmpty);
    f("StartInterval", s.start_interval, json::kOmitEmpty);
    f("Retries", s.retries, json::kOmitEmpty);
}

void describe(json::Fields& f, const RunConfig& s) {
    f("User", s.user, json::kOmitEmpty);
    f("ExposedPorts", s.exposed_ports, json::kOmitEmpty);
    f("Env", s.env, json::kOmitEmpty);
    f("Entrypoint", s.entrypoint, json::kOmitEmpty);
    f("Cmd", s.cmd, json::kOmitEmpty);
    f("Healthcheck", s.healthcheck, json::kOmitEmpty);
    f("ArgsEscaped", s.args_escaped, json::kOmitEmpty);
    f("Volumes", s.volumes, json::kOmitEmpty);
    f("WorkingDir", s.working_dir, json::kOmitEmpty);
    f("OnBuild", s.on_build, json::kOmitEmpty);
    f("Labels", s.labels, json::kOmitEmpty);
    f("StopSignal", s.stop_signal, json::kOmitEmpty);
    f("StopTimeout", s.stop_timeout, json::kOmitEmpty);
    f("Shell", s.shell, json::kOmitEmpty);
}

void describe(json::Fields& f, const RootFs& s) {
    f("type", s.type);
    f("diff_ids", s.diff_ids);
}

void describe(json::Fields& f, const History& s) {
    f("created", s.created, json::kOmitEmpty);
    f("created_by", s.created_by, json::kOmitEmpty);
    f("author", s.author, json::kOmitEmpty);
    f("comment", s.comment, json::kOmitEmpty);
    f("empty_layer", s.empty_layer, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImageConfig& s) {
    f("architecture", s.architecture);
    f("variant", s.variant, json::kOmitEmpty);
    f("os", s.os);
    f("os.version", s.os_version, json::kOmitEmpty);
    f("os.features", s.os_features, json::kOmitEmpty);
    f("created", s.created, json::kOmitEmpty);
    f("author", s.author, json::kOmitEmpty);
    f("config", s.config);
    f("rootfs", s.rootfs);
    f("history", s.history, json::kOmitEmpty);
}

}  // namespace coffer::oci
