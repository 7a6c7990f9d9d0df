// The flags that run and create share: docker's names, short forms, words and defaults.
#include "cli/checks.hpp"
#include "cli/commands/create_request.hpp"

namespace coffer::cli {

namespace {

constexpr std::string_view kCgroupnsHelp =
    "Cgroup namespace to use (host|private)\n"
    "'host':    Run the container in the Docker host's cgroup namespace\n"
    "'private': Run the container in its own private cgroup namespace\n"
    "'':        Use the cgroup namespace as configured by the\n"
    "           default-cgroupns-mode option on the daemon (default)";

// Of Windows hosts: read, as docker does, but not shown.
constexpr Flag for_windows(Flag flag) {
    flag = counted(flag);
    flag.hidden = true;
    return flag;
}

constexpr Flag kNetwork =
    typed("network", list("network", 0, &check_network, "Connect a container to a network"));
constexpr Flag kNetworkAlias =
    list("network-alias", 0, nullptr, "Add network-scoped alias for the container");
constexpr Flag kDnsOption = list("dns-option", 0, nullptr, "Set DNS options");

constexpr std::array kFlags = {
    list("add-host", 0, &check_add_host, "Add a custom host-to-IP mapping (host:ip)"),
    mapped(list("annotation", 0, nullptr,
                "Add an annotation to the container (passed through to the OCI runtime)")),
    list("attach", 'a', &check_attach, "Attach to STDIN, STDOUT or STDERR"),
    counted(value("uint16", "blkio-weight", 0, &check_uint16,
                  "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)")),
    typed("list",
          list("blkio-weight-device", 0, &check_weight_device,
               "Block IO weight (relative device weight)"),
          "[]"),
    list("cap-add", 0, nullptr, "Add Linux capabilities"),
    list("cap-drop", 0, nullptr, "Drop Linux capabilities"),
    text("cgroup-parent", 0, "Optional parent cgroup for the container"),
    text("cgroupns", 0, kCgroupnsHelp),
    text("cidfile", 0, "Write the container ID to the file"),
    list("config", 0, nullptr,
         "Give it a config as a file in memory (NAME[,target=PATH][,uid=N][,gid=N][,mode=OCTAL])"),
    for_windows(value("int", "cpu-count", 0, &check_int, "CPU count (Windows only)")),
    for_windows(value("int", "cpu-percent", 0, &check_int, "CPU percent (Windows only)")),
    counted(value("int", "cpu-period", 0, &check_int,
                  "Limit CPU CFS (Completely Fair Scheduler) period")),
    counted(value("int", "cpu-quota", 0, &check_int,
                  "Limit CPU CFS (Completely Fair Scheduler) quota")),
    counted(
        value("int", "cpu-rt-period", 0, &check_int, "Limit CPU real-time period in microseconds")),
    counted(value("int", "cpu-rt-runtime", 0, &check_int,
                  "Limit CPU real-time runtime in microseconds")),
    counted(value("int", "cpu-shares", 'c', &check_int, "CPU shares (relative weight)")),
    counted(value("decimal", "cpus", 0, &check_cpus, "Number of CPUs")),
    text("cpuset-cpus", 0, "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", 0, "MEMs in which to allow execution (0-3, 0,1)"),
    list("device", 0, nullptr, "Add a host device to the container"),
    list("device-cgroup-rule", 0, &check_device_rule,
         "Add a rule to the cgroup allowed devices list"),
    typed("list",
          list("device-read-bps", 0, &check_bps_device,
               "Limit read rate (bytes per second) from a device"),
          "[]"),
    typed("list",
          list("device-read-iops", 0, &check_iops_device,
               "Limit read rate (IO per second) from a device"),
          "[]"),
    typed("list",
          list("device-write-bps", 0, &check_bps_device,
               "Limit write rate (bytes per second) to a device"),
          "[]"),
    typed("list",
          list("device-write-iops", 0, &check_iops_device,
               "Limit write rate (IO per second) to a device"),
          "[]"),
    with_default(toggle("disable-content-trust", 0, "Skip image verification"), "true", "true"),
    list("dns", 0, &check_dns, "Set custom DNS servers"),
    kDnsOption,
    other_spelling("dns-opt", kDnsOption),
    list("dns-search", 0, &check_dns_search, "Set custom DNS search domains"),
    text("domainname", 0, "Container NIS domain name"),
    list("egress", 0, nullptr,
         "What it may reach outside its network (\"deny allow:deb.debian.org:443\")"),
    text("entrypoint", 0, "Overwrite the default ENTRYPOINT of the image"),
    list("env", 'e', &check_env, "Set environment variables"),
    list("env-file", 0, nullptr, "Read in a file of environment variables"),
    list("expose", 0, nullptr, "Expose a port or a range of ports"),
    typed("gpu-request",
          list("gpus", 0, &check_gpus,
               "GPU devices to add to the container ('all' to pass all GPUs)"),
          {}),
    list("group-add", 0, nullptr, "Add additional groups to join"),
    text("health-cmd", 0, "Command to run to check health"),
    text("health-http", 0, "URL to get to check health, from inside (\"http://:8080/healthz\")"),
    counted(value("duration", "health-interval", 0, &check_duration,
                  "Time between running the check (ms|s|m|h) (default 0s)")),
    text("health-on-failure", 0,
         "What to do once it is unhealthy (\"none\", \"kill\", \"restart\", \"stop\")"),
    counted(value("int", "health-retries", 0, &check_int,
                  "Consecutive failures needed to report unhealthy")),
    counted(
        value("duration", "health-start-interval", 0, &check_duration,
              "Time between running the check during the start period (ms|s|m|h) (default 0s)")),
    counted(value("duration", "health-start-period", 0, &check_duration,
                  "Start period for the container to initialize before starting health-retries "
                  "countdown (ms|s|m|h) (default 0s)")),
    text("health-tcp", 0, "Port to connect to to check health, from inside (\"5432\")"),
    counted(value("duration", "health-timeout", 0, &check_duration,
                  "Maximum time to allow one check to run (ms|s|m|h) (default 0s)")),
    toggle("help", 0, "Print usage"),
    text("hostname", 'h', "Container host name"),
    toggle("init", 0, "Run an init inside the container that forwards signals and reaps processes"),
    toggle("interactive", 'i', "Keep STDIN open even if not attached"),
    for_windows(value("bytes", "io-maxbandwidth", 0, &check_bytes,
                      "Maximum IO bandwidth limit for the system drive (Windows only)")),
    for_windows(value("uint", "io-maxiops", 0, &check_uint64,
                      "Maximum IOps limit for the system drive (Windows only)")),
    text("ip", 0, "IPv4 address (e.g., 172.30.100.104)"),
    text("ip6", 0, "IPv6 address (e.g., 2001:db8::33)"),
    text("ipc", 0, "IPC mode to use"),
    text("isolation", 0, "Container isolation technology"),
    counted(value("bytes", "kernel-memory", 0, &check_bytes, "Kernel memory limit")),
    list("label", 'l', &check_label, "Set meta data on a container"),
    list("label-file", 0, nullptr, "Read in a line delimited file of labels"),
    list("link", 0, &check_link, "Add link to another container"),
    list("link-local-ip", 0, nullptr, "Container IPv4/IPv6 link-local addresses"),
    text("log-driver", 0, "Logging driver for the container"),
    list("log-opt", 0, nullptr, "Log driver options"),
    text("mac-address", 0, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    counted(value("bytes", "memory", 'm', &check_bytes, "Memory limit")),
    counted(value("bytes", "memory-reservation", 0, &check_bytes, "Memory soft limit")),
    counted(value("bytes", "memory-swap", 0, &check_swap,
                  "Swap limit equal to memory plus swap: '-1' to enable unlimited swap")),
    with_default(value("int", "memory-swappiness", 0, &check_int,
                       "Tune container memory swappiness (0 to 100)"),
                 "-1", "-1"),
    typed("mount", list("mount", 0, &check_mount, "Attach a filesystem mount to the container"),
          {}),
    text("name", 0, "Assign a name to the container"),
    kNetwork,
    other_spelling("net", kNetwork),
    kNetworkAlias,
    other_spelling("net-alias", kNetworkAlias),
    toggle("no-healthcheck", 0, "Disable any container-specified HEALTHCHECK"),
    toggle("oom-kill-disable", 0, "Disable OOM Killer"),
    counted(value("int", "oom-score-adj", 0, &check_int,
                  "Tune host's OOM preferences (-1000 to 1000)")),
    text("pid", 0, "PID namespace to use"),
    counted(value("int", "pids-limit", 0, &check_int,
                  "Tune container pids limit (set -1 for unlimited)")),
    text("platform", 0, "Set platform if server is multi-platform capable"),
    toggle("privileged", 0, "Give extended privileges to this container"),
    list("publish", 'p', nullptr, "Publish a container's port(s) to the host"),
    toggle("publish-all", 'P', "Publish all exposed ports to random ports"),
    toggle("quiet", 'q', "Suppress the pull output"),
    text("rate", 0, "Limit what its interfaces send and receive (\"in=10mbit,out=5mbit\")"),
    toggle("read-only", 0, "Mount the container's root filesystem as read only"),
    with_default(text("restart", 0, "Restart policy to apply when a container exits"), "no",
                 "\"no\""),
    toggle("rm", 0,
           "Automatically remove the container and its associated anonymous volumes when it exits"),
    text("runtime", 0, "Runtime to use for this container"),
    list("secret", 0, nullptr,
         "Give it a secret as a file in memory (NAME[,target=PATH][,uid=N][,gid=N][,mode=OCTAL])"),
    list("security-opt", 0, nullptr, "Security Options"),
    counted(value("bytes", "shm-size", 0, &check_bytes, "Size of /dev/shm")),
    text("stop-signal", 0, "Signal to stop the container"),
    counted(
        value("int", "stop-timeout", 0, &check_int, "Timeout (in seconds) to stop a container")),
    list("storage-opt", 0, nullptr, "Storage driver options for the container"),
    mapped(list("sysctl", 0, &check_sysctl, "Sysctl options")),
    list("tmpfs", 0, nullptr, "Mount a tmpfs directory"),
    toggle("tty", 't', "Allocate a pseudo-TTY"),
    typed("ulimit", list("ulimit", 0, &check_ulimit, "Ulimit options"), "[]"),
    toggle("use-api-socket", 0, "Bind mount Docker API socket and required auth"),
    text("user", 'u', "Username or UID (format: <name|uid>[:<group|gid>])"),
    text("userns", 0, "User namespace to use"),
    text("uts", 0, "UTS namespace to use"),
    list("volume", 'v', nullptr, "Bind mount a volume"),
    text("volume-driver", 0, "Optional volume driver for the container"),
    list("volumes-from", 0, nullptr, "Mount volumes from the specified container(s)"),
    text("workdir", 'w', "Working directory inside the container"),
};

}  // namespace

constinit const std::span<const Flag> kCreateFlags{kFlags};

}  // namespace coffer::cli
