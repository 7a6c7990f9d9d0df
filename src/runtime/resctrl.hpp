#pragma once
// linux.intelRdt: the container's group in the kernel's resctrl file system, which gives it a share
// of caches and memory bandwidth. One thread.

#include <optional>
#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"

namespace coffer::runtime::resctrl {

// What needs no file system to tell that it cannot be.
Result<void> check(const oci::LinuxIntelRdt& wanted);

// Where resctrl is mounted, from the text of /proc/self/mountinfo.
std::optional<std::string> parse_mount_point(std::string_view mountinfo);
// The same of this machine, or an error that names the field.
Result<std::string> mount_point();

struct Group {
    std::string folder;   // has "schemata" and "tasks"
    bool ours = false;    // made by us for one container: removed with it
    std::string monitor;  // below it, always ours; empty: none

    // The files that a process enters the group by, in this order, writing its number or 0.
    std::vector<std::string> task_files() const;
};

// The group that the container `id` is to be in, without making anything.
Group plan(const std::string& root, const std::string& id, const oci::LinuxIntelRdt& wanted);
// Makes what is missing of it. A group that exists under the given closID must be as wanted.
Result<void> make(const Group& group, const oci::LinuxIntelRdt& wanted);
// Changes the schemata of a group, a line each.
Result<void> update(const Group& group, const std::vector<std::string>& schemata);
// What is ours of it; absent is success.
Result<void> remove(const Group& group);

}  // namespace coffer::runtime::resctrl
