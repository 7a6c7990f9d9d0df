#pragma once
// The last steps of a container process, from giving up capabilities to execve. Async-signal-safe:
// all that is needed has been prepared as plain pointers.

#include <cstddef>
#include <cstdint>

#include "sys/credentials.hpp"

namespace coffer::runtime {

struct ExecStage {
    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* envp = nullptr;
    const char* bpf = nullptr;  // nullptr: no filter
    std::size_t bpf_size = 0;
    unsigned bpf_flags = 0;
    bool no_new_privileges = false;
    bool die_with_parent = false;
    unsigned preserved_fds = 0;  // from 3 up
    sys::cred::CapSet effective = 0;
    sys::cred::CapSet permitted = 0;
    sys::cred::CapSet inheritable = 0;
    sys::cred::CapSet ambient = 0;
    unsigned last_capability = 0;
    int report_fd = -1;                  // close-on-exec; gets a Failed report if we are still here
    const char* failure_text = nullptr;  // "exec: \"name\""
};

[[noreturn]] void execute_in_child(const ExecStage& stage) noexcept;

}  // namespace coffer::runtime
