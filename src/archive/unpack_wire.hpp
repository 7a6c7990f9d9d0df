#pragma once
// What coffer-unpack is told by its arguments and answers on its standard output. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "archive/unpack.hpp"

namespace coffer::archive {

// argv[1..]; the descriptors are fixed: 0 is the layer, 1 the answer, 3 the folder.
std::vector<std::string> to_arguments(const UnpackRequest& request);
Result<UnpackRequest> parse_arguments(const std::vector<std::string>& arguments);

std::string to_answer(const Result<AppliedLayer>& result);
// The answer comes from a process that has read hostile input: nothing in it is believed but that
// it is the answer to this request.
Result<AppliedLayer> parse_answer(std::string_view text);

}  // namespace coffer::archive
