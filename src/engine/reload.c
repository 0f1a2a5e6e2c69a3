/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another configuration while it runs
 *
 * First everything is made that the new configuration needs and the old one has not: signatures,
 * receivers, detectors. All that can be wrong is found there, and nothing has been touched. Then
 * the change: receivers that go are stopped and drained, the fusion thread takes over the new list
 * and limits between two of its rounds, detectors are exchanged, new receivers start. What can
 * still fail there is to start a thread; then the old configuration is put in place again in the
 * same way.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/engine/plan.h"
#include "uw/sig/detector.h"

#define RENEW_MS 5000

struct change {
    struct uw_engine *engine;
    const struct uw_engine_config *config;
    struct uw_diag *diag;
    struct uw_sigdb *db; /* NULL: stays */
    bool renew;          /* all detectors */
    int n;               /* the list to be, in the order of the configuration */
    struct uw_engine_rx *list[UW_RX_MAX];
    bool is_new[UW_RX_MAX];
    bool is_retuned[UW_RX_MAX];
    struct uw_detector *detectors[UW_RX_MAX]; /* for those that stay */
    int n_gone;
    struct uw_engine_rx *gone[UW_RX_MAX];
    bool drained;
    char text[UW_TEXT_LEN]; /* what has been done */
};

__attribute__((format(printf, 2, 3))) static void note(struct change *c, const char *format, ...) {
    size_t n = strlen(c->text);
    va_list ap;

    if (n > 0 && n + 2 < sizeof(c->text)) {
        strcpy(c->text + n, "; ");
        n += 2;
    }
    va_start(ap, format);
    vsnprintf(c->text + n, sizeof(c->text) - n, format, ap);
    va_end(ap);
}

static int is_fixed(struct change *c, const char *key, const char *old, const char *new) {
    if (strcmp(old, new) == 0)
        return 0;
    return uw_diag_add(c->diag, "%s: cannot be changed from \"%s\" to \"%s\" without a restart",
                       key, old, new);
}

/* All that is wrong is told. */
static int check_fixed(struct change *c) {
    const struct uw_engine_config *old = &c->engine->config, *new = c->config;
    int r = 0;

    r |= is_fixed(c, "site", old->site, new->site);
    r |= is_fixed(c, "node", old->node, new->node);
    r |= is_fixed(c, "bus.endpoint", old->bus_endpoint, new->bus_endpoint);
    r |= is_fixed(c, "feed.endpoint", old->feed_endpoint, new->feed_endpoint);
    r |= is_fixed(c, "feed.enabled", old->feed ? "true" : "false", new->feed ? "true" : "false");
    r |= is_fixed(c, "state_directory", old->state_dir, new->state_dir);
    if (!c->engine->any_live)
        r |= uw_diag_add(c->diag, "receivers: recordings are played to their end: restart");
    return r ? UW_E_INPUT : 0;
}

static bool is_same_db(const struct uw_sigdb *a, const struct uw_sigdb *b) {
    if (uw_sigdb_len(a) != uw_sigdb_len(b))
        return false;
    for (size_t i = 0; i < uw_sigdb_len(a); i++)
        if (memcmp(uw_sigdb_at(a, i), uw_sigdb_at(b, i), sizeof(struct uw_signature)) != 0)
            return false;
    return true;
}

static int prepare_signatures(struct change *c) {
    int r = uw_engine_load_signatures(c->config, c->diag, &c->db);

    if (r)
        return r;
    if (!uw_plan_knows_region(c->db, c->config->region))
        return uw_diag_add(c->diag, UW_NO_REGION, c->config->region);
    if (is_same_db(c->engine->db, c->db))
        c->db = uw_sigdb_free(c->db);
    c->renew = c->db || c->config->below_noise != c->engine->config.below_noise;
    if (c->db && c->engine->n_old_dbs == UW_OLD_DBS_MAX)
        return uw_diag_add(c->diag, "signatures: a receiver hangs on to older ones: restart");
    return 0;
}

static struct uw_engine_rx *find(struct uw_engine *engine, const char *name) {
    for (int i = 0; i < engine->n_receivers; i++)
        if (strcmp(engine->receivers[i]->name, name) == 0)
            return engine->receivers[i];
    return NULL;
}

/* One that has failed and ended is opened anew even if its configuration is the same. */
static bool is_usable(const struct uw_engine_rx *r) {
    struct uw_rx_stats stats;

    uw_rx_stats(r->rx, &stats);
    return !stats.ended;
}

