#pragma once
// Project quotas: how much may be written below a folder (ext4 and xfs mounted with prjquota).
// Stateless; safe from any thread.

#include <cstdint>

#include "base/result.hpp"

namespace coffer::sys::quota {

// What is made in the folder from now on belongs to `project`. NotImplemented where the file system
// has no project quotas.
Result<void> assign(int folder_fd, std::uint32_t project);
// The most that all of a project may take; 0: no limit. NotImplemented as above.
Result<void> limit(int folder_fd, std::uint32_t project, std::uint64_t bytes);

}  // namespace coffer::sys::quota
