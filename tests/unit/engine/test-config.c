/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration file: the shipped one, every key, and mistakes with their lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/engine/engine.h"

static const char *shipped;

static int load(const char *text, bool need_receivers, struct uw_diag *diag,
                struct uw_engine_config *config) {
    const char *path = "uw-test-config.conf";
    FILE *f = fopen(path, "w");
    int r;

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    uw_engine_config_init(config);
    *diag = (struct uw_diag){0};
    r = uw_engine_config_load(path, need_receivers, diag, config);
    unlink(path);
    return r;
}

/* Takes the '#' off the lines that are settings: then every key is read, and must be its default.
 */
static char *uncomment(const char *path) {
    FILE *f = fopen(path, "r");
    char line[512];
    char *text = calloc(1, 1 << 16);

    assert_non_null(f);
    assert_non_null(text);
    while (fgets(line, sizeof(line), f)) {
        bool setting = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
        strcat(text, setting ? line + 1 : line);
    }
    fclose(f);
    return text;
}

static void assert_defaults(const struct uw_engine_config *a) {
    struct uw_engine_config d;

    uw_engine_config_init(&d);
    assert_string_equal(a->region, "");
    assert_string_equal(a->site, d.site);
    assert_string_equal(a->node, d.node);
    assert_int_equal(a->exercise, d.exercise);
    assert_true(a->below_noise);
    assert_int_equal(a->log_level, d.log_level);
    assert_true(a->lag_s == d.lag_s);
    assert_int_equal(a->n_signatures, 0);
    assert_string_equal(a->bus_endpoint, d.bus_endpoint);
    assert_true(a->feed);
    assert_string_equal(a->feed_endpoint, d.feed_endpoint);
    assert_true(fabs(a->fuse.false_alerts_per_hour * 720 - 1) < 1e-12);
    assert_true(a->fuse.trials_per_hour == d.fuse.trials_per_hour);
    assert_true(a->fuse.coast_s == d.fuse.coast_s);
    assert_true(a->fuse.clear_s == d.fuse.clear_s);
    assert_true(a->fuse.update_s == d.fuse.update_s);
    assert_int_equal(a->fuse.max_tracks, d.fuse.max_tracks);
    assert_memory_equal(&a->health, &d.health, sizeof(d.health));
}

static void test_shipped_file_shows_the_defaults(void **state) {
    struct uw_engine_config config;
    struct uw_diag diag = {0};
    char *text = uncomment(shipped);

    (void)state;
    uw_engine_config_init(&config);
    assert_int_equal(uw_engine_config_load(shipped, true, &diag, &config), 0);
    assert_defaults(&config);
    assert_int_equal(config.n_receivers, 1);
    assert_non_null(strstr(config.signature_dir, "/config/signatures"));
    assert_int_equal(load(text, true, &diag, &config), 0);
    assert_defaults(&config);
    assert_string_equal(config.signature_dir, "signatures");
    free(text);
}

static void test_every_key(void **state) {
    static const char text[] =
        "region = \"EU868-3.x\"; site = \"north\"; node = \"n-1\"; exercise = true; log_level = "
        "\"debug\"; lag_s = 5.5;\n"
        "signatures: { directory = \"/sig\"; enabled = [ \"a\", \"b\" ]; };\n"
        "receivers = ( { name = \"east\"; type = \"loop\"; path = \"/x.cu8\"; format = \"cu8\";\n"
        "  rate_hz = 2.4e6; freq_hz = 915.0e6; }, { name = \"w\"; type = \"file\"; path = \"y\"; "
        "}, "
        "{ name = \"d\"; type = \"rtl_tcp\"; device = \"h:1\"; rate_hz = 1.0e6; freq_hz = 868.0e6;"
        " gain_db = 20.7; ppm = -3.5; bias_tee = true; centres_hz = [ 868.0e6 ]; } );\n"
        "bus: { endpoint = \"ipc:///run/x\"; };\n"
        "feed: { enabled = false; endpoint = \"tcp://127.0.0.1:1\"; };\n"
        "alerts: { false_alerts_per_hour = 1.0; trials_per_hour = 100.0; coast_s = 4.0;\n"
        "  clear_s = 20.0; update_s = 2.0; max_tracks = 7; };\n"
        "state_directory = \"state\";\n"
        "health: { silent_s = 0.5; degraded_s = 1.0; clear_s = 0.0; blind_s = 60.0;\n"
        "  clock_step_s = 1.0; disk_free_bytes = 1.0e9; };\n";
    struct uw_engine_config c;
    struct uw_diag diag;

    (void)state;
    assert_int_equal(load(text, true, &diag, &c), 0);
    assert_string_equal(c.region, "EU868-3.x");
    assert_string_equal(c.site, "north");
    assert_string_equal(c.node, "n-1");
    assert_true(c.exercise);
    assert_int_equal(c.log_level, 3);
    assert_true(c.lag_s == 5.5);
    assert_string_equal(c.signature_dir, "/sig");
    assert_int_equal(c.n_signatures, 2);
    assert_string_equal(c.signatures[1], "b");
    assert_int_equal(c.n_receivers, 3);
    assert_int_equal(c.receivers[2].source.type, UW_SOURCE_RTLTCP);
    assert_string_equal(c.receivers[2].device, "h:1");
    assert_true(c.receivers[2].source.gain_db == 20.7 && c.receivers[2].source.ppm == -3.5);
    assert_true(c.receivers[2].source.bias_tee && isnan(c.receivers[0].source.gain_db));
    assert_string_equal(c.receivers[0].name, "east");
    assert_string_equal(c.receivers[0].path, "/x.cu8");
    assert_int_equal(c.receivers[0].source.type, UW_SOURCE_LOOP);
    assert_int_equal(c.receivers[0].source.format, UW_IQ_CU8);
    assert_true(c.receivers[0].source.rate_hz == 2.4e6);
    assert_true(c.receivers[0].source.freq_hz == 915e6);
    assert_int_equal(c.receivers[1].source.type, UW_SOURCE_FILE);
    assert_int_equal(c.receivers[1].source.format, -1);
    assert_true(isnan(c.receivers[1].source.rate_hz));
    assert_string_equal(c.bus_endpoint, "ipc:///run/x");
    assert_false(c.feed);
    assert_string_equal(c.feed_endpoint, "tcp://127.0.0.1:1");
    assert_true(c.fuse.false_alerts_per_hour == 1);
    assert_true(c.fuse.clear_s == 20);
    assert_int_equal(c.fuse.max_tracks, 7);
    assert_string_equal(c.state_dir, "state");
    assert_true(c.health.silent_s == 0.5 && c.health.degraded_s == 1 && c.health.clear_s == 0);
    assert_true(c.health.blind_s == 60 && c.health.clock_step_s == 1);
    assert_true(c.health.disk_free_bytes == 1e9);
}

