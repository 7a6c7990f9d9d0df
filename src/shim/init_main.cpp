// coffer-init: process 1 of a container that asks for one (--init), as /sbin/docker-init in it.
//
//   coffer-init [--] PROGRAM [ARGUMENT...]
//
// Runs the program as its only child, hands on every signal that can be caught, reaps whatever
// loses its parent, and ends as the program did: its exit code, or 128 and the signal. Static and
// without libraries of ours: it is bound into images of every kind, and lives as long as they do.

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

// Of ourselves, not for the program: to hold one back would be to loop on it.
constexpr int kFaults[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};

// A job of its own: what a terminal sends goes to the program and not to us too.
int start(char** argv, const sigset_t& signals, pid_t& program) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    if (::isatty(STDIN_FILENO) == 1) {
        ::posix_spawn_file_actions_addtcsetpgrp_np(&actions, STDIN_FILENO);
    }
    return ::posix_spawnp(&program, argv[0], &actions, &attributes, argv, ::environ);
}

// The exit code of `program` once it has ended; -1 until then.
int reap(pid_t program) {
    int code = -1;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != program) continue;
        code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    char** command = argv + 1;
    if (argc > 1 && std::strcmp(*command, "--") == 0) ++command;
    if (*command == nullptr) {
        std::fputs("usage: coffer-init [--] PROGRAM [ARGUMENT...]\n", stderr);
        return 125;
    }
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    for (const int fault : kFaults) ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    // Where we are not process 1, the others come to us all the same.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t program = -1;
    if (const int error = start(command, before, program); error != 0) {
        const char* text = ::strerrordesc_np(error);
        std::fprintf(stderr, "exec %s: %s\n", *command, text);
        return error == ENOENT ? 127 : 126;
    }
    for (;;) {
        siginfo_t signal;
        if (::sigwaitinfo(&all, &signal) < 0) continue;
        if (signal.si_signo != SIGCHLD) {
            ::kill(program, signal.si_signo);
            continue;
        }
        const int code = reap(program);
        if (code >= 0) return code;
    }
}
