#pragma once
// The egress policy and the rates of a container, which are its annotations coffer.egress and
// coffer.rate: not labels, because those come with images. Pure functions, safe from any thread.

#include <string>

#include "api/container.hpp"
#include "base/result.hpp"

namespace coffer::engine {

// Empty: none.
const std::string& egress_of(const api::HostConfig& host);
const std::string& rate_of(const api::HostConfig& host);
// InvalidArgument for a bad one, and where the network mode cannot enforce it.
Result<void> check_egress(const api::HostConfig& host);

}  // namespace coffer::engine
