/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The signature format: every mistake is found, with file and line; what is shipped loads */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/sig/signature.h"

/* Lines 1 .. 12; each case replaces one piece of it. */
static const char good[] =
    "signature = {\n"
    "    id = \"toy\";\n"
    "    family = \"toys\";\n"
    "    title = \"A toy\";\n"
    "    provenance = \"made up\";\n"
    "    role = \"control\"; drone = true; matcher = \"link\";\n"
    "    sync_word = 0x12; direction = \"up\";\n"
    "    variants = ( { name = \"A\"; modulation = \"lora\"; sf = 7;\n"
    "        bandwidth_hz = 500.0e3; preamble = 8; airtime_s = 8.0e-3;\n"
    "        period_s = 10.0e-3; packets_per_hop = 4; } );\n"
    "    domains = ( { name = \"D\"; start_hz = 900.0e6; stop_hz = 910.0e6;\n"
    "        channels = 11; sync = 5; } );\n"
    "};\n";

static struct uw_diag diag;
static struct uw_signature sig;

/* `good` with one piece replaced. */
static char *with(const char *from, const char *to) {
    const char *at = strstr(good, from);
    char *text = NULL;

    assert_non_null(at);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
    return text;
}

static int parse(const char *text) {
    memset(&diag, 0, sizeof(diag));
    memset(&sig, 0x55, sizeof(sig));
    return uw_signature_parse("toy.conf", text, strlen(text), &diag, &sig);
}

static void test_good(void **state) {
    (void)state;
    assert_int_equal(parse(good), 0);
    assert_int_equal(diag.n, 0);
    assert_string_equal(sig.id, "toy");
    assert_string_equal(sig.family, "toys");
    assert_true(sig.role == UW_SIG_CONTROL && sig.drone && sig.enabled);
    assert_true(sig.matcher == UW_SIG_MATCH_LINK && sig.direction == UW_SIG_UP);
    assert_true(sig.sync_word == 0x12 && sig.n_variants == 1 && sig.n_domains == 1);
    const struct uw_sig_variant *v = &sig.variants[0];
    assert_string_equal(v->name, "A");
    assert_true(v->modulation == UW_SIG_LORA && v->sf == 7 && v->preamble == 8);
    assert_true(v->bandwidth_hz == 500e3 && v->airtime_s == 8e-3 && v->period_s == 10e-3);
    assert_int_equal(v->packets_per_hop, 4);
    const struct uw_sig_domain *d = &sig.domains[0];
    assert_true(d->n_channels == 11 && d->sync == 5);
    for (int i = 0; i < 11; ++i)
        assert_true(fabs(d->channel_hz[i] - (900e6 + 1e6 * i)) < 1e-3);
}

static void test_defaults(void **state) {
    char *text = with("    sync_word = 0x12; direction = \"up\";\n", "");

    (void)state;
    assert_int_equal(parse(text), 0);
    assert_true(sig.sync_word == -1 && sig.direction == UW_SIG_EITHER && sig.enabled);
    free(text);
    text = with(" sync = 5;", "");
    assert_int_equal(parse(text), 0);
    assert_int_equal(sig.domains[0].sync, -1);
    free(text);
    text = with("start_hz = 900.0e6; stop_hz = 910.0e6;\n        channels = 11; sync = 5;",
                "channels_hz = [ 433.1e6, 434.9e6 ];");
    assert_int_equal(parse(text), 0);
    assert_true(sig.domains[0].n_channels == 2 && sig.domains[0].channel_hz[1] == 434.9e6);
    free(text);
}

struct mistake {
    const char *from, *to;
    int line;         /* 0: any */
    const char *word; /* in the message */
};

