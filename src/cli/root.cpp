// The root of the table of commands: the global flags and every command.
#include "cli/commands/commands.hpp"

namespace coffer::cli {

namespace {

using namespace commands;  // NOLINT(google-build-using-namespace): the table names them all

constexpr std::array kGlobalFlags = {
    text("config", 0, "Location of client config files (default \"~/.docker\")"),
    toggle("debug", 'D', "Enable debug mode"),
    list("host", 'H', nullptr, "Daemon socket to connect to"),
    with_default(
        text("log-level", 'l',
             "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")"),
        "info", "\"info\""),
    toggle("tls", 0, "Use TLS; implied by --tlsverify"),
    text("tlscacert", 0, "Trust certs signed only by this CA (default \"~/.docker/ca.pem\")"),
    text("tlscert", 0, "Path to TLS certificate file (default \"~/.docker/cert.pem\")"),
    text("tlskey", 0, "Path to TLS key file (default \"~/.docker/key.pem\")"),
    toggle("tlsverify", 0, "Use TLS and verify the remote"),
    toggle("version", 'v', "Print version information and quit"),
};

constinit const std::array kCommands = {
    &kArtifact, &kAttach,   &kCommit,  &kComplete, &kCompletion, &kConfig, &kContainer, &kCp,
    &kCreate,   &kDiff,     &kEgress,  &kEvents,   &kExec,       &kExport, &kHelp,      &kHistory,
    &kImage,    &kImages,   &kImport,  &kInfo,     &kInspect,    &kKill,   &kLoad,      &kLogin,
    &kLogout,   &kLogs,     &kMan,     &kNetwork,  &kPause,      &kPort,   &kPs,        &kPull,
    &kPush,     &kRename,   &kRestart, &kRm,       &kRmi,        &kRun,    &kSave,      &kSearch,
    &kSecret,   &kStart,    &kStats,   &kStop,     &kSystem,     &kTag,    &kTop,       &kUnpause,
    &kRecreate, &kRegistry, &kUpdate,  &kVersion,  &kVolume,     &kWait,
};

}  // namespace

constinit const Command kRoot{
    .name = "coffer",
    .arguments = "[OPTIONS] COMMAND [ARG...]",
    .summary = "A container engine that is secure by default",
    .flags = {kGlobalFlags},
    .children = kCommands,
    .manual_end =
        ".SH ENVIRONMENT\n.TP\n\\fBCOFFER_HOST\\fR, \\fBDOCKER_HOST\\fR\n"
        "The daemon to talk to, as \\-\\-host; the first one that is set counts.\n"
        ".TP\n\\fBDOCKER_CONFIG\\fR\nThe folder of config.json, as \\-\\-config.\n"
        ".SH EXIT STATUS\n"
        "0 on success, 1 on an error. run and exec give the status of the program; run gives "
        "125 when the engine failed, 126 when the program could not be executed and 127 "
        "when it was not found.\n",
};

}  // namespace coffer::cli
