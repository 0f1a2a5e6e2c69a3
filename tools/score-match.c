/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which emitter a track was, and the tally
 *
 * Every time a track was heard it names an instant (the end of the evidence) and a frequency. The
 * burst of the truth that was on the air there and then, and ended nearest to that instant, has one
 * vote for its emitter. A track belongs to the emitter with the most votes; one without any vote
 * belongs to nobody. This tells even two links of the same product apart: their bursts end
 * milliseconds from each other, and the sample counts are exact.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "score-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"

#define SLACK_S    0.03 /* evidence may end so much after the burst or before it */
#define SLACK_HZ   10e3
#define SLACK_PART 0.25 /* of the burst's width */
#define NOBODY     SIZE_MAX
#define NO_ALERT   "(no alert)"
#define OPEN       "(open)"

static bool is_there(const struct uw_score_burst *b, const struct uw_score_sighting *s) {
    double slack = SLACK_HZ + SLACK_PART * (b->upper_hz - b->lower_hz);

    if (b->start_s > s->time_s + SLACK_S || b->stop_s < s->time_s - SLACK_S)
        return false;
    /* NAN on either side: the frequency says nothing */
    return !(s->freq_hz < b->lower_hz - slack) && !(s->freq_hz > b->upper_hz + slack);
}

static size_t first_stop_after(const struct uw_score_truth *t, double time_s) {
    size_t low = 0, high = t->n_bursts;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->bursts[middle].stop_s < time_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t emitter_at(const struct uw_score_truth *t, const struct uw_score_sighting *s) {
    double nearest = INFINITY;
    size_t found = NOBODY;

    for (size_t i = first_stop_after(t, s->time_s - SLACK_S); i < t->n_bursts; i++) {
        const struct uw_score_burst *b = &t->bursts[i];
        double distance = fabs(b->stop_s - s->time_s);

        if (b->stop_s > s->time_s + SLACK_S + t->longest_s)
            break;
        if (distance < nearest && is_there(b, s)) {
            nearest = distance;
            found = b->emitter;
        }
    }
    return found;
}

static size_t emitter_of(const struct uw_score_truth *t, const struct uw_score_track *track,
                         size_t *votes) {
    size_t best = NOBODY;

    memset(votes, 0, t->n_emitters * sizeof(*votes));
    for (size_t i = 0; i < track->n_seen; i++) {
        size_t e = emitter_at(t, &track->seen[i]);

        if (e != NOBODY)
            votes[e]++;
    }
    for (size_t e = 0; e < t->n_emitters; e++)
        if (votes[e] > 0 && (best == NOBODY || votes[e] > votes[best]))
            best = e;
    return best;
}

/* What became of one emitter. */
struct outcome {
    size_t tracks, alerts;
    double detect_s, alert_s; /* earliest; INFINITY: never */
    const struct uw_score_alert *first;
};

struct run {
    struct uw_score *score;
    const struct uw_score_truth *truth;
    const struct uw_score_results *results;
    size_t *votes, *owner; /* owner: emitter of each track */
    struct outcome *outcomes;
};

static int count_cell(struct uw_score *s, enum uw_score_field field, const char *truth,
                      const char *said) {
    struct uw_score_cell *c;
    int r;

    for (size_t i = 0; i < s->n_cells; i++) {
        c = &s->cells[i];
        if (c->field == field && strcmp(c->truth, truth) == 0 && strcmp(c->said, said) == 0) {
            c->n++;
            return 0;
        }
    }
    r = uw_score_grow((void **)&s->cells, s->n_cells, &s->cells_cap, sizeof(*c));
    if (r < 0)
        return r;
    c = &s->cells[s->n_cells++];
    *c = (struct uw_score_cell){.field = field, .n = 1};
    uw_str_copy(c->truth, sizeof(c->truth), truth);
    uw_str_copy(c->said, sizeof(c->said), said);
    return 0;
}

/* A name may offer several: "O2/O3". Which letters are large is a matter of taste. */
static bool is_among(const char *said, const char *truth) {
    size_t n = strlen(truth);

    while (said) {
        if (strncasecmp(said, truth, n) == 0 && (said[n] == '\0' || said[n] == '/'))
            return true;
        said = strchr(said, '/');
        said = said ? said + 1 : NULL;
    }
    return false;
}

static int judge(struct uw_score *s, enum uw_score_field field, const char *truth,
                 const char *said) {
    struct uw_score_verdict *v = &s->verdict[field];

    if (!truth[0])
        return 0; /* there is nothing to be said */
    if (!said[0] || strncmp(said, "unknown", 7) == 0)
        v->unknown++;
    else if (is_among(said, truth))
        v->right++;
    else
        v->wrong++;
    return count_cell(s, field, truth, said[0] ? said : OPEN);
}

static int judge_alert(struct uw_score *s, const struct uw_score_emitter *e,
                       const struct uw_score_alert *a) {
    int r = judge(s, UW_SCORE_FAMILY, e->link, a->family);

    if (r == 0)
        r = judge(s, UW_SCORE_VARIANT, e->variant, a->variant);
    if (r == 0)
        r = judge(s, UW_SCORE_DOMAIN, e->domain, a->domain);
    return r;
}

static int push(double **list, size_t *n, size_t *cap, double x) {
    int r = uw_score_grow((void **)list, *n, cap, sizeof(x));

    if (r == 0)
        (*list)[(*n)++] = x;
    return r;
}

static int tally(struct uw_score_row *row, const struct uw_score_emitter *e,
                 const struct outcome *o, bool in_time) {
    int r = 0;

    row->presented++;
    row->tracks += o->tracks;
    row->alerts += o->alerts;
    row->extra += o->alerts > 1 ? o->alerts - 1 : 0;
    if (isfinite(o->detect_s))
        r = push(&row->detect_s, &row->n_detect, &row->detect_cap, o->detect_s - e->first_s);
    if (r < 0 || !in_time)
        return r;
    row->detected++;
    return push(&row->alert_s, &row->n_alert, &row->alert_cap, o->alert_s - e->first_s);
}

static int find_row(struct uw_score *s, const struct uw_score_emitter *e,
                    struct uw_score_row **ret) {
    char key[UW_SCORE_KEY_LEN];
    int r;

    snprintf(key, sizeof(key), "%s%s%s%s%s", e->link, e->variant[0] ? " " : "", e->variant,
             e->domain[0] ? " " : "", e->domain);
    for (size_t i = 0; i < s->n_rows; i++)
        if (strcmp(s->rows[i].key, key) == 0) {
            *ret = &s->rows[i];
            return 0;
        }
    r = uw_score_grow((void **)&s->rows, s->n_rows, &s->rows_cap, sizeof(**ret));
    if (r < 0)
        return r;
    *ret = &s->rows[s->n_rows++];
    memset(*ret, 0, sizeof(**ret));
    uw_str_copy((*ret)->key, sizeof((*ret)->key), key);
    return 0;
}

static int count_drone(struct uw_score *s, const struct uw_score_emitter *e,
                       const struct outcome *o) {
    bool in_time = isfinite(o->alert_s) && o->alert_s - e->first_s <= s->within_s;
    struct uw_score_row *row;
    int r = find_row(s, e, &row);

    if (r == 0)
        r = tally(row, e, o, in_time);
    if (r == 0)
        r = tally(&s->all, e, o, in_time);
    s->late += isfinite(o->alert_s) && !in_time;
    if (r < 0)
        return r;
    return o->first ? judge_alert(s, e, o->first)
                    : count_cell(s, UW_SCORE_FAMILY, e->link, NO_ALERT);
}

static int count_emitters(struct run *run) {
    int r = 0;

    for (size_t i = 0; i < run->truth->n_emitters && r == 0; i++) {
        const struct uw_score_emitter *e = &run->truth->emitters[i];
        const struct outcome *o = &run->outcomes[i];

        if (e->drone) {
            r = count_drone(run->score, e, o);
        } else {
            run->score->background++;
            if (o->alerts == 0)
                r = count_cell(run->score, UW_SCORE_FAMILY, e->link, NO_ALERT);
        }
    }
    return r;
}

static void take_tracks(struct run *run) {
    for (size_t i = 0; i < run->results->n_tracks; i++) {
        const struct uw_score_track *t = &run->results->tracks[i];
        size_t e = emitter_of(run->truth, t, run->votes);
        struct outcome *o = &run->outcomes[e == NOBODY ? 0 : e];

        run->owner[i] = e;
        if (e == NOBODY || !t->drone)
            continue;
        o->tracks++;
        o->detect_s = fmin(o->detect_s, t->first_s);
    }
}

static size_t owner_of(const struct run *run, const struct uw_score_alert *a) {
    for (size_t i = 0; i < run->results->n_tracks; i++)
        if (strcmp(run->results->tracks[i].track, a->track) == 0)
            return run->owner[i];
    return NOBODY;
}

static int take_alerts(struct run *run) {
    int r = 0;

    for (size_t i = 0; i < run->results->n_alerts && r == 0; i++) {
        const struct uw_score_alert *a = &run->results->alerts[i];
        size_t e = owner_of(run, a);
        const struct uw_score_emitter *emitter = e == NOBODY ? NULL : &run->truth->emitters[e];

        if (emitter) {
            run->outcomes[e].alerts++;
            if (a->raised_s < run->outcomes[e].alert_s) {
                run->outcomes[e].alert_s = a->raised_s;
                run->outcomes[e].first = a;
            }
        }
        if (emitter && emitter->drone)
            continue;
        run->score->false_alerts++;
        r = count_cell(run->score, UW_SCORE_FAMILY, emitter ? emitter->link : "(nothing)",
                       a->family);
    }
    return r;
}

int uw_score_add(struct uw_score *score, const struct uw_score_truth *truth,
                 const struct uw_score_results *results) {
    struct run run = {.score = score, .truth = truth, .results = results};
    int r;

    run.votes = calloc(truth->n_emitters + 1, sizeof(*run.votes));
    run.owner = calloc(results->n_tracks + 1, sizeof(*run.owner));
    run.outcomes = calloc(truth->n_emitters + 1, sizeof(*run.outcomes));
    if (!run.votes || !run.owner || !run.outcomes) {
        r = uw_err(-ENOMEM);
    } else {
        for (size_t i = 0; i <= truth->n_emitters; i++)
            run.outcomes[i].detect_s = run.outcomes[i].alert_s = INFINITY;
        take_tracks(&run);
        r = take_alerts(&run);
        if (r == 0)
            r = count_emitters(&run);
        score->runs++;
        score->seconds += results->seconds;
    }
    free(run.votes);
    free(run.owner);
    free(run.outcomes);
    return r;
}

static void row_deinit(struct uw_score_row *row) {
    free(row->detect_s);
    free(row->alert_s);
}

void uw_score_deinit(struct uw_score *score) {
    row_deinit(&score->all);
    for (size_t i = 0; i < score->n_rows; i++)
        row_deinit(&score->rows[i]);
    free(score->rows);
    free(score->cells);
    memset(score, 0, sizeof(*score));
}
