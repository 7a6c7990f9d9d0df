#pragma once
// Layers of a file system seen as one tree, as overlayfs shows them, folder by folder and by
// descriptor: no name is looked up with more than one component, no link is followed. Stateless.

#include <sys/stat.h>

#include <set>
#include <string>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::files {

// The same folder in each of the layers that show it, top first.
using LayerStack = std::vector<sys::Fd>;

// What a stack shows at a name.
struct Shown {
    bool there = false;
    struct stat status {};
    int folder = -1;     // in the topmost layer that has it; borrowed from the stack
    LayerStack folders;  // when it is a folder
};
Result<Shown> look_up(const LayerStack& stack, const std::string& name);
// The names that it shows in its folder.
Result<std::set<std::string>> names_in(const LayerStack& stack);

// Whether a folder hides what the layers below have in it.
bool is_opaque(int folder);
Result<sys::Fd> open_folder(int dir, const std::string& name);

bool same_times(const struct stat& a, const struct stat& b);
bool same_rights(const struct stat& a, const struct stat& b);

}  // namespace coffer::files