static int prepare_receiver(struct change *c, int i) {
    const struct uw_engine_receiver *config = &c->config->receivers[i];
    struct uw_engine_rx *old = find(c->engine, config->name);
    const struct uw_sigdb *db = c->db ? c->db : c->engine->db;
    bool same = old && is_usable(old) && uw_engine_rx_is_same(&old->config, config, false);
    bool tune = old && is_usable(old) && old->info.tunable && !same &&
                uw_engine_rx_is_same(&old->config, config, true);
    int r;

    if (same || tune) {
        c->list[c->n] = old;
        c->is_retuned[c->n] = tune;
        r = c->renew ? uw_rx_renew_prepare(old->rx, db, c->config->below_noise, &c->detectors[c->n])
                     : 0;
        c->n += r == 0;
        return r;
    }
    r = uw_engine_rx_new(c->engine, c->config, db, i, c->diag, &c->list[c->n]);
    if (r)
        return r;
    c->is_new[c->n++] = true;
    note(c, "%s %s", old ? "opened anew:" : "added:", config->name);
    return 0;
}

static bool stays(const struct change *c, const struct uw_engine_rx *r) {
    for (int i = 0; i < c->n; i++)
        if (c->list[i] == r)
            return true;
    return false;
}

static int prepare(struct change *c) {
    struct uw_engine *engine = c->engine;
    int r = check_fixed(c);

    if (r == 0)
        r = uw_engine_check(c->config, c->diag);
    if (r == 0)
        r = prepare_signatures(c);
    for (int i = 0; r == 0 && i < c->config->n_receivers; i++)
        r = prepare_receiver(c, i);
    if (r == 0)
        r = uw_engine_check_kinds(c->list, c->n, c->diag);
    for (int i = 0; r == 0 && i < engine->n_receivers; i++)
        if (!stays(c, engine->receivers[i]))
            c->gone[c->n_gone++] = engine->receivers[i];
    return r;
}

static void discard(struct change *c) {
    for (int i = 0; i < c->n; i++) {
        uw_detector_free(c->detectors[i]);
        if (c->is_new[i])
            uw_engine_rx_free(c->list[i]);
    }
    uw_sigdb_free(c->db);
}

/* Alerts about what is no longer there are over. */
static void forget_gone(struct uw_engine *engine, const struct change *c, int64_t time_ns) {
    for (int i = 0; i < c->n_gone; i++) {
        struct uw_engine_rx *r = c->gone[i];
        char headline[UW_TEXT_LEN];

        if (find(engine, r->name))
            continue; /* opened anew: the alert is about the new one, and so is its end */
        snprintf(headline, sizeof(headline), "Receiver %s has been taken out", r->name);
        uw_fuse_condition_clear(engine->fuse, UW_ALERT_RECEIVER, r->name, headline,
                                "It is not in the configuration any more.", time_ns);
    }
}

/* What the receivers that go have to say has been said: after that a message in their name is from
 * the new one. */
static void have_ended(struct uw_engine *engine, void *userdata) {
    struct change *c = userdata;

    (void)engine;
    c->drained = true;
    for (int i = 0; i < c->n_gone; i++)
        c->drained = c->drained && c->gone[i]->ended;
}

/* Numbers go on where the last receiver of that name left off: an identifier is given once. */
static void note_counts(struct uw_engine *engine, const struct uw_engine_rx *r) {
    struct uw_past *past = &engine->past[engine->n_past % UW_PAST_MAX];

    for (int i = 0; i < UW_PAST_MAX; i++)
        if (strcmp(engine->past[i].name, r->name) == 0)
            past = &engine->past[i];
    engine->n_past += past == &engine->past[engine->n_past % UW_PAST_MAX];
    uw_str_copy(past->name, sizeof(past->name), r->name);
    uw_rx_counts(r->rx, &past->counts);
}

static void go_on_counting(const struct uw_engine *engine, struct uw_engine_rx *r) {
    for (int i = 0; i < UW_PAST_MAX; i++)
        if (strcmp(engine->past[i].name, r->name) == 0)
            uw_rx_set_counts(r->rx, &engine->past[i].counts);
}

static void inherit(struct change *c, struct uw_engine_rx *new) {
    for (int i = 0; i < c->n_gone; i++)
        if (strcmp(c->gone[i]->name, new->name) == 0) {
            new->lost = c->gone[i]->lost;
            new->degraded = c->gone[i]->degraded;
            new->number = c->gone[i]->number;
        }
}

