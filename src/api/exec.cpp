#include "api/exec.hpp"

namespace coffer::api {

void describe(json::Fields& f, const ExecCreateRequest& s) {
    f("User", s.user);
    f("Privileged", s.privileged);
    f("Tty", s.tty);
    f("ConsoleSize", s.console_size, json::kOmitEmpty);
    f("AttachStdin", s.attach_stdin);
    f("AttachStderr", s.attach_stderr);
    f("AttachStdout", s.attach_stdout);
    f("DetachKeys", s.detach_keys);
    f("Env", s.env);
    f("WorkingDir", s.working_dir);
    f.words("Cmd", s.cmd);
}

void describe(json::Fields& f, const ExecStartRequest& s) {
    f("Detach", s.detach);
    f("Tty", s.tty);
    f("ConsoleSize", s.console_size, json::kOmitEmpty);
}

void describe(json::Fields& f, const ExecProcessConfig& s) {
    f("tty", s.tty);
    f("entrypoint", s.entrypoint);
    f("arguments", s.arguments);
    f("privileged", s.privileged, json::kOmitEmpty);
    f("user", s.user, json::kOmitEmpty);
}

void describe(json::Fields& f, const ExecInspect& s) {
    f("ID", s.id);
    f("Running", s.running);
    f("ExitCode", s.exit_code);
    f("ProcessConfig", s.process_config);
    f("OpenStdin", s.open_stdin);
    f("OpenStderr", s.open_stderr);
    f("OpenStdout", s.open_stdout);
    f("CanRemove", s.can_remove);
    f("ContainerID", s.container_id);
    f("DetachKeys", s.detach_keys);
    f("Pid", s.pid);
}

}  // namespace coffer::api
