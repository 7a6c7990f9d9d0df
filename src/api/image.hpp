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

namespace coffer::api {

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
};

struct HistoryItem {
    std::string comment;
    std::int64_t created = 0;  // seconds
    std::string created_by;
    std::string id;
    std::int64_t size = 0;
    Strings tags;
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

void describe(json::Fields& f, const ImageSummary& s);
void describe(json::Fields& f, const ImageConfig& s);
void describe(json::Fields& f, const RootFs& s);
void describe(json::Fields& f, const ImageMetadata& s);
void describe(json::Fields& f, const ImageInspect& s);
void describe(json::Fields& f, const HistoryItem& s);
void describe(json::Fields& f, const ImageDeleteItem& s);
void describe(json::Fields& f, const ImagesPruneReport& s);
void describe(json::Fields& f, const ImageSearchResult& s);
void describe(json::Fields& f, const ProgressDetail& s);
void describe(json::Fields& f, const ErrorDetail& s);
void describe(json::Fields& f, const ProgressMessage& s);
void describe(json::Fields& f, const AuthConfig& s);
void describe(json::Fields& f, const AuthResponse& s);

}  // namespace coffer::api
