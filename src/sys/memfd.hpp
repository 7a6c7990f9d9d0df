#pragma once
// Sealed memory files: what is in them cannot be changed any more, by whomever. Stateless; any
// thread.

#include <string_view>

#include "sys/fd.hpp"

namespace coffer::sys {

// `name` is what /proc/PID/maps and fd links show.
Result<Fd> sealed_memfd(const char* name, std::string_view bytes);

// The same in steps; `flags` of memfd_create(2).
Result<Fd> create_memfd(const char* name, unsigned flags);
Result<void> seal(const Fd& fd);
bool is_sealed(int fd);

}  // namespace coffer::sys
