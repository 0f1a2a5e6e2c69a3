/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The score for people, and as one JSON object. */

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "score-impl.h"
#include "uw/base/err.h"

static const char *const fields[UW_SCORE_FIELD_N] = {
    [UW_SCORE_FAMILY] = "family",
    [UW_SCORE_VARIANT] = "variant",
    [UW_SCORE_DOMAIN] = "domain",
};

static double hours(const struct uw_score *s) {
    return s->seconds / 3600;
}

static void print_times(FILE *f, const char *what, double *x, size_t n, const char *note) {
    if (n == 0)
        fprintf(f, "%-17s -\n", what);
    else
        fprintf(f, "%-17s median %.2f s, 95th percentile %.2f s   %s\n", what,
                uw_score_percentile(x, n, 0.5), uw_score_percentile(x, n, 0.95), note);
}

static void print_pd(FILE *f, const char *what, const struct uw_score_row *row) {
    double low, high;

    if (row->presented == 0) {
        fprintf(f, "%-17s -\n", what);
        return;
    }
    uw_score_wilson(row->detected, row->presented, &low, &high);
    fprintf(f, "%-17s %.1f %% (%zu of %zu), 95 %% interval %.1f to %.1f %% (Wilson)\n", what,
            100 * (double)row->detected / (double)row->presented, row->detected, row->presented,
            100 * low, 100 * high);
}

static void print_false(FILE *f, const struct uw_score *s) {
    fprintf(f, "%-17s %zu", "false alerts", s->false_alerts);
    if (hours(s) > 0)
        fprintf(f, ", %.3g an hour, 95 %% bound %.3g an hour (Poisson%s)",
                (double)s->false_alerts / hours(s),
                uw_score_poisson_upper(s->false_alerts) / hours(s),
                s->false_alerts == 0 ? ", rule of three" : "");
    fprintf(f, "\n");
}

static void print_rows(FILE *f, const struct uw_score *s) {
    double low, high;

    fprintf(f, "\n%-36s %9s %7s %15s %9s %7s %7s %6s\n", "LINK", "DETECTED", "Pd %", "95 %",
            "ALERT s", "p95 s", "TRACKS", "EXTRA");
    for (size_t i = 0; i < s->n_rows; i++) {
        struct uw_score_row *r = &s->rows[i];

        uw_score_wilson(r->detected, r->presented, &low, &high);
        fprintf(f, "%-36s %4zu/%-4zu %7.1f %6.1f to %5.1f ", r->key, r->detected, r->presented,
                100 * (double)r->detected / (double)r->presented, 100 * low, 100 * high);
        if (r->n_alert > 0)
            fprintf(f, "%9.2f %7.2f", uw_score_percentile(r->alert_s, r->n_alert, 0.5),
                    uw_score_percentile(r->alert_s, r->n_alert, 0.95));
        else
            fprintf(f, "%9s %7s", "-", "-");
        fprintf(f, " %7zu %6zu\n", r->tracks, r->extra);
    }
}

static void print_field(FILE *f, const struct uw_score *s, enum uw_score_field field) {
    const struct uw_score_verdict *v = &s->verdict[field];
    double n = (double)(v->right + v->unknown + v->wrong);

    if (n > 0)
        fprintf(f, "%-17s %.1f %% right, %.1f %% left open, %.1f %% wrong (%zu, %zu, %zu)\n",
                fields[field], 100 * (double)v->right / n, 100 * (double)v->unknown / n,
                100 * (double)v->wrong / n, v->right, v->unknown, v->wrong);
}

/* Most matrices are nearly empty: the cells in use say the same in fewer lines. */
static void print_cells(FILE *f, const struct uw_score *s, enum uw_score_field field) {
    bool any = false;

    for (size_t i = 0; i < s->n_cells; i++) {
        const struct uw_score_cell *c = &s->cells[i];

        if (c->field != field)
            continue;
        if (!any)
            fprintf(f, "\n%-24s %-24s %6s   (%s)\n", "TRUTH", "SAID", "TIMES", fields[field]);
        any = true;
        fprintf(f, "%-24s %-24s %6zu\n", c->truth, c->said, c->n);
    }
}

