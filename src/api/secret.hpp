#pragma once
// Secrets and configs of the Engine API 1.50. Plain data. A member is the snake case of its wire
// name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "json/codec.hpp"

namespace coffer::api {

struct SecretSpec {
    std::string name;
    std::map<std::string, std::string> labels;
    std::optional<std::string> data;  // base64
    json::Value driver;
    json::Value templating;
};

struct SecretVersion {
    std::uint64_t index = 0;
};

// A secret, or a config.
struct Secret {
    std::string id;
    SecretVersion version;
    std::string created_at;
    std::string updated_at;
    SecretSpec spec;
};

struct SecretCreated {
    std::string id;
};

void describe(json::Fields& f, const SecretSpec& s);
void describe(json::Fields& f, const SecretVersion& s);
void describe(json::Fields& f, const Secret& s);
void describe(json::Fields& f, const SecretCreated& s);

}  // namespace coffer::api
