#pragma once
// The functions of templates: Go's builtins and the ones docker adds. Internal to
// cli/template*.cpp; pure.

#include "cli/template.hpp"

namespace coffer::cli {

using Arguments = std::vector<json::Value>;
Result<json::Value> call_template_function(std::string_view name, const Arguments& args);
// Go's idea of true: not zero, not empty, not nil.
bool is_truth(const json::Value& value);

}  // namespace coffer::cli
