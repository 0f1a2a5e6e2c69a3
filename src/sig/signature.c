/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/sig/signature.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/conf/conf.h"

#define FREQ_MIN_HZ 1e6
#define FREQ_MAX_HZ 12e9

struct uw_sigdb {
    size_t n;
    struct uw_signature *signatures[UW_SIG_MAX];
};

static const char *const role_words[] = {"control",   "telemetry",  "video",
                                         "remote-id", "background", NULL};
static const char *const modulation_words[] = {"lora", "fsk", "ofdm-zc", "any", NULL};
static const char *const matcher_words[] = {"link", "chirp", "droneid", "hopper", NULL};
static const char *const region_words[] = {"FCC", "EU", "AU", "IN", "TH", NULL};
static const char *const direction_words[] = {"up", "down", "either", NULL};

const char *uw_sig_role_name(enum uw_sig_role role) {
    return role_words[role];
}

const char *uw_sig_modulation_name(enum uw_sig_modulation modulation) {
    return modulation_words[modulation];
}

const char *uw_sig_region_name(enum uw_sig_region region) {
    return region_words[region];
}

static void read_name(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                      bool required, char *to, size_t size) {
    const char *s = "";

    if (uw_conf_get_string(conf, node, key, required, size - 1, &s))
        (void)uw_str_copy(to, size, s);
}

/* The identifier of a signature goes into topics. */
static void read_id(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                    char *to, size_t size) {
    const char *s = "";

    if (!uw_conf_get_string(conf, node, key, true, size - 1, &s))
        return;
    (void)uw_str_copy(to, size, s);
    if (!uw_str_is_name(to))
        uw_conf_mistake(conf, node, "%s: only letters, digits, '-' and '_'", key);
}

static void read_int(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                     bool required, int64_t min, int64_t max, int *to) {
    int64_t v = *to;

    if (uw_conf_get_int(conf, node, key, required, min, max, &v))
        *to = (int)v;
}

static void read_variant(struct uw_conf *conf, const struct uw_conf_node *node,
                         struct uw_sig_variant *v) {
    int modulation = UW_SIG_LORA;

    read_name(conf, node, "name", true, v->name, sizeof(v->name));
    (void)uw_conf_get_enum(conf, node, "modulation", true, modulation_words, &modulation);
    v->modulation = (enum uw_sig_modulation)modulation;
    (void)uw_conf_get_double(conf, node, "bandwidth_hz", true, 1e3, 100e6, &v->bandwidth_hz);
    if (v->modulation == UW_SIG_LORA) {
        read_int(conf, node, "sf", true, 5, 12, &v->sf);
        read_int(conf, node, "preamble", false, 4, 64, &v->preamble);
    }
    if (v->modulation == UW_SIG_FSK) {
        (void)uw_conf_get_double(conf, node, "symbol_rate", true, 100.0, 10e6, &v->symbol_rate);
        /* both frequencies lie in the bandwidth; where that is wrong itself, one error will do */
        double most = v->bandwidth_hz >= 1e3 ? 0.5 * v->bandwidth_hz : 10e6;

        (void)uw_conf_get_double(conf, node, "deviation_hz", true, 10.0, most, &v->deviation_hz);
    }
    (void)uw_conf_get_double(conf, node, "airtime_s", false, 1e-5, 10.0, &v->airtime_s);
    (void)uw_conf_get_double(conf, node, "period_s", false, 1e-4, 100.0, &v->period_s);
    read_int(conf, node, "packets_per_hop", v->period_s > 0.0, 1, 64, &v->packets_per_hop);
    v->repeats = 1;
    read_int(conf, node, "repeats", false, 1, 16, &v->repeats);
    uw_conf_end(conf, node);
}

static void read_channels(struct uw_conf *conf, const struct uw_conf_node *node,
                          struct uw_sig_domain *d) {
    const struct uw_conf_node *list =
        uw_conf_get_list(conf, node, "channels_hz", false, 1, UW_SIG_CHANNELS_MAX);
    double start = NAN;
    double stop = NAN;

    if (list) {
        d->n_channels = (int)uw_conf_list_len(list);
        for (int i = 0; i < d->n_channels; ++i)
            (void)uw_conf_list_double(conf, list, (size_t)i, FREQ_MIN_HZ, FREQ_MAX_HZ,
                                      &d->channel_hz[i]);
        return;
    }
    (void)uw_conf_get_double(conf, node, "start_hz", true, FREQ_MIN_HZ, FREQ_MAX_HZ, &start);
    (void)uw_conf_get_double(conf, node, "stop_hz", true, FREQ_MIN_HZ, FREQ_MAX_HZ, &stop);
    read_int(conf, node, "channels", true, 1, UW_SIG_CHANNELS_MAX, &d->n_channels);
    if (stop < start)
        uw_conf_mistake(conf, node, "stop_hz: below start_hz");
    for (int i = 0; i < d->n_channels; ++i)
        d->channel_hz[i] =
            d->n_channels > 1 ? start + (stop - start) * i / (d->n_channels - 1) : start;
}

