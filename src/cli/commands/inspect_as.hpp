#pragma once
// inspect --as run|compose|quadlet: what would make a container again. One thread.

#include "cli/command.hpp"

namespace coffer::cli {

constexpr Flag kAsFlag =
    text("as", 0, "Print what makes the container instead (\"run\", \"compose\", \"quadlet\")");

// For every name of the call; gives the exit status.
Result<int> inspect_as(Invocation& call);

}  // namespace coffer::cli
