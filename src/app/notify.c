/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "uw/base/str.h"
#include "uw/base/time.h"

void uw_notify(const char *format, ...) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[500];
    socklen_t len;
    va_list ap;
    int fd;

    /* a name in the abstract namespace begins with @ and is not ended by a zero */
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = 0;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* a manager that does not listen is no reason to stop */
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    close(fd);
}

void uw_notify_reloading(void) {
    uw_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(uw_clock_mono_ns() / 1000));
}

int64_t uw_notify_watchdog_ns(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t us, n;

    if (!usec || uw_str_to_int64(usec, 1, INT64_C(1000000) * 86400, &us))
        return 0;
    if (pid && (uw_str_to_int64(pid, 1, INT64_MAX, &n) || n != (int64_t)getpid()))
        return 0;
    return us * 1000;
}
