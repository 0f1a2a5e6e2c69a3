/* SPDX-License-Identifier: GPL-3.0-or-later */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

static struct uw_diag diag;

static const struct sample *sample(const char *name) {
    for (size_t i = 0; i < n_samples; i++)
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i];
    fail_msg("no sample %s", name);
    return NULL;
}

static char *encoded(const char *name) {
    const struct sample *s = sample(name);
    union any_record record;
    char *json;

    s->fill(&record);
    assert_int_equal(any_encode(s->type, &record, &json), 0);
    return json;
}

static char *detection_json(const struct uw_detection *d) {
    char *json;

    assert_int_equal(uw_detection_encode(d, &json), 0);
    return json;
}

static void has(const struct uw_detection *d, const char *piece) {
    char *json = detection_json(d);

    if (!strstr(json, piece))
        fail_msg("%s is not in %s", piece, json);
    free(json);
}

static void has_not(const struct uw_detection *d, const char *piece) {
    char *json = detection_json(d);

    if (strstr(json, piece))
        fail_msg("%s is in %s", piece, json);
    free(json);
}

static void numbers_have_fixed_decimals(void **state) {
    union any_record r;
    struct uw_detection *d = &r.detection;

    (void)state;
    sample("detection")->fill(&r);
    d->freq_hz = 868299999.96;
    has(d, "\"freq_hz\":868300000.0,");
    d->snr_db = -0.004; /* rounds to nothing: no sign left */
    has(d, "\"snr_db\":0.00,");
    d->snr_db = -0.005001;
    has(d, "\"snr_db\":-0.01,");
    d->snr_db = 12;
    has(d, "\"snr_db\":12.00,");
    d->llr = -1234.5675;
    has(d, "\"llr\":-1234.56");
    d->confidence = 1.0;
    has(d, "\"confidence\":1.0000,");
    d->confidence = 0.00004;
    has(d, "\"confidence\":0.0000,");
    d->evidence.period_s = 1.0 / 3.0;
    has(d, "\"period_s\":0.333333,");
    d->position.lat = -0.0000001;
    has(d, "\"lat\":-0.0000001,");
}

static void unknown_is_left_out(void **state) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300};
    union any_record r;
    struct uw_detection *d = &r.detection;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        sample("detection")->fill(&r);
        d->snr_db = d->llr = d->confidence = d->freq_hz = d->position.lat = odd[i];
        d->evidence.hop_interval_s = d->bearing_deg = odd[i];
        has_not(d, "snr_db");
        has_not(d, "llr");
        has_not(d, "confidence");
        has_not(d, "\"freq_hz");
        has_not(d, "hop_interval_s");
        has_not(d, "bearing_deg\"");
        has_not(d, "position"); /* half a position is none */
        has_not(d, "nan");
        has_not(d, "inf");
    }
    sample("detection")->fill(&r);
    d->confidence = 1.01;
    has_not(d, "confidence");
    d->variant[0] = '\0';
    has_not(d, "variant");
    d->evidence.bursts = -1;
    has_not(d, "bursts");
    d->role = (enum uw_role)99;
    has_not(d, "role");
    d->head.seq = 0;
    has_not(d, "\"seq\"");
}

static void frequency_without_centre_is_an_offset(void **state) {
    union any_record r;
    struct uw_detection back;
    char *json;

    (void)state;
    sample("detection-offset")->fill(&r);
    has(&r.detection, "\"offset_from_centre_hz\":-312500.0,");
    has_not(&r.detection, "\"freq_hz\"");
    json = detection_json(&r.detection);
    assert_int_equal(uw_detection_decode(json, strlen(json), &diag, &back), 0);
    assert_true(back.freq_hz == -312500.0);
    assert_true(isnan(back.tuning.centre_hz));
    free(json);
    r.detection.tuning.centre_hz = 100e6;
    r.detection.freq_hz = 99e6;
    has(&r.detection, "\"freq_hz\":99000000.0,");
    has_not(&r.detection, "offset_from_centre_hz");
}

