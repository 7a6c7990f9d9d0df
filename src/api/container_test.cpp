#include "api/container.hpp"

#include <gtest/gtest.h>

namespace coffer::api {

namespace {

// As the docker command line 28 sends it for: create -it -p 8080:80 -p 127.0.0.1::53/udp -v ...
const std::string kCreate =
    R"({"Hostname":"","Domainname":"","User":"","AttachStdin":true,"AttachStdout":true,)"
    R"("AttachStderr":true,"ExposedPorts":{"53/udp":{},"80/tcp":{},"9/tcp":{}},"Tty":true,)"
    R"("OpenStdin":true,"StdinOnce":true,"Env":["A=B"],"Cmd":["sh","-c","x"],)"
    R"("Healthcheck":{"Test":["CMD-SHELL","a b"],"Interval":3000000000},"Image":"busybox",)"
    R"("Volumes":null,"WorkingDir":"","Entrypoint":[""],"OnBuild":null,"Labels":{"x":"y"},)"
    R"("StopSignal":"INT","StopTimeout":3,"HostConfig":{"Binds":["/a:/b:ro"],)"
    R"("ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"n",)"
    R"("PortBindings":{"53/udp":[{"HostIp":"127.0.0.1","HostPort":""}],"80/tcp":[{"HostIp":"",)"
    R"("HostPort":"8080"}]},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},)"
    R"("AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],)"
    R"("Annotations":{"k":"v"},"CapAdd":["CAP_NET_ADMIN"],"CapDrop":null,"CgroupnsMode":"",)"
    R"("Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":["a:1.1.1.1"],"GroupAdd":null,)"
    R"("IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,)"
    R"("PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":["no-new-privileges"],)"
    R"("StorageOpt":{"size":"1G"},"Tmpfs":{"/q":"size=1"},"UTSMode":"","UsernsMode":"",)"
    R"("ShmSize":0,"Sysctls":{"net.core.somaxconn":"1"},"Isolation":"","CpuShares":0,)"
    R"("Memory":67108864,"NanoCpus":1500000000,"CgroupParent":"","BlkioWeight":0,)"
    R"("BlkioWeightDevice":[{"Path":"/dev/sda","Weight":10}],)"
    R"("BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":1048576}],"BlkioDeviceWriteBps":[],)"
    R"("BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,)"
    R"("CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"",)"
    R"("Devices":[{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse",)"
    R"("CgroupPermissions":"rwm"}],"DeviceCgroupRules":null,"DeviceRequests":[{"Driver":"",)"
    R"("Count":-1,"DeviceIDs":null,"Capabilities":[["gpu"]],"Options":{}}],)"
    R"("MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":-1,"OomKillDisable":false,)"
    R"("PidsLimit":7,"Ulimits":[{"Name":"nofile","Hard":2,"Soft":1}],"CpuCount":0,)"
    R"("CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"Mounts":[{"Type":"tmpfs",)"
    R"("Target":"/t","TmpfsOptions":{"SizeBytes":10485760,"Mode":1023}},{"Type":"volume",)"
    R"("Source":"v","Target":"/v","VolumeOptions":{"Labels":{"a":"b"},"DriverConfig":{}}},)"
    R"({"Type":"bind","Source":"/x","Target":"/y","BindOptions":{"Propagation":"rslave"}}],)"
    R"("MaskedPaths":null,"ReadonlyPaths":null,"Init":true},)"
    R"("NetworkingConfig":{"EndpointsConfig":{"n":{"IPAMConfig":{"IPv4Address":"10.0.0.3"},)"
    R"("Links":null,"Aliases":["al"],"MacAddress":"02:00:00:00:00:01","DriverOpts":null,)"
    R"("GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"",)"
    R"("IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,)"
    R"("DNSNames":null}}}})";
