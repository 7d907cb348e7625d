/* Stands between a process and libc (LD_PRELOAD): asks a function before each call on a file below a folder whether,
   and how, it is to fail. Python, PyTorch, Arrow and Rust libraries all go through libc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* What it answers: 0 go on, above 0 an errno, or one of these. */
enum { SHORT = -1, TORN_AND_DEAD = -2, DEAD = -3, MEMORY = -4 };
typedef int (*ask_t)(const char *operation, const char *path);
static ask_t ask;
static char root[4096];
static size_t root_length;
enum { MOST = 65536 };
static char *opened[MOST]; /* path of each descriptor below the folder */
static __thread int asking;

void injection_start(const char *folder, ask_t function) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    ask = function;
}

static void *real(const char *name, void **place) {
    if (!*place) *place = dlsym(RTLD_NEXT, name);
    return *place;
}
#define NEXT(name) static void *static_##name; static __typeof__(&name) next_##name(void) { return (__typeof__(&name))real(#name, &static_##name); }

static void memory_error(void) {
    int (*ensure)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    void (*release)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
    int (*raise_in)(unsigned long, void *) = (int (*)(unsigned long, void *))dlsym(RTLD_DEFAULT, "PyThreadState_SetAsyncExc");
    unsigned long (*ident)(void) = (unsigned long (*)(void))dlsym(RTLD_DEFAULT, "PyThread_get_thread_ident");
    void **kind = (void **)dlsym(RTLD_DEFAULT, "PyExc_MemoryError");
    int state = ensure();
    raise_in(ident(), *kind);
    release(state);
}

/* 0: make the call; SHORT and TORN_AND_DEAD are the caller's to act on; -100: errno is set. */
static int verdict(const char *operation, const char *path) {
    int saved = errno, answer;
    if (!ask || asking || !path || strncmp(path, root, root_length)) return 0;
    asking = 1;
    answer = ask(operation, path);
    asking = 0;
    errno = saved;
    if (answer == DEAD) kill(getpid(), SIGKILL);
    if (answer == MEMORY) {
        memory_error();
        asking = 1; /* for good: the error is raised where Python goes on, which must not be in what is asked */
        return 0;
    }
    if (answer > 0) { errno = answer; return -100; }
    return answer;
}

static const char *path_of(int fd) { return fd >= 0 && fd < MOST ? opened[fd] : NULL; }
static const char *at(int folder, const char *path, char *buffer) {
    if (!path) return NULL;
    if (path[0] == '/') return path;
    if (folder == AT_FDCWD) {
        if (!getcwd(buffer, 4000)) return NULL;
        strncat(buffer, "/", 2);
        return strncat(buffer, path, 4000);
    }
    if (!path_of(folder)) return NULL;
    snprintf(buffer, 8192, "%s/%s", path_of(folder), path);
    return buffer;
}
static int note(int fd, const char *path) {
    if (fd >= 0 && fd < MOST) {
        free(opened[fd]);
        opened[fd] = path && root_length && !strncmp(path, root, root_length) ? strdup(path) : NULL;
    }
    return fd;
}
static const char *kind_of(int flags) { return flags & (O_WRONLY | O_RDWR | O_CREAT) ? "open to write" : "open"; }

NEXT(open) NEXT(openat) NEXT(close) NEXT(read) NEXT(pread) NEXT(write) NEXT(pwrite) NEXT(writev) NEXT(fsync) NEXT(fdatasync)
NEXT(rename) NEXT(renameat) NEXT(unlink) NEXT(unlinkat) NEXT(rmdir) NEXT(mkdir) NEXT(mkdirat) NEXT(stat) NEXT(lstat)
NEXT(fstat) NEXT(fstatat) NEXT(opendir) NEXT(flock) NEXT(link) NEXT(chmod) NEXT(ftruncate)
NEXT(sendfile) NEXT(statx) NEXT(copy_file_range)

#define OPEN(name, folder, ...)                                                    \
    mode_t mode = 0;                                                               \
    char buffer[8192];                                                             \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    const char *whole = at(folder, path, buffer);                                  \
    if (verdict(flags & O_DIRECTORY ? "list" : kind_of(flags), whole)) return -1;  \
    return note(next_##name()(__VA_ARGS__, flags, mode), whole);
int open(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, path) }
int open64(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, path) }
int openat(int folder, const char *path, int flags, ...) { OPEN(openat, folder, folder, path) }
int openat64(int folder, const char *path, int flags, ...) { OPEN(openat, folder, folder, path) }
int close(int fd) { note(fd, NULL); return next_close()(fd); }
DIR *opendir(const char *path) { return verdict("list", path) ? NULL : next_opendir()(path); }

