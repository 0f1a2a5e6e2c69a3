/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch signatures: the database of links, as a table, in full, or as JSON
 */

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/sig/signature.h"

static const struct uw_cli_option options[] = {
    {'j', "json", NULL, "one JSON object a line"},
    {'d', "directory", "DIR", "read this directory instead of the one that is in use"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch signatures [OPTION]... [ID]...",
    .summary = "Lists the links that can be recognised. With IDs, everything that is known about\n"
               "those, with the provenance of the figures.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
};

/* Lowest and highest channel of a signature's domains, in MHz. */
static void band_of(const struct uw_signature *s, double *ret_low, double *ret_high) {
    *ret_low = HUGE_VAL;
    *ret_high = -HUGE_VAL;
    for (int i = 0; i < s->n_domains; i++)
        for (int k = 0; k < s->domains[i].n_channels; k++) {
            *ret_low = fmin(*ret_low, s->domains[i].channel_hz[k] / 1e6);
            *ret_high = fmax(*ret_high, s->domains[i].channel_hz[k] / 1e6);
        }
}

static void append(char *text, size_t size, const char *word) {
    size_t len = strlen(text);

    snprintf(text + len, size - len, "%s%s", len ? " " : "", word);
}

static void print_row(const struct uw_signature *s) {
    char variants[512] = "", domains[1024] = "", band[64] = "any";
    double low, high;

    for (int i = 0; i < s->n_variants; i++)
        append(variants, sizeof(variants), s->variants[i].name);
    for (int i = 0; i < s->n_domains; i++)
        append(domains, sizeof(domains), s->domains[i].name);
    band_of(s, &low, &high);
    if (low <= high)
        snprintf(band, sizeof(band), "%.1f-%.1f", low, high);
    uw_cli_print_cell(stdout, s->id, 20);
    printf("  ");
    uw_cli_print_cell(stdout, s->family, 14);
    printf("  ");
    uw_cli_print_cell(stdout, uw_sig_role_name(s->role), 11);
    printf("  ");
    uw_cli_print_cell(stdout, band, 15);
    printf("  %s%s%s%s\n", variants, variants[0] && domains[0] ? "; " : "", domains,
           s->enabled ? "" : " (off)");
}

static void print_table(const struct uw_sigdb *db) {
    size_t drones = 0;

    printf("%-20s  %-14s  %-11s  %-15s  %s\n", "SIGNATURE", "FAMILY", "ROLE", "BAND MHz",
           "VARIANTS; DOMAINS");
    for (size_t i = 0; i < uw_sigdb_len(db); i++) {
        print_row(uw_sigdb_at(db, i));
        drones += uw_sigdb_at(db, i)->drone;
    }
    printf("\n%zu signatures: %zu drone links, %zu background (heard and named, never an alert).\n"
           "\"uaswatch signatures ID\" shows one in full.\n",
           uw_sigdb_len(db), drones, uw_sigdb_len(db) - drones);
}

static void print_variant(const struct uw_sig_variant *v) {
    printf("    %-14s %s", v->name, uw_sig_modulation_name(v->modulation));
    if (v->bandwidth_hz > 0)
        printf(", %g kHz wide", v->bandwidth_hz / 1e3);
    if (v->modulation == UW_SIG_LORA)
        printf(", SF%d, preamble %d", v->sf, v->preamble);
    if (v->modulation == UW_SIG_FSK)
        printf(", %g kBd, deviation %g kHz", v->symbol_rate / 1e3, v->deviation_hz / 1e3);
    if (v->airtime_s > 0)
        printf(", on air %g ms", v->airtime_s * 1e3);
    if (v->period_s > 0)
        printf(", every %g ms", v->period_s * 1e3);
    if (v->packets_per_hop > 0)
        printf(", %d to a hop", v->packets_per_hop);
    printf("\n");
}

static void print_domain(const struct uw_sig_domain *d) {
    printf("    %-14s %d channel%s", d->name, d->n_channels, d->n_channels == 1 ? "" : "s");
    if (d->n_channels == 1)
        printf(", %.4f MHz", d->channel_hz[0] / 1e6);
    if (d->n_channels > 1)
        printf(", %.4f to %.4f MHz", d->channel_hz[0] / 1e6,
               d->channel_hz[d->n_channels - 1] / 1e6);
    if (d->sync >= 0 && d->sync < d->n_channels)
        printf(", sync channel %.4f MHz", d->channel_hz[d->sync] / 1e6);
    printf("\n");
}

static void print_full(const struct uw_signature *s) {
    static const char *const matchers[UW_SIG_MATCHER_N] = {
        [UW_SIG_MATCH_LINK] = "packet timing, dwells and channel raster",
        [UW_SIG_MATCH_CHIRP] = "waveform of single packets",
        [UW_SIG_MATCH_DRONEID] = "Zadoff-Chu symbols of a burst",
        [UW_SIG_MATCH_HOPPER] = "how it hops: period, channels, packets",
    };
    static const char *const directions[] = {"up-chirps", "down-chirps", "either direction"};

    printf("%s: %s\n", s->id, s->title);
    printf("  family      %s\n", s->family);
    printf("  role        %s\n", uw_sig_role_name(s->role));
    printf("  raises      %s\n", s->drone ? "an alert" : "no alert: background");
    printf("  told by     %s%s\n", matchers[s->matcher], s->enabled ? "" : " (off)");
    if (s->n_variants > 0 && s->variants[0].modulation == UW_SIG_LORA)
        printf("  chirps      %s\n", directions[s->direction]);
    if (s->sync_word >= 0)
        printf("  sync word   0x%02x\n", (unsigned)s->sync_word);
    printf("  variants\n");
    for (int i = 0; i < s->n_variants; i++)
        print_variant(&s->variants[i]);
    if (s->n_domains > 0)
        printf("  domains\n");
    for (int i = 0; i < s->n_domains; i++)
        print_domain(&s->domains[i]);
    printf("  provenance  %s\n", s->provenance);
}

static json_t *variants_json(const struct uw_signature *s) {
    json_t *list = json_array();

    for (int i = 0; i < s->n_variants; i++) {
        const struct uw_sig_variant *v = &s->variants[i];
        json_t *o =
            json_pack("{s:s, s:s, s:f}", "name", v->name, "modulation",
                      uw_sig_modulation_name(v->modulation), "bandwidth_hz", v->bandwidth_hz);

        if (v->modulation == UW_SIG_LORA) {
            json_object_set_new(o, "sf", json_integer(v->sf));
            json_object_set_new(o, "preamble", json_integer(v->preamble));
        }
        if (v->modulation == UW_SIG_FSK) {
            json_object_set_new(o, "symbol_rate", json_real(v->symbol_rate));
            json_object_set_new(o, "deviation_hz", json_real(v->deviation_hz));
        }
        if (v->airtime_s > 0)
            json_object_set_new(o, "airtime_s", json_real(v->airtime_s));
        if (v->period_s > 0)
            json_object_set_new(o, "period_s", json_real(v->period_s));
        if (v->packets_per_hop > 0)
            json_object_set_new(o, "packets_per_hop", json_integer(v->packets_per_hop));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *domains_json(const struct uw_signature *s) {
    json_t *list = json_array();

    for (int i = 0; i < s->n_domains; i++) {
        const struct uw_sig_domain *d = &s->domains[i];
        json_t *channels = json_array();
        json_t *o = json_pack("{s:s}", "name", d->name);

        for (int k = 0; k < d->n_channels; k++)
            json_array_append_new(channels, json_real(d->channel_hz[k]));
        json_object_set_new(o, "channels_hz", channels);
        if (d->sync >= 0)
            json_object_set_new(o, "sync", json_integer(d->sync));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_json(const struct uw_signature *s) {
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:s}", "signature", s->id,
                          "family", s->family, "title", s->title, "role", uw_sig_role_name(s->role),
                          "drone", s->drone, "enabled", s->enabled, "variants", variants_json(s),
                          "domains", domains_json(s), "provenance", s->provenance);

    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    printf("\n");
    json_decref(o);
}

static int unknown_signature(const struct uw_sigdb *db, const char *id) {
    const char *ids[UW_SIG_MAX];
    size_t n = uw_sigdb_len(db);
    const char *near;

    for (size_t i = 0; i < n && i < UW_SIG_MAX; i++)
        ids[i] = uw_sigdb_at(db, i)->id;
    near = uw_cli_nearest(id, ids, n < UW_SIG_MAX ? n : UW_SIG_MAX);
    fprintf(stderr, "error: there is no signature \"%s\"%s%s%s\n", id,
            near ? "; did you mean \"" : " (\"uaswatch signatures\" lists them)", near ? near : "",
            near ? "\"?" : "");
    return UW_EXIT_INPUT;
}

static int list(const struct uw_sigdb *db, char **ids, size_t n_ids, bool json) {
    if (n_ids == 0 && !json) {
        print_table(db);
        return UW_EXIT_OK;
    }
    if (n_ids == 0) {
        for (size_t i = 0; i < uw_sigdb_len(db); i++)
            print_json(uw_sigdb_at(db, i));
        return UW_EXIT_OK;
    }
    for (size_t i = 0; i < n_ids; i++) {
        const struct uw_signature *s = uw_sigdb_find(db, ids[i]);

        if (!s)
            return unknown_signature(db, ids[i]);
        if (json)
            print_json(s);
        else
            print_full(s);
    }
    return UW_EXIT_OK;
}

int uw_cmd_signatures(int argc, char **argv) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    static struct uw_diag diag;
    char base[512], directory[540];
    const char *arg = NULL;
    bool json = false;
    int first = argc;
    int c, r, status;

    snprintf(directory, sizeof(directory), "%s/signatures", uw_config_dir(base, sizeof(base)));
    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        if (c == 'j')
            json = true;
        if (c == 'd')
            snprintf(directory, sizeof(directory), "%s", arg);
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    r = uw_sigdb_load(directory, &diag, &db);
    if (r != 0) {
        if (diag.n == 0)
            uw_diag_add(&diag, "%s: %s", directory, strerror(-r));
        return uw_cli_report(r, &diag);
    }
    status = list(db, argv + first, (size_t)(argc - first), json);
    return uw_cli_flush() ? status : UW_EXIT_INPUT;
}
