#pragma once
// Who a container process is: ids, capabilities, no_new_privs and scopes, from an OCI process, and
// the drop to it. Planned beforehand; dropped in the process itself. One thread.

#include <optional>
#include <string>

#include "oci/runtime_spec.hpp"
#include "sys/credentials.hpp"

namespace coffer::runtime {

struct Identity {
    sys::cred::Ids ids;
    sys::cred::Capabilities capabilities;
    std::uint32_t umask = 0022;
    bool no_new_privileges = false;
    unsigned scopes = 0;      // of sys::landlock
    bool own_keyring = true;  // a session keyring of its own
};
// Capabilities that are unknown, or not among the `grantable` ones, are left out with a warning, as
// the specification asks.
Result<Identity> plan_identity(const oci::Process& process, sys::cred::CapSet grantable);

// All but the capabilities and the filter, which exec_stage.cpp does last. Afterwards we run as
// the wanted user with what is permitted still in force.
Result<void> drop_in_child(const Identity& identity);

}  // namespace coffer::runtime
