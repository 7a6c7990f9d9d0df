#pragma once
// Landlock: what works without a policy, on every kernel that has it. Stateless.

namespace coffer::sys::landlock {

// The ABI of the running kernel, 0 without Landlock.
int abi();
// From here on no signal and no abstract unix socket connection leaves our domain (ABI 6, Linux
// 6.12; older kernels: nothing happens). Needs no_new_privs or CAP_SYS_ADMIN in our user
// namespace. Async-signal-safe: 0 or errno.
int scope_in_child() noexcept;

}  // namespace coffer::sys::landlock
