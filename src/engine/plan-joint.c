/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several receivers that stay: they are not independent
 *
 * A block visits every channel once, so what one receiver hears the others do not; together they
 * have seen everything after N hops. Over h hops from place p of a block on, a link makes the rest
 * of that block (a hops), b whole blocks, and c hops of one more. Channels that the same receivers
 * hear are a cell of v channels. In the first block and in the last the numbers of visits i, j to
 * the cells are multivariate hypergeometric. Nobody has heard k dwells with probability
 *
 *     sum over i, j with sum of (i + j) over its cells + b V_r < k for every receiver r of
 *         prod C(v, i) C(v, j)  *  C(w, a - sum i) C(w, c - sum j) / (C(n, a) C(n, c))
 *
 * with n channels in random order and w of them that nobody hears. The product is taken cell by
 * cell, as polynomials in two variables whose coefficient (s, t) collects sum i = s and sum j = t,
 * one for each set of counts of those receivers that have cells on both sides (OPEN_MAX at most: of
 * a cell that more would share the last ones hear nothing, which is to the plan's disadvantage). A
 * receiver all of whose channels another one hears, too, adds nothing. The sync channel has its
 * fixed place and counts for its receivers alone.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define OPEN_MAX 3
#define DEGREE   (UW_SIG_CHANNELS_MAX + 1)

struct work {
    int n;              /* coefficients each way so far */
    int n_most;         /* ... that there is room for */
    int n_states;       /* k to the power of the most slots that are open at once */
    int slot[OPEN_MAX]; /* receiver, or -1 */
    double *now, *next; /* [state][s][t] */
    double first[DEGREE], last[DEGREE];
    bool zero; /* somebody has heard k dwells for sure */
};

static double log_choose(int n, int k) {
    int sign; /* lgamma() would leave it in a global variable */

    return lgamma_r(n + 1.0, &sign) - lgamma_r(k + 1.0, &sign) - lgamma_r(n - k + 1.0, &sign);
}

static double choose(int n, int k) {
    return k < 0 || k > n ? 0.0 : exp(log_choose(n, k));
}

/* C(w, a - s) / C(n, a) */
static double ratio(int w, int n, int a, int s) {
    return a - s < 0 || a - s > w ? 0.0 : exp(log_choose(w, a - s) - log_choose(n, a));
}

static int weight_of(int k, int slot) {
    return slot == 0 ? 1 : k * weight_of(k, slot - 1);
}

static void shut(struct work *w) {
    for (int i = 0; i < OPEN_MAX; i++)
        w->slot[i] = -1;
}

static int degree_of(const struct uw_plan_cell *cell, int k) {
    return k - 1 < cell->n ? k - 1 : cell->n;
}

/* Receivers of the cell that are followed; new ones take a free slot. */
static uint32_t open_slots(struct work *w, uint32_t mask) {
    uint32_t open = 0;

    for (int i = 0; i < OPEN_MAX; i++)
        if (w->slot[i] >= 0)
            open |= mask & 1u << w->slot[i];
    for (int r = 0; r < UW_RX_MAX; r++) {
        int i = 0;

        if (!((mask & ~open) >> r & 1u))
            continue;
        while (i < OPEN_MAX && w->slot[i] >= 0)
            i++;
        if (i == OPEN_MAX)
            continue;
        w->slot[i] = r;
        open |= 1u << r;
    }
    return open;
}

/* Visits that the receivers of the cell can still take in this state. */
static int room_in(const struct work *w, uint32_t open, const int *limit, int k, int state) {
    int room = k - 1;

    for (int i = 0; i < OPEN_MAX; i++, state /= k) {
        if (w->slot[i] < 0 || !(open >> w->slot[i] & 1u))
            continue;
        room = limit[w->slot[i]] - 1 - state % k < room ? limit[w->slot[i]] - 1 - state % k : room;
    }
    return room;
}

static void add_product(struct work *w, int from, int to, int i, int j, double f) {
    size_t n = (size_t)w->n_most;

    for (int s = 0; s < w->n; s++) {
        const double *a = w->now + ((size_t)from * n + (size_t)s) * n;
        double *b = w->next + ((size_t)to * n + (size_t)(s + i)) * n + j;

        for (int t = 0; t < w->n; t++)
            b[t] += f * a[t];
    }
}

static void swap(struct work *w) {
    double *t = w->now;

    w->now = w->next;
    w->next = t;
}

static void clear(const struct work *w, double *x) {
    memset(x, 0, (size_t)w->n_states * (size_t)w->n_most * (size_t)w->n_most * sizeof(*x));
}

/* Times the sum of C(v, i) C(v, j) x^i y^j over what the cell's receivers can still take. */
static void multiply(struct work *w, const struct uw_plan_cell *cell, const int *limit, int k) {
    uint32_t open = open_slots(w, cell->receivers);
    int step = 0; /* one visit, in states */

    for (int i = 0; i < OPEN_MAX; i++)
        if (w->slot[i] >= 0 && (open >> w->slot[i] & 1u))
            step += weight_of(k, i);
    clear(w, w->next);
    for (int state = 0; state < w->n_states; state++) {
        int room = room_in(w, open, limit, k, state);

        for (int i = 0; i <= room && i <= cell->n; i++)
            for (int j = 0; i + j <= room && j <= cell->n; j++)
                add_product(w, state, state + (i + j) * step, i, j,
                            choose(cell->n, i) * choose(cell->n, j));
    }
    w->n += degree_of(cell, k);
    swap(w);
}

/* Receivers of all cells behind this one. */
static uint32_t receivers_behind(const struct uw_plan_joint *in, int cell) {
    uint32_t rest = 0;

    for (int later = cell + 1; later < in->n_cells; later++)
        rest |= in->cells[later].receivers;
    return rest;
}

/* Receivers that have no cell among the rest: their counts no longer matter. */
static void close_slots(struct work *w, uint32_t rest, int k) {
    for (int i = 0; i < OPEN_MAX; i++) {
        if (w->slot[i] < 0 || (rest >> w->slot[i] & 1u))
            continue;
        clear(w, w->next);
        for (int state = 0; state < w->n_states; state++)
            add_product(w, state, state - state / weight_of(k, i) % k * weight_of(k, i), 0, 0, 1.0);
        swap(w);
        w->slot[i] = -1;
    }
}

/* The product for b whole blocks and n_sync more visits to the sync channel. */
static void prepare(struct work *w, const struct uw_plan_joint *in, int b, int n_sync) {
    int limit[UW_RX_MAX];

    clear(w, w->now);
    w->n = 1;
    w->now[0] = 1.0;
    w->zero = false;
    shut(w);
    for (int r = 0; r < UW_RX_MAX; r++) {
        bool has_sync = in->sync && (in->sync_receivers >> r & 1u);

        limit[r] = in->k - (has_sync ? b + n_sync : 0);
        for (int c = 0; c < in->n_cells; c++)
            limit[r] -= in->cells[c].receivers >> r & 1u ? b * in->cells[c].n : 0;
        w->zero |= limit[r] <= 0;
    }
    for (int c = 0; c < in->n_cells && !w->zero; c++) {
        multiply(w, &in->cells[c], limit, in->k);
        close_slots(w, receivers_behind(in, c), in->k);
    }
}

static double sum_up(struct work *w, int unheard, int n, int a, int c) {
    double sum = 0.0;

    for (int s = 0; s < w->n; s++) {
        w->first[s] = ratio(unheard, n, a, s);
        w->last[s] = ratio(unheard, n, c, s);
    }
    for (int s = 0; s < w->n; s++)
        for (int t = 0; w->first[s] > 0.0 && t < w->n; t++)
            sum += w->now[(size_t)s * (size_t)w->n_most + (size_t)t] * w->first[s] * w->last[t];
    return sum;
}

/* Adds to unknown[h] for all h and places that make b whole blocks and n_sync visits. */
static void add(const struct uw_plan_joint *in, struct work *w, int b, int n_sync, double *unknown,
                int n_hops) {
    int n = in->n_channels - in->sync;
    int unheard = n;

    for (int i = 0; i < in->n_cells; i++)
        unheard -= in->cells[i].n;
    prepare(w, in, b, n_sync);
    for (int p = 0; p < in->n_channels && !w->zero; p++) {
        for (int h = 0; h <= n_hops; h++) {
            int a = h < in->n_channels - p ? h : in->n_channels - p;
            int blocks = (h - a) / in->n_channels;
            int c = (h - a) % in->n_channels;
            int at_first = in->sync && p == 0 && h > 0;
            int at_last = in->sync && c > 0;

            if (blocks == b && at_first + at_last == n_sync)
                unknown[h] += sum_up(w, unheard, n, a - at_first, c - at_last) / in->n_channels;
        }
    }
}

static void work_deinit(struct work *w) {
    free(w->now);
    free(w->next);
}

/* Takes from the cells what there is no slot for. Returns how many are open at most. */
static int trim(struct uw_plan_joint *in, struct work *w) {
    int most = 1;
    int n = 0;

    shut(w);
    for (int c = 0; c < in->n_cells; c++) {
        uint32_t rest = receivers_behind(in, c);
        int open = 0;

        in->cells[c].receivers = open_slots(w, in->cells[c].receivers);
        for (int i = 0; i < OPEN_MAX; i++) {
            open = w->slot[i] >= 0 ? i + 1 : open;
            if (w->slot[i] >= 0 && !(rest >> w->slot[i] & 1u))
                w->slot[i] = -1;
        }
        most = open > most ? open : most;
        if (in->cells[c].receivers)
            in->cells[n++] = in->cells[c];
    }
    in->n_cells = n;
    return most;
}

int uw_plan_joint(const struct uw_plan_joint *all, double *unknown, int n_hops) {
    struct uw_plan_joint trimmed = *all;
    const struct uw_plan_joint *in = &trimmed;
    struct work w = {.n_most = 1};
    size_t size;

    w.n_states = weight_of(in->k, trim(&trimmed, &w));
    for (int c = 0; c < in->n_cells; c++)
        w.n_most += degree_of(&in->cells[c], in->k);
    size = (size_t)w.n_states * (size_t)w.n_most * (size_t)w.n_most;
    w.now = calloc(size, sizeof(double));
    w.next = calloc(size, sizeof(double));
    if (!w.now || !w.next) {
        work_deinit(&w);
        return uw_err(-ENOMEM);
    }
    for (int h = 0; h <= n_hops; h++)
        unknown[h] = 0.0;
    for (int b = 0; b <= n_hops / in->n_channels; b++)
        for (int n_sync = 0; n_sync <= 2 * in->sync; n_sync++)
            add(in, &w, b, n_sync, unknown, n_hops);
    work_deinit(&w);
    return 0;
}