void uw_score_print(const struct uw_score *s, FILE *f) {
    const struct uw_score_row *all = &s->all;

    fprintf(
        f,
        "%zu run%s, %.1f s of signal (%.3g hours), %zu drone%s presented, %zu other emitter%s\n\n",
        s->runs, s->runs == 1 ? "" : "s", s->seconds, hours(s), all->presented,
        all->presented == 1 ? "" : "s", s->background, s->background == 1 ? "" : "s");
    print_pd(f, "Pd", all);
    if (s->late > 0)
        fprintf(f, "%-17s %zu (first alert after %.6g s: counted as missed)\n", "late", s->late,
                s->within_s);
    print_times(f, "time to detect", all->detect_s, all->n_detect,
                "first track (CWA 18150 TP_D01)");
    print_times(f, "time to alert", all->alert_s, all->n_alert, "alert raised (CWA 18150 TP_D02)");
    print_false(f, s);
    if (all->presented > 0)
        fprintf(f, "%-17s %.2f tracks and %.2f alerts a drone, %zu extra alert%s\n", "continuity",
                (double)all->tracks / (double)all->presented,
                (double)all->alerts / (double)all->presented, all->extra,
                all->extra == 1 ? "" : "s");
    for (int i = 0; i < UW_SCORE_FIELD_N; i++)
        print_field(f, s, (enum uw_score_field)i);
    if (s->n_rows > 0)
        print_rows(f, s);
    for (int i = 0; i < UW_SCORE_FIELD_N; i++)
        print_cells(f, s, (enum uw_score_field)i);
}

static json_t *real_or_none(double x) {
    return isfinite(x) ? json_real(x) : NULL;
}

/* NULL members are left out. */
static void set(json_t *o, const char *key, json_t *value) {
    if (value)
        json_object_set_new(o, key, value);
}

static json_t *row_json(const struct uw_score_row *r) {
    json_t *o = json_object();
    double low, high;

    uw_score_wilson(r->detected, r->presented, &low, &high);
    if (r->key[0])
        set(o, "link", json_string(r->key));
    set(o, "presented", json_integer((json_int_t)r->presented));
    set(o, "detected", json_integer((json_int_t)r->detected));
    if (r->presented > 0) {
        set(o, "pd", json_real((double)r->detected / (double)r->presented));
        set(o, "pd_low", json_real(low));
        set(o, "pd_high", json_real(high));
    }
    set(o, "detect_median_s", real_or_none(uw_score_percentile(r->detect_s, r->n_detect, 0.5)));
    set(o, "detect_p95_s", real_or_none(uw_score_percentile(r->detect_s, r->n_detect, 0.95)));
    set(o, "alert_median_s", real_or_none(uw_score_percentile(r->alert_s, r->n_alert, 0.5)));
    set(o, "alert_p95_s", real_or_none(uw_score_percentile(r->alert_s, r->n_alert, 0.95)));
    set(o, "tracks", json_integer((json_int_t)r->tracks));
    set(o, "alerts", json_integer((json_int_t)r->alerts));
    set(o, "extra_alerts", json_integer((json_int_t)r->extra));
    return o;
}

static json_t *field_json(const struct uw_score *s, enum uw_score_field field) {
    const struct uw_score_verdict *v = &s->verdict[field];
    json_t *cells = json_array();

    for (size_t i = 0; i < s->n_cells; i++) {
        const struct uw_score_cell *c = &s->cells[i];

        if (c->field == field)
            json_array_append_new(cells, json_pack("{s:s, s:s, s:I}", "truth", c->truth, "said",
                                                   c->said, "times", (json_int_t)c->n));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "right", (json_int_t)v->right, "unknown",
                     (json_int_t)v->unknown, "wrong", (json_int_t)v->wrong, "matrix", cells);
}

int uw_score_print_json(const struct uw_score *s, FILE *f) {
    json_t *o = json_pack("{s:s}", "type", "score"), *rows = json_array();
    int r = 0;

    set(o, "runs", json_integer((json_int_t)s->runs));
    set(o, "seconds", json_real(s->seconds));
    set(o, "within_s", real_or_none(s->within_s));
    set(o, "drones", row_json(&s->all));
    set(o, "late", json_integer((json_int_t)s->late));
    set(o, "other_emitters", json_integer((json_int_t)s->background));
    set(o, "false_alerts", json_integer((json_int_t)s->false_alerts));
    if (hours(s) > 0) {
        set(o, "false_alerts_per_hour", json_real((double)s->false_alerts / hours(s)));
        set(o, "false_alerts_per_hour_bound",
            json_real(uw_score_poisson_upper(s->false_alerts) / hours(s)));
    }
    for (size_t i = 0; i < s->n_rows; i++)
        json_array_append_new(rows, row_json(&s->rows[i]));
    set(o, "links", rows);
    for (int i = 0; i < UW_SCORE_FIELD_N; i++)
        set(o, fields[i], field_json(s, (enum uw_score_field)i));
    if (!o || json_dumpf(o, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0)
        r = uw_err(-ENOMEM);
    fputc('\n', f);
    json_decref(o);
    return r;
}
