#pragma once
// The Container Device Interface (CNCF, specs-go/config.go of version 1.0): what a vendor says has
// to be in a container for a device to work there. Plain data and its grammar.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::oci {

struct CdiDeviceNode {
    std::string path;       // in the container
    std::string host_path;  // empty: the same
    std::string type;       // "b", "c", "u", "p"; empty: as on the host
    std::optional<std::int64_t> major;
    std::optional<std::int64_t> minor;
    std::optional<std::uint32_t> file_mode;
    std::string permissions;  // "rwm"; empty: all
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
};

struct CdiMount {
    std::string host_path;
    std::string container_path;
    std::string type;
    std::vector<std::string> options;
};

struct CdiHook {
    std::string name;  // "createContainer", ...
    std::string path;
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::optional<std::int64_t> timeout;  // seconds
};

struct CdiEdits {
    std::vector<std::string> env;
    std::vector<CdiDeviceNode> device_nodes;
    std::vector<CdiMount> mounts;
    std::vector<std::uint32_t> additional_gids;
    std::vector<CdiHook> hooks;
    // Present or not is all we ask of these.
    std::vector<json::Empty> net_devices;
    std::optional<json::Empty> intel_rdt;
};

struct CdiDevice {
    std::string name;
    CdiEdits edits;
};

struct CdiSpec {
    std::string version;
    std::string kind;  // "vendor.com/class"
    std::vector<CdiDevice> devices;
    CdiEdits edits;  // of every container that gets one of the devices
};
Result<CdiSpec> parse_cdi(const json::Value& document);

// "vendor.com/class=name".
struct CdiName {
    std::string kind;
    std::string device;
};
Result<CdiName> parse_cdi_name(std::string_view text);

}  // namespace coffer::oci
