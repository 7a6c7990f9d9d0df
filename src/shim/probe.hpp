#pragma once
// Health checks by connection: a child in the container's network that connects, with no rights and
// no descriptor but its output, and says what it found. For a process with one thread.

#include "shim/protocol.hpp"
#include "sys/clone.hpp"

namespace coffer::shim {

// Its exit status is 0 (well) or 1. `output` is borrowed.
Result<sys::Cloned> clone_probe(const Probe& probe, int container_pidfd, int output);

}  // namespace coffer::shim