static void strings_are_escaped(void **state) {
    union any_record r;
    struct uw_audit back;
    char *json;

    (void)state;
    sample("audit")->fill(&r);
    (void)uw_str_copy(r.audit.detail, sizeof(r.audit.detail), "a\"b\\c/\n\r\t\x01\x1f\x7f\xc3\xa9");
    assert_int_equal(uw_audit_encode(&r.audit, &json), 0);
    assert_non_null(strstr(json, "\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\""));
    assert_int_equal(uw_audit_decode(json, strlen(json), &diag, &back), 0);
    assert_string_equal(back.detail, r.audit.detail);
    free(json);
}

/* RFC 3629: each pair is what came in, and what may leave. */
static void invalid_utf8_never_leaves(void **state) {
    static const char *const pairs[][2] = {
        {"\x80", "?"},
        {"\xc3", "?"},                /* cut at the end */
        {"\xc0\xaf", "??"},           /* overlong */
        {"\xe0\x9f\xbf", "???"},      /* overlong */
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", "????"},
        {"\xe2\x82", "??"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xf0\x9f\x9a\x81x", "\xf0\x9f\x9a\x81x"},
        {"\xff\xfe", "??"},
        {"a\xc3(b", "a?(b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        union any_record r;
        struct uw_audit back;
        char *json;

        sample("audit")->fill(&r);
        (void)uw_str_copy(r.audit.detail, sizeof(r.audit.detail), pairs[i][0]);
        assert_int_equal(uw_audit_encode(&r.audit, &json), 0);
        assert_int_equal(uw_audit_decode(json, strlen(json), &diag, &back), 0);
        assert_string_equal(back.detail, pairs[i][1]);
        free(json);
    }
}

/* Replaces the first `from` of a sample by `to`. */
static char *changed(const char *name, const char *from, const char *to) {
    char *json = encoded(name), *at = strstr(json, from), *text;
    size_t size = strlen(json) + strlen(to) + 1;

    if (!at)
        fail_msg("%s is not in %s", from, json);
    text = malloc(size);
    assert_non_null(text);
    (void)snprintf(text, size, "%.*s%s%s", (int)(at - json), json, to, at + strlen(from));
    free(json);
    return text;
}

static void mistakes_are_named(void **state) {
    static const struct {
        const char *sample, *from, *to, *field;
    } cases[] = {
        {"detection", "\"confidence\":0.9987", "\"confidence\":1.5", "confidence: "},
        {"detection", "\"confidence\":0.9987", "\"confidence\":-0.1", "confidence: "},
        {"detection", "\"confidence\":0.9987", "\"confidence\":\"1\"", "confidence: "},
        {"detection", "\"bursts\":40", "\"bursts\":40.5", "evidence.bursts: "},
        {"detection", "\"bursts\":40", "\"bursts\":-1", "evidence.bursts: "},
        {"detection", "\"bursts\":40", "\"bursts\":9007199254740992", "evidence.bursts: "},
        {"detection", "\"bursts\":40", "\"bursts\":99999999999999999999", "message: "},
        {"detection", "\"snr_db\":-3.46", "\"snr_db\":1e999", "message: "},
        {"detection", "\"snr_db\":-3.46", "\"snr_db\":1e300", "snr_db: "},
        {"detection", "\"snr_db\":-3.46", "\"snr_db\":NaN", "message: "},
        {"detection", "\"role\":\"control\"", "\"role\":\"weapon\"", "role: "},
        {"detection", "\"drone\":true", "\"drone\":1", "drone: "},
        {"detection", "\"receiver\":\"rx0\"", "\"receiver\":\"r.x\"", "receiver: "},
        {"detection", "\"receiver\":\"rx0\"", "\"receiver\":\"\"", "receiver: "},
        {"detection", "\"receiver\":\"rx0\"", "\"receiver\":null", "receiver: "},
        {"detection", "\"receiver\":\"rx0\",", "", "receiver: "},
        {"detection", "\"detection\":\"rx0-4711\"", "\"detection\":\"a b\"", "detection: "},
        {"detection", "\"lat\":52.5145123,", "", "position.lat: "},
        {"detection", "\"lat\":52.5145123", "\"lat\":91", "position.lat: "},
        {"detection", "\"variant\":\"200Hz\"", "\"variant\":\"01234567890123456789012345678901\"",
         "variant: "},
        {"detection", "\"variant\":\"200Hz\"", "\"variant\":\"\\u0000\"", "message: "},
        {"detection", "\"variant\":\"200Hz\"", "\"variant\":\"\xff\"", "message: "},
        {"detection", "\"variant\":\"200Hz\"", "\"drone\":false", "message: "}, /* twice */
        {"detection", "\"t_end\":\"2026", "\"t_end\":\"2025", "t_end: "},
        {"detection", "\"t_end\":\"2026", "\"t_end\":\"1677", "t_end: "},
        {"detection", "\"t_end\":\"2026-11", "\"t_end\":\"2026-13", "t_end: "},
        {"detection", "\"evidence\":{", "\"evidence\":[],\"x\":{", "evidence: "},
        {"detection", "\"centre_hz\":915000000.0,", "", "freq_hz: "},
        {"detection",
         "\"variant\":", "\"offset_from_centre_hz\":1,\"variant\":", "offset_from_centre_hz: "},
        {"detection", "\"seq\":4711", "\"seq\":0", "seq: "},
        {"detection", "\"type\":\"detection\"", "\"type\":\"track\"", "type: "},
        {"detection", "\"type\":\"detection\",", "", "type: "},
        {"detection", "detection/1.1", "detection/2.0", "schema: "},
        {"detection", "detection/1.1", "detection/1.x", "schema: "},
        {"detection", "detection/1.1", "detection/1", "schema: "},
        {"detection", "\"exercise\":true,", "", "exercise: "},
        {"track", "\"rx1\"", "7", "receivers[1]: "},
        {"track", "\"state\":\"match\"", "\"state\":\"maybe\"", "authorised.state: "},
        {"track", "\"trend\":\"approaching\"", "\"trend\":\"\"", "trend: "},
        {"track", "\"last_seen\":\"2026", "\"last_seen\":\"2020", "last_seen: "},
        {"alert", "\"severity\":\"critical\"", "\"severity\":\"high\"", "severity: "},
        {"alert", "\"by\":\"j.doe\",", "", "ack.by: "},
        {"health", "\"state\":\"lost\"", "\"state\":\"gone\"", "receivers[1].state: "},
        {"health", "\"blind\":[", "\"blind\":[1,", "blind[0]: "},
        {"health", "\"track\":101", "\"track\":\"x\"", "previous_run.seq.track: "},
        {"spectrum", "\"bins\":512", "\"bins\":true", "bins: "},
        {"progress", "\"samples\":2400000", "\"samples\":-1", "samples: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *json = changed(cases[i].sample, cases[i].from, cases[i].to);
        union any_record record, before;

        memset(&record, 0x5a, sizeof(record));
        before = record;
        diag.n = 0;
        assert_int_equal(
            any_decode(sample(cases[i].sample)->type, json, strlen(json), &diag, &record),
            UW_E_INPUT);
        assert_int_equal(diag.n, 1);
        if (strncmp(diag.text[0], cases[i].field, strlen(cases[i].field)) != 0)
            fail_msg("%s instead of %s", diag.text[0], cases[i].field);
        assert_memory_equal(&record, &before, sizeof(record)); /* untouched */
        free(json);
    }
}

static void newer_minor_is_understood(void **state) {
    char *json = changed("alert", "alert/1.1\",", "alert/1.7\",\"mood\":{\"x\":[1,2]},");
    struct uw_alert a;

    (void)state;
    assert_int_equal(uw_alert_decode(json, strlen(json), &diag, &a), 0);
    assert_string_equal(a.alert, "a7");
    free(json);
}

static void shapes_that_are_refused(void **state) {
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{}",
        "{\"type\":5}",
        "{\"type\":\"x\"}",
        "{\"type\":\"alert\"} trailing",
        "\xef\xbb\xbf{}",
        "{\"type\":\"detection\"",
    };
    enum uw_msg_type type;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        diag.n = 0;
        assert_int_equal(uw_msg_peek_type(texts[i], strlen(texts[i]), &diag, &type), UW_E_INPUT);
        assert_int_equal(diag.n, 1);
    }
}

static void size_and_depth_are_limited(void **state) {
    enum uw_msg_type type;
    char *big = malloc(70000);
    int n;

    (void)state;
    assert_non_null(big);
    n = snprintf(big, 70000, "{\"type\":\"alert\",\"x\":[[[[[[[\"[[[\"]]]]]]]}"); /* 8 deep */
    assert_int_equal(uw_msg_peek_type(big, (size_t)n, &diag, &type), 0);
    n = snprintf(big, 70000, "{\"type\":\"alert\",\"x\":[[[[[[[[]]]]]]]]}"); /* 9 deep */
    diag.n = 0;
    assert_int_equal(uw_msg_peek_type(big, (size_t)n, &diag, &type), UW_E_INPUT);
    assert_non_null(strstr(diag.text[0], "nested"));
    memset(big, ' ', 70000);
    memcpy(big, "{\"type\":\"alert\"}", 16);
    assert_int_equal(uw_msg_peek_type(big, 65536, &diag, &type), 0);
    diag.n = 0;
    assert_int_equal(uw_msg_peek_type(big, 65537, &diag, &type), UW_E_INPUT);
    assert_non_null(strstr(diag.text[0], "65536"));
    free(big);
}

/* The longest that can leave is what may come in. */
static void fullest_health_fits(void **state) {
    struct uw_health h, back;
    char *json;

    (void)state;
    uw_health_init(&h);
    memset(h.head.site, 's', UW_NAME_LEN - 1);
    memset(h.head.node, 'n', UW_NAME_LEN - 1);
    memset(h.head.run, 'r', UW_NAME_LEN - 1);
    h.head.time_ns = 0;
    h.n_receivers = UW_RX_MAX;
    h.n_blind = UW_BLIND_MAX;
    for (int i = 0; i < UW_RX_MAX; i++) {
        memset(h.receivers[i].receiver, 'x', UW_NAME_LEN - 1);
        memset(h.receivers[i].advice, 1, UW_TEXT_LEN - 1);
        memset(h.blind[i].band, 1, UW_NAME_LEN - 1);
        memset(h.blind[i].why, 1, UW_TEXT_LEN - 1);
    }
    assert_int_equal(uw_health_encode(&h, &json), 0);
    assert_true(strlen(json) <= 65536);
    assert_int_equal(uw_health_decode(json, strlen(json), &diag, &back), 0);
    free(json);
}

static void topics(void **state) {
    union any_record r;
    char topic[UW_TOPIC_LEN];

    (void)state;
    sample("detection")->fill(&r);
    uw_detection_topic(&r.detection, topic);
    assert_string_equal(topic, "v1.detection.arena.roof-1.rx0.expresslrs-900.");
    sample("track")->fill(&r);
    uw_track_topic(&r.track, topic);
    assert_string_equal(topic, "v1.track.arena.roof-1.t12.");
    sample("alert")->fill(&r);
    uw_alert_topic(&r.alert, topic);
    assert_string_equal(topic, "v1.alert.arena.roof-1.a7.");
    (void)uw_str_copy(r.alert.alert, UW_ID_LEN, "a.7/x");
    uw_alert_topic(&r.alert, topic); /* a dot would open another field */
    assert_string_equal(topic, "v1.alert.arena.roof-1.a_7_x.");
    sample("health")->fill(&r);
    uw_msg_topic(UW_MSG_HEALTH, &r.health.head, "", topic);
    assert_string_equal(topic, "v1.health.arena.roof-1.");
}

static void times_are_truncated_to_microseconds(void **state) {
    union any_record r;
    struct uw_progress back;
    char *json;

    (void)state;
    sample("progress")->fill(&r);
    r.progress.time_ns = 1999;
    assert_int_equal(uw_progress_encode(&r.progress, &json), 0);
    assert_int_equal(uw_progress_decode(json, strlen(json), &diag, &back), 0);
    assert_int_equal(back.time_ns, 1000);
    free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_fixed_decimals),
        cmocka_unit_test(unknown_is_left_out),
        cmocka_unit_test(frequency_without_centre_is_an_offset),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(invalid_utf8_never_leaves),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(newer_minor_is_understood),
        cmocka_unit_test(shapes_that_are_refused),
        cmocka_unit_test(size_and_depth_are_limited),
        cmocka_unit_test(fullest_health_fits),
        cmocka_unit_test(topics),
        cmocka_unit_test(times_are_truncated_to_microseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