TEST(ContainerCreate, ReadsAndWritesWhatDockerSends) {
    const auto request = json::decode<ContainerCreateRequest>(kCreate);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->config.entrypoint, Strings{""});
    EXPECT_EQ(request->host_config.resources.nano_cpus, 1'500'000'000);
    EXPECT_EQ(request->host_config.port_bindings.at("80/tcp")->at(0).host_port, "8080");
    EXPECT_EQ(request->host_config.mounts.at(0).tmpfs_options->mode, 01777U);
    EXPECT_EQ(request->networking_config.endpoints_config.at("n").ipam_config->ipv4_address,
              "10.0.0.3");
    EXPECT_FALSE(request->host_config.masked_paths);
    EXPECT_EQ(json::encode(*request), kCreate);
}

TEST(ContainerCreate, TellsAbsentFromEmpty) {
    const auto request = json::decode<ContainerCreateRequest>(
        R"({"Image":"x","Entrypoint":[],"Cmd":"true","HostConfig":{"MaskedPaths":[],)"
        R"("PortBindings":{"80/tcp":null}},"NetworkingConfig":null,"Nonsense":{"a":[]}})");
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->config.entrypoint, Strings{});
    EXPECT_EQ(request->config.cmd, Strings{"true"});
    EXPECT_EQ(request->host_config.masked_paths, Strings{});
    EXPECT_FALSE(request->host_config.port_bindings.at("80/tcp"));
    EXPECT_FALSE(json::decode<ContainerCreateRequest>(R"({"Image":"x"})")->config.entrypoint);
}

TEST(ContainerCreate, NamesTheFieldOfAWrongType) {
    const auto message = [](std::string_view text) {
        const auto request = json::decode<ContainerCreateRequest>(text);
        return request ? "no error" : request.error().message;
    };
    EXPECT_EQ(message(R"({"HostConfig":{"Memory":"64m"}})"),
              "HostConfig.Memory: expected a number, got string");
    EXPECT_EQ(message(R"({"Env":"A=b"})"), "Env: expected an array, got string");
    EXPECT_EQ(message(R"({"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}})"),
              "HostConfig.PortBindings.80/tcp[0].HostPort: expected a string, got number");
}

TEST(ContainerInspect, HasTheNullsAndEmptiesOfDocker) {
    const std::string text = json::encode(ContainerInspect{});
    for (const std::string_view part :
         {R"("State":{"Status":"","Running":false)", R"("StartedAt":"0001-01-01T00:00:00Z")",
          R"("ExecIDs":null)", R"("Binds":null)", R"("PortBindings":{})", R"("Dns":[])",
          R"("ConsoleSize":[0,0])", R"("PidsLimit":null)", R"("MaskedPaths":null)",
          R"("GraphDriver":{"Data":null,"Name":""})", R"("Mounts":[])", R"("Entrypoint":null)",
          R"("OnBuild":null,"Labels":{})", R"("SecondaryIPAddresses":null)",
          R"("IPAddress":"","IPPrefixLen":0)", R"("Ports":{},"HairpinMode":false)"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    for (const std::string_view absent : {"SizeRw", "Health\"", "Annotations", "ExposedPorts"})
        EXPECT_EQ(text.find(absent), std::string::npos) << absent;
    const auto again = json::decode<ContainerInspect>(text);
    ASSERT_TRUE(again);
    EXPECT_EQ(json::encode(*again), text);
}

TEST(ContainerInspect, ShowsAnExposedPortAsNull) {
    NetworkSettings settings;
    settings.ports["80/tcp"] = std::nullopt;
    settings.ports["81/tcp"] = std::vector<PortBinding>{{"0.0.0.0", "8081"}};
    EXPECT_NE(json::encode(settings).find(
                  R"("Ports":{"80/tcp":null,"81/tcp":[{"HostIp":"0.0.0.0","HostPort":"8081"}]})"),
              std::string::npos);
}

TEST(ContainerWait, HasTheErrorOnlyWhenThereIsOne) {
    EXPECT_EQ(json::encode(WaitResponse{.error = {}, .status_code = 3}), R"({"StatusCode":3})");
    EXPECT_EQ(json::encode(WaitResponse{.error = WaitExitError{"x"}, .status_code = 1}),
              R"({"Error":{"Message":"x"},"StatusCode":1})");
}

}  // namespace

}  // namespace coffer::api
