#pragma once
// Images of the Engine API 1.50, and the messages of pull, push, load and build. Plain data. A
// member is the snake case of its wire name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/config.hpp"
#include "api/container.hpp"
#include "json/codec.hpp"
#include "oci/image_spec.hpp"

namespace coffer::api {

struct ManifestSize {
    std::int64_t content = 0;  // blobs that are here
    std::int64_t total = 0;    // and what was unpacked of them
};
struct UnpackedSize {
    std::int64_t unpacked = 0;
};
struct ManifestImageData {
    oci::Platform platform;
    Strings containers;
    UnpackedSize size;
};
struct ManifestAttestationData {
    std::string attested;  // digest of an image's manifest
};
// One manifest of what a name stands for: of a platform, or an attestation.
struct ManifestSummary {
    std::string id;  // digest
    oci::Descriptor descriptor;
    bool available = false;  // with all that it names
    std::string kind;        // image, attestation, unknown
    ManifestSize size;
    std::optional<ManifestImageData> image_data;
    std::optional<ManifestAttestationData> attestation_data;
};

// An in-toto statement about an image.
struct AttestationStatement {
    oci::Descriptor descriptor;
    std::string predicate_type;
    json::Value statement;  // null unless asked for
};

struct ImageSummary {
    std::int64_t containers = -1;  // not counted
    std::int64_t created = 0;      // seconds
    std::string id;
    StringMap labels;
    std::string parent_id;
    Strings repo_digests;
    Strings repo_tags;
    std::int64_t shared_size = -1;  // not computed
    std::int64_t size = 0;
    std::optional<std::int64_t> virtual_size;  // below 1.44: the size again
    // Both only when asked for.
    std::optional<oci::Descriptor> descriptor;  // of the index or manifest
    std::optional<std::vector<ManifestSummary>> manifests;
    std::optional<std::string> last_used_at;  // our own; only when asked for
};

// What a container of the image runs by default.
struct ImageConfig {
    bool args_escaped = false;
    std::optional<Strings> cmd;
    std::optional<Strings> entrypoint;
    Strings env;
    std::map<std::string, json::Empty> exposed_ports;
    std::optional<HealthConfig> healthcheck;
    StringMap labels;
    Strings on_build;
    Strings shell;
    std::string stop_signal;
    std::string user;
    std::map<std::string, json::Empty> volumes;
    std::string working_dir;
};

struct RootFs {
    std::string type;
    Strings layers;
};

struct ImageMetadata {
    std::string last_tag_time = std::string(kZeroTime);
};

struct ImageInspect {
    std::string id;
    Strings repo_tags;
    Strings repo_digests;
    std::string parent;
    std::string comment;
    std::string created;
    std::string docker_version;
    std::string author;
    ImageConfig config;
    std::string architecture;
    std::string variant;
    std::string os;
    std::string os_version;
    std::int64_t size = 0;
    std::optional<std::int64_t> virtual_size;  // below 1.44: the size again
    GraphDriver graph_driver;
    RootFs root_fs;
    ImageMetadata metadata;
    // Both only when asked for.
    std::optional<oci::Descriptor> descriptor;  // of the index or manifest
    std::optional<std::vector<ManifestSummary>> manifests;
};

struct HistoryItem {
    std::string comment;
    std::int64_t created = 0;  // seconds
    std::string created_by;
    std::string id;
    std::int64_t size = 0;
    Strings tags;
};

// Our own: a layer, and the names of the images whose topmost it is (the id of one without).
struct ImageLayer {
    std::string chain_id;
    std::string diff_id;
    std::string parent;  // chain id; empty for the lowest
    std::int64_t size = 0;
    Strings images;
};

// Our own: an image on the host.
struct ImageMount {
    std::string image;  // id
    Strings repo_tags;
    std::string path;
};

struct ImageDeleteItem {  // one of the two
    std::string deleted;
    std::string untagged;
};

struct ImagesPruneReport {
    std::vector<ImageDeleteItem> images_deleted;
    std::uint64_t space_reclaimed = 0;
};

struct ImageSearchResult {
    std::int64_t star_count = 0;
    bool is_official = false;
    std::string name;
    bool is_automated = false;
    std::string description;
};

// What a registry has under a name.
struct DistributionInspect {
    oci::Descriptor descriptor;
    std::vector<oci::Platform> platforms;
};

struct ProgressDetail {
    std::int64_t current = 0;
    std::int64_t total = 0;
    std::int64_t start = 0;
    bool hide_counts = false;
    std::string units;
};

struct ErrorDetail {
    std::int64_t code = 0;
    std::string message;
};

// One line of a progress stream.
struct ProgressMessage {
    std::string stream;
    std::string status;
    std::optional<ProgressDetail> progress_detail;
    std::string progress;
    std::string id;
    std::optional<ErrorDetail> error_detail;
    std::string error;
    json::Value aux;
};

struct AuthConfig {
    std::string username;
    std::string password;
    std::string auth;
    std::string email;
    std::string serveraddress;
    std::string identitytoken;
    std::string registrytoken;
};

struct AuthResponse {
    std::string identity_token;
    std::string status;
};

void describe(json::Fields& f, const ManifestSummary& s);
void describe(json::Fields& f, const ManifestSize& s);
void describe(json::Fields& f, const ManifestImageData& s);
void describe(json::Fields& f, const UnpackedSize& s);
void describe(json::Fields& f, const ManifestAttestationData& s);
void describe(json::Fields& f, const AttestationStatement& s);
void describe(json::Fields& f, const ImageSummary& s);
void describe(json::Fields& f, const ImageConfig& s);
void describe(json::Fields& f, const RootFs& s);
void describe(json::Fields& f, const ImageMetadata& s);
void describe(json::Fields& f, const ImageInspect& s);
void describe(json::Fields& f, const HistoryItem& s);
void describe(json::Fields& f, const ImageLayer& s);
void describe(json::Fields& f, const ImageMount& s);
void describe(json::Fields& f, const ImageDeleteItem& s);
void describe(json::Fields& f, const ImagesPruneReport& s);
void describe(json::Fields& f, const ImageSearchResult& s);
void describe(json::Fields& f, const DistributionInspect& s);
void describe(json::Fields& f, const ProgressDetail& s);
void describe(json::Fields& f, const ErrorDetail& s);
void describe(json::Fields& f, const ProgressMessage& s);
void describe(json::Fields& f, const AuthConfig& s);
void describe(json::Fields& f, const AuthResponse& s);

}  // namespace coffer::api
