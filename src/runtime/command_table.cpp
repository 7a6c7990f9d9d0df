#include "runtime/command_table.hpp"

#include "runtime/commands.hpp"

namespace coffer::runtime {

namespace {

using command::Command;
using command::Completes;
using command::Flag;
using command::list;
using command::text;
using command::toggle;
using command::typed;

constexpr Flag word(std::string_view type, std::string_view name, std::string_view help) {
    return typed(type, text(name, 0, help));
}

constexpr std::array kGlobalFlags = {
    word("dir", "root", "keep the state of containers here (default /run/coffer-oci)"),
    word("file", "log", "append errors and warnings to a file (default: standard error)"),
    word("form", "log-format", "text or json (default text)"),
    toggle("debug", 0, "log what is done, too"),
    toggle("version", 'v', "print the version"),
    toggle("systemd-cgroup", 0, "the same as --cgroup-manager systemd"),
    word("name", "cgroup-manager",
         "who makes control groups: cgroupfs, systemd or disabled (default cgroupfs)"),
    word("path", "criu", "the program of CRIU (default: criu in $PATH)"),
    word("bool", "rootless", "true, false, or auto: who we are decides (default auto)"),
};

constexpr Flag kBundle =
    typed("dir", text("bundle", 'b', "the folder with config.json (default: the working folder)"));
constexpr Flag kConsoleSocket =
    word("socket", "console-socket", "send the terminal's descriptor to this socket");
constexpr Flag kPidFile = word("file", "pid-file", "write the process id to a file");
constexpr Flag kPreserveFds =
    word("count", "preserve-fds", "pass on this many descriptors from 3 up (default 0)");
constexpr Flag kDetach = toggle("detach", 'd', "do not wait for the process");
constexpr Flag kNoSubreaper = toggle("no-subreaper", 0, "taken for runc's sake; we are none");
constexpr Flag kNoPivot =
    toggle("no-pivot", 0, "move the root file system instead of pivot_root, for ramdisks");

constexpr std::array kMakeFlags = {
    kBundle,
    kConsoleSocket,
    kPidFile,
    kNoPivot,
    toggle("no-new-keyring", 0, "keep our session keyring"),
    kPreserveFds,
};
constexpr std::span<const Flag> kMakeTable = kMakeFlags;
constexpr std::array kRunFlags = {
    kDetach,
    toggle("keep", 0, "do not delete the container when it has ended"),
    kNoSubreaper,
};

constexpr std::array kExecFlags = {
    kConsoleSocket,
    word("dir", "cwd", "the working folder in the container"),
    list("env", 'e', nullptr, "NAME=VALUE; repeatable"),
    toggle("tty", 't', "with a terminal"),
    typed("uid[:gid]", text("user", 'u', "whose process it is")),
    typed("gid", list("additional-gids", 'g', nullptr, "a further group; repeatable")),
    typed("file", text("process", 'p', "take all of the process from process.json")),
    kDetach,
    kPidFile,
    word("label", "process-label", "its SELinux label"),
    word("profile", "apparmor", "its AppArmor profile"),
    toggle("no-new-privs", 0, "it cannot gain rights by execve"),
    typed("name", list("cap", 'c', nullptr, "a further capability; repeatable")),
    kPreserveFds,
    typed("path", list("cgroup", 0, nullptr,
                       "run in a control group below the container's; on v1 also "
                       "controller[,controller]:path; repeatable")),
    toggle("ignore-paused", 0, "also in a paused container, where it waits"),
    kNoSubreaper,
};

constexpr std::array kCriuFlags = {
    word("dir", "image-path", "the folder of the images (default checkpoint)"),
    word("dir", "work-path", "the folder of CRIU's log (default: that of the images)"),
    toggle("tcp-established", 0, "with open TCP connections"),
    toggle("ext-unix-sk", 0, "with unix sockets that lead out of the container"),
    toggle("shell-job", 0, "with a terminal or session from outside"),
    toggle("file-locks", 0, "with locks of files"),
    toggle("link-remap", 0, "with open files that have no name any more"),
    toggle("auto-dedup", 0, "take out of older images what newer ones have"),
    word("mode", "manage-cgroups-mode", "soft, full, strict or ignore (default soft)"),
    word("type", "empty-ns", "leave out what is in this namespace; only network"),
    toggle("lazy-pages", 0, "refused"),
    word("address", "page-server", "refused"),
    word("label", "lsm-profile", "refused"),
    word("label", "lsm-mount-context", "refused"),
};
constexpr std::span<const Flag> kCriuTable = kCriuFlags;
constexpr std::array kCheckpointFlags = {
    toggle("leave-running", 0, "the container goes on"),
    toggle("pre-dump", 0, "only the memory, for a quicker checkpoint afterwards; it goes on"),
    word("dir", "parent-path", "the images of a --pre-dump, relative to --image-path"),
    word("fd", "status-fd", "CRIU writes a zero byte here when it is ready"),
};
constexpr std::array kRestoreFlags = {
    kBundle, kConsoleSocket, kPidFile, kDetach, kNoSubreaper, toggle("no-pivot", 0, "refused"),
};

constexpr std::array kListFlags = {
    typed("form", text("format", 'f', "table or json (default table)")),
    toggle("quiet", 'q', "only the ids"),
};
constexpr std::array kPsFlags = {
    typed("form", text("format", 'f', "table or json (default table)")),
};
constexpr std::array kKillFlags = {toggle("all", 'a', "to every process of the container")};
constexpr std::array kDeleteFlags = {toggle("force", 'f', "also a running one: it is killed")};
constexpr std::array kEventsFlags = {
    word("duration", "interval", "between statistics: 500ms, 5s, 1m (default 5s)"),
    toggle("stats", 0, "print statistics once and end"),
};
constexpr std::array kSpecFlags = {
    kBundle,
    toggle("rootless", 0, "for a user who is not root"),
};

constexpr std::array kUpdateFlags = {
    typed("file", text("resources", 'r',
                       "take the limits from a JSON file, as linux.resources (-: standard input); "
                       "other flags are left out")),
    word("weight", "blkio-weight", "share of block devices, 10 to 1000"),
    word("us", "cpu-period", "period of --cpu-quota, in microseconds"),
    word("us", "cpu-quota", "time on processors in each period, in microseconds; -1: no limit"),
    word("us", "cpu-burst", "time that may be saved up beyond the quota, in microseconds"),
    word("shares", "cpu-share", "weight against other groups"),
    word("us", "cpu-rt-period", "period of --cpu-rt-runtime, in microseconds"),
    word("us", "cpu-rt-runtime", "real-time processes' time in each period, in microseconds"),
    word("list", "cpuset-cpus", "processors, as 0-2,4"),
    word("list", "cpuset-mems", "memory nodes, as 0-2,4"),
    word("0|1", "cpu-idle", "1: run only when nobody else wants to"),
    word("bytes", "kernel-memory", "refused: kernels have it no more"),
    word("bytes", "kernel-memory-tcp", "refused: kernels have it no more"),
    word("bytes", "memory", "limit of memory, as 512m; -1: none"),
    word("bytes", "memory-reservation", "limit of memory when it is scarce"),
    word("bytes", "memory-swap", "limit of memory and swap together; -1: none"),
    word("count", "pids-limit", "how many processes; -1: no limit"),
    word("schema", "l3-cache-schema", "a line of the resctrl group's schemata"),
    word("schema", "mem-bw-schema", "a line of the resctrl group's schemata"),
};

constexpr std::array kManFlags = {
    typed("dir", text("output", 'o', "write it and the pages of all commands to a folder")),
};

struct Row {
    Command command;
    Handler run;
};

constexpr std::string_view kOne = "CONTAINER";

constexpr Row kRows[] = {
    {{.name = "checkpoint",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "save a running container to images on disk, by CRIU",
      .flags = {kCheckpointFlags, &kCriuTable},
      .completes = Completes::Containers},
     checkpoint_command},
    {{.name = "completion",
      .arguments = "bash|zsh|fish",
      .summary = "print the completion script for a shell"},
     completion_command},
    {{.name = "create",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "create a container, without starting it",
      .flags = {kMakeFlags}},
     create_command},
    {{.name = "delete",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "delete a container that has stopped, or with --force any",
      .flags = {kDeleteFlags},
      .completes = Completes::Containers},
     delete_command},
    {{.name = "events",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "print OOM kills and, every --interval, statistics; or --stats once",
      .flags = {kEventsFlags},
      .completes = Completes::Containers},
     events_command},
    {{.name = "exec",
      .arguments = "[OPTIONS] CONTAINER [COMMAND [ARG...]]",
      .summary = "execute another process in a running container",
      .flags = {kExecFlags},
      .completes = Completes::Containers},
     exec_command},
    {{.name = "features", .summary = "print what this runtime supports, as JSON"},
     features_command},
    {{.name = "help", .arguments = "[COMMAND]", .summary = "show help"}, help_command},
    {{.name = "kill",
      .arguments = "[OPTIONS] CONTAINER [SIGNAL]",
      .summary = "send a signal (default: SIGTERM) to a container's init",
      .flags = {kKillFlags},
      .completes = Completes::Containers},
     kill_command},
    {{.name = "list", .summary = "list the containers below --root", .flags = {kListFlags}},
     list_command},
    {{.name = "man",
      .arguments = "[OPTIONS] [COMMAND]",
      .summary = "print the manual page of a command, for man(1)",
      .flags = {kManFlags}},
     man_command},
    {{.name = "pause",
      .arguments = kOne,
      .summary = "freeze all processes of a container",
      .completes = Completes::Containers},
     pause_command},
    {{.name = "ps",
      .arguments = "[OPTIONS] CONTAINER [PS OPTIONS]",
      .summary = "show the processes of a container",
      .flags = {kPsFlags},
      .completes = Completes::Containers},
     ps_command},
    {{.name = "restore",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "make a container of a bundle and the images of a checkpoint",
      .flags = {kRestoreFlags, &kCriuTable}},
     restore_command},
    {{.name = "resume",
      .arguments = kOne,
      .summary = "let a paused container run on",
      .completes = Completes::Containers},
     resume_command},
    {{.name = "run",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "create and start a container, and wait for it",
      .flags = {kRunFlags, &kMakeTable}},
     run_command},
    {{.name = "spec", .summary = "write a config.json to begin with", .flags = {kSpecFlags}},
     spec_command},
    {{.name = "start",
      .arguments = kOne,
      .summary = "execute the program of a created container",
      .completes = Completes::Containers},
     start_command},
    {{.name = "state",
      .arguments = kOne,
      .summary = "print the state of a container, as JSON",
      .completes = Completes::Containers},
     state_command},
    {{.name = "update",
      .arguments = "[OPTIONS] CONTAINER",
      .summary = "change the limits of a container",
      .flags = {kUpdateFlags},
      .completes = Completes::Containers},
     update_command},
    {{.name = "__complete", .summary = "print what may follow on a command line", .hidden = true},
     complete_command},
};

constexpr auto kCommands = [] {
    std::array<const Command*, std::size(kRows)> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = &kRows[i].command;
    return all;
}();

}  // namespace

constinit const Command kRoot{
    .name = "coffer-oci",
    .arguments = "[OPTIONS] COMMAND [ARG...]",
    .summary = "An OCI runtime: makes and joins containers from bundles",
    .flags = {kGlobalFlags},
    .children = kCommands,
    .manual_end =
        ".SH EXIT STATUS\n"
        "0 on success, 1 on an error, 255 on an error of exec. run and exec in the foreground give "
        "the status of the process, 128 and the signal's number if one killed it.\n"
        ".SH ENVIRONMENT\n.TP\n\\fBLISTEN_FDS\\fR\n"
        "So many descriptors from 3 up are sockets for the process, as of systemd.\n"
        ".TP\n\\fBXDG_RUNTIME_DIR\\fR\nWhere a user who is not root has the default of "
        "\\-\\-root.\n",
};

Handler handler_of(const Command& command) {
    for (const Row& row : kRows) {
        if (&row.command == &command) return row.run;
    }
    return nullptr;
}

}  // namespace coffer::runtime
