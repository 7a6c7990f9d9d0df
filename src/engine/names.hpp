#pragma once
// Container names: the grammar, and made-up names for containers that were given none. Stateless.

#include <string>
#include <string_view>

namespace coffer::engine {

// [a-zA-Z0-9][a-zA-Z0-9_.-]+, as docker has it.
bool is_valid_name(std::string_view name);
// "quiet_heron": an adjective and a bird, at random. `attempt` > 0 adds a digit.
std::string make_up_name(int attempt);

}  // namespace coffer::engine
