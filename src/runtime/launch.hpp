#pragma once
// What a start consists of, planned and opened by the caller, used by the stage and by container
// init, which are copies of it. One thread.

#include <optional>
#include <utility>
#include <vector>

#include "runtime/create.hpp"
#include "runtime/identity.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/rootfs.hpp"
#include "sys/namespace.hpp"

namespace coffer::runtime {

struct Launch {
    const oci::Spec& spec;
    const CreateOptions& options;

    sys::Fd userns;  // empty: the caller's
    // We may do nothing outside of it: the stage enters it first. Else it is entered last.
    bool userns_first = false;
    std::vector<std::pair<sys::ns::Kind, sys::Fd>> joins;  // but for those above and below
    // A given mount namespace is joined last, from one of our own where the root was assembled.
    sys::Fd mount_ns;
    std::uint64_t new_namespaces = 0;  // of ns::bit(), without user
    bool new_network = false;
    MountContext context;
    std::vector<MountPlan> mounts;
    std::optional<Identity> identity;  // empty: the spec has no process
    std::uint32_t host_uid = 0;        // of the process, for what the host must own for it
    std::uint32_t host_gid = 0;
    unsigned seccomp_flags = 0;
    sys::Fd host_proc;  // of labels.hpp, opened by the stage where it is needed
};
// Checks the spec (spec_check.hpp) and opens namespaces; makes a user namespace where asked.
Result<Launch> plan_launch(const oci::Spec& spec, const CreateOptions& options);
// The process runs as these ids; those of the spec are set by plan_launch.
Result<void> set_ids(Launch& launch, sys::cred::Ids ids);

// The entry of the stage; `sync` is its end of the pair.
struct StageArgument {
    Launch& launch;
    sys::Fd& sync;
    sys::Fd& callers_sync;
};
void stage_in_child(void* argument);

// The entry of container init.
struct InitArgument {
    Launch& launch;
    SourceTrees& trees;
    sys::Fd& sync;
};
void init_in_child(void* argument);

}  // namespace coffer::runtime
