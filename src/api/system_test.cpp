#include "api/system.hpp"

#include <gtest/gtest.h>

#include "api/event.hpp"
#include "api/exec.hpp"
#include "api/stats.hpp"

namespace coffer::api {

namespace {

// Documents of a docker engine, in its own order of fields: what is read is written again.
template <class T>
void expect_same(const std::string& text) {
    const auto value = json::decode<T>(text);
    ASSERT_TRUE(value) << value.error().message;
    EXPECT_EQ(json::encode(*value), text);
}

TEST(ApiTypes, KeepDocumentsOfDocker) {
    expect_same<ImageSummary>(
        R"({"Containers":-1,"Created":1795478306,"Id":"sha256:d4","Labels":null,"ParentId":"",)"
        R"("RepoDigests":[],"RepoTags":["bb:latest"],"SharedSize":-1,"Size":1982256})");
    expect_same<HistoryItem>(
        R"({"Comment":"Imported from -","Created":1795478306,"CreatedBy":"","Id":"sha256:d4",)"
        R"("Size":1982256,"Tags":["bb:latest"]})");
    expect_same<std::vector<Network>>(
        R"([{"Name":"host","Id":"2ac5","Created":"2026-11-23T23:58:21.133196697Z","Scope":"local",)"
        R"("Driver":"host","EnableIPv4":true,"EnableIPv6":false,"IPAM":{"Driver":"default",)"
        R"("Options":null,"Config":[]},"Internal":false,"Attachable":false,"Ingress":false,)"
        R"("ConfigFrom":{"Network":""},"ConfigOnly":false,"Containers":{},"Options":{},)"
        R"("Labels":{}}])");
    expect_same<VolumeListResponse>(R"({"Volumes":[],"Warnings":null})");
    expect_same<Version>(
        R"({"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"28","Details":)"
        R"({"ApiVersion":"1.50","Os":"linux"}}],"Version":"28","ApiVersion":"1.50",)"
        R"("MinAPIVersion":"1.24","GitCommit":"5d","GoVersion":"go1","Os":"linux","Arch":"amd64",)"
        R"("KernelVersion":"6","BuildTime":"2026"})");
    expect_same<RegistryConfig>(
        R"({"InsecureRegistryCIDRs":["127.0.0.0/8"],"IndexConfigs":{"docker.io":{"Name":)"
        R"("docker.io","Mirrors":[],"Secure":true,"Official":true}},"Mirrors":[]})");
    expect_same<SwarmInfo>(
        R"({"NodeID":"","NodeAddr":"","LocalNodeState":"inactive","ControlAvailable":false,)"
        R"("Error":"","RemoteManagers":null})");
    expect_same<DiskUsage>(R"({"LayersSize":1,"Images":[],"Containers":[],"Volumes":[],)"
                           R"("BuildCache":[]})");
    expect_same<ErrorResponse>(R"({"message":"no such container: x"})");
    expect_same<Event>(
        R"({"status":"start","id":"ab","from":"bb","Type":"container","Action":"start","Actor":)"
        R"({"ID":"ab","Attributes":{"image":"bb","name":"c"}},"scope":"local","time":1,)"
        R"("timeNano":1000000001})");
    expect_same<ExecInspect>(
        R"({"ID":"e","Running":false,"ExitCode":null,"ProcessConfig":{"tty":false,)"
        R"("entrypoint":"sh","arguments":["-c"],"privileged":false},"OpenStdin":false,)"
        R"("OpenStderr":true,"OpenStdout":true,"CanRemove":false,"ContainerID":"c",)"
        R"("DetachKeys":"","Pid":0})");
    expect_same<ProgressMessage>(
        R"({"status":"Downloading","progressDetail":{"current":1,"total":2},)"
        R"("progress":"[=\u003e ]","id":"abc"})");
    expect_same<ProgressMessage>(
        R"({"errorDetail":{"message":"x"},"error":"x","aux":{"ID":"sha256:d4"}})");
}

TEST(ApiTypes, WriteAnEmptyInfo) {
    const std::string text = json::encode(Info{});
    for (const std::string_view part :
         {R"("ID":"")", R"("NCPU":0)", R"("NFd":0)", R"("Labels":[])", R"("Warnings":null)",
          R"("Authorization":null)", R"("GenericResources":null)", R"("CPUShares":false)",
          R"("LocalNodeState":"inactive")", R"("OSType":"")", R"("IPv4Forwarding":false)"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(ApiTypes, WriteStatsOfAStoppedContainer) {
    const std::string text = json::encode(StatsResponse{});
    EXPECT_NE(text.find(R"("read":"0001-01-01T00:00:00Z")"), std::string::npos);
    EXPECT_NE(text.find(R"("memory_stats":{})"), std::string::npos);
    EXPECT_NE(text.find(R"("io_service_bytes_recursive":null)"), std::string::npos);
    EXPECT_NE(text.find(R"("cpu_usage":{"total_usage":0,"usage_in_kernelmode":0)"),
              std::string::npos);
}

}  // namespace

}  // namespace coffer::api
