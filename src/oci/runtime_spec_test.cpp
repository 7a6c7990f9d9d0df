#include "oci/runtime_spec.hpp"

#include <gtest/gtest.h>

namespace coffer::oci {

namespace {

TEST(RuntimeSpec, KeepsAWholeConfigInARoundTrip) {
    const std::string text =
        R"({"ociVersion":"1.3.0","process":{"terminal":true,"consoleSize":{"height":2,"width":3},)"
        R"("user":{"uid":1,"gid":2,"umask":18,"additionalGids":[5,6]},"args":["sh"],"env":["A=b"],)"
        R"("cwd":"/","capabilities":{"bounding":["CAP_CHOWN"],"ambient":["CAP_KILL"]},)"
        R"("rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}],)"
        R"("noNewPrivileges":true,"apparmorProfile":"p","oomScoreAdj":0,)"
        R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,"period":3},)"
        R"("selinuxLabel":"l","ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":0},)"
        R"("execCPUAffinity":{"initial":"0","final":"0-1"}},)"
        R"("root":{"path":"rootfs","readonly":true},"hostname":"h","domainname":"d",)"
        R"("mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid"],)"
        R"("uidMappings":[{"containerID":0,"hostID":1000,"size":1}],)"
        R"("gidMappings":[{"containerID":0,"hostID":1000,"size":1}]}],)"
        R"("hooks":{"prestart":[{"path":"/h","args":["h"],"env":["X=1"],"timeout":0}],)"
        R"("createRuntime":[{"path":"/a"}],"createContainer":[{"path":"/b"}],)"
        R"("startContainer":[{"path":"/c"}],"poststart":[{"path":"/d"}],"poststop":[{"path":"/e"}]},)"
        R"("annotations":{"a":"b"},"linux":{)"
        R"("uidMappings":[{"containerID":0,"hostID":1879048192,"size":65536}],)"
        R"("gidMappings":[{"containerID":0,"hostID":1879048192,"size":65536}],)"
        R"("sysctl":{"net.core.somaxconn":"256"},"resources":{)"
        R"("devices":[{"allow":false,"access":"rwm"},)"
        R"({"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}],)"
        R"("memory":{"limit":-1,"reservation":1,"swap":0,"kernel":1,"kernelTCP":1,"swappiness":0,)"
        R"("disableOOMKiller":false,"useHierarchy":true,"checkBeforeUpdate":true},)"
        R"("cpu":{"shares":2,"quota":-1,"burst":0,"period":100000,"realtimeRuntime":1,)"
        R"("realtimePeriod":1,"cpus":"0-1","mems":"0","idle":1},"pids":{"limit":0},)"
        R"("blockIO":{"weight":10,"leafWeight":11,)"
        R"("weightDevice":[{"major":8,"minor":0,"weight":1,"leafWeight":2}],)"
        R"("throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],)"
        R"("throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}],)"
        R"("throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}],)"
        R"("throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":4}]},)"
        R"("hugepageLimits":[{"pageSize":"2MB","limit":9}],)"
        R"("network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5}]},)"
        R"("rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":4}},"unified":{"memory.high":"max"}},)"
        R"("cgroupsPath":"/a/b","namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],)"
        R"("devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"fileMode":438,)"
        R"("uid":0,"gid":0}],"netDevices":{"eth1":{"name":"ctr"}},)"
        R"("seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,)"
        R"("architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],)"
        R"("listenerPath":"/s","listenerMetadata":"m","syscalls":[{"names":["clone"],)"
        R"("action":"SCMP_ACT_ALLOW","errnoRet":38,)"
        R"("args":[{"index":0,"value":2114060288,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]}]},)"
        R"("rootfsPropagation":"rslave","maskedPaths":["/proc/kcore"],)"
        R"("readonlyPaths":["/proc/sys"],"mountLabel":"x",)"
        R"("intelRdt":{"closID":"c","schemata":["L3:0=f"],"l3CacheSchema":"L3","memBwSchema":"MB",)"
        R"("enableMonitoring":true,"enableCMT":true,"enableMBM":true},)"
        R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]},)"
        R"("personality":{"domain":"LINUX32","flags":["F"]},)"
        R"("timeOffsets":{"boottime":{"secs":-1,"nanosecs":5}}}})";
    const auto spec = json::decode<Spec>(text);
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->linux->resources->memory->limit, -1);
    EXPECT_EQ(spec->process->oom_score_adj, 0);
    EXPECT_EQ(json::encode(*spec, {.escape = json::Escape::Plain}), text);
}

TEST(RuntimeSpec, WritesLittleWhenLittleIsSet) {
    Spec spec;
    spec.oci_version = kRuntimeSpecVersion;
    spec.root.emplace().path = "r";
    EXPECT_EQ(json::encode(spec), R"({"ociVersion":"1.3.0","root":{"path":"r"}})");
    State state{.oci_version = "1.0.2",
                .id = "x",
                .status = "stopped",
                .pid = 0,
                .bundle = "/b",
                .annotations = {}};
    EXPECT_EQ(json::encode(state),
              R"({"ociVersion":"1.0.2","id":"x","status":"stopped","bundle":"/b"})");
}

TEST(RuntimeSpec, NamesTheFieldOfAWrongType) {
    const auto message = [](std::string_view text) {
        const auto spec = json::decode<Spec>(text);
        return spec ? "no error" : spec.error().message;
    };
    EXPECT_EQ(message(R"({"process":{"user":{"uid":-1}}})"),
              "process.user.uid: number -1 is out of range");
    EXPECT_EQ(message(R"({"linux":{"namespaces":[{"type":1}]}})"),
              "linux.namespaces[0].type: expected a string, got number");
    EXPECT_EQ(message(R"({"linux":{"resources":{"memory":{"limit":"1g"}}}})"),
              "linux.resources.memory.limit: expected a number, got string");
}

}  // namespace

}  // namespace coffer::oci
