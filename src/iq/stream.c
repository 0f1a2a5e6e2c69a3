/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many samples should there be by now?
 *
 * A receiver takes a sample every 1 / rate, whatever becomes of it. So the stream keeps `position`,
 * the number of the sample that comes next, lost ones included, and looks at
 *
 *     lag = now - base - position / rate
 *
 * whenever everything that has arrived has been taken ("drained"). Of many lags the least is the
 * honest one: samples may come late, never early. `ref` is the least lag there was; it follows the
 * drift of the sender's clock. A lag that stays above ref means samples that nobody has got; one
 * that comes down again was a delay. Which it is cannot be seen at once, so while the lag is high
 * what arrives is held back:
 *
 *   IDLE   no stream
 *   START  a new one: its time is not known, and old settings may still be in it; discarded
 *   FLOW   lag is about ref: what arrives is released to the reader
 *   HOLD   lag is high since HOLD_S at most. If it comes down, nothing was lost. If it stays, the
 *          difference is lost, exactly before the first sample held
 *   DRAIN  it is coming down, but there is too much of it (a network that was cut for seconds, a
 *          caller that slept): a live receiver wants the present, so the past is discarded
 *
 * A sender that is early by more than SLIP_S (its clock is fast, or it lies about its rate) has
 * samples discarded; one that is slow has SLIP_S counted as lost now and then: at 20 ppm once in 40
 * minutes. So the time of a sample is right to about SLIP_S for ever.
 *
 * After a retune, samples of the old centre are those taken before the command was sent, samples of
 * the new one those taken a guard later, whatever has buffered them on the way: a sample's time
 * follows from its position, plus ref. What lies between is discarded and counted. Time that was
 * counted as lost shortly before may have been a delay that stays: the guard is longer by so much.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stream-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

#define START_S     0.25
#define HOLD_S      0.3
#define TOLERANCE_S 0.010
#define SLIP_S      0.050
#define WINDOW_S    1.0
#define FOLLOW      500e-6 /* the most that a sane clock is off, seconds a second */
#define DRIFT_MIN_S 60.0
#define AGAIN_S     2.0
#define AGAIN_MAX_S 0.3
#define RING_S      0.75
#define RING_MIN    (1 << 20)
#define RING_MAX    (16 << 20)

#define HELD_MAX 12

enum phase { IDLE, START, FLOW, HOLD, DRAIN };

struct uw_stream {
    struct uw_stream_ring ring;
    double rate_hz;
    double quantum_s;
    int64_t base_ns;
    enum phase phase;
    uint64_t position;
    struct uw_stream_mark pending; /* belongs before the next sample that is kept */
    int64_t first_ns;              /* START: when its first samples came */
    uint64_t start_count;
    double start_least;
    double ref;
    int64_t hold_ns;
    double hold_first, hold_least;
    int n_held; /* pieces that came while held: where each begins, the least lag at its end */
    struct {
        uint64_t at;
        double lag;
    } held[HELD_MAX];
    uint64_t held_next; /* where the next piece begins */
    int64_t window_ns;
    double window_least;
    int64_t drift_ns; /* 0: not begun */
    double drift_lag, slipped;
    int64_t missed_ns; /* when time was last counted as lost */
    double missed;     /* seconds of it, those shortly before included */
    bool doubt; /* which centre the held samples are of was told by a time that may be wrong */
    bool cut;
    int64_t cut_ns, guard_ns;
    double cut_freq_hz, cut_gain_db;
    struct uw_stream_rate rate;
    struct uw_stream_counts counts;
};

static double longer(double seconds, double quanta_s) {
    return fmax(seconds, UW_STREAM_QUANTA * quanta_s);
}

