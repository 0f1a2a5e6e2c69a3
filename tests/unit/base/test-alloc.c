/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory for vectors: aligned, zero, and refused where the size is no size */

#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uw/base/util.h"

static void test_memory(void **state) {
    (void)state;
    for (size_t n = 1; n < 300; n += 7) {
        unsigned char *p = uw_alloc_zeroed(n, n);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n * n; ++i)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n * n); /* so that what is given next is not zero by chance */
        free(p);
    }
}

static void test_sizes(void **state) {
    (void)state;
    assert_null(uw_alloc_zeroed(0, 4));
    assert_null(uw_alloc_zeroed(4, 0));
    assert_null(uw_alloc_zeroed(SIZE_MAX, 1));
    assert_null(uw_alloc_zeroed(SIZE_MAX / 2, 3));
    assert_null(uw_alloc_zeroed(SIZE_MAX / 8 + 1, 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
