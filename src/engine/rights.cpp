#include <algorithm>

#include "engine/spec_builder.hpp"
#include "sys/cgroup.hpp"

namespace coffer::engine {

namespace {

// "key=value", "key:value" (docker's older form) or a bare key.
std::pair<std::string, std::string> split_option(std::string_view option) {
    const std::size_t at = option.find_first_of("=:");
    if (at == std::string_view::npos) return {std::string(option), ""};
    return {std::string(option.substr(0, at)), std::string(option.substr(at + 1))};
}

Result<void> apply_option(std::string_view option, Rights& rights) {
    const auto [key, value] = split_option(option);
    if (key == "no-new-privileges") {
        if (value.empty() || value == "true") {
            rights.no_new_privileges = true;
        } else if (value == "false") {
            rights.no_new_privileges = false;
        } else {
            return fail(Code::InvalidArgument, "invalid --security-opt 2: \"{}\"", option);
        }
    } else if (key == "seccomp") {
        rights.no_seccomp = value == "unconfined";
        rights.seccomp_profile = value == "unconfined" || value == "builtin" ? "" : value;
    } else if (key == "systempaths" && value == "unconfined") {
        rights.unmasked = true;
    } else if (key == "level") {
        // Applied before all others: it is the base they change.
    } else if (key == "apparmor") {
        rights.apparmor_profile = value;
    } else if (key == "label") {
        if (value != "disable") {
            return fail(Code::InvalidArgument,
                        "--security-opt {}: this engine has no SELinux support", option);
        }
    } else if (key == "writable-cgroups") {
        if (value != "true" && value != "false" && !value.empty())
            return fail(Code::InvalidArgument, "invalid --security-opt 2: \"{}\"", option);
        rights.writable_cgroups = value != "false";
    } else {
        return fail(Code::InvalidArgument, "invalid --security-opt 1: \"{}\"", option);
    }
    return {};
}

Result<std::vector<std::string>> capability_list(const std::vector<std::string>& names, bool& all) {
    std::vector<std::string> out;
    for (const std::string& name : names) {
        if (equals_ignoring_case(name, "ALL") || equals_ignoring_case(name, "CAP_ALL")) {
            all = true;
            continue;
        }
        const auto known = security::normalise_capability(name);
        if (!known) return fail(Code::InvalidArgument, "invalid capability: \"{}\"", name);
        out.push_back(*known);
    }
    return out;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

Result<Rights> rights_of(const api::HostConfig& host, security::Level engine_level) {
    Rights rights;
    rights.level = engine_level;
    for (const std::string& option : host.security_opt) {
        const auto [key, value] = split_option(option);
        if (key != "level") continue;
        const auto level = security::parse_level(value);
        if (!level) {
            return fail(Code::InvalidArgument, "invalid --security-opt level: \"{}\"", value);
        }
        rights.level = *level;
    }
    const security::Profile& profile = security::profile(rights.level);
    rights.no_new_privileges = profile.no_new_privileges;

    // Nothing of the host: the groups that it makes lie below its own.
    if (host.privileged && host.cgroupns_mode != "host" && sys::cgroup::host_layout().version == 2)
        rights.writable_cgroups = true;

    bool add_all = false;
    bool drop_all = false;
    const auto add = TRY(capability_list(host.cap_add, add_all));
    const auto drop = TRY(capability_list(host.cap_drop, drop_all));
    std::vector<std::string> base;
    if (host.privileged || add_all) {
        base = security::all_capabilities();
    } else if (!drop_all) {
        base = profile.capabilities;
    }
    for (const std::string& name : security::all_capabilities()) {
        const bool wanted = contains(base, name) || contains(add, name);
        if (wanted && !contains(drop, name)) rights.capabilities.push_back(name);
    }
    for (const std::string& option : host.security_opt) TRY(apply_option(option, rights));
    return rights;
}

}  // namespace coffer::engine