static void read_regions(struct uw_conf *conf, const struct uw_conf_node *node,
                         struct uw_sig_domain *d) {
    const struct uw_conf_node *list =
        uw_conf_get_list(conf, node, "regions", false, 1, UW_SIG_REGION_N);

    for (size_t i = 0; list && i < uw_conf_list_len(list); ++i) {
        const char *word = "";
        int r = 0;

        if (!uw_conf_list_string(conf, list, i, 31, &word))
            continue;
        while (r < UW_SIG_REGION_N && strcmp(region_words[r], word) != 0)
            ++r;
        if (r == UW_SIG_REGION_N)
            uw_conf_mistake(conf, node, "regions: \"%s\" is none of FCC, EU, AU, IN, TH", word);
        else
            d->regions |= 1u << r;
    }
}

static void read_domain(struct uw_conf *conf, const struct uw_conf_node *node,
                        struct uw_sig_domain *d) {
    d->sync = -1;
    read_name(conf, node, "name", true, d->name, sizeof(d->name));
    read_channels(conf, node, d);
    read_regions(conf, node, d);
    read_int(conf, node, "sync", false, 0, UW_SIG_CHANNELS_MAX - 1, &d->sync);
    if (d->sync >= d->n_channels)
        uw_conf_mistake(conf, node, "sync: there are only %d channels", d->n_channels);
    uw_conf_end(conf, node);
}

static void read_lists(struct uw_conf *conf, const struct uw_conf_node *node,
                       struct uw_signature *s) {
    const struct uw_conf_node *variants =
        uw_conf_get_list(conf, node, "variants", true, 1, UW_SIG_VARIANTS_MAX);
    const struct uw_conf_node *domains =
        uw_conf_get_list(conf, node, "domains", false, 1, UW_SIG_DOMAINS_MAX);

    for (size_t i = 0; variants && i < uw_conf_list_len(variants); ++i) {
        const struct uw_conf_node *v = uw_conf_list_group(conf, variants, i);

        if (v)
            read_variant(conf, v, &s->variants[s->n_variants++]);
    }
    for (size_t i = 0; domains && i < uw_conf_list_len(domains); ++i) {
        const struct uw_conf_node *d = uw_conf_list_group(conf, domains, i);

        if (d)
            read_domain(conf, d, &s->domains[s->n_domains++]);
    }
}

/* What a matcher cannot do without. */
static void check_whole(struct uw_conf *conf, const struct uw_conf_node *node,
                        const struct uw_signature *s) {
    if (s->drone && s->role == UW_SIG_BACKGROUND)
        uw_conf_mistake(conf, node, "drone: a background signal is no drone");
    for (int i = 0; i < s->n_variants; ++i) {
        const struct uw_sig_variant *v = &s->variants[i];

        if (s->matcher == UW_SIG_MATCH_LINK &&
            (v->period_s <= 0.0 || v->airtime_s <= 0.0 || v->airtime_s > v->period_s))
            uw_conf_mistake(conf, node,
                            "variants: %s: a link needs airtime_s and a period_s that is longer",
                            v->name);
        if (s->matcher == UW_SIG_MATCH_CHIRP && v->modulation != UW_SIG_LORA)
            uw_conf_mistake(conf, node, "variants: %s: the chirp matcher knows LoRa only", v->name);
        if ((s->matcher == UW_SIG_MATCH_HOPPER) != (v->modulation == UW_SIG_ANY))
            uw_conf_mistake(conf, node,
                            "variants: %s: the modulation \"any\" and the hopper matcher belong "
                            "together",
                            v->name);
    }
}

static void read_signature(struct uw_conf *conf, const struct uw_conf_node *node,
                           struct uw_signature *s) {
    int role = UW_SIG_BACKGROUND;
    int matcher = UW_SIG_MATCH_LINK;
    int direction = UW_SIG_EITHER;

    s->enabled = true;
    s->sync_word = -1;
    read_id(conf, node, "id", s->id, sizeof(s->id));
    read_id(conf, node, "family", s->family, sizeof(s->family));
    read_name(conf, node, "title", true, s->title, sizeof(s->title));
    read_name(conf, node, "provenance", true, s->provenance, sizeof(s->provenance));
    (void)uw_conf_get_enum(conf, node, "role", true, role_words, &role);
    (void)uw_conf_get_enum(conf, node, "matcher", true, matcher_words, &matcher);
    (void)uw_conf_get_enum(conf, node, "direction", false, direction_words, &direction);
    (void)uw_conf_get_bool(conf, node, "drone", true, &s->drone);
    (void)uw_conf_get_bool(conf, node, "enabled", false, &s->enabled);
    read_int(conf, node, "sync_word", false, 0, 255, &s->sync_word);
    s->role = (enum uw_sig_role)role;
    s->matcher = (enum uw_sig_matcher)matcher;
    s->direction = (enum uw_sig_direction)direction;
    read_lists(conf, node, s);
    check_whole(conf, node, s);
    uw_conf_end(conf, node);
}