int uw_stream_new(const struct uw_stream_config *config, struct uw_stream **ret_stream) {
    struct uw_stream *s = calloc(1, sizeof(*s));
    double bytes;
    int r;

    if (!s)
        return uw_err(-ENOMEM);
    s->rate_hz = config->rate_hz;
    s->quantum_s = (double)config->quantum / config->rate_hz;
    s->base_ns = config->base_ns;
    s->rate = (struct uw_stream_rate){
        .nominal_hz = config->rate_hz, .quantum_s = s->quantum_s, .rate_hz = NAN};
    s->counts.drift_ppm = NAN;
    bytes = longer(RING_S, s->quantum_s) * config->rate_hz * (double)config->sample_bytes;
    bytes = fmin(fmax(bytes, RING_MIN), RING_MAX);
    r = uw_stream_ring_init(&s->ring, (size_t)bytes / config->sample_bytes, config->sample_bytes);
    if (r) {
        free(s);
        return r;
    }
    *ret_stream = s;
    return 0;
}

struct uw_stream *uw_stream_free(struct uw_stream *stream) {
    if (!stream)
        return NULL;
    uw_stream_ring_deinit(&stream->ring);
    free(stream);
    return NULL;
}

static double seconds(int64_t ns) {
    return (double)ns / (double)UW_NS_PER_S;
}

static double lag_of(const struct uw_stream *s, int64_t now_ns) {
    return seconds(now_ns - s->base_ns) - (double)s->position / s->rate_hz;
}

static uint64_t samples(const struct uw_stream *s, double time_s) {
    return time_s > 0 ? (uint64_t)llround(time_s * s->rate_hz) : 0;
}

/* Time without samples, before the next that is kept. */
static void lose(struct uw_stream *s, uint64_t n) {
    s->position += n;
    s->pending.lost += n;
    s->counts.lost += n;
}

/* What was late and what is lost look alike for a while. */
static void miss(struct uw_stream *s, uint64_t n, int64_t now_ns) {
    if (seconds(now_ns - s->missed_ns) > AGAIN_S)
        s->missed = 0;
    s->missed += (double)n / s->rate_hz;
    s->missed_ns = now_ns;
}

/* Samples that are already in `position` and will not be given. */
static void discard(struct uw_stream *s, uint64_t n) {
    s->pending.lost += n;
    s->counts.lost += n;
    s->counts.discarded += n;
}

static void put_pending(struct uw_stream *s, uint64_t at) {
    struct uw_stream_mark *p = &s->pending;

    if (!p->lost && !p->fresh && !p->tuned)
        return;
    p->at = at;
    uw_stream_ring_mark(&s->ring, p);
    *p = (struct uw_stream_mark){0};
}

static void release(struct uw_stream *s) {
    s->ring.released = s->ring.written;
    s->doubt = false;
}

static void discard_held(struct uw_stream *s) {
    discard(s, uw_stream_ring_rewind(&s->ring, s->ring.capacity));
}

static void forget_drift(struct uw_stream *s) {
    s->drift_ns = 0;
    s->slipped = 0;
}

static void flow(struct uw_stream *s, int64_t now_ns) {
    s->phase = FLOW;
    s->window_ns = now_ns;
    s->window_least = HUGE_VAL;
}

void uw_stream_begin(struct uw_stream *stream, double freq_hz, double gain_db) {
    uw_stream_end(stream);
    stream->ring.odd = 0;
    stream->phase = START;
    stream->first_ns = 0;
    stream->start_count = 0;
    stream->pending.fresh = true;
    stream->pending.tuned = true;
    stream->pending.freq_hz = freq_hz;
    stream->pending.gain_db = gain_db;
    stream->rate.wrong = false;
    stream->rate.rate_hz = NAN;
    forget_drift(stream);
    stream->counts.drift_ppm = NAN;
}

void uw_stream_end(struct uw_stream *stream) {
    discard_held(stream);
    stream->cut = stream->doubt = false;
    stream->phase = IDLE;
}

void *uw_stream_space(struct uw_stream *stream, size_t *ret_n) {
    return uw_stream_ring_space(&stream->ring, ret_n);
}

