/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_THREAD_H
#define UW_BASE_THREAD_H

/*
 * Named threads. All signals are blocked in them: signals belong to the main loop.
 * Ownership: the object is the creator's; it joins before it frees.
 */

typedef void (*uw_thread_fn)(void *userdata);

struct uw_thread;

/* Name of at most 15 characters. Runs at once. 0 or -errno. */
int uw_thread_start(const char *name, uw_thread_fn fn, void *userdata,
                    struct uw_thread **ret_thread);
/* Waits for the end and frees. NULL is fine. Returns NULL. */
struct uw_thread *uw_thread_join(struct uw_thread *thread);
/* Under a real-time policy, the caller gets one priority less than it has, if there is one: for a
 * thread that may take all the time there is. Under any other policy nothing changes. */
void uw_thread_step_back(void);

#endif
