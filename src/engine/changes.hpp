#pragma once
// The Dockerfile instructions that import and commit accept as changes to an image's config.
// Stateless.

#include <string>
#include <vector>

#include "oci/image_spec.hpp"

namespace coffer::engine {

// CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
Result<void> apply_changes(const std::vector<std::string>& changes, oci::RunConfig& config);

// Whether a variable of that name is among "NAME=value" entries.
bool has_variable(const std::vector<std::string>& env, const std::string& entry);

}  // namespace coffer::engine
