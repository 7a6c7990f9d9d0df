#pragma once
// Landlock scoping: what a process may reach of those outside its domain. Stateless.

#include <cstdint>
#include <span>

#include "base/result.hpp"

namespace coffer::sys::landlock {

// The ABI of the running kernel, 0 without Landlock.
int abi();

// What stays inside our domain from here on (ABI 6, Linux 6.12; on older kernels nothing happens).
constexpr unsigned kAbstractSockets = 1;
constexpr unsigned kSignals = 2;
// Needs no_new_privs or CAP_SYS_ADMIN in our user namespace. Async-signal-safe: 0 or errno.
int scope_in_child(unsigned what) noexcept;

// From here on this thread, and those it starts, can reach files below `folder_fds` alone: read
// them or also make, change and remove them. It can execute and connect to nothing. Does what the
// kernel's ABI can; nothing without Landlock. Needs no_new_privs.
enum class Access : std::uint8_t { Read, Write };
Result<void> restrict_to_folders(std::span<const int> folder_fds, Access access);

}  // namespace coffer::sys::landlock
