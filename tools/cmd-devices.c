/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch devices: the receivers that are plugged in, what state they are in, and what to do
 *
 * The libraries talk to standard error while they look, for programmers; here that would only stand
 * in the way, so it is silenced meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/util.h"
#include "uw/iq/devices.h"

#define DEFAULT_SERIAL "00000001" /* that dongles are sold with */
#define ADVICE_LEN     256

static const struct uw_cli_option options[] = {
    {'j', "json", NULL, "one JSON object a line"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch devices [OPTION]...",
    .summary =
        "Lists the receivers that are plugged in, whether they can be used, and what to do.\n"
        "Each RTL-SDR dongle is opened for a moment; one that is in use is not disturbed. Other\n"
        "receivers are found through SoapySDR and not opened.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
};

static const char *const state_names[] = {
    [UW_DEVICE_FREE] = "free",     [UW_DEVICE_BUSY] = "in use", [UW_DEVICE_FORBIDDEN] = "forbidden",
    [UW_DEVICE_BROKEN] = "broken", [UW_DEVICE_GONE] = "gone",   [UW_DEVICE_UNTRIED] = "not tried",
};

static const char *const kind_names[] = {
    [UW_DEVICE_RTLSDR] = "rtlsdr",
    [UW_DEVICE_SOAPY] = "soapy",
};

struct list {
    bool without_rtlsdr; /* nobody could look for dongles */
    int n;
    struct uw_device devices[UW_DEVICES_MAX];
};

static int n_of_serial(const struct list *list, const char *serial) {
    int n = 0;

    for (int i = 0; i < list->n; i++)
        n += list->devices[i].kind == UW_DEVICE_RTLSDR &&
             strcmp(list->devices[i].serial, serial) == 0;
    return n;
}

static bool has_own_serial(const struct list *list, const struct uw_device *d) {
    return d->kind != UW_DEVICE_RTLSDR || (d->serial[0] && n_of_serial(list, d->serial) == 1);
}

static void advise_free(const struct list *list, const struct uw_device *d,
                        char advice[ADVICE_LEN]) {
    if (!has_own_serial(list, d))
        snprintf(
            advice, ADVICE_LEN,
            "Its serial number is not its own: rtl_eeprom -d %d -s NAME gives it one, from when "
            "it is plugged in again. Until then device = \"#%d\".",
            d->index, d->index);
    else if (strcmp(d->serial, DEFAULT_SERIAL) == 0)
        snprintf(
            advice, ADVICE_LEN,
            "Ready: device = \"%.40s\". The next dongle will have the same number: better give "
            "it a name (rtl_eeprom -d %d -s NAME).",
            d->serial, d->index);
    else
        snprintf(advice, ADVICE_LEN, "Ready: device = \"%.40s\".", d->serial);
}

static void advise(const struct list *list, const struct uw_device *d, char advice[ADVICE_LEN]) {
    const char *text = "";

    switch (d->state) {
    case UW_DEVICE_FREE:
        advise_free(list, d, advice);
        return;
    case UW_DEVICE_BUSY:
        text = "Another program has it (uaswatchd says in its health how it does), or the kernel's "
               "driver dvb_usb_rtl28xxu, which must be kept away.";
        break;
    case UW_DEVICE_FORBIDDEN:
        text =
            "This user may not open it: install the udev rule, or join the group plugdev and log "
            "in again.";
        break;
    case UW_DEVICE_BROKEN:
        text = "It cannot be opened: pull it out and put it back, try another port and cable.";
        break;
    case UW_DEVICE_GONE:
        text = "It has just been pulled out.";
        break;
    case UW_DEVICE_UNTRIED:
        snprintf(advice, ADVICE_LEN, "For type = \"soapy\": device = \"%.120s\".", d->device);
        return;
    }
    snprintf(advice, ADVICE_LEN, "%s", text);
}

static void print_table(const struct list *list) {
    if (list->n == 0) {
        printf(
            "No receiver is found. Plug one in, look at its cable and hub; in a virtual machine "
            "hand it\nthrough. \"lsusb\" shows whether the system sees it (most are 0bda:2838).\n");
        return;
    }
    printf("%-3s  %-16s  %-26s  %-8s  %s\n", "#", "SERIAL", "NAME", "TUNER", "STATE");
    for (int i = 0; i < list->n; i++) {
        const struct uw_device *d = &list->devices[i];
        char advice[ADVICE_LEN];

        advise(list, d, advice);
        printf("%-3d  ", d->index);
        uw_cli_print_cell(stdout, d->serial[0] ? d->serial : "?", 16);
        printf("  ");
        uw_cli_print_cell(stdout, d->name, 26);
        printf("  %-8s  %s\n     %s\n", d->tuner[0] ? d->tuner : "?", state_names[d->state],
               advice);
    }
}

static void print_json(const struct list *list) {
    for (int i = 0; i < list->n; i++) {
        const struct uw_device *d = &list->devices[i];
        char advice[ADVICE_LEN];
        json_t *o;

        advise(list, d, advice);
        o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:s}", "type", "device", "kind",
                      kind_names[d->kind], "index", d->index, "name", d->name, "state",
                      state_names[d->state], "own_serial", has_own_serial(list, d), "advice",
                      advice);
        if (!o) /* a name that is no UTF-8 */
            continue;
        if (d->serial[0])
            json_object_set_new(o, "serial", json_string(d->serial));
        if (d->tuner[0])
            json_object_set_new(o, "tuner", json_string(d->tuner));
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    }
}

/* What strange bytes a dongle may have in its memory is nobody's to print. */
static void clean(char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* -EOPNOTSUPP if there is no library that could look. */
static int look(struct list *list) {
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int more = 0, r, r_soapy;

    if (saved >= 0 && null >= 0)
        dup2(null, STDERR_FILENO);
    r = uw_devices_rtlsdr(list->devices, UW_DEVICES_MAX, &list->n);
    r_soapy = uw_devices_soapy(list->devices + list->n, UW_DEVICES_MAX - list->n, &more);
    list->n += more;
    if (saved >= 0) {
        dup2(saved, STDERR_FILENO);
        close(saved);
    }
    if (null >= 0)
        close(null);
    for (int i = 0; i < list->n; i++) {
        clean(list->devices[i].serial);
        clean(list->devices[i].name);
        clean(list->devices[i].device);
    }
    list->without_rtlsdr = r != 0;
    return r && r_soapy ? r : 0;
}

int uw_cmd_devices(int argc, char **argv) {
    struct list list = {0};
    bool json = false;
    const char *arg;
    int first, id;

    while ((id = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0)
        json |= id == 'j';
    if (id == UW_CLI_HELP)
        return UW_EXIT_OK;
    if (id == UW_CLI_BAD)
        return UW_EXIT_USAGE;
    if (first < argc)
        return uw_cli_usage_error("devices", "\"%s\" is too much", argv[first]);
    if (look(&list) == -EOPNOTSUPP) {
        fprintf(stderr,
                "error: this uaswatch was built without librtlsdr; install librtlsdr-dev and "
                "build it again, or use a server (type \"rtl_tcp\")\n");
        return UW_EXIT_INPUT;
    }
    if (list.without_rtlsdr)
        fprintf(stderr, "warning: this uaswatch was built without librtlsdr and sees no dongles\n");
    if (json)
        print_json(&list);
    else
        print_table(&list);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}