/* The least lag of START decides what time it is in the stream. */
static void start(struct uw_stream *s, size_t n, int64_t now_ns, bool drained) {
    double window = longer(START_S, s->quantum_s);
    double since, lag, target;

    if (n == 0)
        return;
    uw_stream_ring_rewind(&s->ring, n);
    s->counts.discarded += n;
    if (!s->first_ns) {
        s->first_ns = now_ns;
        s->start_least = HUGE_VAL;
    }
    s->start_count += n;
    since = seconds(now_ns - s->first_ns);
    lag = since - (double)s->start_count / s->rate_hz;
    if (lag < s->start_least)
        s->start_least = lag;
    if (since < window || (!drained && since < 2 * window))
        return;
    target = seconds(now_ns - s->base_ns) - (lag - s->start_least);
    if (samples(s, target) > s->position)
        lose(s, samples(s, target) - s->position);
    s->ref = 0;
    flow(s, now_ns);
    uw_stream_rate_restart(&s->rate, s->counts.received, now_ns);
}

/* If what was missing was only late, samples are older than is thought. */
static double may_be_late(const struct uw_stream *s) {
    return seconds(s->cut_ns - s->missed_ns) > AGAIN_S ? 0 : fmin(s->missed, AGAIN_MAX_S);
}

/* Splits the n newest samples: old centre, neither, new centre. */
static void apply_cut(struct uw_stream *s, size_t n) {
    double first = (double)(s->position - n);
    double from = (seconds(s->cut_ns - s->base_ns) - s->ref) * s->rate_hz - first;
    double to = from + (seconds(s->guard_ns) + may_be_late(s)) * s->rate_hz;
    size_t old = (size_t)fmin(fmax(from, 0), (double)n);
    size_t until = (size_t)fmin(fmax(ceil(to), (double)old), (double)n);
    size_t stale = until - old, fresh = n - until;

    if (old)
        put_pending(s, s->ring.written - n);
    uw_stream_ring_cut(&s->ring, stale, fresh);
    discard(s, stale);
    s->counts.stale += stale;
    if (!fresh)
        return;
    s->pending.fresh = true;
    s->pending.tuned = true;
    s->pending.freq_hz = s->cut_freq_hz;
    s->pending.gain_db = s->cut_gain_db;
    put_pending(s, s->ring.written - fresh);
    s->cut = false;
    s->doubt = true;
}

/* More samples than time: some of them must go. */
static void drop_early(struct uw_stream *s, double lag) {
    size_t n = uw_stream_ring_rewind(&s->ring, samples(s, -lag));

    s->position -= n;
    s->counts.discarded += n;
    s->slipped -= (double)n / s->rate_hz;
    s->pending.fresh |= n > 0;
    s->ref = lag + (double)n / s->rate_hz;
    if (s->phase == HOLD)
        s->phase = FLOW;
}

static void hold(struct uw_stream *s, int64_t now_ns, double lag) {
    s->phase = HOLD;
    s->hold_ns = now_ns;
    s->hold_first = s->hold_least = lag;
    s->n_held = 0;
    s->held_next = s->ring.released;
}

static void note_held(struct uw_stream *s, int64_t now_ns, double lag) {
    double piece = fmax(HOLD_S, 1.2 * s->quantum_s) / HELD_MAX;
    int i = s->n_held - 1;

    s->hold_least = fmin(s->hold_least, lag);
    if (s->n_held < HELD_MAX && seconds(now_ns - s->hold_ns) >= s->n_held * piece) {
        i = s->n_held++;
        s->held[i].at = s->held_next;
        s->held[i].lag = lag;
    }
    s->held[i].lag = fmin(s->held[i].lag, lag);
    s->held_next = s->ring.written;
}

