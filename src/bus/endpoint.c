/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "endpoint-impl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/base/str.h"

static bool is_printable(const char *s) {
    for (; *s; s++)
        if (*s < 0x21 || *s > 0x7e)
            return false;
    return true;
}

/* Somebody answers there: libzmq would take the path away from him without a word. */
static bool is_served(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool served;

    if (fd < 0)
        return false;
    (void)uw_str_copy(address.sun_path, sizeof(address.sun_path), path);
    served = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return served;
}

static int check_ipc(const char *what, const char *text, const char *path, bool bind,
                     struct uw_diag *diag) {
    struct sockaddr_un address;
    struct stat st;

    if (path[0] != '/' || path[1] == '\0')
        return uw_diag_add(diag, "%s: %s: the path must start with /", what, text);
    if (strlen(path) >= sizeof(address.sun_path))
        return uw_diag_add(diag, "%s: %s: the path is longer than %zu bytes", what, text,
                           sizeof(address.sun_path) - 1);
    if (!bind || lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return uw_diag_add(diag, "%s: %s: there is a file that is no socket", what, text);
    if (is_served(path))
        return uw_diag_add(diag, "%s: %s: the address is in use", what, text);
    return 0;
}

static bool is_loopback(const char *host, bool *ret_ipv6) {
    struct in_addr v4;
    struct in6_addr v6;
    char inner[UW_ENDPOINT_LEN];
    size_t len = strlen(host);

    *ret_ipv6 = false;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (len < 3 || host[0] != '[' || host[len - 1] != ']')
        return false;
    memcpy(inner, host + 1, len - 2);
    inner[len - 2] = '\0';
    *ret_ipv6 = true;
    return inet_pton(AF_INET6, inner, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int parse_tcp(const char *what, const char *text, bool bind, struct uw_diag *diag,
                     struct uw_endpoint *ret) {
    const char *rest = text + strlen("tcp://"), *colon = strrchr(rest, ':');
    char host[UW_ENDPOINT_LEN];
    int64_t port;

    if (!colon || colon == rest)
        return uw_diag_add(diag, "%s: %s: must be tcp://ADDRESS:PORT", what, text);
    if (!(bind && strcmp(colon, ":*") == 0) && uw_str_to_int64(colon + 1, 1, 65535, &port) != 0)
        return uw_diag_add(diag, "%s: %s: the port must be 1 to 65535", what, text);
    (void)uw_str_copy(host, (size_t)(colon - rest) + 1, rest);
    if (strcmp(host, "localhost") == 0) {
        ret->tcp = true;
        (void)snprintf(ret->text, sizeof(ret->text), "tcp://127.0.0.1%s", colon);
        return 0;
    }
    if (!is_loopback(host, &ret->ipv6)) {
        (void)uw_diag_add(diag,
                          "%s: %s: refused: without keys only loopback is allowed "
                          "(tcp://127.0.0.1:PORT or tcp://[::1]:PORT)",
                          what, text);
        return UW_E_REFUSED;
    }
    ret->tcp = true;
    (void)uw_str_copy(ret->text, sizeof(ret->text), text);
    return 0;
}

int uw_endpoint_parse(const char *what, const char *text, bool bind, struct uw_diag *diag,
                      struct uw_endpoint *ret) {
    *ret = (struct uw_endpoint){0};
    if (!text || !*text)
        return uw_diag_add(diag, "%s: the endpoint is empty", what);
    if (strlen(text) > UW_ENDPOINT_LEN - 16) /* "localhost" may be spelt out */
        return uw_diag_add(diag, "%s: the endpoint is longer than %d bytes", what,
                           UW_ENDPOINT_LEN - 16);
    if (!is_printable(text))
        return uw_diag_add(diag, "%s: the endpoint has a character that is no printable ASCII",
                           what);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(what, text, bind, diag, ret);
    (void)uw_str_copy(ret->text, sizeof(ret->text), text);
    if (strncmp(text, "ipc://", 6) == 0) {
        ret->ipc_path = ret->text + 6;
        return check_ipc(what, text, ret->ipc_path, bind, diag);
    }
    if (strncmp(text, "inproc://", 9) == 0 && text[9] != '\0')
        return 0;
    return uw_diag_add(diag, "%s: %s: must be inproc://NAME, ipc:///PATH or tcp://ADDRESS:PORT",
                       what, text);
}
