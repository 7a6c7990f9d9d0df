#pragma once
// Labels of AppArmor and SELinux: which of them this machine has, and giving one to the program
// that a process is about to execute. One thread.

#include "oci/runtime_spec.hpp"
#include "sys/fd.hpp"

namespace coffer::runtime {

// A label for a security module that the kernel does not run is an error.
Result<void> check_labels(const oci::Process& process);
Result<void> check_mount_label(const std::string& label);

bool wants_label(const oci::Process& process);
// The host's own procfs, through which a process reaches its attributes whatever the container's
// /proc is; to be opened before anything of the container is joined.
Result<sys::Fd> open_host_proc();
Result<void> set_label_in_child(const sys::Fd& host_proc, const oci::Process& process);

}  // namespace coffer::runtime
