#pragma once
// What an image has at the place of a volume comes into the volume while that is empty; a copy of a
// volume is made the same way. Belongs to processes with one thread.

#include <cstdint>

#include "base/result.hpp"

namespace coffer::runtime {

// Copies what is in the folder `from` into the folder `to`, unless there is something in `to`
// already, with the owner, mode and time of the folder itself where they are the image's to say.
// Folders, files, links and FIFOs, with their owners, modes, times, user.* attributes and file
// capabilities; nothing else is copied. `from` belongs to an image and others may write to `to`
// meanwhile: no link of either is followed. A copy that fails is undone; one that is cut off leaves
// its mark on `to`, and the next one is made instead of what has come of it.
enum class FolderStatus : std::uint8_t { Copied, Kept };
Result<void> copy_up(int from, int to, FolderStatus status);
// Whether the mark is there. Where there are no user.* attributes, what is cut off has none.
bool is_half_copied(int folder);
// Half a copy is data from now on.
Result<void> keep_half_copy(int folder);

}  // namespace coffer::runtime
