/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_STANDIN_API_H
#define UW_STANDIN_API_H

/*
 * The binary interface of librtlsdr 0.6.0, written down for a library that stands in for it
 *
 * Names, types and return values are those of rtl-sdr.h (osmocom, rtl-sdr). Not included from
 * there, so that the stand-in can be built without it; a test compares the symbols of both.
 */

#include <stdint.h>

#define STANDIN_API __attribute__((visibility("default")))

typedef struct rtlsdr_dev rtlsdr_dev_t;
typedef void (*rtlsdr_read_async_cb_t)(unsigned char *buf, uint32_t len, void *ctx);

/* clang-format off */
STANDIN_API uint32_t rtlsdr_get_device_count(void);
STANDIN_API const char *rtlsdr_get_device_name(uint32_t index);
STANDIN_API int rtlsdr_get_device_usb_strings(uint32_t index, char *manufact, char *product, char *serial);
STANDIN_API int rtlsdr_get_index_by_serial(const char *serial);
STANDIN_API int rtlsdr_open(rtlsdr_dev_t **dev, uint32_t index);
STANDIN_API int rtlsdr_close(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_xtal_freq(rtlsdr_dev_t *dev, uint32_t rtl_freq, uint32_t tuner_freq);
STANDIN_API int rtlsdr_get_xtal_freq(rtlsdr_dev_t *dev, uint32_t *rtl_freq, uint32_t *tuner_freq);
STANDIN_API int rtlsdr_get_usb_strings(rtlsdr_dev_t *dev, char *manufact, char *product, char *serial);
STANDIN_API int rtlsdr_write_eeprom(rtlsdr_dev_t *dev, uint8_t *data, uint8_t offset, uint16_t len);
STANDIN_API int rtlsdr_read_eeprom(rtlsdr_dev_t *dev, uint8_t *data, uint8_t offset, uint16_t len);
STANDIN_API int rtlsdr_set_center_freq(rtlsdr_dev_t *dev, uint32_t freq);
STANDIN_API uint32_t rtlsdr_get_center_freq(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_freq_correction(rtlsdr_dev_t *dev, int ppm);
STANDIN_API int rtlsdr_get_freq_correction(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_get_tuner_type(rtlsdr_dev_t *dev); /* an enum there */
STANDIN_API int rtlsdr_get_tuner_gains(rtlsdr_dev_t *dev, int *gains);
STANDIN_API int rtlsdr_set_tuner_gain(rtlsdr_dev_t *dev, int gain);
STANDIN_API int rtlsdr_set_tuner_bandwidth(rtlsdr_dev_t *dev, uint32_t bw);
STANDIN_API int rtlsdr_get_tuner_gain(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_tuner_if_gain(rtlsdr_dev_t *dev, int stage, int gain);
STANDIN_API int rtlsdr_set_tuner_gain_mode(rtlsdr_dev_t *dev, int manual);
STANDIN_API int rtlsdr_set_sample_rate(rtlsdr_dev_t *dev, uint32_t rate);
STANDIN_API uint32_t rtlsdr_get_sample_rate(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_testmode(rtlsdr_dev_t *dev, int on);
STANDIN_API int rtlsdr_set_agc_mode(rtlsdr_dev_t *dev, int on);
STANDIN_API int rtlsdr_set_direct_sampling(rtlsdr_dev_t *dev, int on);
STANDIN_API int rtlsdr_get_direct_sampling(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_offset_tuning(rtlsdr_dev_t *dev, int on);
STANDIN_API int rtlsdr_get_offset_tuning(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_reset_buffer(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_read_sync(rtlsdr_dev_t *dev, void *buf, int len, int *n_read);
STANDIN_API int rtlsdr_wait_async(rtlsdr_dev_t *dev, rtlsdr_read_async_cb_t cb, void *ctx);
STANDIN_API int rtlsdr_read_async(rtlsdr_dev_t *dev, rtlsdr_read_async_cb_t cb, void *ctx, uint32_t buf_num, uint32_t buf_len);
STANDIN_API int rtlsdr_cancel_async(rtlsdr_dev_t *dev);
STANDIN_API int rtlsdr_set_bias_tee(rtlsdr_dev_t *dev, int on);
STANDIN_API int rtlsdr_set_bias_tee_gpio(rtlsdr_dev_t *dev, int gpio, int on);
/* clang-format on */

/* Not of librtlsdr: the time is the test's from the first use on. wait() returns at `until`, or at
 * the next wake(). */
struct standin_clock {
    double (*now_s)(void *userdata);
    void (*wait)(void *userdata, double until_s);
    void (*wake)(void *userdata);
    void *userdata;
};
STANDIN_API void standin_use_clock(const struct standin_clock *clock);

#endif
