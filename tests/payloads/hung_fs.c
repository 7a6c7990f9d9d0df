/* hung_fs FOLDER
 *
 * Mounts there a file system that says it is up and then answers nothing, as a network file system
 * whose server is gone. Prints a line once mounted and one when it is asked something; that is not
 * read, so that who waits can be killed. It ends, and all who wait with an error, when its standard
 * input does. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc != 2) return 99;
    const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
    if (fuse < 0 || mount("hung", argv[1], "fuse.hung", 0, options) != 0) {
        perror("mount");
        return 1;
    }
    static char buffer[1 << 20];
    const struct fuse_in_header* asked = (const struct fuse_in_header*)buffer;
    if (read(fuse, buffer, sizeof buffer) <= 0 || asked->opcode != FUSE_INIT) return 1;
    struct {
        struct fuse_out_header head;
        struct fuse_init_out init;
    } answer;
    memset(&answer, 0, sizeof answer);
    answer.head.len = sizeof answer;
    answer.head.unique = asked->unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    if (write(fuse, &answer, sizeof answer) != sizeof answer) return 1;
    puts("mounted");
    fflush(stdout);
    struct pollfd polls[2] = {{fuse, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (poll(polls, 2, -1) > 0 && polls[0].revents != 0) puts("asked");
    fflush(stdout);
    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
    }
    return 0;
}