static const struct mistake mistakes[] = {
    {"id = \"toy\";", "", 0, "id"},
    {"id = \"toy\"", "id = \"to.y\"", 0, "id"},
    {"id = \"toy\"", "id = \"toy toy\"", 0, "id"},
    {"id = \"toy\"", "id = \"\"", 0, "id"},
    {"id = \"toy\"", "id = \"a23456789-123456789-123456789-12\"", 2, "id"},
    {"id = \"toy\"", "id = 7", 2, "id"},
    {"family = \"toys\";", "", 0, "family"},
    {"family = \"toys\"", "family = \"to/ys\"", 0, "family"},
    {"title = \"A toy\";", "", 0, "title"},
    {"title = \"A toy\"", "title = \"bell \\x07\"", 4, "title"},
    {"title = \"A toy\"", "title = \"\\xff\\xfe\"", 4, "title"},
    {"provenance = \"made up\";", "", 0, "provenance"},
    {"role = \"control\"", "role = \"pilot\"", 6, "role"},
    {"role = \"control\";", "", 0, "role"},
    {"role = \"control\"", "role = \"background\"", 0, "drone"},
    {"drone = true", "drone = 1", 6, "drone"},
    {"drone = true;", "", 0, "drone"},
    {"matcher = \"link\"", "matcher = \"magic\"", 6, "matcher"},
    {"matcher = \"link\";", "", 0, "matcher"},
    {"sync_word = 0x12", "sync_word = 256", 7, "sync_word"},
    {"sync_word = 0x12", "sync_word = -2", 7, "sync_word"},
    {"sync_word = 0x12", "sync_word = 1.5", 7, "sync_word"},
    {"direction = \"up\"", "direction = \"left\"", 7, "direction"},
    {"sync_word = 0x12", "colour = 5", 7, "colour"},
    {"modulation = \"lora\"", "modulation = \"chirp\"", 8, "modulation"},
    {"modulation = \"lora\";", "", 0, "modulation"},
    {"name = \"A\";", "", 0, "name"},
    {"sf = 7", "sf = 4", 8, "sf"},
    {"sf = 7", "sf = 13", 8, "sf"},
    {"sf = 7;", "", 0, "sf"},
    {"sf = 7", "sf = 7; sf = 8", 8, "twice"},
    {"sf = 7", "sf = 7; baud = 1.0", 8, "baud"},
    {"sf = 7", "sf = 7; symbol_rate = 1.0e3", 8, "symbol_rate"},
    {"bandwidth_hz = 500.0e3", "bandwidth_hz = 0.0", 9, "bandwidth_hz"},
    {"bandwidth_hz = 500.0e3", "bandwidth_hz = -500.0e3", 9, "bandwidth_hz"},
    {"bandwidth_hz = 500.0e3", "bandwidth_hz = 1.0e999", 9, ""},
    {"bandwidth_hz = 500.0e3", "bandwidth_hz = 5000000000", 9, ""},
    {"bandwidth_hz = 500.0e3", "bandwidth_hz = \"wide\"", 9, "bandwidth_hz"},
    {"bandwidth_hz = 500.0e3;", "", 0, "bandwidth_hz"},
    {"preamble = 8", "preamble = 3", 9, "preamble"},
    {"preamble = 8", "preamble = 65", 9, "preamble"},
    {"airtime_s = 8.0e-3", "airtime_s = 0.0", 9, "airtime_s"},
    {"airtime_s = 8.0e-3", "airtime_s = 11.0e-3", 0, "airtime_s"},
    {"airtime_s = 8.0e-3;", "", 0, "airtime_s"},
    {"period_s = 10.0e-3", "period_s = 101.0", 10, "period_s"},
    {"period_s = 10.0e-3;", "", 0, "period_s"},
    {"packets_per_hop = 4", "packets_per_hop = 0", 10, "packets_per_hop"},
    {"packets_per_hop = 4", "packets_per_hop = 65", 10, "packets_per_hop"},
    {"packets_per_hop = 4;", "", 0, "packets_per_hop"},
    {"matcher = \"link\"", "matcher = \"chirp\"; comment = \"x\"", 6, "comment"},
    {"start_hz = 900.0e6", "start_hz = 900000", 11, "start_hz"},
    {"start_hz = 900.0e6", "start_hz = 2400000000", 11, ""},
    {"start_hz = 900.0e6", "start_hz = 13.0e9", 11, "start_hz"},
    {"start_hz = 900.0e6;", "", 0, "start_hz"},
    {"stop_hz = 910.0e6", "stop_hz = 899.0e6", 0, "stop_hz"},
    {"stop_hz = 910.0e6;", "", 0, "stop_hz"},
    {"channels = 11", "channels = 0", 12, "channels"},
    {"channels = 11", "channels = 257", 12, "channels"},
    {"channels = 11;", "", 0, "channels"},
    {"sync = 5", "sync = 11", 0, "sync"},
    {"sync = 5", "sync = -1", 12, "sync"},
    {"channels = 11", "channels_hz = [ 900.0e6 ]", 0, ""},
    {"variants = (", "variants = ( 5, ", 8, ""},
    {"domains = (", "domains = ( \"x\", ", 11, ""},
    {"variants = (", "options = (", 0, "variants"},
    {"signature = {", "signatur = {", 0, "signature"},
    {"signature = {", "signature = (", 0, ""},
    {"signature = {", "more = 1; signature = {", 1, "more"},
    {"    id", "@include \"/etc/passwd\"\n    id", 2, ""},
    {"};\n", "", 0, ""},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); ++i) {
        const struct mistake *m = &mistakes[i];
        char *text = with(m->from, m->to);
        int line = 0;
        bool found = false;

        const int r = parse(text);
        if (r != UW_E_INPUT || diag.n == 0)
            print_message("%s -> %s: taken\n", m->from, m->to);
        assert_int_equal(r, UW_E_INPUT);
        assert_true(diag.n > 0);
        for (int k = 0; k < diag.n; ++k) {
            int at = 0;
            const bool placed = sscanf(diag.text[k], "toy.conf:%d:", &at) == 1 && at > 0;

            if (!placed || strchr(diag.text[k], '\n'))
                print_message("%s\n", diag.text[k]);
            assert_true(placed && !strchr(diag.text[k], '\n'));
            if (strstr(diag.text[k], m->word) && (m->line == 0 || at == m->line))
                found = true;
            line = at;
        }
        if (!found)
            print_message("%s -> %s: line %d not named, but %d: %s\n", m->from, m->to, m->line,
                          line, diag.text[0]);
        assert_true(found);
        free(text);
    }
}

