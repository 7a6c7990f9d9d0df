// floor ROOTFS ROUNDS: what the kernel alone takes for a container that runs /true, in medians of
// microseconds, each line with what is above: a program; new namespaces; a root of its own, with
// /proc and /dev, changed to by pivot_root; a control group in every hierarchy of version 1.
#define _GNU_SOURCE
#include <glob.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const char* rootfs;
static glob_t groups;

static void must(int result, const char* what) {
    if (result >= 0) return;
    perror(what);
    _exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void enter_root(void) {
    must(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL), "slave");
    must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind");
    must(chdir(rootfs), "enter");
    must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"), "dev");
    must(mkdir("dev/pts", 0755), "pts");
    must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"), "devpts");
    must((int)syscall(SYS_pivot_root, ".", "."), "pivot");
    must(umount2(".", MNT_DETACH), "detach");
    must(chdir("/"), "enter");
}

static void join_groups(void) {
    for (size_t i = 0; i < groups.gl_pathc; ++i) {
        char path[256];
        snprintf(path, sizeof path, "%s/floor", groups.gl_pathv[i]);
        if (mkdir(path, 0755) != 0) continue;
        snprintf(path, sizeof path, "%s/floor/tasks", groups.gl_pathv[i]);
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "0", 1) < 0) perror(path);
        close(fd);
    }
}

static void leave_groups(void) {
    for (size_t i = 0; i < groups.gl_pathc; ++i) {
        char path[256];
        snprintf(path, sizeof path, "%s/floor", groups.gl_pathv[i]);
        rmdir(path);
    }
}

static double once(int level) {
    const double begin = now();
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (level >= 1) args.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (level >= 2) args.flags |= CLONE_NEWNET;
    const long pid = syscall(SYS_clone3, &args, sizeof args);
    must((int)pid, "clone");
    if (pid == 0) {
        char program[4096];
        snprintf(program, sizeof program, "%s/true", level >= 3 ? "" : rootfs);
        if (level >= 4) join_groups();
        if (level >= 3) enter_root();
        execl(program, "true", (char*)NULL);
        must(-1, program);
    }
    int status = 0;
    must(waitpid((pid_t)pid, &status, 0), "wait");
    if (status != 0) exit(1);
    if (level >= 4) leave_groups();
    return now() - begin;
}

static int compare(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

int main(int argc, char** argv) {
    static const char* const kLevels[] = {"program", "namespaces", "network namespace", "root", "control groups"};
    if (argc != 3) return 2;
    rootfs = argv[1];
    const int rounds = atoi(argv[2]);
    double* times = calloc((size_t)rounds, sizeof *times);
    if (times == NULL) return 1;
    glob("/sys/fs/cgroup/*/tasks", 0, NULL, &groups);
    for (size_t i = 0; i < groups.gl_pathc; ++i) *strrchr(groups.gl_pathv[i], '/') = '\0';
    for (int level = 0; level < 5; ++level) {
        for (int i = 0; i < rounds; ++i) times[i] = once(level);
        qsort(times, (size_t)rounds, sizeof *times, compare);
        printf("%s\t%.0f\n", kLevels[level], times[rounds / 2]);
        fflush(stdout);
    }
    free(times);
    return 0;
}
