/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is the matter with the system itself, for whoever is on duty: what it is, what follows from
 * it, what to do
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/str.h"

static const struct {
    const char *reason, *advice;
} problems[UW_RX_PROBLEM_N] = {
    [UW_RX_PROBLEM_NONE] = {"Something is the matter with it.", "Look at it."},
    [UW_RX_PROBLEM_ABSENT] = {"Its device is not there, or another program has it.",
                              "Check its plug, cable and power."},
    [UW_RX_PROBLEM_STALLED] = {"No samples arrive.", "Check the device, its cable and the host."},
    [UW_RX_PROBLEM_LOSING] =
        {"Samples are being lost on the way from the device.",
         "What brings them is too slow: use another USB port, no hub, a quicker network."},
    [UW_RX_PROBLEM_CLIPPING] = {"Strong signals overload it.",
                                "Lower the gain or put a filter before it."},
    [UW_RX_PROBLEM_DEAF] = {"The noise of an open antenna is missing.",
                            "Check the antenna and its cable."},
    [UW_RX_PROBLEM_UNLOCKED] = {"Its oscillator is not at the frequency that was asked for.",
                                "Let it cool, or replace it."},
    [UW_RX_PROBLEM_DRIFTING] = {"Its clock runs off.", "Let it warm up; replace it if it goes on."},
    [UW_RX_PROBLEM_REFUSED] = {"It refuses a setting: rate, frequency or gain.",
                               "Correct the configuration."},
    [UW_RX_PROBLEM_UNREACHABLE] = {"Its server does not answer.",
                                   "Check the server and the network."},
    [UW_RX_PROBLEM_OVERLOADED] = {"This computer does not keep up, and samples are dropped.",
                                  "Stop other programs, or take fewer receivers or lower rates."},
    [UW_RX_PROBLEM_FAILED] = {"Reading its samples has failed.",
                              "Check the device, its cable or the file, then restart."},
};

const char *uw_words_reason(enum uw_rx_problem problem) {
    return problems[problem].reason;
}

const char *uw_words_advice(enum uw_rx_problem problem) {
    return problems[problem].advice;
}

void uw_words_receiver(const struct uw_health_receiver *h, struct uw_words *w) {
    const char *advice = h->advice[0] ? h->advice : problems[h->problem].advice;
    int n;

    uw_str_copy(w->reason, sizeof(w->reason), problems[h->problem].reason);
    if (h->state == UW_RX_OK) {
        snprintf(w->headline, sizeof(w->headline), "Receiver %s works again", h->receiver);
        uw_str_copy(w->reason, sizeof(w->reason), "It hears as it should.");
    } else if (h->state == UW_RX_DEGRADED) {
        snprintf(w->headline, sizeof(w->headline), "Receiver %s hears less than it should",
                 h->receiver);
        n = snprintf(w->advice, sizeof(w->advice), "%s Drones near %s may be missed or found late.",
                     advice, h->receiver);
        if (n >= (int)sizeof(w->advice))
            uw_str_copy(w->advice, sizeof(w->advice), advice);
    } else {
        snprintf(w->headline, sizeof(w->headline), "Receiver %s is deaf", h->receiver);
        n = snprintf(w->advice, sizeof(w->advice), "%s Watch its area by eye until it is back.",
                     advice);
        if (n >= (int)sizeof(w->advice))
            uw_str_copy(w->advice, sizeof(w->advice), advice);
    }
}

void uw_words_band(const struct uw_health_blind *b, struct uw_words *w) {
    snprintf(w->headline, sizeof(w->headline), "Nobody listens to %s", b->band);
    snprintf(w->reason, sizeof(w->reason), "%.200s", b->why[0] ? b->why : "No receiver hears it.");
    uw_str_copy(w->advice, sizeof(w->advice),
                "Drones whose links are in this band cannot be heard. Watch by eye, and get the "
                "receiver back.");
}
