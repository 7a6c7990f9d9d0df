#pragma once
// The caller's side of the conversation in sync.hpp, shared by create and exec, and what both
// derive from a process. One thread.

#include <functional>

#include "runtime/create.hpp"
#include "runtime/exec_stage.hpp"
#include "runtime/identity.hpp"
#include "runtime/program.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

// What the children said until the last of them was ready.
struct Answers {
    sys::Process process;  // killed and reaped unless released
    sys::Fd console;
};

// What the caller does when init, whose pid it is given, asks for it (ReportKind::Hooks).
using AtHooks = std::function<Result<void>(int pid)>;
// Reads until the last child is born and ready. Their failure, or an early end, is the error.
Result<void> hear(int socket, Answers& answers, const AtHooks& at_hooks = {});
// Gives the start; returns once the program is executed. `on_listener` gets the descriptor of a
// filter that notifies.
Result<void> send_start(int socket, const OnListener& on_listener);

// The process behind the pidfd of a container's init, in our pid namespace.
Result<int> pid_of(int pidfd);

// Borrows all of its arguments.
ExecStage exec_stage_of(const Identity& identity, const Program& program, const std::string& bpf,
                        unsigned bpf_flags, int report_fd, const std::string& failure_text);

}  // namespace coffer::runtime
