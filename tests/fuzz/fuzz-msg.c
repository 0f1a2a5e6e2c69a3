/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Anything as a message. What is taken must come out again: encoded, decoded and encoded once more
 * it is the same text, and never one with NaN or infinity in it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/msg/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct uw_diag diag;

#define ROUND(name)                                                                                \
    static void round_##name(const char *json, size_t len) {                                       \
        static struct uw_##name first, second;                                                     \
        char *once, *twice;                                                                        \
                                                                                                   \
        if (uw_##name##_decode(json, len, &diag, &first) != 0)                                     \
            return;                                                                                \
        if (uw_##name##_encode(&first, &once) != 0)                                                \
            abort();                                                                               \
        if (uw_##name##_decode(once, strlen(once), &diag, &second) != 0)                           \
            abort();                                                                               \
        if (uw_##name##_encode(&second, &twice) != 0 || strcmp(once, twice) != 0)                  \
            abort();                                                                               \
        free(once);                                                                                \
        free(twice);                                                                               \
    }

ROUND(detection)
ROUND(track)
ROUND(alert)
ROUND(health)
ROUND(spectrum)
ROUND(audit)
ROUND(progress)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static void (*const rounds[UW_MSG_TYPE_N])(const char *, size_t) = {
        [UW_MSG_DETECTION] = round_detection, [UW_MSG_TRACK] = round_track,
        [UW_MSG_ALERT] = round_alert,         [UW_MSG_HEALTH] = round_health,
        [UW_MSG_SPECTRUM] = round_spectrum,   [UW_MSG_AUDIT] = round_audit,
        [UW_MSG_PROGRESS] = round_progress,
    };
    const char *json = (const char *)data;
    enum uw_msg_type type;

    diag.n = 0;
    diag.n_dropped = 0;
    if (uw_msg_peek_type(json, len, &diag, &type) == 0)
        rounds[type](json, len);
    else if (diag.n == 0)
        abort(); /* refused without a word */
    return 0;
}