static const struct uw_engine_receiver *find_config(const struct uw_engine_config *config,
                                                    const char *name) {
    for (int i = 0; i < config->n_receivers; i++)
        if (strcmp(config->receivers[i].name, name) == 0)
            return &config->receivers[i];
    return NULL;
}

/* Those whose frequency alone is another, and all whom that concerns. */
static void plan_anew(struct uw_engine *engine, const struct change *c) {
    for (int i = 0; i < c->n; i++) {
        const struct uw_engine_receiver *config = find_config(c->config, c->list[i]->name);

        if (c->is_retuned[i] && config)
            c->list[i]->config.source.freq_hz = config->source.freq_hz;
    }
    if (c->db)
        engine->plan_db = c->db;
    uw_engine_replan(engine);
}

/* In the fusion thread. */
static void take_over(struct uw_engine *engine, void *userdata) {
    struct change *c = userdata;
    int64_t now = uw_clock_mono_ns();
    bool other_bands;
    size_t order_max = engine->config.order_max;
    char run[UW_NAME_LEN];

    for (int i = 0; i < c->n; i++) {
        engine->receivers[i] = c->list[i];
        if (!c->is_new[i])
            continue;
        inherit(c, c->list[i]);
        c->list[i]->begin_mono_ns = c->list[i]->heard_mono_ns = now;
        c->list[i]->rank = engine->next_rank++;
    }
    engine->n_receivers = c->n;
    other_bands = c->db || strcmp(engine->config.region, c->config->region) != 0;
    uw_str_copy(run, sizeof(run), engine->config.run);
    engine->config = *c->config;
    uw_str_copy(engine->config.run, sizeof(engine->config.run), run);
    engine->config.order_max = order_max;
    engine->head.exercise = c->config->exercise;
    engine->config.fuse.exercise = c->config->exercise;
    (void)uw_fuse_configure(engine->fuse, &engine->config.fuse);
    forget_gone(engine, c, uw_engine_node_time(engine, now));
    if (other_bands)
        uw_engine_coverage_renew(engine, c->db ? c->db : engine->db, now);
    plan_anew(engine, c);
    for (int i = 0; i < c->n; i++)
        if (c->is_new[i] ? c->list[i]->walk.n == 0 : c->renew) /* the plan says it of the others */
            uw_engine_rx_say_limits(engine, c->list[i]);
    engine->health_mono_ns = 0; /* the new list is sent at once */
}

static void wait_renewed(struct change *c) {
    struct timespec ms = {.tv_nsec = 10000000};
    int left = RENEW_MS / 10;

    for (int i = 0; i < c->n; i++)
        while (!c->is_new[i] && !uw_rx_renewed(c->list[i]->rx) && left-- > 0)
            clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
    if (left <= 0)
        uw_log(UW_LOG_WARNING, "reload", "a receiver still uses the old signatures");
}

static void exchange_detectors(struct change *c) {
    for (int i = 0; i < c->n; i++) {
        if (c->detectors[i])
            uw_rx_renew(c->list[i]->rx, c->detectors[i]);
        c->detectors[i] = NULL;
    }
    if (!c->renew)
        return;
    wait_renewed(c);
    note(c, "signatures changed");
    if (!c->db)
        return;
    /* kept until the end if somebody could not let go of it */
    c->engine->old_dbs[c->engine->n_old_dbs++] = c->engine->db;
    c->engine->db = c->db;
    c->db = NULL;
    for (int i = 0; i < c->n; i++)
        if (!c->is_new[i] && !uw_rx_renewed(c->list[i]->rx))
            return;
    while (c->engine->n_old_dbs > 0)
        uw_sigdb_free(c->engine->old_dbs[--c->engine->n_old_dbs]);
}

static int start_new(struct change *c) {
    int r = 0;

    for (int i = 0; i < c->n; i++) {
        if (c->is_retuned[i])
            note(c, "retuned: %s", c->list[i]->name);
        if (c->is_new[i] && r == 0)
            r = uw_rx_start(c->list[i]->rx);
    }
    return r;
}

