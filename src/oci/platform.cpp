#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "oci/image_spec.hpp"

namespace coffer::oci {

namespace {

constexpr std::array<std::string_view, 6> kSystems = {"linux",   "windows", "darwin",
                                                      "freebsd", "netbsd",  "openbsd"};
constexpr std::array<std::string_view, 13> kArchitectures = {
    "386",    "amd64",    "arm",     "arm64",   "loong64", "mips", "mipsle",
    "mips64", "mips64le", "ppc64le", "riscv64", "s390x",   "wasm"};

bool is_component(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
    });
}

// 7 of "v7", 0 when it is no such number.
std::uint64_t variant_number(std::string_view variant) {
    if (!variant.starts_with('v')) return 0;
    return parse_uint(variant.substr(1)).value_or(0);
}

// The variant an empty one stands for after normalise().
std::uint64_t variant_level(const Platform& platform) {
    if (!platform.variant.empty()) return variant_number(platform.variant);
    if (platform.architecture == "amd64") return 1;
    if (platform.architecture == "arm64") return 8;
    return 0;
}

}  // namespace

Platform host_platform() {
#if defined(__x86_64__)
    return {
        .architecture = "amd64", .os = "linux", .os_version = {}, .os_features = {}, .variant = {}};
#elif defined(__aarch64__)
    return {
        .architecture = "arm64", .os = "linux", .os_version = {}, .os_features = {}, .variant = {}};
#else
#error "unknown architecture"
#endif
}

Platform normalise(Platform platform) {
    platform.os = to_lower(platform.os);
    if (platform.os.empty()) platform.os = "linux";
    if (platform.os == "macos") platform.os = "darwin";
    std::string& arch = platform.architecture;
    std::string& variant = platform.variant;
    arch = to_lower(arch);
    variant = to_lower(variant);
    if (arch == "i386") {
        arch = "386";
        variant.clear();
    } else if (arch == "x86_64" || arch == "x86-64" || arch == "amd64") {
        arch = "amd64";
        if (variant == "v1") variant.clear();
    } else if (arch == "aarch64" || arch == "arm64") {
        arch = "arm64";
        if (variant == "8" || variant == "v8" || variant == "v8.0") variant.clear();
    } else if (arch == "armhf") {
        arch = "arm";
        variant = "v7";
    } else if (arch == "armel") {
        arch = "arm";
        variant = "v6";
    } else if (arch == "arm") {
        if (variant.empty()) variant = "v7";
        if (variant == "5" || variant == "6" || variant == "7" || variant == "8")
            variant.insert(0, "v");
    }
    return platform;
}

Result<Platform> parse_platform(std::string_view text) {
    const auto parts = split(text, '/');
    for (const std::string& part : parts)
        if (!is_component(part))
            return fail(Code::InvalidArgument,
                        "\"{}\" is an invalid component of \"{}\": platform specifier component "
                        "must match \"^[A-Za-z0-9_.-]+$\"",
                        part, text);
    Platform platform = host_platform();
    if (parts.size() == 1) {
        Platform alone = normalise({.architecture = parts[0],
                                    .os = parts[0],
                                    .os_version = {},
                                    .os_features = {},
                                    .variant = {}});
        if (std::ranges::find(kSystems, alone.os) != kSystems.end()) {
            platform.os = alone.os;
            return platform;
        }
        if (std::ranges::find(kArchitectures, alone.architecture) == kArchitectures.end())
            return fail(Code::InvalidArgument, "\"{}\": unknown operating system or architecture",
                        text);
        platform.architecture = alone.architecture;
        platform.variant = alone.variant;
        return platform;
    }
    if (parts.size() > 3)
        return fail(Code::InvalidArgument, "\"{}\": cannot parse platform specifier", text);
    platform.os = parts[0];
    platform.architecture = parts[1];
    platform.variant = parts.size() == 3 ? parts[2] : "";
    return normalise(std::move(platform));
}

std::string to_string(const Platform& platform) {
    std::string out = platform.os + "/" + platform.architecture;
    if (!platform.variant.empty()) out += "/" + platform.variant;
    return out;
}

int match_platform(const Platform& wanted, const Platform& image) {
    const Platform want = normalise(wanted);
    const Platform have = normalise(image);
    if (want.os != have.os) return 0;
    // Both may leave the version open; what an image needs, the machine must have.
    if (!want.os_version.empty() && !have.os_version.empty() && want.os_version != have.os_version)
        return 0;
    for (const std::string& feature : have.os_features) {
        if (std::ranges::find(want.os_features, feature) == want.os_features.end()) return 0;
    }
    if (want.architecture != have.architecture) {  // the 32 bits of a processor, as a last choice
        if (want.architecture == "amd64" && have.architecture == "386") return 1;
        const std::uint64_t level = variant_number(have.variant);
        const bool arm = want.architecture == "arm64" && have.architecture == "arm" && level <= 8;
        return arm ? static_cast<int>(level) : 0;
    }
    if (want.variant == have.variant) return 1000;
    // A processor runs what was made for the smaller variants.
    const std::uint64_t most = variant_level(want);
    const std::uint64_t level = variant_level(have);
    if (level == 0 || level > most || level > 100) return 0;
    return kSameArchitecture + static_cast<int>(level);
}

}  // namespace coffer::oci
