#pragma once
// Statistics of a control group in the form that runc's `events` prints them. Pure.

#include "json/value.hpp"
#include "sys/cgroup.hpp"

namespace coffer::runtime {

json::Object stats_document(const sys::cgroup::Stats& stats);

}  // namespace coffer::runtime
