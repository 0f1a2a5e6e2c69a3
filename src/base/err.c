/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/err.h"

#include <stdarg.h>
#include <string.h>

#include "uw/base/log.h"

int uw_err_report(int r, const char *func, const char *file, int line) {
    if (r < 0)
        uw_log_origin(func, file, line, strerror(-r));
    return r;
}

int uw_diag_add(struct uw_diag *diag, const char *format, ...) {
    va_list ap;

    if (!diag)
        return UW_E_INPUT;
    if (diag->n >= UW_DIAG_MAX) {
        diag->n_dropped++;
        return UW_E_INPUT;
    }
    va_start(ap, format);
    vsnprintf(diag->text[diag->n], UW_DIAG_LEN, format, ap);
    va_end(ap);
    /* A message is one line: what came from outside must not be able to forge another. */
    for (char *p = diag->text[diag->n]; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    diag->n++;
    return UW_E_INPUT;
}

void uw_diag_print(const struct uw_diag *diag, FILE *f) {
    for (int i = 0; i < diag->n; i++)
        fprintf(f, "error: %s\n", diag->text[i]);
    if (diag->n_dropped > 0)
        fprintf(f, "error: and %d more\n", diag->n_dropped);
}
