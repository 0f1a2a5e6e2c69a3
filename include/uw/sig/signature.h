/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SIG_SIGNATURE_H
#define UW_SIG_SIGNATURE_H

/*
 * The signature database: one libconfig file per link in a directory, each with its provenance
 *
 * Threads: read-only once loaded, then any. Ownership: the database owns every string.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uw_diag;

enum uw_sig_role {
    UW_SIG_CONTROL,
    UW_SIG_TELEMETRY,
    UW_SIG_VIDEO,
    UW_SIG_REMOTE_ID,
    UW_SIG_BACKGROUND,
    UW_SIG_ROLE_N
};
enum uw_sig_modulation { UW_SIG_LORA, UW_SIG_FSK, UW_SIG_OFDM_ZC, UW_SIG_ANY, UW_SIG_MODULATION_N };
/* Who decides: the tracker of hopping links, the list of known sporadic chirps, the DroneID
 * statistic, or how it hops. */
enum uw_sig_matcher {
    UW_SIG_MATCH_LINK,
    UW_SIG_MATCH_CHIRP,
    UW_SIG_MATCH_DRONEID,
    UW_SIG_MATCH_HOPPER,
    UW_SIG_MATCHER_N
};
/* Where the law, and with it the radio modules' setting, is one. */
enum uw_sig_region {
    UW_SIG_REGION_FCC,
    UW_SIG_REGION_EU,
    UW_SIG_REGION_AU,
    UW_SIG_REGION_IN,
    UW_SIG_REGION_TH,
    UW_SIG_REGION_N
};
enum uw_sig_direction { UW_SIG_UP, UW_SIG_DOWN, UW_SIG_EITHER };

#define UW_SIG_VARIANTS_MAX 24
#define UW_SIG_DOMAINS_MAX  24
#define UW_SIG_CHANNELS_MAX 256
#define UW_SIG_MAX          64

/* One air rate. */
struct uw_sig_variant {
    char name[32];
    enum uw_sig_modulation modulation;
    double bandwidth_hz;
    int sf;             /* LoRa */
    int preamble;       /* LoRa: up-chirps before the sync word */
    double symbol_rate; /* FSK, baud */
    double deviation_hz;
    double airtime_s; /* 0: any */
    double period_s;  /* packet to packet; 0: sporadic */
    int packets_per_hop;
    int repeats; /* each payload is sent so many times in a row; 1 or more */
};

/* One channel plan. */
struct uw_sig_domain {
    char name[32];
    int n_channels;
    double channel_hz[UW_SIG_CHANNELS_MAX];
    int sync;         /* index visited once per block of n_channels hops, or -1 */
    unsigned regions; /* where it is meant for, bit 1 << enum uw_sig_region each; 0: everywhere */
};

struct uw_signature {
    char id[32];
    char family[32];
    char title[96]; /* for people */
    char provenance[256];
    enum uw_sig_role role;
    bool drone;
    bool enabled;
    enum uw_sig_matcher matcher;
    enum uw_sig_direction direction; /* LoRa */
    int sync_word;                   /* LoRa, -1: any */
    int n_variants;
    struct uw_sig_variant variants[UW_SIG_VARIANTS_MAX];
    int n_domains;
    struct uw_sig_domain domains[UW_SIG_DOMAINS_MAX];
};

struct uw_sigdb;

/* Loads every *.conf of a directory in the order of their names. 0, -errno, UW_E_INPUT with all
 * mistakes. */
int uw_sigdb_load(const char *directory, struct uw_diag *diag, struct uw_sigdb **ret_db);
/* One signature from memory (fuzzing and tests). */
int uw_signature_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                       struct uw_signature *ret);
struct uw_sigdb *uw_sigdb_free(struct uw_sigdb *db);
void uw_sigdb_freep(struct uw_sigdb **db);
size_t uw_sigdb_len(const struct uw_sigdb *db);
const struct uw_signature *uw_sigdb_at(const struct uw_sigdb *db, size_t i);
const struct uw_signature *uw_sigdb_find(const struct uw_sigdb *db, const char *id);
/* Leaves only the named ones on. UW_E_INPUT with text in diag if one does not exist. */
int uw_sigdb_enable(struct uw_sigdb *db, const char *const *ids, size_t n, struct uw_diag *diag);
const char *uw_sig_role_name(enum uw_sig_role role);
const char *uw_sig_modulation_name(enum uw_sig_modulation modulation);
const char *uw_sig_region_name(enum uw_sig_region region); /* "FCC" */

#endif
