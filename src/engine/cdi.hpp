#pragma once
// Devices by name: the specifications of the Container Device Interface that the administrator has
// put on this machine. They are read anew each time; nothing here keeps state. Hooks are not run,
// so a device that asks for some is refused.

#include <string>
#include <vector>

#include "api/config.hpp"
#include "oci/cdi.hpp"

namespace coffer::engine {

// Folders of specifications; those of a later one hide the same device of an earlier one.
using CdiFolders = std::vector<std::string>;

// The names of the devices that requests ask for: those of driver "cdi", and GPUs that a
// specification of a vendor we know describes. docker's text where there is none.
Result<std::vector<std::string>> cdi_names(const std::vector<api::DeviceRequest>& requests,
                                           const CdiFolders& folders);
// All that has to be in a container for these devices.
Result<oci::CdiEdits> cdi_edits(const std::vector<std::string>& names, const CdiFolders& folders);
// Every device there is, sorted, for `docker info`.
std::vector<std::string> cdi_devices(const CdiFolders& folders);

}  // namespace coffer::engine
