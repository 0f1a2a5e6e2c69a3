/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch-text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "uw/base/time.h"

const char *uw_text_clock(int64_t time_ns, int64_t now_ns, char buf[UW_CLOCK_LEN]) {
    time_t seconds = (time_t)(time_ns / UW_NS_PER_S);
    int64_t away = time_ns > now_ns ? time_ns - now_ns : now_ns - time_ns;
    struct tm tm;

    if (away < 24 * 3600 * UW_NS_PER_S && localtime_r(&seconds, &tm))
        strftime(buf, UW_CLOCK_LEN, "%H:%M:%S", &tm);
    else if (gmtime_r(&seconds, &tm))
        strftime(buf, UW_CLOCK_LEN, "%Y-%m-%d %H:%M:%S UTC", &tm);
    else
        snprintf(buf, UW_CLOCK_LEN, "--:--:--");
    return buf;
}

const char *uw_text_duration(int64_t ns, char buf[UW_DURATION_LEN]) {
    long long s = ns > 0 ? (long long)((ns + UW_NS_PER_S / 2) / UW_NS_PER_S) : 0;

    if (s < 60)
        snprintf(buf, UW_DURATION_LEN, "%lld s", s);
    else if (s < 3600)
        snprintf(buf, UW_DURATION_LEN, "%lld min %02lld s", s / 60, s % 60);
    else
        snprintf(buf, UW_DURATION_LEN, "%lld h %02lld min", s / 3600, s / 60 % 60);
    return buf;
}

const char *uw_text_confidence(double confidence) {
    if (confidence >= 0.999)
        return "practically certain";
    if (confidence >= 0.95)
        return "very likely";
    if (confidence >= 0.8)
        return "likely";
    return confidence >= 0.5 ? "possible" : "doubtful";
}

const char *uw_text_severity(enum uw_severity severity) {
    static const char *const words[UW_SEVERITY_N] = {"for information", "advisory", "warning",
                                                     "CRITICAL"};

    return severity < UW_SEVERITY_N ? words[severity] : "alert";
}

const char *uw_text_kind(enum uw_alert_kind kind) {
    static const char *const words[UW_ALERT_KIND_N] = {"DRONE", "COVERAGE", "RECEIVER", "SYSTEM"};

    return kind < UW_ALERT_KIND_N ? words[kind] : "ALERT";
}

const char *uw_text_event(enum uw_alert_event event) {
    static const char *const words[UW_ALERT_EVENT_N] = {
        [UW_ALERT_RAISED] = "RAISED",        [UW_ALERT_UPDATED] = "NOW",
        [UW_ALERT_ACKNOWLEDGED] = "TAKEN",   [UW_ALERT_NOTED] = "NOTE",
        [UW_ALERT_SILENCED_EV] = "SILENCED", [UW_ALERT_ESCALATED] = "ESCALATED",
        [UW_ALERT_CLOSED] = "CLOSED",        [UW_ALERT_EXPIRED] = "EXPIRED",
        [UW_ALERT_CLEARED] = "CLEARED",
    };

    return event < UW_ALERT_EVENT_N ? words[event] : "CHANGED";
}

void uw_text_where(const struct uw_track *track, char *text, size_t size) {
    size_t len;

    if (track && !isnan(track->position.lat) && !isnan(track->position.lon))
        snprintf(text, size, "%.5f, %.5f", track->position.lat, track->position.lon);
    else
        snprintf(text, size, "unknown");
    if (!track)
        return;
    len = strlen(text);
    if (!isnan(track->position.error_m) && len < size)
        snprintf(text + len, size - len, " (within %.0f m)", track->position.error_m);
    len = strlen(text);
    if (track->n_receivers > 0 && len < size)
        snprintf(text + len, size - len, "; heard by %s%s", track->receivers[0],
                 track->n_receivers > 1 ? " and others" : "");
    len = strlen(text);
    if (track->freq_hz > 1e6 && len < size)
        snprintf(text + len, size - len, " on %.3f MHz", track->freq_hz / 1e6);
}
