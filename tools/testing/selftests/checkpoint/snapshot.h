/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that a process can see of itself, as a text to compare: what must not differ
 * where a call has failed.
 */
#ifndef __CKPT_SNAPSHOT_H
#define __CKPT_SNAPSHOT_H

#include "ckpt_util.h"

struct snapshot {
	char text[256 * 1024];
	size_t len;
};

static inline void snap_put(struct snapshot *s, const void *data, size_t len)
{
	if (len > sizeof(s->text) - s->len)
		len = sizeof(s->text) - s->len;
	memcpy(s->text + s->len, data, len);
	s->len += len;
}

static inline void snap_file(struct snapshot *s, const char *path)
{
	int fd = open(path, O_RDONLY);
	static char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		snap_put(s, buf, n);
	close(fd);
}

/* Whether it has what all processes of the user have together: signals in queues. */
static bool snapshot_of_user = true;

/* Lines of status that tell of what a restart replaces. */
static inline void snap_status(struct snapshot *s)
{
	static const char * const fields[] = {
		"Name:", "Umask:", "Tgid:", "Pid:", "PPid:", "TracerPid:", "Uid:",
		"Gid:", "FDSize:", "Groups:", "Threads:", "SigPnd:",
		"ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapInh:", "CapPrm:",
		"CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:",
		"VmLck:", "VmSize:",
		/* The last one. */
		"SigQ:",
	};
	static struct snapshot all;
	char *line, *save;
	size_t i;

	all.len = 0;
	snap_file(&all, "/proc/self/status");
	all.text[all.len] = '\0';
	for (line = strtok_r(all.text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		for (i = 0; i < ARRAY_SIZE(fields) - !snapshot_of_user; i++)
			if (!strncmp(line, fields[i], strlen(fields[i])))
				snap_put(s, line, strlen(line));
}

static char marked[3 * 4096];

static inline void take_snapshot(struct snapshot *s)
{
	char path[64], link[PATH_MAX];
	struct sigaction sa;
	stack_t ss = { 0 };
	int i, *tid = NULL;
	__u32 crc;

	s->len = 0;
	snap_file(s, "/proc/self/maps");
	snap_status(s);
	snap_file(s, "/proc/self/cmdline");
	snap_file(s, "/proc/self/auxv");
	for (i = 0; i < 64; i++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		n = readlink(path, link, sizeof(link));
		snap_put(s, &n, sizeof(n));
		if (n > 0)
			snap_put(s, link, n);
		if (n > 0) {
			long v[3] = {
				fcntl(i, F_GETFD), fcntl(i, F_GETFL),
				i == 20 ? lseek(i, 0, SEEK_CUR) : 0,
			};

			snap_put(s, v, sizeof(v));
		}
	}
	if (getcwd(link, sizeof(link)))
		snap_put(s, link, strlen(link));
	for (i = 1; i <= SIGRTMAX; i++) {
		memset(&sa, 0, sizeof(sa));
		if (!sigaction(i, NULL, &sa))
			snap_put(s, &sa.sa_handler, sizeof(sa.sa_handler));
	}
	sigaltstack(NULL, &ss);
	snap_put(s, &ss.ss_sp, sizeof(ss.ss_sp));
	prctl(PR_GET_TID_ADDRESS, &tid);
	snap_put(s, &tid, sizeof(tid));
	crc = crc32c(marked, sizeof(marked));
	snap_put(s, &crc, sizeof(crc));
}

/* Are these the same? If not, @text gets where they differ. */
static inline bool same_snapshots(const struct snapshot *a, const struct snapshot *b,
				  char *text, size_t size)
{
	size_t at = 0, from;

	if (a->len == b->len && !memcmp(a->text, b->text, a->len))
		return true;
	while (at < a->len && at < b->len && a->text[at] == b->text[at])
		at++;
	from = at > 40 ? at - 40 : 0;
	snprintf(text, size,
		 "the caller changed, at byte %zu of %zu and %zu: '%.100s' became '%.100s'",
		 at, a->len, b->len, a->text + from, b->text + from);
	return false;
}

#endif /* __CKPT_SNAPSHOT_H */
