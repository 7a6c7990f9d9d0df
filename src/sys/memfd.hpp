#pragma once
// Sealed memory files: what is in them cannot be changed any more, by whomever. Stateless; any
// thread, but for run_from_sealed_copy().

#include <string_view>

#include "sys/fd.hpp"

namespace coffer::sys {

// `name` is what /proc/PID/maps and fd links show.
Result<Fd> sealed_memfd(const char* name, std::string_view bytes);

// Executes our own program anew from a sealed copy of it, and returns there. For programs whose
// code a container's processes can reach by /proc/PID/exe: what they write to would otherwise be
// the host's file (CVE-2019-5736). The copy cannot be executed by them either. Before the first
// thread.
Result<void> run_from_sealed_copy(char* const* argv);

}  // namespace coffer::sys
