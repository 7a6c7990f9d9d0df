#pragma once
// Pulling an image through the daemon, for pull, run and create. One thread.

#include "cli/progress.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

class UserConfig;

// POST /images/create with the login for its registry, the progress shown on `fd`. A pinned tag
// stays with its digest unless the pin is to move.
enum class Pin { Stays, Moves };
Result<void> pull_image(Api& api, const UserConfig& config, const oci::Reference& reference,
                        const std::string& platform, int fd, Show show, Pin pin = Pin::Stays);

}  // namespace coffer::cli
