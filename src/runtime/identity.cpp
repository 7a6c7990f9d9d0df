#include "runtime/identity.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>

#include "base/log.hpp"
#include "sys/landlock.hpp"

namespace coffer::runtime {

namespace {

constexpr int kJoinSessionKeyring = 1;

// Adds the names that cannot be granted to `refused`.
sys::cred::CapSet grant(const std::vector<std::string>& names, sys::cred::CapSet grantable,
                        std::set<std::string>& refused) {
    sys::cred::CapSet set = 0;
    for (const std::string& name : names) {
        const auto number = sys::cred::capability_number(name);
        if (number && (grantable >> *number & 1U) != 0) {
            set |= sys::cred::CapSet{1} << *number;
        } else {
            refused.insert(name);
        }
    }
    return set;
}

}  // namespace

Result<Identity> plan_identity(const oci::Process& process, sys::cred::CapSet grantable) {
    Identity identity;
    identity.ids = {process.user.uid, process.user.gid, process.user.additional_gids};
    identity.umask = process.user.umask.value_or(0022);
    identity.no_new_privileges = process.no_new_privileges;
    if (identity.umask > 0777) {
        return fail(Code::InvalidArgument, "umask {:o} is out of range", identity.umask);
    }
    if (!process.capabilities) return identity;
    const oci::LinuxCapabilities& wanted = *process.capabilities;
    sys::cred::Capabilities& caps = identity.capabilities;
    std::set<std::string> refused;
    caps.bounding = grant(wanted.bounding, grantable, refused);
    caps.effective = grant(wanted.effective, grantable, refused);
    caps.permitted = grant(wanted.permitted, grantable, refused);
    caps.inheritable = grant(wanted.inheritable, grantable, refused);
    caps.ambient = grant(wanted.ambient, grantable, refused);
    for (const std::string& name : refused) {
        LOG_WARN("process.capabilities: '{}' is unknown or cannot be granted", name);
    }
    if ((caps.effective & ~caps.permitted) != 0) {
        return fail(Code::InvalidArgument, "effective capabilities that are not permitted");
    }
    // The kernel raises only what is permitted and inheritable; runc's own template asks for more
    // and runs with less, so the rest is left out rather than refused.
    caps.ambient &= caps.permitted & caps.inheritable;
    return identity;
}

Result<void> drop_in_child(const Identity& identity) {
    // A session keyring of its own; the caller's keys stay with the caller.
    if (identity.own_keyring && ::syscall(SYS_keyctl, kJoinSessionKeyring, nullptr) < 0 &&
        errno != ENOSYS && errno != EPERM) {
        return fail_errno("create session keyring");
    }
    ::umask(static_cast<mode_t>(identity.umask));
    TRY(sys::cred::limit_bounding(identity.capabilities.bounding));
    TRY(sys::cred::become(identity.ids));
    if (identity.no_new_privileges) TRY(sys::cred::set_no_new_privileges());
    if (const int error = sys::landlock::scope_in_child(identity.scopes); error != 0) {
        return fail_with(error, "restrict signals and sockets");
    }
    return {};
}

}  // namespace coffer::runtime
