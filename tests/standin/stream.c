/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading
 *
 * The device takes samples by its own clock whether anybody reads or not. Reading has `buf_num`
 * transfers of `buf_len` bytes under way: who comes late finds up to that many full ones, and what
 * was taken while all were full is lost. A transfer is made of what the device heard when its
 * samples were taken, so after a retune what is still under way is of the old frequency.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "standin.h"

#define NO_DEVICE (-4)
#define INACTIVE  0
#define CANCELING 1
#define RUNNING   2
#define BUF_NUM   15
#define BUF_LEN   (16 * 32 * 512)
#define SETTLE_S  0.002 /* no signal after a retune until the loop has settled */
#define LOSS_STEP 256   /* samples: USB packets are 512 bytes */

static uint32_t draw(struct rtlsdr_dev *dev) {
    dev->random = dev->random * 1664525u + 1013904223u;
    return dev->random >> 8;
}

static const struct standin_setting *setting_at(const struct rtlsdr_dev *dev, uint64_t sample,
                                                uint64_t *ret_until) {
    int i = dev->n_changes - 1;

    *ret_until = UINT64_MAX;
    while (i > 0 && dev->changes[i].from > sample)
        *ret_until = dev->changes[i--].from;
    return &dev->changes[i];
}

static void count_up(const struct rtlsdr_dev *dev, unsigned char *buf, size_t n) {
    for (size_t i = 0; i < 2 * n; i++)
        buf[i] = (unsigned char)(2 * dev->next + i);
}

/* The next n samples. The mutex is given up while they are made. */
static void make(struct rtlsdr_dev *dev, unsigned char *buf, size_t n) {
    if (dev->testmode) {
        count_up(dev, buf, n);
        dev->next += n;
        return;
    }
    while (n > 0) {
        uint64_t until;
        const struct standin_setting *s = setting_at(dev, dev->next, &until);
        const double rate = standin_true_rate(dev);
        struct standin_hearing h = {
            .start_s = dev->base_s + ((double)dev->next - (double)dev->base) / rate,
            .rate_hz = rate,
            .freq_hz = s->freq_hz,
            .gain_db = s->gain_db,
            .cut_off = dev->device->antenna_off,
            .unlocked = !s->locked || s->freq_hz == 0,
            .clip_dbfs = dev->device->clip_dbfs,
            .random = draw(dev),
        };
        uint64_t settled = s->from + (uint64_t)(SETTLE_S * rate);
        size_t part = n;

        if (dev->next < settled && s->from > 0) {
            h.unlocked = true;
            until = until < settled ? until : settled;
        }
        if (until - dev->next < part)
            part = (size_t)(until - dev->next);
        dev->next += part;
        standin_unlock();
        standin_air_hear(&h, buf, part);
        standin_lock();
        buf += 2 * part;
        n -= part;
    }
}

/* What is lost before the next transfer, and how many of its samples are there. */
static size_t fail_a_little(struct rtlsdr_dev *dev, size_t n) {
    struct standin_device *d = dev->device;

    dev->next += d->lose_once;
    d->lose_once = 0;
    if (d->lose_share > 0 && draw(dev) % 10000 < (uint32_t)(d->lose_share * 10000))
        dev->next += (1 + draw(dev) % 128) * LOSS_STEP;
    if (d->n_short > 0) {
        d->n_short--;
        return n * (draw(dev) % 8) / 8 & ~(size_t)255;
    }
    return n;
}

/* True when the transfer of n samples is full. Otherwise waits a little. */
static bool transfer_is_there(struct standin *all, struct rtlsdr_dev *dev, size_t n, unsigned num) {
    const struct standin_device *d = dev->device;
    uint64_t now = standin_sample_now(dev);
    uint64_t most = (uint64_t)n * num;

    if (d->stalled || standin_now() < d->hiccup_until) {
        standin_wait(all, 1);
        if (d->stalled) /* nobody empties the device meanwhile */
            dev->next = standin_sample_now(dev);
        return false;
    }
    if (now > dev->next + most)
        dev->next = now - most;
    if (now >= dev->next + n)
        return true;
    standin_wait(all, (double)(dev->next + n - now) / standin_true_rate(dev));
    return false;
}

int rtlsdr_reset_buffer(rtlsdr_dev_t *dev) {
    if (!dev)
        return -1;
    standin_lock();
    dev->next = standin_sample_now(dev);
    standin_log(dev, "reset 0");
    standin_unlock();
    return standin_is_lost(dev) ? -1 : 0;
}

int rtlsdr_read_sync(rtlsdr_dev_t *dev, void *buf, int len, int *n_read) {
    struct standin *all;
    int r = 0;

    if (!dev)
        return -1;
    all = standin_lock();
    *n_read = 0;
    while (!standin_is_lost(dev) && !transfer_is_there(all, dev, (size_t)len / 2, 1))
        continue;
    if (standin_is_lost(dev))
        r = NO_DEVICE;
    else {
        size_t n = fail_a_little(dev, (size_t)len / 2);

        make(dev, buf, n);
        *n_read = (int)(2 * n);
    }
    standin_unlock();
    return r;
}

int rtlsdr_wait_async(rtlsdr_dev_t *dev, rtlsdr_read_async_cb_t cb, void *ctx) {
    return rtlsdr_read_async(dev, cb, ctx, 0, 0);
}

static int run_transfers(struct standin *all, rtlsdr_dev_t *dev, rtlsdr_read_async_cb_t cb,
                         void *ctx, unsigned num, uint32_t len) {
    static _Thread_local unsigned char buf[4 * BUF_LEN];

    while (!dev->cancel && !standin_is_lost(dev)) {
        size_t n;

        if (!transfer_is_there(all, dev, len / 2, num))
            continue;
        n = fail_a_little(dev, len / 2);
        make(dev, buf, n);
        standin_unlock();
        cb(buf, (uint32_t)(2 * n), ctx);
        standin_lock();
    }
    if (!standin_is_lost(dev))
        return 0;
    fprintf(stderr, "cb transfer status: 5, canceling...\n");
    return -5; /* whatever cancelling the last transfer returned */
}

int rtlsdr_read_async(rtlsdr_dev_t *dev, rtlsdr_read_async_cb_t cb, void *ctx, uint32_t buf_num,
                      uint32_t buf_len) {
    struct standin *all;
    int r;

    if (!dev)
        return -1;
    if (buf_len == 0 || buf_len % 512 != 0 || buf_len > 4 * BUF_LEN)
        buf_len = BUF_LEN;
    all = standin_lock();
    if (dev->status != INACTIVE) {
        standin_unlock();
        return -2;
    }
    dev->status = RUNNING;
    dev->cancel = false;
    dev->next = standin_sample_now(dev);
    r = run_transfers(all, dev, cb, ctx, buf_num ? buf_num : BUF_NUM, buf_len);
    dev->status = INACTIVE;
    standin_wake(all);
    standin_unlock();
    return r;
}

int rtlsdr_cancel_async(rtlsdr_dev_t *dev) {
    struct standin *all;
    int r = -2;

    if (!dev)
        return -1;
    all = standin_lock();
    if (dev->status == RUNNING) {
        dev->status = CANCELING;
        dev->cancel = true;
        standin_wake(all);
        r = 0;
    }
    standin_unlock();
    return r;
}
