/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection (Documentation/fault-injection): the N-th allocation of a task is
 * failed.
 */
#ifndef __CKPT_FAULT_H
#define __CKPT_FAULT_H

#include "ckpt_util.h"

#include <dirent.h>

/* More than any call allocates: then it is a call that never succeeds. */
#define NTH_MAX 10000000

#define DEBUGFS "/sys/kernel/debug/"

/*
 * All allocations that may fail, of pages too, and no dump of the stack for
 * each. The probabilities stay 0: nobody but who arms himself is hit.
 */
static struct knob {
	const char *path;
	const char *value;
	char old[16];
} knobs[] = {
	{ .path = DEBUGFS "failslab/ignore-gfp-wait", .value = "N" },
	{ .path = DEBUGFS "failslab/cache-filter", .value = "Y" },
	{ .path = DEBUGFS "failslab/verbose", .value = "0" },
	{ .path = DEBUGFS "fail_page_alloc/ignore-gfp-wait", .value = "N" },
	{ .path = DEBUGFS "fail_page_alloc/ignore-gfp-highmem", .value = "N" },
	{ .path = DEBUGFS "fail_page_alloc/min-order", .value = "0" },
	{ .path = DEBUGFS "fail_page_alloc/verbose", .value = "0" },
	{ .path = DEBUGFS "fail_usercopy/verbose", .value = "0" },
};

static inline bool swap_file(const char *path, const char *value, char *old, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n;
	bool ok;

	if (fd < 0)
		return false;
	n = old ? read(fd, old, size - 1) : 0;
	if (old && n >= 0)
		old[n] = '\0';
	ok = n >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return ok;
}

/*
 * Whether all caches of objects are hit; but those never are with which the
 * kernel watches itself: to do without them is not what is asked here, and would
 * be most of what happens.
 */
static inline void hit_caches(const char *yes)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *d;
	char path[320];

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || !strncmp(d->d_name, "kmemleak", 8) ||
		    !strncmp(d->d_name, "debug_objects", 13))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", d->d_name);
		swap_file(path, yes, NULL, 0);
	}
	if (dir)
		closedir(dir);
}

static inline bool set_knobs(void)
{
	size_t i;

	hit_caches("1");
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!swap_file(knobs[i].path, knobs[i].value, knobs[i].old,
			       sizeof(knobs[i].old)))
			return false;
	return true;
}

static inline void reset_knobs(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (knobs[i].old[0])
			swap_file(knobs[i].path, knobs[i].old, NULL, 0);
	hit_caches("0");
}

/* Opened by the task that is going to be hit. */
static inline int open_fail_nth(void)
{
	return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

/* Lets the @n-th allocation from now on fail; 0 is none. */
static inline void arm(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What is copied from a user counts, too, and so may fail here, once. */
	if (write(fd, text, len) != len &&
	    (errno != EFAULT || write(fd, text, len) != len))
		_exit(90);
}

/* Ends that: how many allocations were left; 0 if one was failed. */
static inline unsigned int disarm(int fd)
{
	char text[16] = { 0 };
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	/* The last one that was left was the copy of this number. */
	if (n < 0 && errno == EFAULT)
		return 1;
	if (n <= 0)
		_exit(91);
	arm(fd, 0);
	return atoi(text);
}

/*
 * Errors that say that there is no memory. The kernel makes ENFILE of it for a
 * pipe, ENOSPC for a file in memory, EAGAIN for a signal in a queue, and ENOLCK for
 * a lock.
 */
static inline bool says_no_memory(int err)
{
	return err == ENOMEM || err == ENFILE || err == ENOSPC || err == EAGAIN ||
	       err == ENOLCK;
}

#endif /* __CKPT_FAULT_H */
