/* A disk that fails on demand, for one process: preloaded, it stands between the program and libc.
 *
 * It acts on files below $FAULTS_STORE alone (sockets, logs and the configuration are untouched), and only while the file
 * $FAULTS_CONTROL names a fault:
 *   read-only     what writes, makes, shortens or removes gives EROFS
 *   full          what writes gives ENOSPC
 *   no-sync       fsync and fdatasync give EIO
 *   no-copy-sync  the same, for queue.db alone: commits are synced, and what is copied out of the log is not
 *   no-folder-sync  the same, of folders alone
 *   no-removal    what removes gives EIO
 *   damaged N     what is read of queue.db from byte N on is not what was written
 *
 * What the program asks of the kernel past libc (Rust's rustix does) is caught by a seccomp filter and comes back here as a
 * signal. Calls of this file have a mark in an argument that the kernel does not look at, by which the filter lets them pass.
 *
 * After a failed sync the kernel calls the pages clean: the next sync of that file succeeds without having written them.
 * So what a failed sync covered counts here as lost until it is written again, and each sync that succeeds while something
 * of its file is lost adds a line to $FAULTS_BELIEVED. The kernel's pages outlive the process: what is lost stays in
 * $FAULTS_LOST for the next one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* The sixth argument of what goes on to the kernel. */
#define PASS 0x70617373

/* Whether this fault is on. Asked anew each time: the test turns faults on and off in the running process. */
static int is(const char *fault, long *from) {
    const char *control = getenv("FAULTS_CONTROL");
    char text[64] = "", word[32] = "";
    int fd = control ? syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, fd);
    long number = 0;
    sscanf(text, "%31s %ld", word, &number);
    if (from) *from = number;
    return !strcmp(word, fault);
}

static int below_store(const char *path) {
    const char *store = getenv("FAULTS_STORE");
    return store && path && !strncmp(path, store, strlen(store));
}

static int is_ours(int fd, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    if (length < 0) return 0;
    path[length] = 0;
    return below_store(path);
}

static int failed(int error) {
    errno = error;
    return -1;
}

/* Bytes of a file that were written since its last good sync. */
static struct range { ino_t file; off_t from, to; int lost; struct range *next; } *ranges;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add(ino_t file, off_t from, off_t to, int lost) {
    struct range *range = malloc(sizeof *range);
    *range = (struct range){file, from, to, lost, ranges};
    ranges = range;
}

/* What the process before this one lost. */
__attribute__((constructor)) static void remember(void) {
    const char *path = getenv("FAULTS_LOST");
    FILE *kept = path ? fopen(path, "r") : NULL;
    unsigned long file;
    long from, to;
    if (!kept) return;
    while (fscanf(kept, "%lu %ld %ld", &file, &from, &to) == 3) add(file, from, to, 1);
    fclose(kept);
}

/* Under the lock. */
static void keep_lost(void) {
    const char *path = getenv("FAULTS_LOST");
    FILE *kept = path ? fopen(path, "w") : NULL;
    if (!kept) return;
    for (struct range *range = ranges; range; range = range->next)
        if (range->lost) fprintf(kept, "%lu %ld %ld\n", (unsigned long)range->file, (long)range->from, (long)range->to);
    fclose(kept);
}

/* These bytes are new, and to be synced; or (with `stays` 0) cut off and not missed. */
static void written(int fd, off_t from, off_t to, int stays) {
    struct stat stat;
    if (fstat(fd, &stat)) return;
    pthread_mutex_lock(&lock);
    struct range *old = ranges, *next;
    int mended = 0;
    ranges = NULL;
    for (; old; old = next) {
        next = old->next;
        int apart = old->file != stat.st_ino || old->to <= from || old->from >= to;
        if (apart) add(old->file, old->from, old->to, old->lost);
        if (!apart && old->from < from) add(old->file, old->from, from, old->lost);
        if (!apart && old->to > to) add(old->file, to, old->to, old->lost);
        mended |= !apart && old->lost;
        free(old);
    }
    if (stays) add(stat.st_ino, from, to, 0);
    if (mended) keep_lost();
    pthread_mutex_unlock(&lock);
}

static void synced(int fd, const char *path, int good) {
    struct stat stat;
    if (fstat(fd, &stat)) return;
    int believed = 0;
    pthread_mutex_lock(&lock);
    struct range *old = ranges, *next;
    ranges = NULL;
    for (; old; old = next) {
        next = old->next;
        if (old->file != stat.st_ino) {
            add(old->file, old->from, old->to, old->lost);
        } else if (!good || old->lost) {
            add(old->file, old->from, old->to, 1);
            believed |= good;
        }
        free(old);
    }
    if (!good) keep_lost();
    pthread_mutex_unlock(&lock);
    if (believed) {
        FILE *told = fopen(getenv("FAULTS_BELIEVED"), "a");
        if (told) fprintf(told, "%s\n", path), fclose(told);
    }
}

/* Whether a path, by itself or from a folder, leads below the store. */
static int leads_below_store(int folder, const char *path) {
    char from[4096];
    return *path == '/' || folder == AT_FDCWD ? below_store(path) : is_ours(folder, from);
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (writes && leads_below_store(folder, path) && is("read-only", NULL)) return failed(EROFS);
    return syscall(SYS_openat, folder, path, flags, mode, 0, PASS);
}

#define OPEN(name, folder, ...)                                  \
    int name(__VA_ARGS__, int flags, ...) {                      \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                            \
        return opened(folder, path, flags, mode);                \
    }
OPEN(open, AT_FDCWD, const char *path)
OPEN(open64, AT_FDCWD, const char *path)
OPEN(openat, folder, int folder, const char *path)
OPEN(openat64, folder, int folder, const char *path)

