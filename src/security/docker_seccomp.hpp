#pragma once
// Docker's default seccomp profile as JSON text. A constant.

#include <string_view>

namespace coffer::security {

extern const std::string_view kDockerSeccomp;

}  // namespace coffer::security