/* All mistakes of a file in one go. */
static void test_all_at_once(void **state) {
    char *text = with("sync_word = 0x12; direction = \"up\";\n",
                      "sync_word = 999; direction = \"out\"; x = 1;\n");

    (void)state;
    assert_int_equal(parse(text), UW_E_INPUT);
    assert_int_equal(diag.n, 3);
    free(text);
}

static char *many(const char *item, int n, const char *list) {
    char *items = calloc((size_t)n, strlen(item) + 3);
    char *text;
    char *of = NULL;

    assert_non_null(items);
    for (int i = 0; i < n; ++i) {
        strcat(items, item);
        strcat(items, i + 1 < n ? ",\n" : "");
    }
    assert_true(asprintf(&of, "%s%s, ", list, items) > 0);
    text = with(list, of);
    free(items);
    free(of);
    return text;
}

static void test_limits(void **state) {
    static const char variant[] = "{ name = \"V\"; modulation = \"lora\"; bandwidth_hz = 500.0e3; "
                                  "sf = 6; airtime_s = 1.0e-3; "
                                  "period_s = 2.0e-3; packets_per_hop = 1; }";
    static const char domain[] =
        "{ name = \"E\"; start_hz = 1.0e9; stop_hz = 1.1e9; channels = 256; }";
    char *text;

    (void)state;
    for (int extra = -1; extra <= 0; ++extra) {
        text = many(variant, UW_SIG_VARIANTS_MAX + extra, "variants = ( ");
        assert_int_equal(parse(text), extra < 0 ? 0 : UW_E_INPUT);
        free(text);
        text = many(domain, UW_SIG_DOMAINS_MAX + extra, "domains = ( ");
        assert_int_equal(parse(text), extra < 0 ? 0 : UW_E_INPUT);
        free(text);
    }
    assert_int_equal(parse(""), UW_E_INPUT);
    assert_int_equal(uw_signature_parse("toy.conf", good, sizeof(good), &diag, &sig), UW_E_INPUT);
}

