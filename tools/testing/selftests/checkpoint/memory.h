/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For subjects that look at their memory: contents that are known, and what
 * /proc shows of mappings.
 */
#ifndef __CKPT_MEMORY_H
#define __CKPT_MEMORY_H

#include "proc.h"

#define PAGE 4096UL
#define MIB (1024 * 1024UL)

static inline char *map(size_t size, int prot, int flags)
{
	char *p = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline char *map_private(size_t size)
{
	return map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

/* Contents that are others in each page, and at each time. */
static inline void fill(char *p, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i += 8) {
		__u64 v = (i + seed) * 0x9e3779b97f4a7c15ULL;

		memcpy(p + i, &v, 8);
	}
}

static inline bool filled(const char *p, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i += 8) {
		__u64 v = (i + seed) * 0x9e3779b97f4a7c15ULL;

		if (memcmp(p + i, &v, 8))
			return false;
	}
	return true;
}

static inline bool zero(const char *p, size_t size)
{
	return !*p && !memcmp(p, p + 1, size - 1);
}

/* What /proc shows of the caller's mappings, as far as it must come back */

static char proc_text[2 * MIB];

static inline size_t read_proc(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	CHECK(fd >= 0);
	n = read_all(fd, proc_text, sizeof(proc_text) - 1);
	CHECK(n >= 0 && n < (ssize_t)sizeof(proc_text) - 1);
	close(fd);
	proc_text[n] = '\0';
	return n;
}

/* A mapping, and a name for all that is known of it but where it is. */
struct mapping {
	unsigned long start, end;
	char what[400];
};

/* A line of maps: memory without a path is another inode afterwards. */
static inline void take_mapping(struct mapping *m, char *line)
{
	char perms[8], offset[32], dev[16], inode[32];
	int path = 0;

	CHECK(sscanf(line, "%lx-%lx %7s %31s %15s %31s %n", &m->start, &m->end,
		     perms, offset, dev, inode, &path) == 6);
	if (strstr(line + path, "(deleted)"))
		put_text(dev, "-");
	CHECK(snprintf(m->what, sizeof(m->what), "%s %s %s %s %s", perms, offset,
		       dev, strcmp(dev, "-") ? inode : "-",
		       line + path) < (int)sizeof(m->what));
}

/*
 * Puts a mapping into @to. What fork(2) has kept apart may become one mapping
 * where nothing else is the difference: memory of no file.
 */
static inline void put_mapping(char **to, struct mapping *last, const struct mapping *m)
{
	if (last->end == m->start && strstr(m->what, " 00:00 0 ") &&
	    !strcmp(last->what, m->what)) {
		last->end = m->end;
		return;
	}
	if (last->end)
		*to += sprintf(*to, "%lx-%lx %s\n", last->start, last->end,
			       last->what);
	*last = *m;
}

/* Mappings with their flags, into @to. */
static inline void read_mappings(char *to, size_t size)
{
	struct mapping last = { 0 }, m = { 0 }, none = { .start = 1 };
	char *line, *save, *end = to + size, *p;
	size_t len;

	read_proc("/proc/self/smaps");
	for (line = strtok_r(proc_text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		CHECK(end - to > 1024);
		len = strlen(m.what);
		if ((line[0] >= '0' && line[0] <= '9') ||
		    (line[0] >= 'a' && line[0] <= 'f')) {
			take_mapping(&m, line);
		} else if (!strncmp(line, "VmFlags:", 8)) {
			/* Written to since somebody asked for it to be told. */
			p = strstr(line, " sd");
			if (p)
				memmove(p, p + 3, strlen(p + 3) + 1);
			snprintf(m.what + len, sizeof(m.what) - len, " %s", line);
			put_mapping(&to, &last, &m);
		} else if (!strncmp(line, "ProtectionKey:", 14)) {
			snprintf(m.what + len, sizeof(m.what) - len, " %s", line);
		}
	}
	put_mapping(&to, &last, &none);
	*to = '\0';
}

static char mappings[2][MIB];

/* As checkpoint_here(), and all mappings are as they were. */
static inline void checkpoint_and_compare(void)
{
	char *a = mappings[0], *b = mappings[1];

	/* Twice: to read is to touch memory, which the first time may map. */
	read_mappings(a, MIB);
	read_mappings(a, MIB);
	checkpoint_here();
	read_mappings(b, MIB);
	if (!strcmp(a, b))
		return;
	while (*a && *a == *b) {
		a++;
		b++;
	}
	while (a > mappings[0] && a[-1] != '\n') {
		a--;
		b--;
	}
	dprintf(1, "mappings differ: '%.*s' became '%.*s'\n",
		(int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
	_exit(1);
}

/* A number from such a line of smaps, of the mapping at @p, in KiB. */
static inline long smaps_kib(const char *p, const char *field)
{
	char *line, *save;
	unsigned long start, end;
	bool here = false;

	read_proc("/proc/self/smaps");
	for (line = strtok_r(proc_text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (unsigned long)p >= start && (unsigned long)p < end;
		else if (here && !strncmp(line, field, strlen(field)))
			return strtol(line + strlen(field), NULL, 10);
	}
	return -1;
}

#endif /* __CKPT_MEMORY_H */
