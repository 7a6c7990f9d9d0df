#pragma once
// What an image has at the place of a volume comes into the volume while that is empty. Belongs to
// the stage process.

#include "base/result.hpp"

namespace coffer::runtime {

// Copies what is in the folder `from` into the folder `to`, with the owner, mode and time of the
// folder itself, unless there is something in `to` already. Folders, files, links and FIFOs, with
// their owners, modes, times, user.* attributes and file capabilities; nothing else is copied.
// `from` belongs to an image and others may write to `to` meanwhile: no link of either is followed.
Result<void> copy_up(int from, int to);

}  // namespace coffer::runtime
