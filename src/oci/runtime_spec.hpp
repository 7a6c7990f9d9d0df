#pragma once
// config.json and state.json of the OCI runtime specification 1.3, for Linux. Plain data.
// std::optional is "not given": a limit that is absent is not the limit 0.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::oci {

inline constexpr std::string_view kRuntimeSpecVersion = "1.3.0";

struct Box {
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

struct User {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::optional<std::uint32_t> umask;
    std::vector<std::uint32_t> additional_gids;
    std::string username;
};

struct LinuxCapabilities {  // names as CAP_CHOWN
    std::vector<std::string> bounding;
    std::vector<std::string> effective;
    std::vector<std::string> inheritable;
    std::vector<std::string> permitted;
    std::vector<std::string> ambient;
};

struct Rlimit {
    std::string type;  // RLIMIT_NOFILE
    std::uint64_t hard = 0;
    std::uint64_t soft = 0;
};

struct Scheduler {
    std::string policy;  // SCHED_OTHER ...
    std::int32_t nice = 0;
    std::int32_t priority = 0;
    std::vector<std::string> flags;
    std::uint64_t runtime = 0;
    std::uint64_t deadline = 0;
    std::uint64_t period = 0;
};

struct IoPriority {
    std::string class_;  // IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE
    std::int32_t priority = 0;
};

struct CpuAffinity {  // applied to exec'ed processes; lists as "0-3,7"
    std::string initial;
    std::string final;
};

struct Process {
    bool terminal = false;
    std::optional<Box> console_size;
    User user;
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::string cwd;
    std::optional<LinuxCapabilities> capabilities;
    std::vector<Rlimit> rlimits;
    bool no_new_privileges = false;
    std::string apparmor_profile;
    std::optional<std::int32_t> oom_score_adj;
    std::optional<Scheduler> scheduler;
    std::string selinux_label;
    std::optional<IoPriority> io_priority;
    std::optional<CpuAffinity> exec_cpu_affinity;
};

struct Root {
    std::string path;
    bool readonly = false;
};

struct LinuxIdMapping {
    std::uint32_t container_id = 0;
    std::uint32_t host_id = 0;
    std::uint32_t size = 0;
};

struct Mount {
    std::string destination;
    std::string type;
    std::string source;
    std::vector<std::string> options;
    std::vector<LinuxIdMapping> uid_mappings;
    std::vector<LinuxIdMapping> gid_mappings;
};

struct Hook {
    std::string path;
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::optional<std::int64_t> timeout;  // seconds
};

struct Hooks {
    std::vector<Hook> prestart;
    std::vector<Hook> create_runtime;
    std::vector<Hook> create_container;
    std::vector<Hook> start_container;
    std::vector<Hook> poststart;
    std::vector<Hook> poststop;
};

struct LinuxNamespace {
    std::string type;  // pid network mount ipc uts user cgroup time
    std::string path;  // empty: a new one
};

struct LinuxDevice {
    std::string path;
    std::string type;  // c b u p
    std::int64_t major = 0;
    std::int64_t minor = 0;
    std::optional<std::uint32_t> file_mode;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
};

struct LinuxNetDevice {
    std::string name;
};

struct LinuxTimeOffset {
    std::int64_t secs = 0;
    std::uint32_t nanosecs = 0;
};

struct LinuxDeviceCgroup {
    bool allow = false;
    std::string type;  // a c b; empty is a
    std::optional<std::int64_t> major;
    std::optional<std::int64_t> minor;
    std::string access;  // r w m
};

struct LinuxMemory {
    std::optional<std::int64_t> limit;
    std::optional<std::int64_t> reservation;
    std::optional<std::int64_t> swap;
    std::optional<std::int64_t> kernel;
    std::optional<std::int64_t> kernel_tcp;
    std::optional<std::uint64_t> swappiness;
    std::optional<bool> disable_oom_killer;
    std::optional<bool> use_hierarchy;
    std::optional<bool> check_before_update;
};

struct LinuxCpu {
    std::optional<std::uint64_t> shares;
    std::optional<std::int64_t> quota;
    std::optional<std::uint64_t> burst;
    std::optional<std::uint64_t> period;
    std::optional<std::int64_t> realtime_runtime;
    std::optional<std::uint64_t> realtime_period;
    std::string cpus;
    std::string mems;
    std::optional<std::int64_t> idle;
};

struct LinuxPids {
    std::optional<std::int64_t> limit;
};

struct LinuxWeightDevice {
    std::int64_t major = 0;
    std::int64_t minor = 0;
    std::optional<std::uint16_t> weight;
    std::optional<std::uint16_t> leaf_weight;
};

struct LinuxThrottleDevice {
    std::int64_t major = 0;
    std::int64_t minor = 0;
    std::uint64_t rate = 0;
};

struct LinuxBlockIo {
    std::optional<std::uint16_t> weight;
    std::optional<std::uint16_t> leaf_weight;
    std::vector<LinuxWeightDevice> weight_device;
    std::vector<LinuxThrottleDevice> throttle_read_bps_device;
    std::vector<LinuxThrottleDevice> throttle_write_bps_device;
    std::vector<LinuxThrottleDevice> throttle_read_iops_device;
    std::vector<LinuxThrottleDevice> throttle_write_iops_device;
};

struct LinuxHugepageLimit {
    std::string page_size;  // 2MB
    std::uint64_t limit = 0;
};

struct LinuxInterfacePriority {
    std::string name;
    std::uint32_t priority = 0;
};

struct LinuxNetwork {
    std::optional<std::uint32_t> class_id;
    std::vector<LinuxInterfacePriority> priorities;
};

struct LinuxRdma {
    std::optional<std::uint32_t> hca_handles;
    std::optional<std::uint32_t> hca_objects;
};

struct LinuxResources {
    std::vector<LinuxDeviceCgroup> devices;
    std::optional<LinuxMemory> memory;
    std::optional<LinuxCpu> cpu;
    std::optional<LinuxPids> pids;
    std::optional<LinuxBlockIo> block_io;
    std::vector<LinuxHugepageLimit> hugepage_limits;
    std::optional<LinuxNetwork> network;
    std::map<std::string, LinuxRdma> rdma;
    std::map<std::string, std::string> unified;
};

struct LinuxSeccompArg {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
    std::uint64_t value_two = 0;
    std::string op;  // SCMP_CMP_EQ ...
};

struct LinuxSyscall {
    std::vector<std::string> names;
    std::string action;  // SCMP_ACT_ALLOW ...
    std::optional<std::uint32_t> errno_ret;
    std::vector<LinuxSeccompArg> args;
};

struct LinuxSeccomp {
    std::string default_action;
    std::optional<std::uint32_t> default_errno_ret;
    std::vector<std::string> architectures;  // SCMP_ARCH_X86_64 ...
    std::vector<std::string> flags;
    std::string listener_path;
    std::string listener_metadata;
    std::vector<LinuxSyscall> syscalls;
};

struct LinuxIntelRdt {
    std::string clos_id;
    std::vector<std::string> schemata;
    std::string l3_cache_schema;
    std::string mem_bw_schema;
    bool enable_monitoring = false;
    bool enable_cmt = false;
    bool enable_mbm = false;
};

struct LinuxMemoryPolicy {
    std::string mode;  // MPOL_BIND ...
    std::string nodes;
    std::vector<std::string> flags;
};

struct LinuxPersonality {
    std::string domain;  // LINUX, LINUX32
    std::vector<std::string> flags;
};

struct Linux {
    std::vector<LinuxIdMapping> uid_mappings;
    std::vector<LinuxIdMapping> gid_mappings;
    std::map<std::string, std::string> sysctl;
    std::optional<LinuxResources> resources;
    std::string cgroups_path;
    std::vector<LinuxNamespace> namespaces;
    std::vector<LinuxDevice> devices;
    std::map<std::string, LinuxNetDevice> net_devices;  // by the name on the host
    std::optional<LinuxSeccomp> seccomp;
    std::string rootfs_propagation;
    std::vector<std::string> masked_paths;
    std::vector<std::string> readonly_paths;
    std::string mount_label;
    std::optional<LinuxIntelRdt> intel_rdt;
    std::optional<LinuxMemoryPolicy> memory_policy;
    std::optional<LinuxPersonality> personality;
    std::map<std::string, LinuxTimeOffset> time_offsets;  // monotonic, boottime
};

struct Spec {
    std::string oci_version;
    std::optional<Process> process;
    std::optional<Root> root;
    std::string hostname;
    std::string domainname;
    std::vector<Mount> mounts;
    std::optional<Hooks> hooks;
    std::map<std::string, std::string> annotations;
    std::optional<Linux> linux;
};

struct State {
    std::string oci_version;
    std::string id;
    std::string status;  // creating created running stopped
    std::int64_t pid = 0;
    std::string bundle;
    std::map<std::string, std::string> annotations;
};

void describe(json::Fields& f, const Box& s);
void describe(json::Fields& f, const User& s);
void describe(json::Fields& f, const LinuxCapabilities& s);
void describe(json::Fields& f, const Rlimit& s);
void describe(json::Fields& f, const Scheduler& s);
void describe(json::Fields& f, const IoPriority& s);
void describe(json::Fields& f, const CpuAffinity& s);
void describe(json::Fields& f, const Process& s);
void describe(json::Fields& f, const Root& s);
void describe(json::Fields& f, const LinuxIdMapping& s);
void describe(json::Fields& f, const Mount& s);
void describe(json::Fields& f, const Hook& s);
void describe(json::Fields& f, const Hooks& s);
void describe(json::Fields& f, const LinuxNamespace& s);
void describe(json::Fields& f, const LinuxDevice& s);
void describe(json::Fields& f, const LinuxNetDevice& s);
void describe(json::Fields& f, const LinuxTimeOffset& s);
void describe(json::Fields& f, const LinuxDeviceCgroup& s);
void describe(json::Fields& f, const LinuxMemory& s);
void describe(json::Fields& f, const LinuxCpu& s);
void describe(json::Fields& f, const LinuxPids& s);
void describe(json::Fields& f, const LinuxWeightDevice& s);
void describe(json::Fields& f, const LinuxThrottleDevice& s);
void describe(json::Fields& f, const LinuxBlockIo& s);
void describe(json::Fields& f, const LinuxHugepageLimit& s);
void describe(json::Fields& f, const LinuxInterfacePriority& s);
void describe(json::Fields& f, const LinuxNetwork& s);
void describe(json::Fields& f, const LinuxRdma& s);
void describe(json::Fields& f, const LinuxResources& s);
void describe(json::Fields& f, const LinuxSeccompArg& s);
void describe(json::Fields& f, const LinuxSyscall& s);
void describe(json::Fields& f, const LinuxSeccomp& s);
void describe(json::Fields& f, const LinuxIntelRdt& s);
void describe(json::Fields& f, const LinuxMemoryPolicy& s);
void describe(json::Fields& f, const LinuxPersonality& s);
void describe(json::Fields& f, const Linux& s);
void describe(json::Fields& f, const Spec& s);
void describe(json::Fields& f, const State& s);

}  // namespace coffer::oci