/* What was missing before a piece is the least lag of it and of all that came after it. */
static void place_losses(struct uw_stream *s, int64_t now_ns) {
    double least = s->held[s->n_held - 1].lag, before = s->ref;

    for (int i = s->n_held - 1; i >= 0; i--)
        s->held[i].lag = least = fmin(least, s->held[i].lag);
    for (int i = 0; i < s->n_held; i++) {
        struct uw_stream_mark mark = {.at = s->held[i].at};

        if (s->held[i].lag <= before + TOLERANCE_S)
            continue;
        mark.lost = samples(s, s->held[i].lag - before);
        before = s->held[i].lag;
        s->position += mark.lost;
        s->counts.lost += mark.lost;
        miss(s, mark.lost, now_ns);
        uw_stream_ring_mark(&s->ring, &mark);
    }
}

/* What was held is gone; so is what did not come. */
static void lose_what_is_late(struct uw_stream *s, int64_t now_ns) {
    uint64_t n = samples(s, s->hold_least - s->ref);

    lose(s, n);
    miss(s, n, now_ns);
}

/* The lag has stayed high, or there is no more room to wait for what it will do. */
static void resolve(struct uw_stream *s, int64_t now_ns, double lag) {
    double waited = seconds(now_ns - s->hold_ns);

    if (s->hold_first - lag > 0.3 * waited && lag > s->ref + SLIP_S) {
        discard_held(s);
        s->phase = DRAIN;
        s->hold_ns = now_ns;
        s->hold_first = s->hold_least = lag;
        return;
    }
    if (s->cut || s->doubt) {
        discard_held(s);
        lose_what_is_late(s, now_ns);
        s->doubt = false; /* the times are right again for what comes next */
    } else {
        place_losses(s, now_ns);
        release(s);
    }
    flow(s, now_ns);
    forget_drift(s);
}

static void follow_drift(struct uw_stream *s, int64_t now_ns) {
    double lag = s->window_least + s->slipped;
    double spent;

    if (s->drift_ns == 0) {
        s->drift_ns = now_ns;
        s->drift_lag = lag;
        return;
    }
    spent = seconds(now_ns - s->drift_ns);
    if (spent >= DRIFT_MIN_S)
        s->counts.drift_ppm = -(lag - s->drift_lag) / spent * 1e6;
}

static void end_window(struct uw_stream *s, int64_t now_ns) {
    double length = seconds(now_ns - s->window_ns);

    if (length < longer(WINDOW_S, s->quantum_s))
        return;
    follow_drift(s, now_ns);
    if (s->window_least > s->ref)
        s->ref += fmin(s->window_least - s->ref, FOLLOW * length);
    if (s->ref > SLIP_S) {
        s->slipped += s->ref;
        s->counts.slipped += samples(s, s->ref);
        lose(s, samples(s, s->ref));
        s->ref = 0;
    }
    s->window_ns = now_ns;
    s->window_least = HUGE_VAL;
}

static void look_at_lag(struct uw_stream *s, int64_t now_ns, double lag) {
    if (lag <= s->ref + TOLERANCE_S) {
        if (s->phase == HOLD)
            flow(s, now_ns);
        s->ref = fmin(s->ref, lag);
        s->window_least = fmin(s->window_least, lag);
        release(s);
        end_window(s, now_ns);
        return;
    }
    if (s->phase == FLOW)
        hold(s, now_ns, lag);
    note_held(s, now_ns, lag);
    if (seconds(now_ns - s->hold_ns) >= fmax(HOLD_S, 1.2 * s->quantum_s))
        resolve(s, now_ns, lag);
}

