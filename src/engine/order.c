/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "engine-impl.h"

static bool before(const struct uw_order_item *a, const struct uw_order_item *b) {
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->number < b->number;
}

static void swap(struct uw_order_item *a, struct uw_order_item *b) {
    struct uw_order_item t = *a;

    *a = *b;
    *b = t;
}

int uw_order_push(struct uw_order *order, const struct uw_order_item *item) {
    size_t i;

    if (order->n == order->n_room) {
        size_t room = order->n_room ? 2 * order->n_room : 64;
        struct uw_order_item *items = realloc(order->items, room * sizeof(*items));
        if (!items)
            return uw_err(-ENOMEM);
        order->items = items;
        order->n_room = room;
    }
    i = order->n++;
    order->items[i] = *item;
    while (i > 0 && before(&order->items[i], &order->items[(i - 1) / 2])) {
        swap(&order->items[i], &order->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    return 0;
}

const struct uw_order_item *uw_order_first(const struct uw_order *order) {
    return order->n > 0 ? &order->items[0] : NULL;
}

struct uw_order_item uw_order_pop(struct uw_order *order) {
    struct uw_order_item first;
    size_t i = 0;

    assert(order->n > 0);
    first = order->items[0];
    order->items[0] = order->items[--order->n];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= order->n)
            break;
        if (child + 1 < order->n && before(&order->items[child + 1], &order->items[child]))
            child++;
        if (!before(&order->items[child], &order->items[i]))
            break;
        swap(&order->items[child], &order->items[i]);
        i = child;
    }
    return first;
}

void uw_order_deinit(struct uw_order *order) {
    for (size_t i = 0; i < order->n; i++)
        free(order->items[i].detection);
    free(order->items);
    *order = (struct uw_order){0};
}
