// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that processes share since fork(2), until one of them writes to it: an
 * image has it once, it is shared after a restart, and nobody sees what another
 * writes.
 */
#include <sys/wait.h>

#include "subject.h"
#include "memory.h"
#include "craft.h"

#define HUGE (2 * MIB)
#define HOLE ((void *)0x10000000)

/* Relatives do what they are told by a byte, and answer with one. */

struct relative {
	pid_t pid;
	int to;
	int from;
};

/* What a relative does with a command; true if all is well. */
typedef bool (*doer)(char command);

static struct relative relative(doer does)
{
	struct relative r = { 0 };
	int to[2], from[2];
	char c;

	CHECK(!pipe(to) && !pipe(from));
	r.pid = fork();
	CHECK(r.pid >= 0);
	if (!r.pid) {
		close(to[1]);
		close(from[0]);
		while (read(to[0], &c, 1) == 1 && c != 'x') {
			c = does(c) ? 'y' : 'n';
			if (write(from[1], &c, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	r.to = to[1];
	r.from = from[0];
	return r;
}

static bool ask(struct relative *r, char command)
{
	char c = 0;

	return write(r->to, &command, 1) == 1 && read(r->from, &c, 1) == 1 && c == 'y';
}

static void dismiss(struct relative *r)
{
	int status;

	/* Its siblings have the other end as well. */
	CHECK(write(r->to, "x", 1) == 1);
	close(r->to);
	close(r->from);
	CHECK(waitpid(r->pid, &status, 0) == r->pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* What /proc says of the page of a process: where in the machine it is. */
static __u64 frame(pid_t pid, const char *p)
{
	char path[64];
	__u64 entry = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, 8, (unsigned long)p / PAGE * 8) == 8);
	close(fd);
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

/* How many pages two processes have in common: none is counted that is none. */
static unsigned long common(pid_t a, pid_t b, const char *p, size_t size)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; i < size; i += PAGE)
		n += frame(a, p + i) && frame(a, p + i) == frame(b, p + i);
	return n;
}

/* Memory that all relatives of a test have. */
static char *memory;
static size_t memory_size;
static unsigned int seed;

static void make_memory(size_t size)
{
	memory_size = size;
	seed = 1;
	memory = map_private(size);
	/* khugepaged would copy what is shared. */
	CHECK(!madvise(memory, size, MADV_NOHUGEPAGE));
	fill(memory, size, seed);
}

static unsigned long memory_pages(void)
{
	return memory_size / PAGE;
}

/* 'c'hecks all of the memory; 'w'rites all of it; 'h'alf, in every other page. */
static bool keeper(char command)
{
	static bool half;
	size_t i;

	switch (command) {
	case 'c':
		for (i = 0; i < memory_size; i += PAGE) {
			bool own = half && (i / PAGE) % 2;

			if (!filled(memory + i, PAGE, (own ? 77 : seed) + i))
				return false;
		}
		return true;
	case 'w':
		seed += 1000;
		fill(memory, memory_size, seed);
		half = false;
		return true;
	case 'h':
		half = true;
		for (i = PAGE; i < memory_size; i += 2 * PAGE)
			fill(memory + i, PAGE, 77 + i);
		return true;
	}
	return false;
}

SUBJECT_TEST(parent_and_child)
{
	struct relative child;

	make_memory(4 * MIB);
	child = relative(keeper);
	checkpoint_here();
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages());
	CHECK(keeper('c') && ask(&child, 'c'));
	/* To look at it has left it shared. */
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages());
	CHECK(keeper('w') && ask(&child, 'c') && keeper('c'));
	CHECK(!common(getpid(), child.pid, memory, memory_size));
	CHECK(ask(&child, 'w') && keeper('c') && ask(&child, 'c'));
	dismiss(&child);
}

SUBJECT_TEST(child_writes_first)
{
	struct relative child;

	make_memory(MIB);
	child = relative(keeper);
	checkpoint_here();
	CHECK(ask(&child, 'w'));
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w'));
	CHECK(keeper('c') && ask(&child, 'c'));
	dismiss(&child);
}

/* Every other page is one's own, so that no run is longer than one. */
SUBJECT_TEST(every_other_page)
{
	struct relative child;

	make_memory(8 * MIB);
	child = relative(keeper);
	CHECK(ask(&child, 'h'));
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages() / 2);
	checkpoint_here();
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages() / 2);
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w') && keeper('c') && ask(&child, 'c'));
	dismiss(&child);
}

