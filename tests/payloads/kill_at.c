/* kill_at CONTROL engine|shim PROGRAM ARGS...
 *
 * Becomes a program, under a filter that asks a child of it about every system call by which it or
 * a descendant changes something. The child takes packets on the descriptor CONTROL: the number N
 * has the N-th such call from now on kill the engine (the program itself; only its own calls count)
 * or the shim that makes it (coffer-shim; its calls and those of its children before they execute
 * another program). 0 ends that. The answer to each packet is how many there were since the last.
 * The child ends with the last process under the filter. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ask.h"

static const int kCalls[] = {
    SYS_bind,      SYS_clone,     SYS_clone3,     SYS_execve,   SYS_fdatasync, SYS_fork,      SYS_fsmount,
    SYS_fsopen,    SYS_fsync,     SYS_ftruncate,  SYS_kill,     SYS_linkat,    SYS_mkdir,     SYS_mkdirat,
    SYS_mount,     SYS_mount_setattr, SYS_move_mount, SYS_open_tree, SYS_pidfd_send_signal, SYS_pivot_root,
    SYS_pwrite64,  SYS_rename,    SYS_renameat,   SYS_renameat2, SYS_rmdir,    SYS_sendmsg,   SYS_sendto,
    SYS_setns,     SYS_socketpair, SYS_symlinkat, SYS_umount2,  SYS_unlink,    SYS_unlinkat,  SYS_unshare,
    SYS_vfork,     SYS_write,     SYS_writev,
};
enum { kCount = sizeof kCalls / sizeof kCalls[0], kListener = 100 };

static void die(const char* what) {
    perror(what);
    _exit(99);
}

/* The number after `field` in /proc/PID/status; the name's own line must be `name`, if not null. */
static int status_of(int pid, const char* field, const char* name) {
    char text[512];
    snprintf(text, sizeof text, "/proc/%d/status", pid);
    const int file = open(text, O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (size <= 0) return -1;
    text[size] = 0;
    if (name && (strncmp(text + strlen("Name:\t"), name, strlen(name)) != 0)) return -1;
    const char* at = strstr(text, field);
    return at ? atoi(at + strlen(field)) : -1;
}

/* Whether it is a shim, and not the program's other trade, which is to make namespaces. */
static int holds_container(int pid) {
    char text[512];
    snprintf(text, sizeof text, "/proc/%d/cmdline", pid);
    const int file = open(text, O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (size <= 0) return 0;
    text[size] = 0;
    return strcmp(text + strlen(text) + 1, "namespaces") != 0;
}

/* Who is to die at a call of this thread; 0: the call does not count. */
static int target_of(int thread, int engine, int shims) {
    int process = status_of(thread, "\nTgid:\t", NULL);
    if (!shims) return process == engine ? engine : 0;
    if (status_of(process, "\nTgid:\t", "coffer-shim") != process) return 0;
    for (int parent; (parent = status_of(process, "\nPPid:\t", NULL)) > 1; process = parent) {
        if (parent == engine) return holds_container(process) ? process : 0;
    }
    return 0;
}

static void serve(int control, int engine, int shims) {
    int wanted = 0;
    int count = 0;
    for (;;) {
        struct pollfd polls[2] = {{kListener, POLLIN, 0}, {control, POLLIN, 0}};
        if (poll(polls, 2, -1) < 0) die("poll");
        if (polls[0].revents & POLLHUP) return;
        if (polls[0].revents & POLLIN) {
            struct seccomp_notif ask;
            memset(&ask, 0, sizeof ask);
            if (ioctl(kListener, SECCOMP_IOCTL_NOTIF_RECV, &ask) != 0) continue;
            const int target = wanted ? target_of((int)ask.pid, engine, shims) : 0;
            if (target > 0 && ++count == wanted) kill(target, SIGKILL);
            struct seccomp_notif_resp answer = {ask.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
            ioctl(kListener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        } else if (polls[1].revents & POLLIN) {
            char text[32];
            const ssize_t size = read(control, text, sizeof text - 1);
            if (size <= 0) {
                control = -1;
                continue;
            }
            text[size] = 0;
            const int length = snprintf(text + 16, 16, "%d", count);
            if (write(control, text + 16, (size_t)length) != length) die("write");
            wanted = atoi(text);
            count = 0;
        } else if (polls[1].revents) {
            control = -1;
        }
    }
}

int main(int argc, char** argv) {
    if (argc < 4) return 99;
    const int control = atoi(argv[1]);
    const int engine = getpid();
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) die("pipe");
    /* Shares our descriptors until it has the listener: write(2) of ours would wait for it. */
    const long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) die("clone");
    if (child == 0) {
        while (fcntl(kListener, F_GETFD) < 0) usleep(500);
        if (unshare(CLONE_FILES) != 0) die("unshare");
        if (write(ready[1], "", 1) != 1) die("write");
        for (int fd = 0; fd < 3; ++fd) close(fd);
        setsid();
        serve(control, engine, strcmp(argv[2], "shim") == 0);
        _exit(0);
    }
    const int listener = ask_about(kCalls, kCount);
    if (listener < 0) die("seccomp");
    if (fcntl(listener, F_DUPFD_CLOEXEC, kListener) != kListener) die("dup");
    char byte;
    if (read(ready[0], &byte, 1) != 1) die("read");
    for (int fd = listener; fd <= kListener; fd += kListener - listener) close(fd);
    close(control);
    execv(argv[3], argv + 3);
    return 98;
}
