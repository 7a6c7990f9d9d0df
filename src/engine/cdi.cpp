#include "engine/cdi.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/log.hpp"
#include "sys/file.hpp"
#include "yaml/parse.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kLargestSpec = 4U << 20U;
// Those that the shim runs.
constexpr std::array<std::string_view, 4> kHooks{"prestart", "createRuntime", "createContainer",
                                                 "startContainer"};
constexpr std::string_view kGpuKinds[] = {"nvidia.com/gpu", "amd.com/gpu"};

// By its full name, with the edits of its specification and of its own.
struct Device {
    oci::CdiEdits of_all;
    oci::CdiEdits own;
    std::string file;
};
using Devices = std::map<std::string, Device>;

template <class T>
void append(std::vector<T>& all, const std::vector<T>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

Result<oci::CdiSpec> read_spec(const std::string& path, bool is_yaml) {
    const auto text = TRY(sys::read_regular_file(AT_FDCWD, path, kLargestSpec));
    return oci::parse_cdi(TRY(is_yaml ? yaml::parse(text) : json::parse(text)));
}

Devices find_devices(const CdiFolders& folders) {
    Devices found;
    for (const std::string& folder : folders) {
        auto names = sys::list_dir(folder);
        if (!names) continue;  // it need not exist
        std::sort(names->begin(), names->end());
        for (const std::string& name : *names) {
            const std::string path = folder + "/" + name;
            const bool is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
            if (!is_yaml && !name.ends_with(".json")) continue;
            auto spec = read_spec(path, is_yaml);
            if (!spec) {
                LOG_WARN("CDI specification '{}': {}", path, spec.error().message);
                continue;
            }
            for (oci::CdiDevice& device : spec->devices) {
                found[spec->kind + "=" + device.name] = {spec->edits, std::move(device.edits),
                                                         path};
            }
        }
    }
    return found;
}

void add(oci::CdiEdits& all, const oci::CdiEdits& more) {
    append(all.env, more.env);
    append(all.device_nodes, more.device_nodes);
    append(all.mounts, more.mounts);
    append(all.additional_gids, more.additional_gids);
    append(all.hooks, more.hooks);
}

// A hook runs as root of the host.
bool is_roots_own(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && status.st_uid == 0 &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Result<void> check_hooks(const std::string& file, const std::vector<oci::CdiHook>& hooks) {
    if (hooks.empty()) return {};
    for (const std::string& path : {file, file.substr(0, file.rfind('/'))}) {
        if (!is_roots_own(path))
            return fail(Code::Forbidden, "hooks are run for '{}' only if '{}' is root's alone",
                        file, path);
    }
    for (const oci::CdiHook& hook : hooks) {
        if (std::find(kHooks.begin(), kHooks.end(), hook.name) == kHooks.end())
            return fail(Code::NotImplemented, "its specification '{}' asks for a {} hook", file,
                        hook.name);
    }
    return {};
}

Result<void> check(const std::string& name, const Device& device) {
    for (const oci::CdiEdits* edits : {&device.of_all, &device.own}) {
        TRY_CONTEXT(check_hooks(device.file, edits->hooks), "CDI device injection failed: {}",
                    name);
        const char* wanted = !edits->net_devices.empty() ? "network devices"
                             : edits->intel_rdt          ? "intelRdt"
                                                         : nullptr;
        if (wanted == nullptr) continue;
        return fail(Code::NotImplemented,
                    "CDI device injection failed: {}: its specification '{}' asks for {}", name,
                    device.file, wanted);
    }
    return {};
}

std::string capabilities_text(const api::DeviceRequest& request) {
    std::vector<std::string> sets;
    sets.reserve(request.capabilities.size());
    for (const auto& set : request.capabilities) sets.push_back("[" + join(set, " ") + "]");
    return "[" + join(sets, " ") + "]";
}

Result<std::vector<std::string>> gpus(const api::DeviceRequest& request, const Devices& found) {
    const bool is_gpu = std::any_of(
        request.capabilities.begin(), request.capabilities.end(),
        [](const auto& set) { return std::find(set.begin(), set.end(), "gpu") != set.end(); });
    for (const std::string_view kind : kGpuKinds) {
        const std::string_view vendor = kind.substr(0, kind.find('.'));
        if (!is_gpu || (!request.driver.empty() && request.driver != vendor)) continue;
        const std::string prefix = std::string(kind) + "=";
        std::vector<std::string> names;
        for (auto device = found.lower_bound(prefix);
             device != found.end() && device->first.starts_with(prefix); ++device) {
            if (device->first != prefix + "all") names.push_back(device->first);
        }
        if (names.empty()) continue;
        if (!request.device_ids.empty()) {
            names.clear();
            for (const std::string& id : request.device_ids) names.push_back(prefix + id);
        } else if (request.count >= 0) {
            if (static_cast<std::size_t>(request.count) > names.size()) {
                return fail(Code::InvalidArgument, "{} devices of {} are asked for, there are {}",
                            request.count, kind, names.size());
            }
            names.resize(static_cast<std::size_t>(request.count));
        }
        return names;
    }
    return fail(Code::InvalidArgument,
                "could not select device driver \"{}\" with capabilities: {}", request.driver,
                capabilities_text(request));
}

}  // namespace

Result<std::vector<std::string>> cdi_names(const std::vector<api::DeviceRequest>& requests,
                                           const CdiFolders& folders) {
    std::vector<std::string> names;
    if (requests.empty()) return names;
    const Devices found = find_devices(folders);
    for (const api::DeviceRequest& request : requests) {
        for (const auto& [option, value] : request.options) {
            return fail(Code::InvalidArgument, "device request option '{}' is not supported",
                        option);
        }
        if (request.driver != "cdi") {
            append(names, TRY(gpus(request, found)));
            continue;
        }
        if (request.count != 0) {
            return fail(Code::InvalidArgument,
                        "device requests of driver cdi are by DeviceIDs, not by Count");
        }
        for (const std::string& name : request.device_ids) {
            TRY_CONTEXT(oci::parse_cdi_name(name), "CDI device injection failed");
            names.push_back(name);
        }
    }
    return names;
}

Result<oci::CdiEdits> cdi_edits(const std::vector<std::string>& names, const CdiFolders& folders) {
    oci::CdiEdits all;
    if (names.empty()) return all;
    const Devices found = find_devices(folders);
    std::vector<std::string> files;
    for (const std::string& name : names) {
        const auto device = found.find(name);
        if (device == found.end()) {
            return fail(Code::InvalidArgument,
                        "CDI device injection failed: unresolvable CDI devices {}", name);
        }
        TRY(check(name, device->second));
        const bool is_first =
            std::find(files.begin(), files.end(), device->second.file) == files.end();
        if (is_first) add(all, device->second.of_all);
        files.push_back(device->second.file);
        add(all, device->second.own);
    }
    return all;
}

std::vector<std::string> cdi_devices(const CdiFolders& folders) {
    std::vector<std::string> names;
    for (const auto& [name, device] : find_devices(folders)) names.push_back(name);
    return names;
}

}  // namespace coffer::engine