#define DEVICE "name = \"a\"; type = \"rtl_tcp\"; device = \"h\";"
#define RX     "name = \"a\"; type = \"file\"; path = \"x\";"

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *in_message;
    } cases[] = {
        {"\nsite = \"a b\";", ":2:"},
        {"sight = \"a\";", "sight"},
        {"site = 5;", "site"},
        {"lag_s = 0.0;", "lag_s"},
        {"lag_s = 1e999;", "1e999"},
        {"log_level = \"loud\";", "log_level"},
        {"signatures: { enable = []; };", "enable"},
        {"receivers = ( { " RX " }, { " RX " } );", "two receivers"},
        {"receivers = ( { name = \"a\"; path = \"x\"; } );", "type"},
        {"receivers = ( { " RX " rate_hz = 1.0; } );", "rate_hz"},
        {"receivers = ( { " RX " freq_hz = 2400000000; } );", "2400000000"},
        {"receivers = ( { " RX " format = \"cu9\"; } );", "format"},
        {"receivers = ( { " RX " plan = \"auto\"; } );", "cannot be tuned"},
        {"receivers = ( { " RX " centres_hz = [ 915.0e6 ]; } );", "cannot be tuned"},
        {"receivers = ( { " RX " centres_hz = [ 915.0e6 ]; plan = \"auto\"; } );", "leave"},
        {"receivers = ( { " RX " dwell_s = 0.5; } );", "centres_hz"},
        {"receivers = ( { " RX " centres_hz = []; } );", "centres_hz"},
        {"region = \"a name that is longer than any region\";", "region"},
        {"receivers = ( 5 );", "receivers"},
        {"receivers = ( { " RX " device = \"x\"; } );", "this is a recording"},
        {"receivers = ( { name = \"a\"; type = \"rtlsdr\"; rate_hz = 4.0e6; freq_hz = 868.0e6; } "
         ");",
         "a dongle makes rates"},
        {"receivers = ( { name = \"a\"; type = \"rtlsdr\"; rate_hz = 2.4e6; freq_hz = 868.0e6; },"
         " { name = \"b\"; type = \"rtlsdr\"; rate_hz = 2.4e6; freq_hz = 915.0e6; } );",
         "receiver a has this dongle"},
        {"receivers = ( { " DEVICE " path = \"x\"; rate_hz = 1.0e6; freq_hz = 1.0e9; } );",
         "this is a device"},
        {"receivers = ( { " DEVICE " rate_hz = 1.0e6; } );", "freq_hz"},
        {"receivers = ( { " DEVICE " freq_hz = 1.0e9; } );", "rate_hz"},
        {"receivers = ( { " DEVICE " ppm = 1001.0; } );", "ppm"},
        {"receivers = ( { name = \"a\"; type = \"soapy\"; rate_hz = 1.0e6; freq_hz = 1.0e9; } );",
         "device"},
        {"bus: { endpoint = \"udp://x\"; };", "endpoint"},
        {"feed: { endpoint = \"inproc://x\"; };", "endpoint"},
        {"feed: { enabled = 1; };", "enabled"},
        {"alerts: { false_alerts_per_hour = 0.0; };", "false_alerts_per_hour"},
        {"alerts: { coast_s = 20.0; };", "clear_s"},
        {"alerts: { max_tracks = 0; };", "max_tracks"},
        {"health: { silent_s = 0.1; };", "silent_s"},
        {"health: { quiet_s = 1.0; };", "quiet_s"},
        {"alerts: { trials_per_hour = 1.0; false_alerts_per_hour = 2.0; };", "less than"},
        {"site = ", "uw-test-config.conf:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uw_engine_config c;
        struct uw_diag diag;
        bool found = false;

        assert_int_equal(load(cases[i].text, false, &diag, &c), UW_E_INPUT);
        for (int k = 0; k < diag.n; k++)
            found |= strstr(diag.text[k], cases[i].in_message) != NULL;
        if (!found)
            fail_msg("%s: not in \"%s\"", cases[i].in_message, diag.text[0]);
        assert_string_equal(c.site, "site"); /* nothing is taken from a bad file */
    }
}

static void test_receivers_are_needed_by_a_daemon(void **state) {
    struct uw_engine_config c;
    struct uw_diag diag;

    (void)state;
    assert_int_equal(load("", false, &diag, &c), 0);
    assert_int_equal(c.n_receivers, 0);
    assert_int_equal(load("", true, &diag, &c), UW_E_INPUT);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_file_shows_the_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_receivers_are_needed_by_a_daemon),
    };

    if (argc != 2)
        return 2;
    shipped = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