static int drain(struct change *c) {
    struct timespec ms = {.tv_nsec = 10000000};
    int r = 0;

    for (int i = 0; i < c->n_gone; i++)
        uw_rx_stop(c->gone[i]->rx);
    for (int i = 0; i < c->n_gone; i++) {
        (void)uw_rx_join(c->gone[i]->rx, NULL);
        note_counts(c->engine, c->gone[i]);
        if (!find_config(c->config, c->gone[i]->name))
            note(c, "taken out: %s", c->gone[i]->name);
    }
    for (int left = RENEW_MS / 10; r == 0 && !c->drained && left > 0; left--) {
        r = uw_engine_call(c->engine, have_ended, c);
        if (r == 0 && !c->drained)
            clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
    }
    return r;
}

static int commit(struct change *c) {
    int r;

    /* if no receiver stays there is none for a moment */
    atomic_store_explicit(&c->engine->changing, true, memory_order_release);
    r = drain(c);

    for (int i = 0; i < c->n; i++)
        if (c->is_new[i])
            go_on_counting(c->engine, c->list[i]);
    if (r == 0)
        r = uw_engine_call(c->engine, take_over, c);
    atomic_store_explicit(&c->engine->changing, false, memory_order_release);
    if (r) { /* fusion has ended: so does everything */
        discard(c);
        return r;
    }
    for (int i = 0; i < c->n_gone; i++)
        uw_engine_rx_free(c->gone[i]);
    exchange_detectors(c);
    return start_new(c);
}

/* 0; UW_E_INPUT or -errno: *ret_touched says whether it was in vain or half of it is done. */
static int apply(struct uw_engine *engine, const struct uw_engine_config *config,
                 struct uw_diag *diag, char text[UW_TEXT_LEN], bool *ret_touched) {
    struct change *c = calloc(1, sizeof(*c));
    int r;

    *ret_touched = false;
    if (!c)
        return uw_err(-ENOMEM);
    c->engine = engine;
    c->config = config;
    c->diag = diag;
    r = prepare(c);
    if (r) {
        discard(c);
    } else {
        *ret_touched = true;
        r = commit(c);
    }
    uw_str_copy(text, UW_TEXT_LEN, c->text);
    free(c);
    return r;
}

static int roll_back(struct uw_engine *engine, const struct uw_engine_config *old, int r,
                     struct uw_diag *diag) {
    char text[UW_TEXT_LEN];
    bool touched;

    if (r == UW_E_AGAIN)
        return uw_diag_add(diag, "fusion has ended");
    uw_diag_add(diag, "a receiver could not be started: %s", strerror(r < 0 ? -r : EIO));
    if (apply(engine, old, diag, text, &touched))
        uw_diag_add(diag, "the old configuration could not be put back: restart");
    return r;
}

int uw_engine_reload(struct uw_engine *engine, const struct uw_engine_config *config,
                     const char *actor, const char *object, struct uw_diag *diag) {
    struct uw_engine_config *old = malloc(sizeof(*old)), *new = malloc(sizeof(*new));
    char text[UW_TEXT_LEN];
    bool touched = false;
    int r = -ENOMEM;

    if (old && new) {
        *old = engine->config;
        *new = *config;
        uw_str_copy(new->run, sizeof(new->run), engine->config.run);
        r = apply(engine, new, diag, text, &touched);
        if (r && touched)
            r = roll_back(engine, old, r, diag);
    }
    free(old);
    free(new);
    if (r && diag->n > 0)
        uw_str_copy(text, sizeof(text), diag->text[0]);
    else if (r)
        uw_str_copy(text, sizeof(text), strerror(r < 0 ? -r : EINVAL));
    (void)uw_engine_audit(engine, actor, r ? "reload-refused" : "reload", object,
                          text[0] ? text : "nothing that concerns receivers or signatures");
    return r;
}

static void send_audit(struct uw_engine *engine, void *userdata) {
    struct uw_audit *audit = userdata;

    audit->head = engine->head;
    audit->head.time_ns =
        engine->any_live ? uw_engine_node_time(engine, uw_clock_mono_ns()) : engine->time_ns;
    uw_publish_audit(&engine->publisher, audit);
}

int uw_engine_audit(struct uw_engine *engine, const char *actor, const char *action,
                    const char *object, const char *detail) {
    struct uw_audit audit;

    uw_audit_init(&audit);
    uw_str_copy(audit.actor, sizeof(audit.actor), actor);
    uw_str_copy(audit.action, sizeof(audit.action), action);
    uw_str_copy(audit.object, sizeof(audit.object), object ? object : "");
    uw_str_copy(audit.detail, sizeof(audit.detail), detail ? detail : "");
    return uw_engine_call(engine, send_audit, &audit);
}
