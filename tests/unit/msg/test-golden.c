/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Encoder output against tests/data/golden, to the byte. After a wanted change:
 * UW_GOLDEN_WRITE=1 build/tests/unit/msg/test-golden, and look at the difference.
 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "uw/base/err.h"
#include "uw/base/str.h"

static struct uw_diag diag;

static void write_golden(const char *path, const char *json) {
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fprintf(f, "%s\n", json) > 0);
    assert_int_equal(fclose(f), 0);
}

static void check_golden(const struct sample *sample) {
    union any_record record;
    char path[512], *json, *golden;
    size_t len;

    sample->fill(&record);
    assert_int_equal(any_encode(sample->type, &record, &json), 0);
    (void)snprintf(path, sizeof(path), "%s/%s.json", UW_GOLDEN_DIR, sample->name);
    if (getenv("UW_GOLDEN_WRITE"))
        write_golden(path, json);
    assert_int_equal(uw_file_read(path, 65536, &diag, &golden, &len), 0);
    assert_int_equal(len, strlen(json) + 1);
    assert_int_equal(golden[len - 1], '\n');
    golden[len - 1] = '\0';
    assert_string_equal(json, golden);
    free(golden);
    free(json);
}

static void equals_golden(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; i++)
        check_golden(&samples[i]);
}

static void survives_decoding(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; i++) {
        union any_record record, again;
        enum uw_msg_type type;
        char *json, *json_again;

        samples[i].fill(&record);
        assert_int_equal(any_encode(samples[i].type, &record, &json), 0);
        diag.n = 0;
        assert_int_equal(uw_msg_peek_type(json, strlen(json), &diag, &type), 0);
        assert_int_equal(type, samples[i].type);
        if (any_decode(type, json, strlen(json), &diag, &again) != 0)
            fail_msg("%s: %s", samples[i].name, diag.text[0]);
        assert_int_equal(any_encode(type, &again, &json_again), 0);
        assert_string_equal(json, json_again);
        free(json);
        free(json_again);
    }
}

/* No comma for a decimal point, wherever the program runs. */
static void locale_does_not_matter(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    const char *set = NULL;

    for (size_t i = 0; i < 3 && !set; i++)
        set = setlocale(LC_ALL, names[i]);
    if (!set)
        skip();
    equals_golden(state);
    survives_decoding(state);
    (void)setlocale(LC_ALL, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_golden),
        cmocka_unit_test(survives_decoding),
        cmocka_unit_test(locale_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
