#pragma once
// From a container's record to the OCI runtime spec of one run. Pure: every function contributes
// its part from plain inputs. Also the rights of a container, which exec needs too.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/container.hpp"
#include "oci/cdi.hpp"
#include "oci/runtime_spec.hpp"
#include "security/profiles.hpp"

namespace coffer::engine {

// What a container may do after its options are laid over its level's profile.
struct Rights {
    security::Level level = security::Level::Standard;
    std::vector<std::string> capabilities;
    bool no_new_privileges = true;
    bool unmasked = false;  // systempaths=unconfined
    bool writable_cgroups = false;
    bool no_seccomp = false;       // seccomp=unconfined
    std::string apparmor_profile;  // empty: none
    std::string seccomp_profile;   // JSON in docker's format; empty: the level's own
};
// Fails with docker's texts for unknown capabilities and options.
Result<Rights> rights_of(const api::HostConfig& host, security::Level engine_level);

// The folders of the layers of what is mounted of images, top first, by chain id.
using ImageLayers = std::map<std::string, std::vector<std::string>>;

struct SpecInputs {
    const Record& record;
    const Rights& rights;
    std::uint32_t id_base = 0;
    std::string files;  // folder with hostname, hosts and resolv.conf
    std::string cgroup_path;
    std::string init;        // coffer-init; empty: the program is process 1
    std::string netns_path;  // of another container; empty: a new or given one
    ImageLayers image_layers;
    oci::CdiEdits devices;  // what devices by name need
    bool host_network = false;
    std::string pid_mode;  // real ones: of who is joined
    std::string ipc_mode;
    bool joins_ipc = false;         // of another container, with its /dev/shm
    std::uint64_t host_memory = 0;  // bytes
};
// A mount that its user asked for.
oci::Mount build_user_mount(const MountRecord& mount, const ImageLayers& layers,
                            std::uint32_t id_base);
// linux.seccomp stays empty: the compiled filter goes to the shim beside the spec.
Result<oci::Spec> build_spec(const SpecInputs& inputs);

// The part of it that concerns files, for a container that does not run: its root file system with
// its binds and volumes. `files` as above.
oci::Spec build_files_spec(const Record& record, const std::string& files, std::uint32_t id_base,
                           ImageLayers image_layers);

// The process of an exec: the container's environment and rights, its own arguments.
struct ExecInputs {
    const Record& record;
    const Rights& rights;
    std::vector<std::string> args;
    std::vector<std::string> env;  // further variables
    std::string cwd;               // empty: the container's
    bool tty = false;
    bool privileged = false;
    std::optional<oci::Box> console_size;
};
oci::Process build_exec_process(const ExecInputs& inputs);

// The limits of HostConfig with the level's defaults, as the spec's linux.resources.
Result<oci::LinuxResources> build_resources(const api::Resources& host,
                                            const security::Profile& profile,
                                            std::uint64_t host_memory);

}  // namespace coffer::engine
