#include "cli/commands/pulling.hpp"

#include "cli/user_config.hpp"

namespace coffer::cli {

Result<void> pull_image(Api& api, const UserConfig& config, const oci::Reference& reference,
                        const std::string& platform, int fd, Show show, Pin pin) {
    ApiCall call{.method = http::Method::Post,
                 .path = "/images/create",
                 .query = {{"fromImage", reference.name()}}};
    const std::string_view object = reference.object();
    if (!object.empty()) call.query.emplace("tag", object);
    if (!platform.empty()) call.query.emplace("platform", platform);
    if (pin == Pin::Moves) call.query.emplace("movePin", "1");
    call.headers.add("X-Registry-Auth", TRY(config.registry_auth(reference.domain)));
    http::Response response = TRY(api.open(call));
    return show_progress(response, fd, show);
}

}  // namespace coffer::cli
