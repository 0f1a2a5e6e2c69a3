/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_APP_NOTIFY_H
#define UW_APP_NOTIFY_H

/*
 * What the service manager is told: a datagram to $NOTIFY_SOCKET, as sd_notify(3) describes.
 * Without that variable nothing is sent.
 *
 * Threads: the main one.
 */

#include <stdint.h>

/* "READY=1", "STATUS=...", several lines. Cut at 500 characters. */
void uw_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "RELOADING=1" with the time that systemd asks for. */
void uw_notify_reloading(void);
/* How often "WATCHDOG=1" is expected, ns; 0: never. */
int64_t uw_notify_watchdog_ns(void);

#endif
