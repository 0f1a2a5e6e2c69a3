/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch plan: which receiver listens where, how soon each link is known, and what is not heard
 */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/engine/engine.h"
#include "uw/engine/plan.h"
#include "uw/sig/signature.h"

#define RTL_MIN_HZ 24e6
#define RTL_MAX_HZ 1766e6
#define NAME_WIDTH 38
#define WHO_WIDTH  22

static const struct uw_cli_option options[] = {
    {'c', "config", "FILE", "receivers, signatures and region of this configuration"},
    {'r', "region", "REGION", "FCC, EU, AU, IN, TH, or one channel plan (FCC915); all: everywhere"},
    {'n', "dongles", "N", "as if there were N RTL-SDR dongles, 1 to 16 (1 without --config)"},
    {'R', "rate", "HZ", "... at this sample rate (2.4M)"},
    {'a', "all", NULL, "every air rate, not only the slowest of each channel plan"},
    {'j', "json", NULL, "everything, as one JSON object"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch plan [OPTION]...",
    .summary = "Says which receiver listens where, how long it takes until each link is known,\n"
               "and what nobody hears. Times count from the moment that the link is switched on,\n"
               "and are for a signal that is strong enough to hear every packet.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Examples:\n"
                "  uaswatch plan --region EU --dongles 2\n"
                "  uaswatch plan -c /etc/uaswatch/uaswatch.conf --all",
};

struct args {
    const char *config, *region;
    int64_t dongles;
    double rate_hz;
    bool all, json;
};

static bool take_option(struct args *args, int c, const char *arg) {
    switch (c) {
    case 'c':
        args->config = arg;
        break;
    case 'r':
        args->region = strcmp(arg, "all") == 0 ? "" : arg;
        break;
    case 'n':
        if (uw_str_to_int64(arg, 1, UW_RX_MAX, &args->dongles) != 0) {
            uw_cli_usage_error("plan", "--dongles: 1 to %d are possible, not \"%s\"", UW_RX_MAX,
                               arg);
            return false;
        }
        break;
    case 'R':
        if (uw_str_to_double(arg, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ, &args->rate_hz) != 0) {
            uw_cli_usage_error("plan", "--rate: 250k to 50M, not \"%s\"", arg);
            return false;
        }
        break;
    case 'a':
        args->all = true;
        break;
    default:
        args->json = true;
        break;
    }
    return true;
}

static void make_dongles(struct uw_plan_config *config, int n, double rate_hz) {
    config->n_receivers = n;
    for (int i = 0; i < n; i++) {
        struct uw_plan_receiver *r = &config->receivers[i];

        *r = (struct uw_plan_receiver){.rate_hz = rate_hz,
                                       .usable_hz = UW_PLAN_USABLE_SHARE * rate_hz,
                                       .freq_min_hz = RTL_MIN_HZ,
                                       .freq_max_hz = RTL_MAX_HZ,
                                       .alive = true};
        snprintf(r->name, sizeof(r->name), "dongle%d", i + 1);
    }
}

/* --- for people --- */

static void print_walk(const struct uw_plan_receiver *r, const struct uw_plan_walk *walk,
                       double settle_s) {
    double cycle = 0.0;

    uw_cli_print_cell(stdout, r->name, 16);
    if (walk->n == 0) {
        printf("  nowhere%s\n", r->alive ? "" : " (it is lost)");
        return;
    }
    if (walk->n == 1) {
        printf("  stays at %.3f MHz\n", walk->stops[0].centre_hz / 1e6);
        return;
    }
    printf("  walks:");
    for (int i = 0; i < walk->n; i++) {
        printf("%s %.3f MHz for %.2f s", i ? "," : "", walk->stops[i].centre_hz / 1e6,
               walk->stops[i].dwell_s);
        cycle += walk->stops[i].dwell_s + settle_s;
    }
    printf("; around in %.1f s\n", cycle);
}

static void print_time(double s) {
    if (!isfinite(s))
        printf("%8s", "never");
    else if (s < 0.0995)
        printf("%5.0f ms", s * 1e3);
    else
        printf("%6.*f s", s < 9.95 ? 1 + (s < 0.995) : 0, s);
}

static void print_receivers(const struct uw_plan_config *config, uint32_t receivers) {
    char text[256] = "";
    int n = 0;

    for (int i = 0; i < config->n_receivers; i++) {
        size_t len = strlen(text);

        if (!(receivers >> i & 1u))
            continue;
        snprintf(text + len, sizeof(text) - len, "%s%s", n++ ? " " : "", config->receivers[i].name);
    }
    if (uw_cli_width(text) > WHO_WIDTH)
        snprintf(text, sizeof(text), "%d receivers", n);
    uw_cli_print_cell(stdout, text, WHO_WIDTH);
}

static void print_blind(const char *why, bool colour) {
    printf("%sBLIND%s: %s\n", colour ? "\033[1;31m" : "", colour ? "\033[0m" : "", why);
}

static void print_link(const struct uw_plan_link *l, bool colour) {
    char name[128];
    char channels[64];

    snprintf(name, sizeof(name), "  %s %s, %s", l->signature->id, l->domain ? l->domain->name : "",
             l->variant->name);
    uw_cli_print_cell(stdout, name, NAME_WIDTH);
    printf("  ");
    if (l->why != UW_PLAN_COVERED && l->why != UW_PLAN_PARTLY) {
        print_blind(uw_plan_why_text(l->why), colour);
        return;
    }
    snprintf(channels, sizeof(channels), "%d of %d channels", l->channels, l->domain->n_channels);
    uw_cli_print_cell(stdout, channels, WHO_WIDTH);
    print_time(l->detection_mean_s);
    print_time(l->detection_worst_s);
    printf("  ");
    print_time(l->alert_mean_s);
    print_time(l->alert_worst_s);
    if (l->why == UW_PLAN_PARTLY)
        printf("  %s", uw_plan_why_text(l->why));
    printf("\n");
}

/* Whether another air rate of the same channel plan waits longer, or comes first. */
static bool is_slowest(const struct uw_plan *plan, int i) {
    const struct uw_plan_link *l = &plan->links[i];

    for (int k = 0; k < plan->n_links; k++) {
        const struct uw_plan_link *o = &plan->links[k];

        if (o->signature == l->signature && o->domain == l->domain &&
            (o->alert_worst_s > l->alert_worst_s ||
             (o->alert_worst_s == l->alert_worst_s && k < i)))
            return false;
    }
    return true;
}

static void print_links(const struct uw_plan *plan, int band, bool all, bool colour) {
    for (int i = 0; i < plan->n_links; i++)
        if (plan->links[i].band == band && (all || is_slowest(plan, i)))
            print_link(&plan->links[i], colour);
}

static void print_band(const struct uw_plan_config *config, const struct uw_plan *plan, int i,
                       bool colour) {
    const struct uw_plan_band *band = &plan->bands[i];
    char name[UW_NAME_LEN];

    uw_plan_band_name(band, name);
    uw_cli_print_cell(stdout, name, NAME_WIDTH);
    printf("  ");
    if (!band->receivers) {
        print_blind("nobody listens here", colour);
        return;
    }
    print_receivers(config, band->receivers);
    if (band->absent_s > 0.0)
        printf("  silent for %.2f s at a time", band->absent_s);
    printf("\n");
}

static void print_plan(const struct uw_plan_config *config, const struct uw_plan *plan, bool all) {
    bool colour = uw_cli_colour(stdout);
    bool unknown = false;

    printf("Region: %s\n\n", config->region[0] ? config->region : "all");
    for (int i = 0; i < plan->n_receivers; i++)
        print_walk(&config->receivers[i], &plan->walks[i], config->settle_s);
    printf("\n%-*s  %-*s%16s  %16s\n", NAME_WIDTH, "", WHO_WIDTH, "", "FIRST HEARD", "ALERT");
    printf("%-*s  %-*s%8s%8s  %8s%8s\n", NAME_WIDTH,
           all ? "BAND / LINK, AIR RATE" : "BAND / LINK, SLOWEST AIR RATE", WHO_WIDTH,
           "RECEIVERS / HEARD", "MEAN", "WORST", "MEAN", "WORST");
    for (int b = 0; b < plan->n_bands; b++) {
        print_band(config, plan, b, colour);
        print_links(plan, b, all, colour);
    }
    for (int i = 0; i < plan->n_links; i++)
        unknown |= plan->links[i].band < 0;
    if (unknown) {
        printf("frequency not known\n");
        print_links(plan, -1, all, colour);
    }
    printf(
        "\nWORST is exceeded by one link in a hundred. Times are from the moment that a link is\n"
        "switched on, with a signal strong enough to hear every packet on a channel listened "
        "to.\n");
}

/* --- for programs --- */

static json_t *time_json(double s) {
    return isfinite(s) ? json_real(s) : json_null();
}

static json_t *names_json(const struct uw_plan_config *config, uint32_t receivers) {
    json_t *list = json_array();

    for (int i = 0; i < config->n_receivers; i++)
        if (receivers >> i & 1u)
            json_array_append_new(list, json_string(config->receivers[i].name));
    return list;
}

static json_t *receivers_json(const struct uw_plan_config *config, const struct uw_plan *plan) {
    json_t *list = json_array();

    for (int i = 0; i < plan->n_receivers; i++) {
        const struct uw_plan_receiver *r = &config->receivers[i];
        json_t *stops = json_array();

        for (int k = 0; k < plan->walks[i].n; k++)
            json_array_append_new(stops, json_pack("{s:f, s:f}", "centre_hz",
                                                   plan->walks[i].stops[k].centre_hz, "dwell_s",
                                                   plan->walks[i].stops[k].dwell_s));
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:b, s:o}", "receiver", r->name,
                                              "rate_hz", r->rate_hz, "usable_hz", r->usable_hz,
                                              "planned", r->n_fixed == 0, "stops", stops));
    }
    return list;
}

