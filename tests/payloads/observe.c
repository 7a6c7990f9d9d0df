/* Watches /proc for processes of the engine: those whose program is not in /bin. For each kind of
 * access that it gets it prints a line once:
 *
 *   exe LINK       the program's link can be read
 *   fds LINK       the descriptors can be listed; LINK is the first above 2
 *   mem            the memory can be opened
 *   write DONE     the program, held open, was opened for writing later: "done", or errno's words
 *
 * Runs until it is killed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say_once(const char* kind, const char* what) {
    static char said[64][512];
    char line[512];
    snprintf(line, sizeof line, "%s %s\n", kind, what);
    for (int i = 0; i < 64; ++i) {
        if (strcmp(said[i], line) == 0) return;
        if (said[i][0] == '\0') {
            strcpy(said[i], line);
            break;
        }
    }
    if (write(1, line, strlen(line)) < 0) exit(1);
}

static int is_own(const char* link) { return strncmp(link, "/bin/", 5) == 0; }

static int read_link(const char* path, char* link, size_t size) {
    const ssize_t n = readlink(path, link, size - 1);
    if (n < 0) return 0;
    link[n] = '\0';
    return 1;
}

static void list_descriptors(const char* pid) {
    char path[1024], link[256];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR* dir = opendir(path);
    if (dir == NULL) return;
    for (struct dirent* entry; (entry = readdir(dir)) != NULL;) {
        if (atoi(entry->d_name) < 3) continue;
        snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
        if (read_link(path, link, sizeof link)) say_once("fds", link);
    }
    closedir(dir);
}

static void try_write(int held) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", held);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ETXTBSY) say_once("write", strerror(errno));
        return;
    }
    say_once("write", pwrite(fd, "#!/evil\n", 8, 0) == 8 ? "done" : strerror(errno));
    close(fd);
}

int main(void) {
    int held = -1;
    say_once("watching", "");
    for (;;) {
        DIR* proc = opendir("/proc");
        if (proc == NULL) return 1;
        for (struct dirent* entry; (entry = readdir(proc)) != NULL;) {
            char path[1024], link[256];
            if (atoi(entry->d_name) == 0 || atoi(entry->d_name) == getpid()) continue;
            snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
            if (!read_link(path, link, sizeof link) || is_own(link)) continue;
            const int fd = held < 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            say_once("exe", link);
            if (fd >= 0) held = fd;
            list_descriptors(entry->d_name);
            snprintf(path, sizeof path, "/proc/%s/mem", entry->d_name);
            const int mem = open(path, O_RDWR | O_CLOEXEC);
            if (mem >= 0) {
                say_once("mem", link);
                close(mem);
            }
        }
        closedir(proc);
        if (held >= 0) try_write(held);
    }
}