static int refused(int fd) {
    char path[4096];
    if (!is_ours(fd, path)) return 0;
    if (is("read-only", NULL)) return EROFS;
    return is("full", NULL) ? ENOSPC : 0;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    char path[4096];
    int error = refused(fd);
    if (error) return failed(error);
    ssize_t done = syscall(SYS_write, fd, bytes, size);
    if (done > 0 && is_ours(fd, path)) {
        off_t to = lseek(fd, 0, SEEK_CUR);
        written(fd, to - done, to, 1);
    }
    return done;
}

static ssize_t written_at(int fd, const void *bytes, size_t size, off_t at) {
    char path[4096];
    int error = refused(fd);
    if (error) return failed(error);
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, size, at);
    if (done > 0 && is_ours(fd, path)) written(fd, at, at + done, 1);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return written_at(fd, bytes, size, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) { return written_at(fd, bytes, size, at); }

static int is_database(const char *path) {
    size_t length = strlen(path);
    return length >= 9 && !strcmp(path + length - 9, "/queue.db");
}

static void damage(int fd, char *bytes, ssize_t size, off_t at) {
    char path[4096];
    long from;
    if (size <= 0 || !is_ours(fd, path) || !is_database(path) || !is("damaged", &from)) return;
    for (ssize_t i = 0; i < size; i++)
        if (at + i >= from) bytes[i] ^= 0xa5;
}

ssize_t read(int fd, void *bytes, size_t size) {
    ssize_t done = syscall(SYS_read, fd, bytes, size);
    if (done > 0) damage(fd, bytes, done, lseek(fd, 0, SEEK_CUR) - done);
    return done;
}

static ssize_t read_at(int fd, void *bytes, size_t size, off_t at) {
    ssize_t done = syscall(SYS_pread64, fd, bytes, size, at);
    damage(fd, bytes, done, at);
    return done;
}
ssize_t pread(int fd, void *bytes, size_t size, off_t at) { return read_at(fd, bytes, size, at); }
ssize_t pread64(int fd, void *bytes, size_t size, off_t at) { return read_at(fd, bytes, size, at); }

static int shortened(int fd, off_t size) {
    char path[4096];
    if (is_ours(fd, path) && is("read-only", NULL)) return failed(EROFS);
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done && is_ours(fd, path)) written(fd, size, (off_t)1 << 62, 0);
    return done;
}
int ftruncate(int fd, off_t size) { return shortened(fd, size); }
int ftruncate64(int fd, off_t size) { return shortened(fd, size); }

static int is_folder(int fd) {
    struct stat stat;
    return !fstat(fd, &stat) && S_ISDIR(stat.st_mode);
}

static int sync_of(int fd, long call) {
    char path[4096];
    if (!is_ours(fd, path)) return syscall(call, fd, 0, 0, 0, 0, PASS);
    int fails = is("no-sync", NULL) || (is_database(path) && is("no-copy-sync", NULL)) ||
                (is_folder(fd) && is("no-folder-sync", NULL));
    int error = fails ? failed(EIO) : (int)syscall(call, fd, 0, 0, 0, 0, PASS);
    int kept = errno;
    synced(fd, path, !error);
    errno = kept;
    return error;
}
int fsync(int fd) { return sync_of(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_of(fd, SYS_fdatasync); }

#ifdef __x86_64__
static int removed(int folder, const char *path, int flags) {
    int ours = leads_below_store(folder, path);
    if (ours && is("read-only", NULL)) return failed(EROFS);
    if (ours && is("no-removal", NULL)) return failed(EIO);
    return syscall(SYS_unlinkat, folder, path, flags, 0, 0, PASS);
}

/* Synchronous: the thread stands in the call that was caught, and holds nothing of this file. */
static void caught(int number, siginfo_t *info, void *context) {
    greg_t *at = ((ucontext_t *)context)->uc_mcontext.gregs;
    int kept = errno, fd = at[REG_RDI], done;
    (void)number;
    switch (info->si_syscall) {
        case SYS_openat: done = opened(fd, (char *)at[REG_RSI], at[REG_RDX], at[REG_R10]); break;
        case SYS_unlinkat: done = removed(fd, (char *)at[REG_RSI], at[REG_RDX]); break;
        case SYS_fallocate:
            done = refused(fd);
            done = done ? failed(done) : syscall(SYS_fallocate, fd, at[REG_RSI], at[REG_RDX], at[REG_R10], 0, PASS);
            break;
        default: done = sync_of(fd, info->si_syscall);
    }
    at[REG_RAX] = done < 0 ? -errno : done;
    errno = kept;
}

#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n)) /* its lower half */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)

__attribute__((constructor)) static void catch_calls(void) {
    struct sock_filter lines[] = {
        LOAD(offsetof(struct seccomp_data, arch)),
        EQUAL(AUDIT_ARCH_X86_64, 0, 10),
        LOAD(ARGUMENT(5)),
        EQUAL(PASS, 8, 0),
        LOAD(offsetof(struct seccomp_data, nr)),
        EQUAL(SYS_fsync, 7, 0),
        EQUAL(SYS_fdatasync, 6, 0),
        EQUAL(SYS_unlinkat, 5, 0),
        EQUAL(SYS_fallocate, 4, 0),
        EQUAL(SYS_openat, 0, 2),
        LOAD(ARGUMENT(2)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog filter = {sizeof lines / sizeof *lines, lines};
    /* What is called while one is answered (the list of what was believed) is caught, too. */
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("faults.c: calls past libc cannot be caught");
        abort();
    }
}
#endif
