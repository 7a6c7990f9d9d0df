#pragma once
// What this engine was built from; written by cmake/build_info.cmake.

#include <string_view>

namespace coffer::engine {

// Abbreviated, "-dirty" when something was not committed; empty when built without git.
extern const std::string_view kGitCommit;
// RFC 3339; that of the commit and not of the build, so that a build can be repeated bit for bit.
extern const std::string_view kCommitTime;

}  // namespace coffer::engine
