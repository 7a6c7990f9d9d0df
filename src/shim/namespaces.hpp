#pragma once
// `coffer-shim namespaces`: makes user and network namespaces for the engine, which never clones.
// For a process with one thread.

#include "base/result.hpp"

namespace coffer::shim {

// Answers requests on the socket until the engine closes it.
Result<void> serve_namespaces(int socket);

}  // namespace coffer::shim
