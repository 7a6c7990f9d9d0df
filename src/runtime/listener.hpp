#pragma once
// Handing the listener of a seccomp filter to the agent that linux.seccomp.listenerPath names. One
// thread.

#include "runtime/create.hpp"
#include "runtime/state.hpp"

namespace coffer::runtime {

// Sends one container process state with the descriptor. Empty when the filter does not notify.
OnListener listener_sender(const oci::Spec& spec, const State& state,
                           const char* status = "running");

}  // namespace coffer::runtime
