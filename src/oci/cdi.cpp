#include "oci/cdi.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace coffer::oci {

// Found by the codec through their namespace; the wire is nobody else's business.
static void describe(json::Fields& f, const CdiDeviceNode& s) {
    f("path", s.path);
    f("hostPath", s.host_path);
    f("type", s.type);
    f("major", s.major);
    f("minor", s.minor);
    f("fileMode", s.file_mode);
    f("permissions", s.permissions);
    f("uid", s.uid);
    f("gid", s.gid);
}
static void describe(json::Fields& f, const CdiMount& s) {
    f("hostPath", s.host_path);
    f("containerPath", s.container_path);
    f("type", s.type);
    f("options", s.options);
}
static void describe(json::Fields& f, const CdiHook& s) {
    f("hookName", s.name);
    f("path", s.path);
    f("args", s.args);
    f("env", s.env);
    f("timeout", s.timeout);
}
static void describe(json::Fields& f, const CdiEdits& s) {
    f("env", s.env);
    f("deviceNodes", s.device_nodes);
    f("mounts", s.mounts);
    f("additionalGids", s.additional_gids);
    f("hooks", s.hooks);
    f("netDevices", s.net_devices);
    f("intelRdt", s.intel_rdt);
}
static void describe(json::Fields& f, const CdiDevice& s) {
    f("name", s.name);
    f("containerEdits", s.edits);
}
static void describe(json::Fields& f, const CdiSpec& s) {
    f("cdiVersion", s.version);
    f("kind", s.kind);
    f("devices", s.devices);
    f("containerEdits", s.edits);
}

namespace {

bool is_word(std::string_view word, std::string_view also) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               also.find(c) != std::string_view::npos;
    });
}

bool is_kind(std::string_view text) {
    const auto sides = cut(text, "/");
    return sides && is_word(sides->first, "_-.") && is_word(sides->second, "_-.");
}

}  // namespace

Result<CdiSpec> parse_cdi(const json::Value& document) {
    auto spec = TRY(json::decode_value<CdiSpec>(document));
    if (!is_kind(spec.kind)) {
        return fail(Code::InvalidArgument, "kind '{}' is not VENDOR/CLASS", spec.kind);
    }
    for (const CdiDevice& device : spec.devices) {
        if (is_word(device.name, "_-.:")) continue;
        return fail(Code::InvalidArgument, "invalid device name '{}'", device.name);
    }
    return spec;
}

Result<CdiName> parse_cdi_name(std::string_view text) {
    const auto sides = cut(text, "=");
    if (!sides || !is_kind(sides->first) || !is_word(sides->second, "_-.:")) {
        return fail(Code::InvalidArgument, "'{}' is not VENDOR/CLASS=DEVICE", text);
    }
    return CdiName{std::string(sides->first), std::string(sides->second)};
}

}  // namespace coffer::oci
