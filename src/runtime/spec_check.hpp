#pragma once
// Every field of a spec is honoured or refused by name before anything is done: nothing is ignored
// silently. Pure.

#include "oci/runtime_spec.hpp"

namespace coffer::runtime {

// What create() relies on: version, root, namespaces, ids, limits, names.
Result<void> check_spec(const oci::Spec& spec);
// Of create and of exec.
Result<void> check_process(const oci::Process& process);

// The entry of linux.namespaces for "pid", ...; nullptr when there is none.
const oci::LinuxNamespace* find_namespace(const oci::Spec& spec, std::string_view type);

}  // namespace coffer::runtime
