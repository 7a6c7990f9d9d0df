#pragma once
// Documents of the OCI image specification and of Docker's schema 2: manifest, index, image
// config. Plain data; the checked parsers refuse what could be read in two ways.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "json/codec.hpp"

namespace coffer::oci {

namespace media_type {
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kUnknownArtifact = "application/vnd.unknown.artifact.v1";
inline constexpr std::string_view kEmpty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerManifestList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerForeignLayer =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
}  // namespace media_type

bool is_manifest_type(std::string_view media_type);
bool is_index_type(std::string_view media_type);  // index or manifest list
bool is_config_type(std::string_view media_type);
bool is_layer_type(std::string_view media_type);
// A layer that registries need not have: its descriptor says where else it is.
bool is_foreign_layer_type(std::string_view media_type);

struct Platform {
    std::string architecture;
    std::string os;
    std::string os_version;
    std::vector<std::string> os_features;
    std::string variant;
    bool operator==(const Platform&) const = default;
};

// "linux/arm64/v8", "linux/amd64", "arm64" or "linux": what is not said is this machine's.
// The result is normalised.
Result<Platform> parse_platform(std::string_view text);
std::string to_string(const Platform& platform);  // linux/arm/v7
// x86_64 -> amd64, aarch64 -> arm64 without v8, arm -> arm/v7, armhf, i386 ...
Platform normalise(Platform platform);
Platform host_platform();
// Can an image for `image` run where `wanted` is asked for? An exact variant is best: the higher
// the score the better, 0 is no match. Below kSameArchitecture it is the processor's 32 bits.
inline constexpr int kSameArchitecture = 100;
int match_platform(const Platform& wanted, const Platform& image);

struct Descriptor {
    std::string media_type;
    std::string digest;
    std::int64_t size = 0;
    std::vector<std::string> urls;
    std::map<std::string, std::string> annotations;
    std::optional<std::string> data;  // base64 of the content
    std::optional<Platform> platform;
    std::string artifact_type;
};

struct Manifest {
    std::int32_t schema_version = 2;
    std::string media_type;
    std::string artifact_type;
    Descriptor config;
    std::vector<Descriptor> layers;
    std::optional<Descriptor> subject;
    std::map<std::string, std::string> annotations;
};

struct Index {
    std::int32_t schema_version = 2;
    std::string media_type;
    std::string artifact_type;
    std::vector<Descriptor> manifests;
    std::optional<Descriptor> subject;
    std::map<std::string, std::string> annotations;
};

// What a list of referrers says of a manifest.
std::string artifact_type_of(const Manifest& manifest);

// The digest of the manifest that an entry of an index is an attestation of (BuildKit's
// annotations); empty for other entries.
std::string attested_by(const Descriptor& entry);

struct Healthcheck {
    std::vector<std::string> test;
    std::int64_t interval = 0;  // nanoseconds, as all durations here
    std::int64_t timeout = 0;
    std::int64_t start_period = 0;
    std::int64_t start_interval = 0;
    std::int64_t retries = 0;
};

// The `config` of an image: what a container of it runs by default.
struct RunConfig {
    std::string user;
    std::map<std::string, json::Empty> exposed_ports;  // 80/tcp
    std::vector<std::string> env;
    std::optional<std::vector<std::string>> entrypoint;
    std::optional<std::vector<std::string>> cmd;
    std::optional<Healthcheck> healthcheck;
    bool args_escaped = false;
    std::map<std::string, json::Empty> volumes;
    std::string working_dir;
    std::vector<std::string> on_build;
    std::map<std::string, std::string> labels;
    std::string stop_signal;
    std::optional<std::int64_t> stop_timeout;
    std::vector<std::string> shell;
};

struct RootFs {
    std::string type = "layers";
    std::vector<std::string> diff_ids;
};

struct History {
    std::string created;
    std::string created_by;
    std::string author;
    std::string comment;
    bool empty_layer = false;
};

// The config blob; its digest is the image's id.
struct ImageConfig {
    std::string architecture;
    std::string variant;
    std::string os;
    std::string os_version;
    std::vector<std::string> os_features;
    std::string created;
    std::string author;
    RunConfig config;
    RootFs rootfs;
    std::vector<History> history;
};
Platform platform_of(const ImageConfig& config);

// Reads a document served as `content_type` (may carry parameters, may be empty when it is not
// known). Refused: a mediaType inside that says something else, a manifest that also has
// `manifests` (or `fsLayers`) and the reverse, any schemaVersion but 2, a missing or malformed
// digest, a negative size.
Result<Manifest> parse_manifest(std::string_view text, std::string_view content_type);
Result<Index> parse_index(std::string_view text, std::string_view content_type);
// Refused: no os or architecture, a rootfs that is not of layers, malformed diff ids.
Result<ImageConfig> parse_image_config(std::string_view text);
// Is the document an index (true) or a manifest (false)? Decided by `content_type`, then by its
// mediaType, then by which of the two lists it has; an error when none says.
Result<bool> is_index(std::string_view text, std::string_view content_type);

void describe(json::Fields& f, const Platform& s);
void describe(json::Fields& f, const Descriptor& s);
void describe(json::Fields& f, const Manifest& s);
void describe(json::Fields& f, const Index& s);
void describe(json::Fields& f, const Healthcheck& s);
void describe(json::Fields& f, const RunConfig& s);
void describe(json::Fields& f, const RootFs& s);
void describe(json::Fields& f, const History& s);
void describe(json::Fields& f, const ImageConfig& s);

}  // namespace coffer::oci
