/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The truth of a scenario, from the annotations that "uaswatch synth" writes. */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define FILE_MAX     ((size_t)512 << 20)
#define EMITTERS_MAX 1024
#define IN_BAND_MIN  0.5 /* a burst that is cut further presents nothing */

/* What is read of one file. */
struct reader {
    const char *name;
    struct uw_diag *diag;
    struct uw_score_truth *truth;
    double rate_hz, shift_s;
};

bool uw_score_is_drone(const char *link) {
    /* the generator's links that nobody flies with; what is not known yet is a drone's, so that a
     * new one cannot be forgotten in silence */
    static const char *const background[] = {
        "lorawan", "meshtastic", "lora", "fsk", "ook", "wmbus", "cw", "lte", "impulses", "leakage",
    };

    for (size_t i = 0; i < UW_ARRAY_SIZE(background); i++)
        if (strcmp(link, background[i]) == 0)
            return false;
    return true;
}

static void jsonp_free(json_t **o) {
    json_decref(*o);
}

static int fault(const struct reader *in, size_t i, const char *what) {
    return uw_diag_add(in->diag, "%s: annotations[%zu]: %s", in->name, i, what);
}

/* NAN unless a finite number stands there. */
static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int find_emitter(struct uw_score_truth *t, const char *name, size_t *ret) {
    int r;

    for (size_t i = 0; i < t->n_emitters; i++)
        if (strcmp(t->emitters[i].name, name) == 0) {
            *ret = i;
            return 0;
        }
    if (t->n_emitters == EMITTERS_MAX)
        return UW_E_INPUT;
    r = uw_score_grow((void **)&t->emitters, t->n_emitters, &t->emitters_cap, sizeof(*t->emitters));
    if (r < 0)
        return r;
    *ret = t->n_emitters++;
    memset(&t->emitters[*ret], 0, sizeof(t->emitters[*ret]));
    uw_str_copy(t->emitters[*ret].name, sizeof(t->emitters[*ret].name), name);
    return 0;
}

/* A word that is not the same in all bursts is not the emitter's. */
static void take_word(char dst[UW_SCORE_WORD_LEN], const char *word, bool first) {
    if (first)
        uw_str_copy(dst, UW_SCORE_WORD_LEN, word);
    else if (strcmp(dst, word) != 0)
        dst[0] = '\0';
}

static void take_emitter(struct uw_score_emitter *e, const json_t *a, double start_s) {
    const json_t *drone = json_object_get(a, "uaswatch:drone");
    bool first = e->n_bursts++ == 0;

    if (first)
        uw_str_copy(e->link, sizeof(e->link), text(a, "uaswatch:link"));
    take_word(e->variant, text(a, "uaswatch:variant"), first);
    take_word(e->domain, text(a, "uaswatch:domain"), first);
    e->drone = drone ? json_is_true(drone) : uw_score_is_drone(e->link);
    if (first || start_s < e->first_s)
        e->first_s = start_s;
}

static int take_burst(struct reader *in, const json_t *a, size_t i) {
    struct uw_score_truth *t = in->truth;
    const char *name = text(a, "uaswatch:emitter");
    double start = number(a, "core:sample_start"), count = number(a, "core:sample_count");
    double in_band = number(a, "uaswatch:in_band");
    struct uw_score_burst b = {.lower_hz = number(a, "core:freq_lower_edge"),
                               .upper_hz = number(a, "core:freq_upper_edge")};
    int r;

    if (!name[0] || !text(a, "uaswatch:link")[0])
        return fault(in, i, "no uaswatch:emitter and uaswatch:link: not written by uaswatch synth");
    if (strlen(name) >= UW_SCORE_WORD_LEN)
        return fault(in, i, "uaswatch:emitter: too long");
    if (!(start >= 0) || !(count >= 0) || !(start + count < 1e18))
        return fault(in, i, "core:sample_start and core:sample_count are needed");
    if (in_band < IN_BAND_MIN)
        return 0;
    r = find_emitter(t, name, &b.emitter);
    if (r != 0)
        return r < 0 ? r : fault(in, i, "more than 1024 emitters");
    r = uw_score_grow((void **)&t->bursts, t->n_bursts, &t->bursts_cap, sizeof(*t->bursts));
    if (r < 0)
        return r;
    b.start_s = in->shift_s + start / in->rate_hz;
    b.stop_s = b.start_s + count / in->rate_hz;
    t->longest_s = fmax(t->longest_s, b.stop_s - b.start_s);
    t->bursts[t->n_bursts++] = b;
    take_emitter(&t->emitters[b.emitter], a, b.start_s);
    return 0;
}

static int by_stop(const void *a, const void *b) {
    double x = ((const struct uw_score_burst *)a)->stop_s;
    double y = ((const struct uw_score_burst *)b)->stop_s;

    return (x > y) - (x < y);
}

/* A recording without a time begins in 1970, as in replay. */
static int take_start(struct reader *in, const json_t *captures) {
    const char *when = text(json_array_get(captures, 0), "core:datetime");
    int64_t start_ns = 0;

    if (when[0] && uw_time_parse(when, &start_ns) != 0)
        return uw_diag_add(in->diag, "%s: captures[0]: core:datetime: not an RFC 3339 time",
                           in->name);
    if (!in->truth->any)
        in->truth->start_ns = start_ns;
    in->truth->any = true;
    in->shift_s = (double)(start_ns - in->truth->start_ns) * 1e-9;
    return 0;
}

int uw_score_truth_parse(struct uw_score_truth *truth, const char *name, const char *body,
                         size_t len, struct uw_diag *diag) {
    json_error_t error;
    UW_CLEANUP(jsonp_free) json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    struct reader in = {.name = name, .diag = diag, .truth = truth};
    const json_t *global, *list, *a;
    size_t i;
    int r;

    if (!root)
        return uw_diag_add(diag, "%s:%d: %s", name, error.line, error.text);
    global = json_object_get(root, "global");
    list = json_object_get(root, "annotations");
    in.rate_hz = number(global, "core:sample_rate");
    if (!json_object_get(global, "uaswatch:receiver") || !json_is_array(list))
        return uw_diag_add(diag, "%s: no truth in it: not written by uaswatch synth", name);
    if (!(in.rate_hz > 0))
        return uw_diag_add(diag, "%s: global: core:sample_rate is needed", name);
    r = take_start(&in, json_object_get(root, "captures"));
    if (r != 0)
        return r;
    json_array_foreach(list, i, a) {
        r = take_burst(&in, a, i);
        if (r != 0)
            return r;
    }
    if (truth->n_bursts > 0)
        qsort(truth->bursts, truth->n_bursts, sizeof(*truth->bursts), by_stop);
    return 0;
}

int uw_score_truth_add(struct uw_score_truth *truth, const char *path, struct uw_diag *diag) {
    char *body = NULL;
    size_t len;
    int r = uw_file_read(path, FILE_MAX, diag, &body, &len);

    if (r == 0)
        r = uw_score_truth_parse(truth, path, body, len, diag);
    free(body);
    return r;
}

void uw_score_truth_deinit(struct uw_score_truth *truth) {
    free(truth->emitters);
    free(truth->bursts);
    memset(truth, 0, sizeof(*truth));
}
