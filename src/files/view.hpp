#pragma once
// View: how coffer-files comes to the files of a container, and what it gives up before it looks at
// them. For a process with one thread; there is no way back.
//
//   Running    joins the container's user and mount namespaces
//   Assembled  makes the root file system as a start would, in a mount namespace of its own whose
//              ids nobody else has, and drops all others of the host
//   Image      the same with the writable layer as the topmost of the read-only ones
//   Layers     stays with the host's ids, since only the host's root may see how overlayfs marks
//              folders: it keeps that right alone, and of files only the layers, to be read
//   Images     the same with the layers of two images
//
// In each it is then locked up (archive/jail.hpp): it runs no code and opens no file but those of
// the container, by descriptor, and has no more rights than the container's root. A race with a
// process of the container can win nothing that this process does not have.

#include <vector>

#include "files/protocol.hpp"
#include "sys/fd.hpp"

namespace coffer::files {

struct View {
    sys::Fd root;                 // the folder that all names start at
    std::vector<sys::Fd> lowers;  // of Layers, top first; root is the writable one. Of Images: its
    std::vector<sys::Fd> bases;   // and the other's. Of Folder: where to copy it
};

constexpr int kControl = 3;
constexpr int kPidfd = 4;

Result<View> enter_view(const Request& request);

}  // namespace coffer::files
