#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/close_range.h>
#include <unistd.h>
/* libxl_json.h is left out: it needs the headers of yajl, and the JSON functions are in _libxl_types.h. */
#include <libxl.h>
#include <libxl_utils.h>
#include <libxl_event.h>
#include <xentoollog.h>

/* A logger of libxl's takes a va_list, which Swift cannot write a callback for: this one hands formatted lines on. */
struct punnet_line_logger {
    xentoollog_logger logger;
    void (*line)(void *owner, xentoollog_level level, int errnoval, const char *context, const char *text);
    void *owner;
};

__attribute__((format(printf, 5, 0)))
static void punnet_line_logger_vmessage(
    xentoollog_logger *logger, xentoollog_level level, int errnoval, const char *context, const char *format, va_list arguments)
{
    struct punnet_line_logger *lines = (struct punnet_line_logger *)logger;
    char text[512];
    if (level < XTL_WARN) return;
    vsnprintf(text, sizeof text, format, arguments);
    lines->line(lines->owner, level, errnoval, context, text);
}

static inline void punnet_line_logger_init(struct punnet_line_logger *lines)
{
    lines->logger.vmessage = punnet_line_logger_vmessage;
    lines->logger.progress = NULL;
    lines->logger.destroy = NULL;
}

/* Closes every socket but the three standard files. It may be called after fork, where another thread may hold any lock: it takes none. */
static inline void punnet_close_sockets(void)
{
    char entries[4096] __attribute__((aligned(8)));
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long length;
    if (folder < 0) return;
    while ((length = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
        for (long at = 0; at < length;) {
            struct dirent *entry = (struct dirent *)(entries + at);
            struct stat status;
            int file = 0;
            at += entry->d_reclen;
            for (const char *digit = entry->d_name; *digit >= '0' && *digit <= '9'; digit++) file = file * 10 + (*digit - '0');
            if (file > 2 && file != folder && fstat(file, &status) == 0 && S_ISSOCK(status.st_mode)) close(file);
        }
    }
    close(folder);
}

/* What libxl calls instead of fork. Swift's and Dispatch's threads block signals, and the daemon ignores some: a QEMU that inherited that
   would not end at libxl's SIGHUP. It inherits no file, since it outlives the daemon; what libxl passes on, it opens or dups after the
   fork. And between the daemon and QEMU stands a process of libxl's that runs no other program and waits for QEMU's end: it outlives a
   daemon that is killed meanwhile, so it has none of the daemon's sockets, which it would hold, listening, against the next start, and
   open, against those who wait for the daemon's answer. Swift may not call fork itself. */
static inline pid_t punnet_fork_clean(void *user)
{
    (void)user;
    pid_t child = fork();
    if (child == 0) {
        static const int defaults[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2 };
        sigset_t none;
        for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) signal(defaults[i], SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        punnet_close_sockets();
        syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    }
    return child;
}
