#pragma once
// The hooks of a spec: programs run at fixed points of a container's life, with its state on their
// standard input. One thread.
//
//   create   prestart, createRuntime    by the caller, in its namespaces, once init has its mounts
//            createContainer            by init, from the host's files, before it changes the root
//   start    startContainer             by init, from the container's files, as the process itself:
//                                       its ids, its capabilities, its filter
//            poststart                  by the caller, once the program is executed
//   delete   poststop                   by the caller; a failure is only a warning

#include "oci/runtime_spec.hpp"
#include "runtime/exec_stage.hpp"
#include "runtime/identity.hpp"

namespace coffer::runtime {

// Absolute paths, positive timeouts, plain environments. Pure.
Result<void> check_hooks(const oci::Hooks& hooks);

// What a hook is told; `status` is one of creating, created, running, stopped.
oci::State hook_state(const oci::Spec& spec, const std::string& id, const std::string& bundle,
                      int pid, const char* status);

// One after the other, in our own namespaces; the first that fails ends it.
Result<void> run_hooks(std::string_view kind, const std::vector<oci::Hook>& hooks,
                       const oci::State& state);
// poststop: all of them; what fails is logged.
void run_poststop_hooks(const oci::Spec& spec, const oci::State& state);
// startContainer, in container init. `stage` is that of the container's process.
Result<void> run_hooks_in_child(const std::vector<oci::Hook>& hooks, const oci::State& state,
                                const Identity& identity, const ExecStage& stage);

}  // namespace coffer::runtime
