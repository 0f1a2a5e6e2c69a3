/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Scenario files: defaults, every mistake with its file and line, limits. */

#include "synth-testing.h"

#define RECEIVER "receivers = ( { rate_hz = 2.4e6; freq_hz = 915e6; } );\n"

static struct uw_scenario *parse_ok(const char *text) {
    struct uw_scenario *s = NULL;
    struct uw_diag diag = {0};
    int r = uw_scenario_parse("good.conf", text, strlen(text), &diag, &s);
    if (r != 0)
        fail_msg("%s", diag.text[0]);
    return s;
}

/* Must fail, with a message that starts with the place and names the key. */
static void parse_bad(const char *text, int line, const char *key) {
    struct uw_scenario *s = NULL;
    struct uw_diag diag = {0};
    char place[64];
    assert_int_equal(uw_scenario_parse("bad.conf", text, strlen(text), &diag, &s), UW_E_INPUT);
    assert_null(s);
    snprintf(place, sizeof(place), "bad.conf:%d:", line);
    for (int i = 0; i < diag.n; i++)
        if (strncmp(diag.text[i], place, strlen(place)) == 0 && strstr(diag.text[i], key))
            return;
    fail_msg("no \"%s ... %s\" but \"%s\"", place, key, diag.n ? diag.text[0] : "nothing");
}

static void test_defaults(void **state) {
    (void)state;
    struct uw_scenario *s =
        parse_ok(RECEIVER "emitters = ( { link = \"expresslrs\"; snr_db = 3; } );");
    assert_int_equal(s->n_receivers, 1);
    assert_int_equal(s->receivers[0].format, UW_IQ_CU8);
    assert_true(s->receivers[0].noise_dbfs > -30.1 && s->receivers[0].noise_dbfs < -29.9);
    assert_string_equal(s->emitters[0].variant, "200Hz");
    assert_string_equal(s->emitters[0].domain, "FCC915");
    assert_string_equal(s->emitters[0].name, "expresslrs");
    uw_scenario_free(s);
}

static void test_all_links(void **state) {
    (void)state;
    static const char *const links[] = {
        "link = \"lorawan\"; domain = \"US915\"; sf_max = 9;",
        "link = \"meshtastic\"; variant = \"LONG_FAST\"; freq_hz = 915.2e6;",
        "link = \"lora\"; freq_hz = 915.2e6; sf = 5; sync_word = 0x34; hop = \"random\";",
        "link = \"dji-droneid\"; variant = \"legacy\"; channels_hz = [ 914e6, 916e6 ];",
        "link = \"fsk\"; freq_hz = 914.9e6; bt = 0.5;",
        "link = \"ook\"; freq_hz = 914.9e6;",
        "link = \"wmbus\"; variant = \"C\"; freq_hz = 914.7e6;",
        "link = \"cw\"; freq_hz = 915.1e6;",
        "link = \"lte\"; freq_hz = 915.1e6; bandwidth_hz = 5e6;",
        "link = \"impulses\"; interval_s = 0.01;",
        "link = \"leakage\"; freq_hz = 917e6; bandwidth_hz = 2e6; slot_s = 0.577e-3; duty = 0.2;",
        "link = \"fsk\"; raster = { first_hz = 914.1e6; step_hz = 0.2e6; n = 10; }; bt = 0.5;",
        "link = \"lora\"; freq_hz = 915e6; length_spread = 0.8; repeats = 3; slot_s = 0.1;",
        "link = \"lora\"; freq_hz = 915e6; polled = true; repeats = 2; repeat_s = 0.01;",
        "link = \"ook\"; freq_hz = 915.1e6; depth = 0.8; frame_bits = 100; keyed_bits = 10;",
    };
    for (size_t i = 0; i < UW_ARRAY_SIZE(links); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "duration_s = 0.2;" RECEIVER "emitters = ( { snr_db = 3; %s } );", links[i]);
        struct uw_scenario *s = parse_ok(text);
        size_t n;
        free(read_all(s, 0, 4096, &n));
        assert_int_equal(n, 480000);
        struct truth t = read_truth(s, 0);
        free(t.bursts);
        uw_scenario_free(s);
    }
}

