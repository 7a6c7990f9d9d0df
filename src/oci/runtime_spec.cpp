#include "oci/runtime_spec.hpp"

namespace coffer::oci {

void describe(json::Fields& f, const Box& s) {
    f("height", s.height);
    f("width", s.width);
}

void describe(json::Fields& f, const User& s) {
    f("uid", s.uid);
    f("gid", s.gid);
    f("umask", s.umask, json::kOmitEmpty);
    f("additionalGids", s.additional_gids, json::kOmitEmpty);
    f("username", s.username, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxCapabilities& s) {
    f("bounding", s.bounding, json::kOmitEmpty);
    f("effective", s.effective, json::kOmitEmpty);
    f("inheritable", s.inheritable, json::kOmitEmpty);
    f("permitted", s.permitted, json::kOmitEmpty);
    f("ambient", s.ambient, json::kOmitEmpty);
}

void describe(json::Fields& f, const Rlimit& s) {
    f("type", s.type);
    f("hard", s.hard);
    f("soft", s.soft);
}

void describe(json::Fields& f, const Scheduler& s) {
    f("policy", s.policy);
    f("nice", s.nice, json::kOmitEmpty);
    f("priority", s.priority, json::kOmitEmpty);
    f("flags", s.flags, json::kOmitEmpty);
    f("runtime", s.runtime, json::kOmitEmpty);
    f("deadline", s.deadline, json::kOmitEmpty);
    f("period", s.period, json::kOmitEmpty);
}

void describe(json::Fields& f, const IoPriority& s) {
    f("class", s.class_);
    f("priority", s.priority);
}

void describe(json::Fields& f, const CpuAffinity& s) {
    f("initial", s.initial, json::kOmitEmpty);
    f("final", s.final, json::kOmitEmpty);
}

void describe(json::Fields& f, const Process& s) {
    f("terminal", s.terminal, json::kOmitEmpty);
    f("consoleSize", s.console_size, json::kOmitEmpty);
    f("user", s.user);
    f("args", s.args, json::kOmitEmpty);
    f("env", s.env, json::kOmitEmpty);
    f("cwd", s.cwd);
    f("capabilities", s.capabilities, json::kOmitEmpty);
    f("rlimits", s.rlimits, json::kOmitEmpty);
    f("noNewPrivileges", s.no_new_privileges, json::kOmitEmpty);
    f("apparmorProfile", s.apparmor_profile, json::kOmitEmpty);
    f("oomScoreAdj", s.oom_score_adj, json::kOmitEmpty);
    f("scheduler", s.scheduler, json::kOmitEmpty);
    f("selinuxLabel", s.selinux_label, json::kOmitEmpty);
    f("ioPriority", s.io_priority, json::kOmitEmpty);
    f("execCPUAffinity", s.exec_cpu_affinity, json::kOmitEmpty);
}

void describe(json::Fields& f, const Root& s) {
    f("path", s.path);
    f("readonly", s.readonly, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxIdMapping& s) {
    f("containerID", s.container_id);
    f("hostID", s.host_id);
    f("size", s.size);
}

void describe(json::Fields& f, const Mount& s) {
    f("destination", s.destination);
    f("type", s.type, json::kOmitEmpty);
    f("source", s.source, json::kOmitEmpty);
    f("options", s.options, json::kOmitEmpty);
    f("uidMappings", s.uid_mappings, json::kOmitEmpty);
    f("gidMappings", s.gid_mappings, json::kOmitEmpty);
}

void describe(json::Fields& f, const Hook& s) {
    f("path", s.path);
    f("args", s.args, json::kOmitEmpty);
    f("env", s.env, json::kOmitEmpty);
    f("timeout", s.timeout, json::kOmitEmpty);
}

void describe(json::Fields& f, const Hooks& s) {
    f("prestart", s.prestart, json::kOmitEmpty);
    f("createRuntime", s.create_runtime, json::kOmitEmpty);
    f("createContainer", s.create_container, json::kOmitEmpty);
    f("startContainer", s.start_container, json::kOmitEmpty);
    f("poststart", s.poststart, json::kOmitEmpty);
    f("poststop", s.poststop, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxNamespace& s) {
    f("type", s.type);
    f("path", s.path, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxDevice& s) {
    f("path", s.path);
    f("type", s.type);
    f("major", s.major);
    f("minor", s.minor);
    f("fileMode", s.file_mode, json::kOmitEmpty);
    f("uid", s.uid, json::kOmitEmpty);
    f("gid", s.gid, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxNetDevice& s) {
    f("name", s.name, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxTimeOffset& s) {
    f("secs", s.secs);
    f("nanosecs", s.nanosecs);
}

void describe(json::Fields& f, const LinuxDeviceCgroup& s) {
    f("allow", s.allow);
    f("type", s.type, json::kOmitEmpty);
    f("major", s.major, json::kOmitEmpty);
    f("minor", s.minor, json::kOmitEmpty);
    f("access", s.access, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxMemory& s) {
    f("limit", s.limit, json::kOmitEmpty);
    f("reservation", s.reservation, json::kOmitEmpty);
    f("swap", s.swap, json::kOmitEmpty);
    f("kernel", s.kernel, json::kOmitEmpty);
    f("kernelTCP", s.kernel_tcp, json::kOmitEmpty);
    f("swappiness", s.swappiness, json::kOmitEmpty);
    f("disableOOMKiller", s.disable_oom_killer, json::kOmitEmpty);
    f("useHierarchy", s.use_hierarchy, json::kOmitEmpty);
    f("checkBeforeUpdate", s.check_before_update, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxCpu& s) {
    f("shares", s.shares, json::kOmitEmpty);
    f("quota", s.quota, json::kOmitEmpty);
    f("burst", s.burst, json::kOmitEmpty);
    f("period", s.period, json::kOmitEmpty);
    f("realtimeRuntime", s.realtime_runtime, json::kOmitEmpty);
    f("realtimePeriod", s.realtime_period, json::kOmitEmpty);
    f("cpus", s.cpus, json::kOmitEmpty);
    f("mems", s.mems, json::kOmitEmpty);
    f("idle", s.idle, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxPids& s) {
    f("limit", s.limit, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxWeightDevice& s) {
    f("major", s.major);
    f("minor", s.minor);
    f("weight", s.weight, json::kOmitEmpty);
    f("leafWeight", s.leaf_weight, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxThrottleDevice& s) {
    f("major", s.major);
    f("minor", s.minor);
    f("rate", s.rate);
}

void describe(json::Fields& f, const LinuxBlockIo& s) {
    f("weight", s.weight, json::kOmitEmpty);
    f("leafWeight", s.leaf_weight, json::kOmitEmpty);
    f("weightDevice", s.weight_device, json::kOmitEmpty);
    f("throttleReadBpsDevice", s.throttle_read_bps_device, json::kOmitEmpty);
    f("throttleWriteBpsDevice", s.throttle_write_bps_device, json::kOmitEmpty);
    f("throttleReadIOPSDevice", s.throttle_read_iops_device, json::kOmitEmpty);
    f("throttleWriteIOPSDevice", s.throttle_write_iops_device, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxHugepageLimit& s) {
    f("pageSize", s.page_size);
    f("limit", s.limit);
}

void describe(json::Fields& f, const LinuxInterfacePriority& s) {
    f("name", s.name);
    f("priority", s.priority);
}

void describe(json::Fields& f, const LinuxNetwork& s) {
    f("classID", s.class_id, json::kOmitEmpty);
    f("priorities", s.priorities, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxRdma& s) {
    f("hcaHandles", s.hca_handles, json::kOmitEmpty);
    f("hcaObjects", s.hca_objects, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxResources& s) {
    f("devices", s.devices, json::kOmitEmpty);
    f("memory", s.memory, json::kOmitEmpty);
    f("cpu", s.cpu, json::kOmitEmpty);
    f("pids", s.pids, json::kOmitEmpty);
    f("blockIO", s.block_io, json::kOmitEmpty);
    f("hugepageLimits", s.hugepage_limits, json::kOmitEmpty);
    f("network", s.network, json::kOmitEmpty);
    f("rdma", s.rdma, json::kOmitEmpty);
    f("unified", s.unified, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxSeccompArg& s) {
    f("index", s.index);
    f("value", s.value);
    f("valueTwo", s.value_two, json::kOmitEmpty);
    f("op", s.op);
}

void describe(json::Fields& f, const LinuxSyscall& s) {
    f("names", s.names);
    f("action", s.action);
    f("errnoRet", s.errno_ret, json::kOmitEmpty);
    f("args", s.args, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxSeccomp& s) {
    f("defaultAction", s.default_action);
    f("defaultErrnoRet", s.default_errno_ret, json::kOmitEmpty);
    f("architectures", s.architectures, json::kOmitEmpty);
    f("flags", s.flags, json::kOmitEmpty);
    f("listenerPath", s.listener_path, json::kOmitEmpty);
    f("listenerMetadata", s.listener_metadata, json::kOmitEmpty);
    f("syscalls", s.syscalls, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxIntelRdt& s) {
    f("closID", s.clos_id, json::kOmitEmpty);
    f("schemata", s.schemata, json::kOmitEmpty);
    f("l3CacheSchema", s.l3_cache_schema, json::kOmitEmpty);
    f("memBwSchema", s.mem_bw_schema, json::kOmitEmpty);
    f("enableMonitoring", s.enable_monitoring, json::kOmitEmpty);
    f("enableCMT", s.enable_cmt, json::kOmitEmpty);
    f("enableMBM", s.enable_mbm, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxMemoryPolicy& s) {
    f("mode", s.mode);
    f("nodes", s.nodes, json::kOmitEmpty);
    f("flags", s.flags, json::kOmitEmpty);
}

void describe(json::Fields& f, const LinuxPersonality& s) {
    f("domain", s.domain);
    f("flags", s.flags, json::kOmitEmpty);
}

void describe(json::Fields& f, const Linux& s) {
    f("uidMappings", s.uid_mappings, json::kOmitEmpty);
    f("gidMappings", s.gid_mappings, json::kOmitEmpty);
    f("sysctl", s.sysctl, json::kOmitEmpty);
    f("resources", s.resources, json::kOmitEmpty);
    f("cgroupsPath", s.cgroups_path, json::kOmitEmpty);
    f("namespaces", s.namespaces, json::kOmitEmpty);
    f("devices", s.devices, json::kOmitEmpty);
    f("netDevices", s.net_devices, json::kOmitEmpty);
    f("seccomp", s.seccomp, json::kOmitEmpty);
    f("rootfsPropagation", s.rootfs_propagation, json::kOmitEmpty);
    f("maskedPaths", s.masked_paths, json::kOmitEmpty);
    f("readonlyPaths", s.readonly_paths, json::kOmitEmpty);
    f("mountLabel", s.mount_label, json::kOmitEmpty);
    f("intelRdt", s.intel_rdt, json::kOmitEmpty);
    f("memoryPolicy", s.memory_policy, json::kOmitEmpty);
    f("personality", s.personality, json::kOmitEmpty);
    f("timeOffsets", s.time_offsets, json::kOmitEmpty);
}

void describe(json::Fields& f, const Spec& s) {
    f("ociVersion", s.oci_version);
    f("process", s.process, json::kOmitEmpty);
    f("root", s.root, json::kOmitEmpty);
    f("hostname", s.hostname, json::kOmitEmpty);
    f("domainname", s.domainname, json::kOmitEmpty);
    f("mounts", s.mounts, json::kOmitEmpty);
    f("hooks", s.hooks, json::kOmitEmpty);
    f("annotations", s.annotations, json::kOmitEmpty);
    f("linux", s.linux, json::kOmitEmpty);
}

void describe(json::Fields& f, const State& s) {
    f("ociVersion", s.oci_version);
    f("id", s.id);
    f("status", s.status);
    f("pid", s.pid, json::kOmitEmpty);
    f("bundle", s.bundle);
    f("annotations", s.annotations, json::kOmitEmpty);
}

}  // namespace coffer::oci