#define READ(call) return verdict("read", path_of(fd)) ? -1 : call
ssize_t read(int fd, void *to, size_t size) { READ(next_read()(fd, to, size)); }
ssize_t pread(int fd, void *to, size_t size, off_t from) { READ(next_pread()(fd, to, size, from)); }
ssize_t pread64(int fd, void *to, size_t size, off_t from) { READ(next_pread()(fd, to, size, from)); }

#define WRITE(call)                                                   \
    int answer = verdict("write", path_of(fd));                       \
    if (answer == -100) return -1;                                    \
    if (answer < 0) size = size / 2;                                  \
    ssize_t done = call;                                              \
    if (answer == TORN_AND_DEAD) kill(getpid(), SIGKILL);             \
    return done
ssize_t write(int fd, const void *from, size_t size) { WRITE(next_write()(fd, from, size)); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t place) { WRITE(next_pwrite()(fd, from, size, place)); }
ssize_t pwrite64(int fd, const void *from, size_t size, off_t place) { WRITE(next_pwrite()(fd, from, size, place)); }
ssize_t writev(int fd, const struct iovec *from, int count) {
    int answer = verdict("write", path_of(fd));
    if (answer == -100) return -1;
    if (answer == SHORT && count) return next_write()(fd, from[0].iov_base, (from[0].iov_len + 1) / 2);
    if (answer == TORN_AND_DEAD) { next_write()(fd, from[0].iov_base, from[0].iov_len / 2); kill(getpid(), SIGKILL); }
    return next_writev()(fd, from, count);
}
ssize_t sendfile(int out, int in, off_t *from, size_t size) {
    return verdict("write", path_of(out)) == -100 ? -1 : next_sendfile()(out, in, from, size);
}
ssize_t sendfile64(int out, int in, off_t *from, size_t size) { return sendfile(out, in, from, size); }
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t size, unsigned flags) {
    return verdict("write", path_of(out)) == -100 ? -1 : next_copy_file_range()(in, a, out, b, size, flags);
}
int ftruncate(int fd, off_t size) { return verdict("write", path_of(fd)) == -100 ? -1 : next_ftruncate()(fd, size); }
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
int fsync(int fd) { return verdict("fsync", path_of(fd)) ? -1 : next_fsync()(fd); }
int fdatasync(int fd) { return verdict("fsync", path_of(fd)) ? -1 : next_fdatasync()(fd); }
int flock(int fd, int how) { return verdict("flock", path_of(fd)) ? -1 : next_flock()(fd, how); }

int rename(const char *from, const char *to) { return verdict("rename", to) ? -1 : next_rename()(from, to); }
int renameat(int a, const char *from, int b, const char *to) {
    char buffer[8192];
    return verdict("rename", at(b, to, buffer)) ? -1 : next_renameat()(a, from, b, to);
}
int link(const char *from, const char *to) { return verdict("link", to) ? -1 : next_link()(from, to); }
int unlink(const char *path) { return verdict("unlink", path) ? -1 : next_unlink()(path); }
int unlinkat(int folder, const char *path, int flags) {
    char buffer[8192];
    return verdict("unlink", at(folder, path, buffer)) ? -1 : next_unlinkat()(folder, path, flags);
}
int rmdir(const char *path) { return verdict("unlink", path) ? -1 : next_rmdir()(path); }
int mkdir(const char *path, mode_t mode) { return verdict("mkdir", path) ? -1 : next_mkdir()(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
    char buffer[8192];
    return verdict("mkdir", at(folder, path, buffer)) ? -1 : next_mkdirat()(folder, path, mode);
}
int chmod(const char *path, mode_t mode) { return verdict("chmod", path) ? -1 : next_chmod()(path, mode); }
int stat(const char *path, struct stat *to) { return verdict("stat", path) ? -1 : next_stat()(path, to); }
int stat64(const char *path, struct stat64 *to) { return stat(path, (struct stat *)to); }
int lstat(const char *path, struct stat *to) { return verdict("stat", path) ? -1 : next_lstat()(path, to); }
int lstat64(const char *path, struct stat64 *to) { return lstat(path, (struct stat *)to); }
int fstat(int fd, struct stat *to) { return verdict("stat", path_of(fd)) ? -1 : next_fstat()(fd, to); }
int fstat64(int fd, struct stat64 *to) { return fstat(fd, (struct stat *)to); }
int fstatat(int folder, const char *path, struct stat *to, int flags) {
    char buffer[8192];
    return verdict("stat", at(folder, path, buffer)) ? -1 : next_fstatat()(folder, path, to, flags);
}
int fstatat64(int folder, const char *path, struct stat64 *to, int flags) { return fstatat(folder, path, (struct stat *)to, flags); }
int statx(int folder, const char *path, int flags, unsigned mask, struct statx *to) {
    char buffer[8192];
    return verdict("stat", at(folder, path, buffer)) ? -1 : next_statx()(folder, path, flags, mask, to);
}