static void on_flow(struct uw_stream *s, size_t n, int64_t now_ns, bool drained) {
    double lag;

    s->position += n;
    if (n && s->cut)
        apply_cut(s, n);
    else if (n)
        put_pending(s, s->ring.written - n);
    lag = lag_of(s, now_ns);
    if (lag < -SLIP_S) {
        drop_early(s, lag);
        release(s);
        return;
    }
    if (drained) {
        look_at_lag(s, now_ns, lag);
        return;
    }
    if (s->ring.written - s->ring.read < s->ring.capacity)
        return;
    if (s->phase == FLOW && lag <= s->ref + SLIP_S) {
        release(s);
        return;
    }
    if (s->phase == FLOW)
        hold(s, now_ns, lag);
    note_held(s, now_ns, lag);
    resolve(s, now_ns, lag);
}

static void on_drain(struct uw_stream *s, size_t n, int64_t now_ns, bool drained) {
    double waited = seconds(now_ns - s->hold_ns);
    double lag;

    s->position += n;
    discard(s, uw_stream_ring_rewind(&s->ring, n));
    lag = lag_of(s, now_ns);
    s->hold_least = fmin(s->hold_least, lag);
    if (lag <= s->ref + TOLERANCE_S) {
        flow(s, now_ns);
    } else if (drained && waited >= fmax(HOLD_S, 1.2 * s->quantum_s)) {
        /* no longer coming down: what remains is lost */
        if (s->hold_first - lag < 0.05 * waited) {
            lose_what_is_late(s, now_ns);
            flow(s, now_ns);
        }
        s->hold_ns = now_ns;
        s->hold_first = s->hold_least = lag;
    }
    uw_stream_rate_restart(&s->rate, s->counts.received, now_ns);
    forget_drift(s);
}

void uw_stream_received(struct uw_stream *stream, size_t n, int64_t now_ns, bool drained) {
    size_t n_samples = uw_stream_ring_wrote(&stream->ring, n);

    stream->counts.received += n_samples;
    if (stream->phase == FLOW || stream->phase == HOLD)
        uw_stream_rate_note(&stream->rate, stream->counts.received, now_ns, drained);
    switch (stream->phase) {
    case IDLE:
        uw_stream_ring_rewind(&stream->ring, n_samples);
        stream->counts.discarded += n_samples;
        break;
    case START:
        start(stream, n_samples, now_ns, drained);
        break;
    case DRAIN:
        on_drain(stream, n_samples, now_ns, drained);
        break;
    default:
        on_flow(stream, n_samples, now_ns, drained);
    }
}

void uw_stream_gap(struct uw_stream *stream) {
    stream->pending.fresh = true;
    forget_drift(stream);
}

void uw_stream_retune(struct uw_stream *stream, int64_t sent_ns, int64_t guard_ns, double freq_hz,
                      double gain_db) {
    if (stream->phase == IDLE || stream->phase == START) {
        stream->pending.tuned = true;
        stream->pending.freq_hz = freq_hz;
        stream->pending.gain_db = gain_db;
        /* START must not end before the command has taken effect */
        stream->first_ns = 0;
        stream->start_count = 0;
        return;
    }
    /* Of two in flight the doubt begins with the first and ends with the last. */
    if (!stream->cut)
        stream->cut_ns = sent_ns;
    stream->cut = true;
    stream->guard_ns = sent_ns + guard_ns - stream->cut_ns;
    stream->cut_freq_hz = freq_hz;
    stream->cut_gain_db = gain_db;
}

void uw_stream_take(struct uw_stream *stream, void *buf, size_t n, struct uw_source_block *block) {
    uw_stream_ring_take(&stream->ring, buf, n, block);
}

size_t uw_stream_ready(const struct uw_stream *stream) {
    return (size_t)(stream->ring.released - stream->ring.read);
}

void uw_stream_counts(const struct uw_stream *stream, struct uw_stream_counts *ret) {
    *ret = stream->counts;
    ret->rate_hz = stream->rate.rate_hz;
    ret->wrong_rate = stream->rate.wrong;
    ret->lost += stream->ring.dropped;
    ret->discarded += stream->ring.dropped;
    ret->flowing = stream->phase == FLOW || stream->phase == HOLD;
}
