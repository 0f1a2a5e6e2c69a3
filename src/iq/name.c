/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the name of a recording says
 *
 * Names are cut at "_", blanks and the last dot: PREFIX_915M_2400k.cu8. The extension is the
 * format. A part that is a number with a unit is a frequency ("433920kHz", "915M", "0.915G") or a
 * rate
 * ("2.4Msps", "2400k"). Where the unit leaves it open ("868.3M_2.4M") the first is the frequency,
 * as is the custom; alone, a value that can be a rate is one.
 */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "source-impl.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define FREQ_MAX_HZ 1e12
#define PART_LEN    40

static const struct {
    const char *ext;
    enum uw_iq_format format;
} other_extensions[] = {
    {"cfile", UW_IQ_CF32},
    {"fc32", UW_IQ_CF32},
    {"sc16", UW_IQ_CI16},
    {"sc8", UW_IQ_CI8},
};

bool uw_iq_name_has_suffix(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

static void parse_extension(const char *ext, int *ret_format) {
    enum uw_iq_format format;
    char lower[8];
    size_t n = strlen(ext);

    if (n == 0 || n >= sizeof(lower))
        return;
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)tolower((unsigned char)ext[i]);
    for (size_t i = 0; i < UW_ARRAY_SIZE(other_extensions); i++) {
        if (strcmp(lower, other_extensions[i].ext) == 0)
            *ret_format = (int)other_extensions[i].format;
    }
    if (uw_iq_format_parse(lower, &format) == 0)
        *ret_format = (int)format;
}

enum part_kind { PART_OTHER, PART_FREQ, PART_RATE, PART_EITHER };

static bool cut_suffix(char *part, const char *suffix) {
    size_t n = strlen(part), m = strlen(suffix);

    if (n <= m || strcasecmp(part + n - m, suffix) != 0)
        return false;
    part[n - m] = '\0';
    return true;
}

static enum part_kind parse_part(char *part, double *ret_value) {
    enum part_kind kind = PART_EITHER;
    size_t n;

    if (!isdigit((unsigned char)part[0]))
        return PART_OTHER;
    if (cut_suffix(part, "Hz"))
        kind = PART_FREQ;
    else if (cut_suffix(part, "sps") || cut_suffix(part, "S/s"))
        kind = PART_RATE;
    n = strlen(part);
    /* "915m" is written by hand now and then, "2400K" too. */
    part[n - 1] = (char)(part[n - 1] == 'm' || part[n - 1] == 'g' ? part[n - 1] - 'a' + 'A'
                         : part[n - 1] == 'K'                     ? 'k'
                                                                  : part[n - 1]);
    /* A bare number may be anything: a date, a counter. */
    if (kind == PART_EITHER && !strchr("kMG", part[n - 1]))
        return PART_OTHER;
    return uw_str_to_double(part, 1, FREQ_MAX_HZ, ret_value) == 0 ? kind : PART_OTHER;
}

static bool can_be_rate(double value) {
    return value >= UW_RATE_MIN_HZ && value <= UW_RATE_MAX_HZ;
}

static void parse_stem(const char *stem, size_t len, double *ret_rate_hz, double *ret_freq_hz) {
    double open[2] = {NAN, NAN}; /* values that may be either, in order */
    int n_open = 0;
    size_t i = 0;

    while (i < len) {
        size_t n = 0;
        char part[PART_LEN];
        double value;

        while (i + n < len && stem[i + n] != '_' && stem[i + n] != ' ')
            n++;
        if (n > 0 && n < sizeof(part)) {
            memcpy(part, stem + i, n);
            part[n] = '\0';
            switch (parse_part(part, &value)) {
            case PART_FREQ:
                *ret_freq_hz = value;
                break;
            case PART_RATE:
                *ret_rate_hz = value;
                break;
            case PART_EITHER:
                if (n_open < 2)
                    open[n_open++] = value;
                break;
            case PART_OTHER:
                break;
            }
        }
        i += n + 1;
    }
    for (int k = 0; k < n_open; k++) {
        bool last = k == n_open - 1;

        if (isnan(*ret_freq_hz) && !(last && isnan(*ret_rate_hz) && can_be_rate(open[k])))
            *ret_freq_hz = open[k];
        else if (isnan(*ret_rate_hz))
            *ret_rate_hz = open[k];
    }
}

void uw_iq_name_parse(const char *path, int *ret_format, double *ret_rate_hz, double *ret_freq_hz) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    if (dot)
        parse_extension(dot + 1, ret_format);
    parse_stem(name, dot ? (size_t)(dot - name) : strlen(name), ret_rate_hz, ret_freq_hz);
}