/* Siblings have what the parent wrote over since. */
SUBJECT_TEST(siblings)
{
	struct relative a, b;

	make_memory(2 * MIB);
	a = relative(keeper);
	b = relative(keeper);
	CHECK(keeper('w'));
	CHECK(common(a.pid, b.pid, memory, memory_size) == memory_pages());
	CHECK(!common(getpid(), b.pid, memory, memory_size));
	checkpoint_here();
	CHECK(common(a.pid, b.pid, memory, memory_size) == memory_pages());
	CHECK(!common(getpid(), b.pid, memory, memory_size));
	CHECK(keeper('c') && ask(&a, 'c') && ask(&b, 'c'));
	CHECK(ask(&b, 'w') && ask(&a, 'c') && ask(&b, 'c') && keeper('c'));
	dismiss(&a);
	dismiss(&b);
}

/*
 * Some pages are those of all, some those of two siblings: the mappings of both are
 * children of the parent's, and the page is of neither's line.
 */
SUBJECT_TEST(family)
{
	struct relative a, b;
	size_t half;

	make_memory(2 * MIB);
	half = memory_size / 2;
	a = relative(keeper);
	b = relative(keeper);
	fill(memory, half, 5);
	checkpoint_here();
	CHECK(common(a.pid, b.pid, memory, memory_size) == memory_pages());
	CHECK(common(getpid(), b.pid, memory, memory_size) == memory_pages() / 2);
	CHECK(ask(&a, 'c') && ask(&b, 'c') && filled(memory, half, 5));
	/* The reverse map finds all of them: what is pushed out comes back. */
	CHECK(!madvise(memory, memory_size, MADV_PAGEOUT));
	CHECK(ask(&a, 'w') && ask(&b, 'c') && ask(&a, 'c'));
	CHECK(filled(memory, half, 5) && filled(memory + half, half, 1 + half));
	dismiss(&a);
	dismiss(&b);
}

/* Passes its commands in upper case on to a child of its own. */
static struct relative grandchild;

static bool forwarder(char command)
{
	if (command == 'f') {
		grandchild = relative(keeper);
		return true;
	}
	if (command == 'q') {
		dismiss(&grandchild);
		return true;
	}
	if (command >= 'A' && command <= 'Z')
		return ask(&grandchild, command - 'A' + 'a');
	return keeper(command);
}

SUBJECT_TEST(chain)
{
	struct relative child;
	size_t quarter;

	make_memory(4 * MIB);
	quarter = memory_size / 4;
	child = relative(forwarder);
	/* A part each generation has of its own, the rest is of all three. */
	CHECK(ask(&child, 'h') && ask(&child, 'f'));
	fill(memory, quarter, 9);
	checkpoint_here();
	CHECK(ask(&child, 'c') && ask(&child, 'C'));
	CHECK(filled(memory, quarter, 9));
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages() * 3 / 8);
	CHECK(ask(&child, 'w') && ask(&child, 'C') && ask(&child, 'c'));
	CHECK(ask(&child, 'W') && ask(&child, 'C') && ask(&child, 'c'));
	CHECK(filled(memory, quarter, 9));
	CHECK(filled(memory + quarter, PAGE, 1 + quarter));
	CHECK(ask(&child, 'q'));
	dismiss(&child);
}

