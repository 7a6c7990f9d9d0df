// checkpoint and restore, by CRIU.

#include <unistd.h>

#include "runtime/checkpoint.hpp"
#include "runtime/commands.hpp"

namespace coffer::runtime {

namespace {

// Options of runc's that are known and not done.
Result<void> refuse_flags(const Args& args, std::initializer_list<const char*> names) {
    for (const char* name : names) {
        if (args.has(name)) return fail(Code::NotImplemented, "--{} is not supported", name);
    }
    return {};
}

Result<criu::CgroupMode> cgroup_mode(const Args& args) {
    const std::string mode =
        args.has("manage-cgroups-mode") ? args.get("manage-cgroups-mode") : "soft";
    if (mode == "soft") return criu::CgroupMode::Soft;
    if (mode == "full") return criu::CgroupMode::Full;
    if (mode == "strict") return criu::CgroupMode::Strict;
    if (mode == "ignore") return criu::CgroupMode::Ignore;
    return fail(Code::InvalidArgument,
                "--manage-cgroups-mode \"{}\" is not soft, full, strict or ignore", mode);
}

Result<CheckpointOptions> options_of(const Args& args) {
    TRY(refuse_flags(args, {"lazy-pages", "page-server", "lsm-profile", "lsm-mount-context"}));
    CheckpointOptions options;
    options.image_folder = args.has("image-path") ? args.get("image-path") : "checkpoint";
    options.work_folder = args.get("work-path");
    criu::Options& criu = options.criu_options;
    criu.tcp_established = args.has("tcp-established");
    criu.external_unix_sockets = args.has("ext-unix-sk");
    criu.shell_job = args.has("shell-job");
    criu.file_locks = args.has("file-locks");
    criu.link_remap = args.has("link-remap");
    criu.auto_dedup = args.has("auto-dedup");
    criu.cgroup_mode = TRY(cgroup_mode(args));
    for (const std::string& name : args.all("empty-ns")) {
        if (name != "network") {
            return fail(Code::InvalidArgument, "--empty-ns \"{}\" is not network", name);
        }
        criu.empty_network = true;
    }
    return options;
}

// Where earlier images are, from the new ones.
Result<std::string> parent_images(const Args& args) {
    const std::string path = args.get("parent-path");
    if (!path.starts_with('/')) return path;
    return fail(Code::InvalidArgument, "--parent-path '{}' must be relative", path);
}

}  // namespace

Result<int> checkpoint_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "checkpoint"));
    CheckpointOptions options = TRY(options_of(args));
    options.pre_dump = args.has("pre-dump");
    criu::Options& criu = options.criu_options;
    criu.leave_running = args.has("leave-running");
    criu.parent_images = TRY(parent_images(args));
    if (args.has("status-fd")) {
        const auto fd = parse_uint(args.get("status-fd"));
        if (!fd || *fd > 1024) {
            return fail(Code::InvalidArgument, "--status-fd \"{}\" is no descriptor",
                        args.get("status-fd"));
        }
        criu.status_fd = static_cast<int>(*fd);
    }
    TRY(checkpoint(containers, id, options));
    return 0;
}

Result<int> restore_command(const Containers& containers, const Args& args) {
    TRY(refuse_flags(args, {"no-pivot"}));
    ContainerRequest request = TRY(make_request(args, "restore"));
    const bool detach = args.has("detach");
    request.attended = !detach;
    const CheckpointOptions options = TRY(options_of(args));
    TRY(check_console(request, !detach));
    const sys::Fd signals = detach ? sys::Fd() : TRY(watch_signals());
    Created process = TRY(restore(containers, request, options));
    if (detach) return 0;
    auto status = attend(process, signals);
    TRY(containers.remove(request.id, Containers::Force::Yes));
    return status;
}

}  // namespace coffer::runtime
