#pragma once
// The table of coffer-oci's commands: what parsing, --help, completion and manual pages are made
// of. Constant data.

#include "command/command.hpp"
#include "runtime/commands.hpp"

namespace coffer::runtime {

// The global flags and all commands.
extern const command::Command kRoot;  // NOLINT(readability-identifier-naming): a constant

// Calls a child of kRoot.
using Handler = Result<int> (*)(const Containers& containers, const Args& args);
Handler handler_of(const command::Command& command);

}  // namespace coffer::runtime