static int read_file(struct uw_conf *conf, struct uw_signature *ret) {
    const struct uw_conf_node *root = uw_conf_root(conf);
    const struct uw_conf_node *node = uw_conf_get_group(conf, root, "signature", true);

    memset(ret, 0, sizeof(*ret));
    if (node)
        read_signature(conf, node, ret);
    uw_conf_end(conf, root);
    return uw_conf_failed(conf) ? UW_E_INPUT : 0;
}

int uw_signature_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                       struct uw_signature *ret) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    int r = uw_conf_parse(name, text, len, diag, &conf);

    return r ? r : read_file(conf, ret);
}

static int load_one(struct uw_sigdb *db, const char *path, struct uw_diag *diag) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    struct uw_signature *s;
    int r = uw_conf_load(path, diag, &conf);

    if (r)
        return r;
    s = calloc(1, sizeof(*s));
    if (!s)
        return uw_err(-ENOMEM);
    r = read_file(conf, s);
    if (r == 0 && uw_sigdb_find(db, s->id))
        r = uw_diag_add(diag, "%s: id: \"%s\" is the id of another file, too", path, s->id);
    if (r) {
        free(s);
        return r;
    }
    db->signatures[db->n++] = s;
    return 0;
}

static int is_signature_file(const struct dirent *entry) {
    return entry->d_name[0] != '.' && uw_str_ends_with(entry->d_name, ".conf");
}

/* Byte order, not the locale's: the order decides nothing but must never change. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

int uw_sigdb_load(const char *directory, struct uw_diag *diag, struct uw_sigdb **ret_db) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = calloc(1, sizeof(*db));
    struct dirent **entries = NULL;
    int n;
    int r = 0;

    if (!db)
        return uw_err(-ENOMEM);
    n = scandir(directory, &entries, is_signature_file, by_name);
    if (n < 0)
        return uw_diag_add(diag, "%s: cannot read the signature directory: %s", directory,
                           strerror(errno));
    for (int i = 0; i < n; ++i) {
        char path[4096];

        if (i >= UW_SIG_MAX)
            r = uw_diag_add(diag, "%s: more than %d signatures", directory, UW_SIG_MAX);
        else if (r >= 0) {
            (void)snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
            int one = load_one(db, path, diag);
            r = one ? one : r;
        }
        free(entries[i]);
    }
    free(entries);
    if (r)
        return r;
    if (db->n == 0)
        return uw_diag_add(diag, "%s: no signature (*.conf) in this directory", directory);
    *ret_db = db;
    db = NULL;
    return 0;
}

struct uw_sigdb *uw_sigdb_free(struct uw_sigdb *db) {
    if (!db)
        return NULL;
    for (size_t i = 0; i < db->n; ++i)
        free(db->signatures[i]);
    free(db);
    return NULL;
}

void uw_sigdb_freep(struct uw_sigdb **db) {
    *db = uw_sigdb_free(*db);
}

size_t uw_sigdb_len(const struct uw_sigdb *db) {
    return db->n;
}

const struct uw_signature *uw_sigdb_at(const struct uw_sigdb *db, size_t i) {
    return i < db->n ? db->signatures[i] : NULL;
}

const struct uw_signature *uw_sigdb_find(const struct uw_sigdb *db, const char *id) {
    for (size_t i = 0; i < db->n; ++i) {
        if (strcmp(db->signatures[i]->id, id) == 0)
            return db->signatures[i];
    }
    return NULL;
}

int uw_sigdb_enable(struct uw_sigdb *db, const char *const *ids, size_t n, struct uw_diag *diag) {
    int r = 0;

    for (size_t j = 0; j < n; ++j) {
        if (!uw_sigdb_find(db, ids[j]))
            r = uw_diag_add(diag, "signatures: there is no \"%s\" in the database", ids[j]);
    }
    if (r)
        return r;
    for (size_t i = 0; i < db->n; ++i) {
        db->signatures[i]->enabled = false;
        for (size_t j = 0; j < n; ++j)
            db->signatures[i]->enabled |= strcmp(db->signatures[i]->id, ids[j]) == 0;
    }
    return 0;
}
