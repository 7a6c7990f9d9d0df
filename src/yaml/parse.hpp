#pragma once
// YAML 1.2 documents (core schema) as JSON values. Pure.

#include "base/result.hpp"
#include "json/value.hpp"

namespace coffer::yaml {

// One document. Repeated keys, keys that are no scalars, tags of other schemas, and documents that
// grow by their aliases beyond 100000 nodes are errors. Octal numbers are also taken as YAML 1.1
// writes them (0660), which is how the tools of this field read and write modes.
Result<json::Value> parse(std::string_view text);

}  // namespace coffer::yaml