/* Memory of a file that was written to. */
SUBJECT_TEST(private_file)
{
	struct relative child;
	int fd = open(in_dir("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && !ftruncate(fd, MIB));
	memory_size = MIB;
	seed = 1;
	memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(memory != MAP_FAILED);
	fill(memory, MIB, seed);
	child = relative(keeper);
	checkpoint_here();
	CHECK(common(getpid(), child.pid, memory, MIB) == MIB / PAGE);
	CHECK(ask(&child, 'c') && keeper('w') && ask(&child, 'c') && keeper('c'));
	dismiss(&child);
}

/* Protections of either side stay what they are. */
SUBJECT_TEST(protections)
{
	struct relative child;
	char *p;

	make_memory(MIB);
	p = map_private(4 * PAGE);
	fill(p, 4 * PAGE, 3);
	CHECK(!mprotect(p + PAGE, PAGE, PROT_NONE));
	CHECK(!mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	child = relative(keeper);
	checkpoint_here();
	CHECK(common(getpid(), child.pid, p, 4 * PAGE) >= 3);
	CHECK(!mprotect(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(filled(p, PAGE, 3) && filled(p + PAGE, PAGE, 3 + PAGE) &&
	      filled(p + 2 * PAGE, PAGE, 3 + 2 * PAGE));
	fill(p, 4 * PAGE, 4);
	CHECK(ask(&child, 'c'));
	dismiss(&child);
}

/* What the child has moved cannot be shared, but is right all the same. */
static bool mover(char command)
{
	char *to;

	if (command != 'm')
		return keeper(command);
	to = mmap(NULL, memory_size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		return false;
	to = mremap(memory, memory_size, memory_size, MREMAP_MAYMOVE | MREMAP_FIXED,
		    to + HUGE);
	if (to == MAP_FAILED)
		return false;
	memory = to;
	return true;
}

SUBJECT_TEST(moved)
{
	struct relative child;

	make_memory(3 * MIB);
	child = relative(mover);
	CHECK(ask(&child, 'm'));
	checkpoint_here();
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w') && ask(&child, 'c') && keeper('c'));
	CHECK(ask(&child, 'w') && ask(&child, 'c') && keeper('c'));
	dismiss(&child);
}

/* A huge page, of which the child may have mapped a part only. */
static bool thp_of(const char *p)
{
	return smaps_kib(p, "AnonHugePages:") > 0;
}

static bool make_huge(void)
{
	char *p = map_private(3 * HUGE);

	p = (char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	CHECK(!madvise(p, 2 * HUGE, MADV_HUGEPAGE));
	memory = p;
	memory_size = 2 * HUGE;
	seed = 1;
	fill(p, memory_size, seed);
	return thp_of(p);
}

static bool cutter(char command)
{
	switch (command) {
	case 't':
		return thp_of(memory);
	case 'u':
		memory_size = MIB;
		return !munmap(memory + MIB, HUGE + MIB);
	}
	return keeper(command);
}

SUBJECT_TEST(huge_pages)
{
	struct relative child;

	CHECK(make_huge());
	child = relative(cutter);
	CHECK(ask(&child, 't'));
	checkpoint_here();
	CHECK(common(getpid(), child.pid, memory, memory_size) == memory_pages());
	CHECK(thp_of(memory) && ask(&child, 't'));
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w') && ask(&child, 'c') && keeper('c'));
	CHECK(ask(&child, 'w') && ask(&child, 'c') && keeper('c'));
	dismiss(&child);
}

SUBJECT_TEST(part_of_a_huge_page)
{
	struct relative child;

	CHECK(make_huge());
	child = relative(cutter);
	CHECK(ask(&child, 'u'));
	checkpoint_here();
	CHECK(common(getpid(), child.pid, memory, MIB) == MIB / PAGE);
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w') && ask(&child, 'c') && keeper('c'));
	dismiss(&child);
}

/* Locked memory is never shared by a restart in a way that breaks the lock. */
SUBJECT_TEST(locked)
{
	struct relative child;

	make_memory(MIB);
	child = relative(keeper);
	CHECK(!mlock(memory, memory_size));
	checkpoint_here();
	CHECK(smaps_kib(memory, "Locked:") == MIB / 1024);
	CHECK(keeper('c') && ask(&child, 'c'));
	CHECK(keeper('w') && ask(&child, 'c') && keeper('c'));
	dismiss(&child);
}

/* What /proc counts is what it was: nobody has more than before. */
SUBJECT_TEST(accounting)
{
	struct relative a, b;
	long rss, shared;

	make_memory(4 * MIB);
	a = relative(keeper);
	b = relative(keeper);
	rss = smaps_kib(memory, "Rss:");
	shared = smaps_kib(memory, "Shared_Dirty:") + smaps_kib(memory, "Shared_Clean:");
	CHECK(rss == 4096 && shared == 4096);
	checkpoint_here();
	CHECK(smaps_kib(memory, "Rss:") == rss);
	CHECK(smaps_kib(memory, "Shared_Dirty:") + smaps_kib(memory, "Shared_Clean:") ==
	      shared);
	CHECK(smaps_kib(memory, "Anonymous:") == rss);
	CHECK(ask(&a, 'w') && ask(&b, 'w'));
	CHECK(smaps_kib(memory, "Private_Dirty:") == rss);
	CHECK(keeper('c') && ask(&a, 'c') && ask(&b, 'c'));
	dismiss(&a);
	dismiss(&b);
}

/* Images: how large they are, and what of them is refused */

FIXTURE(images)
{
	char none;
};

FIXTURE_SETUP(images)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
}

FIXTURE_TEARDOWN(images)
{
	remove_dir();
}

static unsigned long pages_in(struct walk *w)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; i < w->nr; i++) {
		struct cr_hdr_pages *pages = walk_payload(w, &w->recs[i]);

		if (w->recs[i].type == CR_HDR_PAGES)
			n += pages->nr_pages;
	}
	return n;
}

static unsigned long shared_in(struct walk *w)
{
	unsigned long n = 0;
	size_t i, j;

	for (i = 0; i < w->nr; i++) {
		struct cr_shared_extent *extents = walk_payload(w, &w->recs[i]);

		if (w->recs[i].type == CR_HDR_SHARED_EXTENTS)
			for (j = 0; j < w->recs[i].len / sizeof(*extents); j++)
				n += extents[j].nr_pages;
	}
	return n;
}

static int how_many;
static size_t how_much;

/* Some children that have all memory in common with their parent. */
static void with_children(void)
{
	int i;

	make_memory(how_much);
	for (i = 0; i < how_many; i++)
		relative(keeper);
	checkpoint_here();
}

/* Saves such a family. Returns the image, and how many ns that took. */
static struct walk save(struct __test_metadata *_metadata, int children, size_t size,
			long long *ns)
{
	struct subject s = { .metadata = _metadata };
	struct timespec before, after;
	struct walk w = { 0 };
	char said;

	how_many = children;
	how_much = size;
	if (!subject_start(&s, with_children, KILLED))
		return w;
	said = read_byte(s.out);
	EXPECT_EQ('r', said);
	EXPECT_TRUE(proc_wait_asleep(s.pid));
	clock_gettime(CLOCK_MONOTONIC, &before);
	EXPECT_LT(0, sys_checkpoint(s.pid, s.image, CHECKPOINT_KILL | CHECKPOINT_LOG, s.logfd));
	clock_gettime(CLOCK_MONOTONIC, &after);
	show_log(_metadata, s.logfd);
	*ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
	waitpid(s.pid, NULL, 0);
	EXPECT_TRUE(subject_reap());
	close(s.in);
	close(s.out);
	w = walk_file(s.image);
	EXPECT_EQ(NULL, w.wrong);
	close(s.image);
	close(s.logfd);
	return w;
}

TEST_F_TIMEOUT(images, once_in_the_image, 240)
{
	long long one_ns = LLONG_MAX, many_ns = LLONG_MAX, ns;
	unsigned long one = 0, many = 0, pages = 64 * MIB / PAGE;
	struct walk w;
	int i;

	for (i = 0; i < 2; i++) {
		w = save(_metadata, 0, 64 * MIB, &ns);
		one = pages_in(&w);
		one_ns = ns < one_ns ? ns : one_ns;
		EXPECT_EQ(0UL, shared_in(&w));
		EXPECT_LE(pages, one);
		walk_free(&w);

		w = save(_metadata, 8, 64 * MIB, &ns);
		many = pages_in(&w);
		many_ns = ns < many_ns ? ns : many_ns;
		/* All of it is in each of the others, and a few pages more. */
		EXPECT_LE(8 * pages, shared_in(&w));
		/* What each has of its own is its stack and the like. */
		EXPECT_GT(one + 8 * 64, many);
		walk_free(&w);
	}
	TH_LOG("one process: %lu pages, %lld us; with 8 children: %lu pages, %lld us",
	       one, one_ns / 1000, many, many_ns / 1000);
}

/* A page that is shared with a process outside of the tree is saved as any other. */
TEST_F_TIMEOUT(images, outside_of_the_tree, 120)
{
	struct subject s = { .metadata = _metadata };
	struct walk w;

	/* This test is the parent of the subject, and has this in common with it. */
	make_memory(4 * MIB);
	how_many = 0;
	how_much = MIB;
	ASSERT_TRUE(subject_start(&s, with_children, KILLED));
	EXPECT_EQ('r', read_byte(s.out));
	EXPECT_TRUE(proc_wait_asleep(s.pid));
	EXPECT_LT(0, sys_checkpoint(s.pid, s.image, CHECKPOINT_KILL, -1));
	waitpid(s.pid, NULL, 0);
	w = walk_file(s.image);
	EXPECT_EQ(NULL, w.wrong);
	EXPECT_LE(5 * MIB / PAGE, pages_in(&w));
	EXPECT_EQ(0UL, shared_in(&w));
	walk_free(&w);
	munmap(memory, memory_size);
	close(s.in);
	subject_close(&s);
}

/* The extents of two(): it has fewer than one record has. */
static struct cr_shared_extent *first_extent(struct walk *w)
{
	return walk_find(w, CR_HDR_SHARED_EXTENTS);
}

static struct cr_shared_extent *last_extent(struct walk *w)
{
	struct cr_hdr_shared *shared = walk_find(w, CR_HDR_SHARED);

	return shared ? first_extent(w) + shared->nr_extents - 1 : NULL;
}

/* Memory of both, below all other, that none of both has touched. */
static void map_hole(void)
{
	CHECK(mmap(HOLE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == HOLE);
}

static void two(void)
{
	struct relative child;

	make_memory(MIB);
	map_hole();
	child = relative(keeper);
	CHECK(ask(&child, 'c'));
	checkpoint_here();
	CHECK(ask(&child, 'c'));
}

#define CRAFT_SHARED(name, which, what) \
	static void craft_##name(struct cr_shared_extent *e); \
	static void walk_##name(struct walk *w) \
	{ \
		struct cr_shared_extent *e = which##_extent(w); \
		if (e) \
			craft_##name(e); \
	} \
	TEST_F_TIMEOUT(images, name, 120) \
	{ \
		restart_fails(_metadata, two, walk_##name, NULL, EINVAL, what); \
	} \
	static void craft_##name(struct cr_shared_extent *e)

CRAFT_SHARED(of_itself, first, "SHARED_EXTENTS: from_task 2 is over the limit of 1")
{
	e->from_task = 2;
}

CRAFT_SHARED(of_nobody, first, "SHARED_EXTENTS: from_task 0 is less than 1")
{
	e->from_task = 0;
}

CRAFT_SHARED(of_no_page, first, "SHARED: task 1 has no private page at 0x10000")
{
	e->from_start = 0x10000;
}

CRAFT_SHARED(no_pages, first, "SHARED_EXTENTS: nr_pages 0 is less than 1")
{
	e->nr_pages = 0;
}

CRAFT_SHARED(beyond_everything, last, "SHARED_EXTENTS: end ")
{
	e->nr_pages = ~0U;
}

/* The last are those of the stack; what is behind it is not private. */
CRAFT_SHARED(too_many, last, "SHARED: task 1 has no private page at 0x7ff")
{
	e->nr_pages += 65536;
}

CRAFT_SHARED(never_touched, first, "SHARED: task 1 has no private page at 0x10000000")
{
	e->start = (unsigned long)HOLE;
	e->from_start = e->start;
	e->nr_pages = 1;
}

/* Likewise where pages are copied. */
CRAFT_SHARED(never_touched_elsewhere, first,
	     "SHARED: task 1 has no private page at 0x10000000")
{
	e->from_start = (unsigned long)HOLE;
	e->nr_pages = 1;
}

CRAFT_SHARED(to_no_mapping, first, "is not within one private mapping")
{
	e->start = 0x10000;
	e->nr_pages = 1;
}

CRAFT_SHARED(odd_address, first, "SHARED_EXTENTS: from_start")
{
	e->from_start |= 8;
}

CRAFT_SHARED(beyond_user_memory, first, "beyond what a process can have")
{
	e->from_start = 0xffff888000000000ULL;
}

/* Pages of code that nobody has written to are none of the process. */
static void walk_of_a_file(struct walk *w)
{
	struct cr_hdr_mm *mm = walk_payload(w, walk_nth(w, CR_HDR_MM, 0));
	struct cr_shared_extent *e = first_extent(w);

	if (e) {
		e->from_start = mm->start_code & ~(PAGE - 1);
		e->nr_pages = 1;
	}
}

TEST_F_TIMEOUT(images, of_a_file, 120)
{
	restart_fails(_metadata, two, walk_of_a_file, NULL, EINVAL,
		      "SHARED: task 1 has no private page at ");
}

/* What is there twice: the pages of the child's own are where the shared ones are. */
static void walk_twice(struct walk *w)
{
	struct cr_shared_extent *e = first_extent(w);
	struct cr_extent *extent;
	struct rec *r;
	int i;

	for (i = 0; e && (r = walk_nth(w, CR_HDR_PAGES, i)); i++) {
		struct cr_hdr_pages *pages = walk_payload(w, r);

		if (pages->task != 2)
			continue;
		extent = walk_payload(w, r + 1);
		e->start = extent->start;
		e->nr_pages = 1;
		return;
	}
}

TEST_F_TIMEOUT(images, twice, 120)
{
	restart_fails(_metadata, two, walk_twice, NULL, EINVAL, "");
}

TEST_HARNESS_MAIN