static void test_shipped(void **state) {
    static const char *const ids[] = {"dji-droneid", "expresslrs-2g4", "expresslrs-900",
                                      "lora",        "lorawan",        "meshtastic"};
    struct uw_sigdb *db = NULL;

    (void)state;
    memset(&diag, 0, sizeof(diag));
    const int r = uw_sigdb_load(UW_SIGNATURES, &diag, &db);
    uw_diag_print(&diag, stderr);
    assert_int_equal(r, 0);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); ++i)
        assert_non_null(uw_sigdb_find(db, ids[i]));
    assert_null(uw_sigdb_find(db, "nobody"));
    assert_null(uw_sigdb_at(db, uw_sigdb_len(db)));
    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        assert_true(s->enabled && s->n_variants > 0 && s->title[0] && s->provenance[0]);
        assert_true(s->drone == (s->role != UW_SIG_BACKGROUND));
        assert_true(uw_sig_role_name(s->role)[0]);
        /* a LoRa time on air is the preamble, 4.25 symbols and a whole number of symbols */
        for (int v = 0; v < s->n_variants; ++v) {
            const struct uw_sig_variant *x = &s->variants[v];
            const double symbols = x->airtime_s * x->bandwidth_hz / (1 << x->sf);

            if (x->modulation == UW_SIG_LORA && x->airtime_s > 0.0)
                assert_true(symbols > x->preamble + 4.25);
        }
    }
    uw_sigdb_free(db);
}

static void test_enable(void **state) {
    static const char *const two[] = {"lorawan", "expresslrs-900"};
    static const char *const wrong[] = {"lorawan", "no-such", "nor-this"};
    struct uw_sigdb *db = NULL;
    int n_on = 0;

    (void)state;
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_sigdb_load(UW_SIGNATURES, &diag, &db), 0);
    assert_int_equal(uw_sigdb_enable(db, wrong, 3, &diag), UW_E_INPUT);
    assert_int_equal(diag.n, 2);
    assert_non_null(strstr(diag.text[0], "no-such"));
    for (size_t i = 0; i < uw_sigdb_len(db); ++i)
        assert_true(uw_sigdb_at(db, i)->enabled); /* a mistake changes nothing */
    assert_int_equal(uw_sigdb_enable(db, two, 2, &diag), 0);
    for (size_t i = 0; i < uw_sigdb_len(db); ++i)
        n_on += uw_sigdb_at(db, i)->enabled;
    assert_int_equal(n_on, 2);
    assert_true(uw_sigdb_find(db, "lorawan")->enabled);
    assert_int_equal(uw_sigdb_enable(db, NULL, 0, &diag), 0);
    assert_false(uw_sigdb_find(db, "lorawan")->enabled);
    db = uw_sigdb_free(db);
    assert_null(db);
}

static void write_file(const char *dir, const char *name, const char *text) {
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *dir, const char *name) {
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

static void test_directory(void **state) {
    char dir[] = "/tmp/uw-sig-XXXXXX";
    struct uw_sigdb *db = NULL;
    char *other = with("\"toy\"", "\"toy2\"");
    char *bad = with("sf = 7", "sf = 77");

    (void)state;
    assert_non_null(mkdtemp(dir));
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_sigdb_load(dir, &diag, &db), UW_E_INPUT);
    assert_true(diag.n == 1 && strstr(diag.text[0], dir));
    write_file(dir, "b.conf", good);
    write_file(dir, "a.conf", other);
    write_file(dir, ".hidden.conf", "no");
    write_file(dir, "note.txt", "no");
    assert_int_equal(uw_sigdb_load(dir, &diag, &db), 0);
    assert_int_equal(uw_sigdb_len(db), 2);
    assert_string_equal(uw_sigdb_at(db, 0)->id, "toy2"); /* by file name */
    db = uw_sigdb_free(db);
    /* the same id twice, and a mistake in a third file: both are said */
    write_file(dir, "c.conf", good);
    write_file(dir, "d.conf", bad);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_sigdb_load(dir, &diag, &db), UW_E_INPUT);
    assert_null(db);
    assert_int_equal(diag.n, 2);
    assert_true(strstr(diag.text[0], "c.conf") && strstr(diag.text[1], "d.conf:8:"));
    remove_file(dir, "a.conf");
    remove_file(dir, "b.conf");
    remove_file(dir, "c.conf");
    remove_file(dir, "d.conf");
    remove_file(dir, "note.txt");
    remove_file(dir, ".hidden.conf");
    assert_int_equal(rmdir(dir), 0);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_sigdb_load(dir, &diag, &db), UW_E_INPUT);
    assert_true(diag.n == 1 && strstr(diag.text[0], dir));
    free(other);
    free(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_enable),   cmocka_unit_test(test_directory),
    };

    return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
