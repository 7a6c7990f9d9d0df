#include "cli/commands/platforms.hpp"

#include "json/codec.hpp"
#include "oci/image_spec.hpp"

namespace coffer::cli {

Result<std::string> platform_parameter(const std::string& text) {
    return json::encode(TRY_CONTEXT(oci::parse_platform(text), "invalid platform"));
}

Result<void> add_platform(Query& query, const Values& flags) {
    const std::string platform = flags.text("platform");
    if (!platform.empty()) query.emplace("platform", TRY(platform_parameter(platform)));
    return {};
}

}  // namespace coffer::cli