static void test_mistakes(void **state) {
    (void)state;
    parse_bad("receivers = (\n", 1, "");
    parse_bad("duration_s = 1.0;\n", 1, "receivers");
    parse_bad("duration_s = -1.0;\n" RECEIVER, 1, "duration_s");
    parse_bad("duration_s = 1e999;\n" RECEIVER, 1, "");
    parse_bad("\nsped = 3;\n" RECEIVER, 2, "sped");
    parse_bad("start = \"yesterday\";\n" RECEIVER, 1, "start");
    parse_bad("receivers = (\n{ rate_hz = 2400000000000; freq_hz = 915e6; } );", 2, "integer");
    parse_bad("receivers = ( {\nrate_hz = 2.4e6; freq_hz = 915e6;\nformat = \"cu7\"; } );", 3,
              "format");
    parse_bad("receivers = ( {\nrate_hz = 2.4e6; freq_hz = 915e6;\nppm = nan; } );", 3, "");
    parse_bad(RECEIVER "emitters = ( {\nlink = \"elrs\"; snr_db = 1; } );", 3, "link");
    parse_bad(RECEIVER "emitters = (\n{ link = \"expresslrs\"; } );", 3, "snr_db");
    parse_bad(RECEIVER "emitters = (\n{ link = \"expresslrs\"; snr_db = 1; power_dbfs = -3; } );",
              3, "snr_db");
    parse_bad(RECEIVER
              "emitters = (\n{ link = \"expresslrs\"; snr_db = 1; variant = \"500Hz\"; } );",
              3, "variant");
    parse_bad(RECEIVER
              "emitters = (\n{ link = \"expresslrs\"; snr_db = 1; domain = \"EU969\"; } );",
              3, "domain");
    parse_bad(RECEIVER "emitters = (\n{ link = \"lora\"; snr_db = 1; } );", 3, "freq_hz");
    parse_bad(RECEIVER "emitters = (\n{ link = \"cw\"; snr_db = 1; freq_hz = 2400000000; } );", 3,
              "integer");
    parse_bad(RECEIVER "emitters = (\n{ link = \"cw\"; snr_db = 1; freq_hz = 9e8; baud = 3.0; } );",
              3, "baud");
    parse_bad(RECEIVER
              "emitters = (\n{ link = \"ook\"; snr_db = 1; freq_hz = 9e8; burst_s = 10.0;\n"
              "interval_s = 0.001; } );",
              3, "at once");
    parse_bad(RECEIVER "emitters = (\n{ link = \"lorawan\"; snr_db = 1; nodes = 10000;\n"
                       "interval_s = 0.001; } );",
              3, "interval_s");
    parse_bad(RECEIVER "emitters = (\n{ link = \"fsk\"; snr_db = 1; freq_hz = 915e6;\n"
                       "raster = { first_hz = 9e8; step_hz = 1e5; n = 3; }; } );",
              4, "only one of");
    parse_bad(RECEIVER "emitters = (\n{ link = \"fsk\"; snr_db = 1;\n"
                       "raster = { first_hz = 9e8; step_hz = 1e5; n = 300; }; } );",
              4, "n:");
    parse_bad("receivers = ( { rate_hz = 2.4e6; freq_hz = 915e6;\ntuner = \"r820\"; } );", 2,
              "tuner");
    parse_bad("receivers = ( { rate_hz = 2.4e6; freq_hz = 915e6;\nlost_share = 0.6; } );", 2,
              "lost_share");
    parse_bad("receivers = ( {\nrate_hz = 2.4e6; freq_hz = 915e6; lost_share = 1e-200; } );", 1,
              "lost_share");
    parse_bad(RECEIVER "emitters = (\n{ link = \"leakage\"; snr_db = 1; freq_hz = 915e6;\n"
                       "slot_s = 1e-9; } );",
              3, "slot_s");
    parse_bad("receivers = ( { rate_hz = 2.4e6; freq_hz = 915e6;\nlevels = ( {\nemitter = \"x\"; "
              "level_db = 1.0; } ); } );",
              2, "emitter");
}

static void test_environment(void **state) {
    (void)state;
    struct uw_scenario *s =
        parse_ok(RECEIVER "environment = \"rural-915\"; environment_level_db = -3.0;\n"
                          "environment_density = 2.0;\n"
                          "emitters = ( { link = \"expresslrs\"; snr_db = 3; } );");
    assert_int_equal(s->emitters[0].link, UW_SYNTH_EXPRESSLRS);
    assert_string_equal(s->emitters[1].name, "env-lorawan");
    assert_int_equal(s->emitters[1].nodes, 40);
    assert_true(fabs(s->emitters[1].level_db - 5) < 1e-9);
    uw_scenario_free(s);
    parse_bad(RECEIVER "\nenvironment = \"rural-2400\";", 3, "environment");
    parse_bad(RECEIVER "environment_density = 2.0;", 1, "environment");
    parse_bad(RECEIVER "environment = \"urban-915\";\nenvironment_density = -1.0;", 3, "density");
}

/* A scenario that a program fills in is checked as well. */
static void test_program(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 1);
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    struct uw_synth_emitter *e = add_elrs(s, "200Hz", "FCC915");
    assert_int_equal(uw_synth_new(s, 1, &diag, &synth), UW_E_INPUT);
    assert_int_equal(uw_synth_new(s, -1, &diag, &synth), UW_E_INPUT);
    e->ppm = (double)NAN;
    assert_int_equal(uw_synth_new(s, 0, &diag, &synth), UW_E_INPUT);
    e->ppm = 0;
    snprintf(e->variant, sizeof(e->variant), "201Hz");
    assert_int_equal(uw_synth_new(s, 0, &diag, &synth), UW_E_INPUT);
    assert_non_null(strstr(diag.text[diag.n - 1], "variant"));
    assert_null(synth);
    assert_null(uw_synth_free(NULL));
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_all_links),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_environment),
        cmocka_unit_test(test_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
