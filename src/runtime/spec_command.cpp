#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "json/value.hpp"
#include "runtime/commands.hpp"

namespace coffer::runtime {

namespace {

using json::Array;
using json::Object;

Array texts(std::initializer_list<const char*> list) {
    Array array;
    for (const char* text : list) array.emplace_back(text);
    return array;
}

Object mount(const char* destination, const char* type, const char* source,
             std::initializer_list<const char*> options) {
    return {{"destination", destination},
            {"type", type},
            {"source", source},
            {"options", texts(options)}};
}

Object process() {
    const Array caps = texts({"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"});
    return {
        {"terminal", true},
        {"user", Object{{"uid", 0}, {"gid", 0}}},
        {"args", texts({"sh"})},
        {"env", texts({"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "TERM=xterm"})},
        {"cwd", "/"},
        {"capabilities", Object{{"bounding", caps}, {"effective", caps}, {"permitted", caps}}},
        {"rlimits", Array{Object{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}}},
        {"noNewPrivileges", true},
    };
}

Object linux_part() {
    Array namespaces;
    for (const char* type : {"pid", "network", "ipc", "uts", "mount", "cgroup"}) {
        namespaces.push_back(Object{{"type", type}});
    }
    return {
        {"resources", Object{{"devices", Array{Object{{"allow", false}, {"access", "rwm"}}}}}},
        {"namespaces", namespaces},
        {"maskedPaths",
         texts({"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"})},
        {"readonlyPaths",
         texts({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})},
    };
}

Object document() {
    const Array mounts{
        mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
        mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
        mount("/dev/pts", "devpts", "devpts",
              {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
        mount("/dev/shm", "tmpfs", "shm",
              {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
        mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
        mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
        mount("/sys/fs/cgroup", "cgroup", "cgroup",
              {"nosuid", "noexec", "nodev", "relatime", "ro"}),
    };
    return {{"ociVersion", oci::kRuntimeSpecVersion},
            {"process", process()},
            {"root", Object{{"path", "rootfs"}, {"readonly", true}}},
            {"hostname", "coffer"},
            {"mounts", mounts},
            {"linux", linux_part()}};
}

// The same for a user without rights: our own ids are the container's root.
json::Value rootless_document() {
    json::Value value = document();
    json::Value& linux = *value.find("linux");
    json::Array namespaces;
    for (const json::Value& ns : *linux.find("namespaces")->if_array()) {
        if (*ns.find("type")->if_string() != "network") namespaces.push_back(ns);
    }
    namespaces.push_back(Object{{"type", "user"}});
    linux.set("namespaces", std::move(namespaces));
    const auto map = [](std::uint32_t id) {
        return Array{Object{{"containerID", 0}, {"hostID", id}, {"size", 1}}};
    };
    linux.set("uidMappings", map(::geteuid()));
    linux.set("gidMappings", map(::getegid()));
    linux.set("resources", Object{});
    return value;
}

}  // namespace

Result<int> spec_command(const Containers&, const Args& args) {
    const std::string bundle = args.has("bundle") ? args.get("bundle") : ".";
    const std::string path = bundle + "/config.json";
    if (sys::exists(path)) {
        return fail(Code::Conflict, "File {} exists. Remove it first", path);
    }
    TRY(sys::write_file(
        path,
        json::write(args.has("rootless") ? rootless_document() : document(), {.indent = 4}) + "\n",
        0644));
    return 0;
}

}  // namespace coffer::runtime
