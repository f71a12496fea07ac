/* SPDX-License-Identifier: MIT */
/*
 * What `fio --output-format=json` prints. All or nothing: another job than was ordered, an error, a
 * figure that is missing or no number, and there are no figures, but a reason.
 */
#ifndef NOVACORE_STORAGE_FIO_H
#define NOVACORE_STORAGE_FIO_H

#include <stddef.h>

struct storage_job {
	const char *name; /* as given to fio */
	int writes;       /* which of its two halves counts */
};

struct storage_figures {
	double bytes_per_s, per_s; /* of all its threads */
	double p50_s, p99_s;       /* from the submission to the completion of one request */
};

/*
 * @param text need not end with a NUL; parsing takes time and memory linear in `bytes`
 * @param figures takes `count` of them; unchanged after a failure
 * @param why takes the reason, half a sentence, at most `room` bytes with its NUL
 * @return 0, or -1
 */
int storage_read_fio(const char *text, size_t bytes, const struct storage_job *jobs, size_t count,
                     struct storage_figures *figures, char *why, size_t room);

#endif