static json_t *bands_json(const struct uw_plan_config *config, const struct uw_plan *plan) {
    json_t *list = json_array();

    for (int i = 0; i < plan->n_bands; i++) {
        const struct uw_plan_band *b = &plan->bands[i];

        json_array_append_new(list,
                              json_pack("{s:f, s:f, s:o, s:o}", "lower_hz", b->lower_hz, "upper_hz",
                                        b->upper_hz, "receivers", names_json(config, b->receivers),
                                        "absent_s", time_json(b->absent_s)));
    }
    return list;
}

static json_t *links_json(const struct uw_plan_config *config, const struct uw_plan *plan) {
    json_t *list = json_array();

    for (int i = 0; i < plan->n_links; i++) {
        const struct uw_plan_link *l = &plan->links[i];
        json_t *o =
            json_pack("{s:s, s:s}", "signature", l->signature->id, "variant", l->variant->name);

        if (l->domain) {
            json_object_set_new(o, "domain", json_string(l->domain->name));
            json_object_set_new(o, "band", json_integer(l->band));
            json_object_set_new(o, "channels", json_integer(l->domain->n_channels));
            json_object_set_new(o, "channels_heard", json_integer(l->channels));
        }
        json_object_set_new(o, "state", json_string(uw_plan_why_name(l->why)));
        json_object_set_new(o, "receivers", names_json(config, l->receivers));
        json_object_set_new(o, "detection_mean_s", time_json(l->detection_mean_s));
        json_object_set_new(o, "detection_worst_s", time_json(l->detection_worst_s));
        json_object_set_new(o, "alert_mean_s", time_json(l->alert_mean_s));
        json_object_set_new(o, "alert_worst_s", time_json(l->alert_worst_s));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_json(const struct uw_plan_config *config, const struct uw_plan *plan) {
    json_t *o =
        json_pack("{s:s, s:s, s:f, s:o, s:o, s:o}", "type", "plan", "region", config->region,
                  "settle_s", config->settle_s, "receivers", receivers_json(config, plan), "bands",
                  bands_json(config, plan), "links", links_json(config, plan));

    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    printf("\n");
    json_decref(o);
}

/* --- */

static int load(const struct args *args, struct uw_engine_config *engine, struct uw_diag *diag,
                struct uw_sigdb **ret_db) {
    const char *ids[UW_SIGNATURES_MAX];
    int r = 0;

    uw_engine_config_init(engine);
    if (args->config)
        r = uw_engine_config_load(args->config, args->dongles == 0, diag, engine);
    if (r)
        return r;
    uw_find_signatures(args->config, engine->signature_dir, sizeof(engine->signature_dir));
    r = uw_sigdb_load(engine->signature_dir, diag, ret_db);
    if (r || engine->n_signatures == 0)
        return r;
    for (int i = 0; i < engine->n_signatures; i++)
        ids[i] = engine->signatures[i];
    return uw_sigdb_enable(*ret_db, ids, (size_t)engine->n_signatures, diag);
}

static int run(const struct args *args, struct uw_diag *diag) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    UW_CLEANUP(uw_plan_freep) struct uw_plan *plan = NULL;
    struct uw_engine_config *engine = malloc(sizeof(*engine));
    struct uw_plan_config config;
    int r = engine ? load(args, engine, diag, &db) : uw_err(-ENOMEM);

    if (r == 0) {
        uw_plan_config_from(engine, db, &config);
        if (args->region)
            config.region = args->region;
        if (args->dongles > 0 || !args->config)
            make_dongles(&config, args->dongles > 0 ? (int)args->dongles : 1, args->rate_hz);
        if (!uw_plan_knows_region(db, config.region))
            r = uw_diag_add(diag, "region \"%s\": neither FCC, EU, AU, IN, TH nor a channel plan",
                            config.region);
    }
    if (r == 0)
        r = uw_plan_new(&config, &plan);
    if (r == 0 && args->json)
        print_json(&config, plan);
    else if (r == 0)
        print_plan(&config, plan, args->all);
    free(engine);
    return r;
}

int uw_cmd_plan(int argc, char **argv) {
    static struct uw_diag diag;
    struct args args = {.rate_hz = 2.4e6};
    const char *arg = NULL;
    int first = argc;
    int c, r;

    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0)
        if (!take_option(&args, c, arg))
            return UW_EXIT_USAGE;
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    if (first < argc)
        return uw_cli_usage_error("plan", "\"%s\": nothing but options is expected", argv[first]);
    r = run(&args, &diag);
    if (r)
        return uw_cli_report(r, &diag);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}
