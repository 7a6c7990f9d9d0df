/* fail_at N errno|kill PROGRAM ARGS...
 *
 * Runs a program under a filter that asks us about every system call by which a start makes or
 * changes something. The N-th of them, counted over all processes, fails with EIO; or there the
 * program itself, not its children, is killed. Its children are served until they are gone, or
 * ask nothing for a while. Prints how many calls there were and exits with the status of the
 * program, 128 + n for signal n. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"

static const int kCalls[] = {
    SYS_accept4, SYS_bind,       SYS_capset,     SYS_chdir,         SYS_chown,    SYS_clone3,
    SYS_close_range, SYS_connect, SYS_dup2,      SYS_execve,        SYS_fchdir,   SYS_fchmodat,
    SYS_fchown,  SYS_fchownat,   SYS_flock,      SYS_fsconfig,      SYS_fsmount,  SYS_fsopen,
    SYS_listen,  SYS_memfd_create, SYS_mkdir,    SYS_mkdirat,       SYS_mknodat,  SYS_mount,
    SYS_mount_setattr, SYS_move_mount, SYS_open_tree, SYS_openat2,  SYS_pidfd_open, SYS_pivot_root,
    SYS_prctl,   SYS_prlimit64,  SYS_rename,     SYS_sendmsg,       SYS_setgroups, SYS_setns,
    SYS_setresgid, SYS_setresuid, SYS_setsid,    SYS_socket,        SYS_socketpair, SYS_symlinkat,
    SYS_umount2, SYS_unshare,    SYS_write,
};
enum { kCount = sizeof kCalls / sizeof kCalls[0] };

/* Dozens in a row: reading the capability sets back, and dropping each one. */
static int is_dull(const struct seccomp_data* call) {
    return call->nr == SYS_prctl && (call->args[0] == PR_CAPBSET_READ || call->args[0] == PR_CAPBSET_DROP ||
                                     call->args[0] == PR_CAP_AMBIENT);
}

static void die(const char* what) {
    perror(what);
    exit(99);
}

int main(int argc, char** argv) {
    if (argc < 4) return 99;
    const int wanted = atoi(argv[1]);
    const int kills = strcmp(argv[2], "kill") == 0;
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) die("pipe");
    const pid_t child = fork();
    if (child == 0) {
        const int listener = ask_about(kCalls, kCount);
        if (listener < 0) die("seccomp");
        /* write(2) would be asked about: the number is the parent's to guess, by pidfd_getfd. */
        if (fcntl(listener, F_DUPFD, 100) != 100) die("dup");
        close(listener);
        raise(SIGSTOP);
        if (fcntl(100, F_SETFD, FD_CLOEXEC) != 0) die("fcntl");
        execv(argv[3], argv + 3);
        _exit(98);
    }
    int status = 0;
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 99;
    const int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    const int listener = (int)syscall(SYS_pidfd_getfd, pidfd, 100, 0);
    if (listener < 0) die("pidfd_getfd");
    kill(child, SIGCONT);
    int count = 0;
    int ended = 0;
    for (;;) {
        struct pollfd polls[2] = {{listener, POLLIN, 0}, {ended ? -1 : pidfd, POLLIN, 0}};
        const int ready = poll(polls, 2, ended ? 50 : -1);
        if (ready < 0) die("poll");
        if (ready == 0 || polls[0].revents & POLLHUP) break;
        if (polls[0].revents & POLLIN) {
            struct seccomp_notif ask;
            memset(&ask, 0, sizeof ask);
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) != 0) continue;
            struct seccomp_notif_resp answer = {ask.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
            const int hit = !is_dull(&ask.data) && ++count == wanted;
            if (hit && kills) kill(child, SIGKILL);
            if (hit && !kills) {
                answer.error = -EIO;
                answer.flags = 0;
            }
            ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        } else if (polls[1].revents != 0) {
            ended = 1;
        }
    }
    if (waitpid(child, &status, 0) != child) die("wait");
    printf("%d\n", count);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
