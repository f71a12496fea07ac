/* SPDX-License-Identifier: MIT */
/* Small text helpers of the driver: formatting, base64 as the guest agent speaks it, sleeping. */
#include "kvm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* NULL if there is no memory. */
char *kvm_format(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return text;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *kvm_base64(const void *bytes, size_t count)
{
	const unsigned char *in = bytes;
	char *text = malloc((count + 2) / 3 * 4 + 1), *out = text;
	if (!text)
		return NULL;
	for (size_t i = 0; i < count; i += 3) {
		unsigned long group = (unsigned long)in[i] << 16;
		if (i + 1 < count)
			group |= (unsigned long)in[i + 1] << 8;
		if (i + 2 < count)
			group |= in[i + 2];
		*out++ = alphabet[group >> 18 & 63];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = i + 1 < count ? alphabet[group >> 6 & 63] : '=';
		*out++ = i + 2 < count ? alphabet[group & 63] : '=';
	}
	*out = '\0';
	return text;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void *kvm_unbase64(const char *text, size_t *count)
{
	size_t length = strlen(text);
	unsigned char *bytes = malloc(length / 4 * 3 + 1), *out = bytes;
	if (!bytes)
		return NULL;
	if (length % 4 != 0)
		goto error_text;
	for (size_t i = 0; i < length; i += 4) {
		bool last = i + 4 == length;
		int pad = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
		unsigned long group = 0;
		for (int j = 0; j < 4; j++) {
			int value = j >= 4 - pad ? 0 : digit(text[i + (size_t)j]);
			if (value < 0)
				goto error_text;
			group = group << 6 | (unsigned long)value;
		}
		*out++ = (unsigned char)(group >> 16);
		if (pad < 2)
			*out++ = (unsigned char)(group >> 8);
		if (pad < 1)
			*out++ = (unsigned char)group;
	}
	*count = (size_t)(out - bytes);
	*out = '\0';
	return bytes;
error_text:
	free(bytes);
	return NULL;
}

int kvm_sleep_until(int64_t when_ns)
{
	struct timespec when = {.tv_sec = (time_t)(when_ns / KVM_SECOND),
	                        .tv_nsec = (long)(when_ns % KVM_SECOND)};
	int error;
	do
		error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
	while (error == EINTR);
	return error;
}

uint64_t kvm_hash(const char *text, uint64_t seed)
{
	uint64_t hash = UINT64_C(14695981039346656037) + seed;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	/* The last characters have reached few bits yet: mixed as in MurmurHash3. */
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ hash >> 33;
}

/* An address of QEMU's range that follows from the VM's name, so that it is stable. */
void kvm_mac(const char *name, size_t index, unsigned char mac[6])
{
	uint64_t hash = kvm_hash(name, index);
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = 0x00;
	mac[3] = (unsigned char)(hash >> 16);
	mac[4] = (unsigned char)(hash >> 32);
	mac[5] = (unsigned char)(hash >> 48);
}
