// SPDX-License-Identifier: GPL-2.0
/*
 * What memory has besides its contents: guard regions, locks that wait for a
 * fault, memory that may be dropped, pages that KSM has merged, seals, names.
 */
#include "subject.h"
#include "memory.h"
#include "craft.h"

#include <sys/random.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

/* To touch it is fatal: a system call says so. */
static bool guarded(const char *p)
{
	char path[PATH_MAX];

	return syscall(SYS_readlinkat, AT_FDCWD, p, path, sizeof(path)) == -1 &&
	       errno == EFAULT;
}

static char *guards(size_t pages)
{
	char *p = map_private(pages * PAGE);

	fill(p, pages * PAGE, 5);
	CHECK(!madvise(p + 3 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL));
	CHECK(!madvise(p + 9 * PAGE, PAGE, MADV_GUARD_INSTALL));
	return p;
}

static void guards_are_there(char *p, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		bool guard = (i >= 3 && i < 6) || i == 9;

		CHECK(guarded(p + i * PAGE) == guard);
		CHECK(guard || filled(p + i * PAGE, PAGE, 5 + i * PAGE));
	}
}

SUBJECT_TEST(guard_regions)
{
	char *p = map_private(16 * PAGE);
	size_t i;

	for (i = 0; i < 16; i++)
		fill(p + i * PAGE, PAGE, 5 + i * PAGE);
	CHECK(!madvise(p + 3 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL));
	CHECK(!madvise(p + 9 * PAGE, PAGE, MADV_GUARD_INSTALL));
	checkpoint_and_compare();
	guards_are_there(p, 16);
	/* They can be removed, and then there are zeros. */
	CHECK(!madvise(p, 16 * PAGE, MADV_GUARD_REMOVE));
	CHECK(zero(p + 3 * PAGE, 3 * PAGE) && zero(p + 9 * PAGE, PAGE));
	p[3 * PAGE] = 1;
}

/* Nothing of it was ever touched, and it is larger than all page tables. */
SUBJECT_TEST(guard_regions_in_a_hole)
{
	size_t size = 1UL << 40;
	char *p = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);

	CHECK(!madvise(p, PAGE, MADV_GUARD_INSTALL));
	/* Over the end of a page table. */
	CHECK(!madvise(p + size / 2 - 4 * MIB, 8 * MIB, MADV_GUARD_INSTALL));
	CHECK(!madvise(p + size - PAGE, PAGE, MADV_GUARD_INSTALL));
	checkpoint_and_compare();
	CHECK(guarded(p) && !guarded(p + PAGE));
	CHECK(!guarded(p + size / 2 - 4 * MIB - PAGE));
	CHECK(guarded(p + size / 2 - 4 * MIB) && guarded(p + size / 2));
	CHECK(guarded(p + size / 2 + 4 * MIB - PAGE));
	CHECK(!guarded(p + size / 2 + 4 * MIB));
	CHECK(guarded(p + size - PAGE) && !guarded(p + size - 2 * PAGE));
}

/* A region does not end where a mapping does. */
SUBJECT_TEST(guard_regions_over_two_mappings)
{
	char *p = map_private(8 * PAGE);

	fill(p, 8 * PAGE, 3);
	CHECK(!mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ));
	CHECK(!madvise(p + 2 * PAGE, 4 * PAGE, MADV_GUARD_INSTALL));
	checkpoint_and_compare();
	CHECK(!guarded(p + PAGE) && guarded(p + 2 * PAGE));
	CHECK(guarded(p + 5 * PAGE) && !guarded(p + 6 * PAGE));
}

SUBJECT_TEST(guard_regions_of_files)
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);
	char *shared, *private, *anon;

	CHECK(fd >= 0 && !ftruncate(fd, 8 * PAGE));
	shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	anon = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	fill(shared, 8 * PAGE, 1);
	fill(anon, 8 * PAGE, 2);
	CHECK(!madvise(shared + PAGE, PAGE, MADV_GUARD_INSTALL));
	CHECK(!madvise(private + 2 * PAGE, PAGE, MADV_GUARD_INSTALL));
	CHECK(!madvise(anon + 3 * PAGE, PAGE, MADV_GUARD_INSTALL));
	checkpoint_and_compare();
	CHECK(guarded(shared + PAGE) && !guarded(shared + 2 * PAGE));
	CHECK(guarded(private + 2 * PAGE) && !guarded(private + PAGE));
	CHECK(guarded(anon + 3 * PAGE) && !guarded(anon + 2 * PAGE));
	/* What is behind them is still there. */
	CHECK(!madvise(anon, 8 * PAGE, MADV_GUARD_REMOVE));
	CHECK(!madvise(shared, 8 * PAGE, MADV_GUARD_REMOVE));
	CHECK(filled(anon, 8 * PAGE, 2) && filled(shared, 8 * PAGE, 1));
}

/* Locked afterwards, which says ENOMEM and does it; and sealed. */
SUBJECT_TEST(guard_regions_locked_and_sealed)
{
	char *p = map_private(8 * PAGE);

	fill(p, 8 * PAGE, 7);
	CHECK(!madvise(p + 4 * PAGE, PAGE, MADV_GUARD_INSTALL));
	CHECK(mlock(p, 8 * PAGE) == -1 && errno == ENOMEM);
	CHECK(!mprotect(p, 8 * PAGE, PROT_READ));
	CHECK(!syscall(SYS_mseal, p, 8 * PAGE, 0));
	checkpoint_and_compare();
	CHECK(guarded(p + 4 * PAGE) && filled(p, 4 * PAGE, 7));
	CHECK(munmap(p, PAGE) == -1 && errno == EPERM);
}

SUBJECT_TEST(droppable)
{
	char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	char *next = map(4 * PAGE, PROT_READ, MAP_PRIVATE);

	CHECK(p != MAP_FAILED);
	fill(p, 16 * PAGE, 1);
	checkpoint_and_compare();
	/* Page by page it has its contents, or none. */
	CHECK(zero(p, PAGE) || filled(p, PAGE, 1));
	fill(p, 16 * PAGE, 2);
	CHECK(filled(p, 16 * PAGE, 2));
	CHECK(zero(next, 4 * PAGE));
}

/* By way of the vDSO, where the C library uses that, with droppable memory. */
SUBJECT_TEST(random_numbers)
{
	unsigned char before[64], after[64];

	CHECK(getrandom(before, sizeof(before), 0) == sizeof(before));
	checkpoint_here();
	CHECK(getrandom(after, sizeof(after), 0) == sizeof(after));
	CHECK(memcmp(before, after, sizeof(before)));
}

SUBJECT_TEST(locked_on_fault)
{
	char *p = map_private(16 * PAGE);

	CHECK(!mlock2(p, 16 * PAGE, MLOCK_ONFAULT));
	fill(p, 4 * PAGE, 1);
	checkpoint_and_compare();
	/* What was not there is not brought in. */
	CHECK(smaps_kib(p, "Rss:") == 16);
	CHECK(smaps_kib(p, "Locked:") == 16);
	CHECK(filled(p, 4 * PAGE, 1));
	p[8 * PAGE] = 1;
	CHECK(smaps_kib(p, "Locked:") == 20);
}

SUBJECT_TEST(all_locked_on_fault)
{
	char *p = map_private(16 * PAGE), *q;

	fill(p, 4 * PAGE, 1);
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	checkpoint_here();
	CHECK(smaps_kib(p, "Locked:") == 16);
	/* Shared, so that it is no part of the mapping before. */
	q = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(smaps_kib(q, "Rss:") == 0);
	q[0] = 1;
	CHECK(smaps_kib(q, "Locked:") == 4);
	CHECK(!munlockall());
}

/* Pages that were merged come back, each with its contents, and mergeable. */
static void merged_subject(void)
{
	char *p = map_private(64 * PAGE);
	int i, tries;

	for (i = 0; i < 64; i++)
		fill(p + i * PAGE, PAGE, i % 2);
	CHECK(!madvise(p, 64 * PAGE, MADV_MERGEABLE));
	for (tries = 0; tries < PATIENCE / 20; tries++) {
		if (smaps_kib(p, "KSM:") >= 4 * 32)
			break;
		sleep_ms(20);
	}
	CHECK(smaps_kib(p, "KSM:") >= 4 * 32);
	checkpoint_and_compare();
	CHECK(!!strstr(mappings[1], " mg"));
	for (i = 0; i < 64; i++)
		CHECK(filled(p + i * PAGE, PAGE, i % 2));
	/* Each is its own again. */
	fill(p, PAGE, 99);
	CHECK(filled(p, PAGE, 99) && filled(p + 2 * PAGE, PAGE, 0));
}

TEST_F_TIMEOUT(subject, merged_by_ksm, 120)
{
	long run = swap_number("/sys/kernel/mm/ksm/run", 1);
	long scan = swap_number("/sys/kernel/mm/ksm/pages_to_scan", 10000);

	if (run < 0 || scan < 0)
		SKIP(return, "the kernel has no KSM");
	run_subject(_metadata, merged_subject, variant->how);
	swap_number("/sys/kernel/mm/ksm/pages_to_scan", scan);
	swap_number("/sys/kernel/mm/ksm/run", run);
}

SUBJECT_TEST(names_of_shared_memory)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	fill(p, 4 * PAGE, 4);
	CHECK(!prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 4 * PAGE, "shared name"));
	checkpoint_here();
	/* It is another inode, as it would be of any memory. */
	read_mappings(mappings[1], MIB);
	CHECK(!!strstr(mappings[1], "[anon_shmem:shared name]"));
	CHECK(filled(p, 4 * PAGE, 4));
}

/* No more writes, and it is mapped, to read it. */
SUBJECT_TEST(sealed_and_mapped)
{
	int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int fd = syscall(SYS_memfd_create, "sealed", MFD_ALLOW_SEALING);
	char page[PAGE], *p;

	fill(page, PAGE, 6);
	CHECK(fd >= 0 && write(fd, page, PAGE) == (ssize_t)PAGE);
	CHECK(!fcntl(fd, F_ADD_SEALS, seals));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	checkpoint_and_compare();
	CHECK(fcntl(fd, F_GET_SEALS) == seals);
	CHECK(filled(p, PAGE, 6));
	CHECK(pwrite(fd, page, 1, 0) == -1 && errno == EPERM);
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	      MAP_FAILED && errno == EPERM);
}

/* Who mapped it before may write on, and nobody else. */
SUBJECT_TEST(sealed_for_the_future)
{
	int fd = syscall(SYS_memfd_create, "future", MFD_ALLOW_SEALING);
	char *p;

	CHECK(fd >= 0 && !ftruncate(fd, 2 * PAGE));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	fill(p, 2 * PAGE, 8);
	checkpoint_and_compare();
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_FUTURE_WRITE);
	CHECK(filled(p, 2 * PAGE, 8));
	fill(p, 2 * PAGE, 9);
	CHECK(pwrite(fd, p, 1, 0) == -1 && errno == EPERM);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	      MAP_FAILED && errno == EPERM);
}

/* Written to by the mapping alone, and never synced. */
SUBJECT_TEST(dirty_pages_of_a_shared_file)
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);
	char page[PAGE], *p;

	CHECK(fd >= 0 && !ftruncate(fd, 8 * PAGE));
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	fill(p, 8 * PAGE, 2);
	checkpoint_and_compare();
	CHECK(filled(p, 8 * PAGE, 2));
	CHECK(pread(fd, page, PAGE, 0) == (ssize_t)PAGE && filled(page, PAGE, 2));
	/* It is one file, seen in two ways. */
	fill(page, PAGE, 3);
	CHECK(pwrite(fd, page, PAGE, PAGE) == (ssize_t)PAGE);
	CHECK(filled(p + PAGE, PAGE, 3));
	fill(p, PAGE, 4);
	CHECK(pread(fd, page, PAGE, 0) == (ssize_t)PAGE && filled(page, PAGE, 4));
	/* As it was, for who comes back once more. */
	fill(p, 8 * PAGE, 2);
}

/* Images that are wrong */

static void with_guards(void)
{
	guards(16);
	checkpoint_here();
}

static void guard_outside(struct walk *w)
{
	struct cr_hdr_guard *guard = craft_nth(w, CR_HDR_GUARD, 0);

	/* Nothing is mapped there, and it comes first. */
	guard->start = 0x10000;
	guard->end = 0x11000;
}

static void guard_too_long(struct walk *w)
{
	struct cr_hdr_guard *guard =
		craft_nth(w, CR_HDR_GUARD, walk_count(w, CR_HDR_GUARD) - 1);

	guard->end = 0x7ffffffff000;
}

static void guard_not_aligned(struct walk *w)
{
	((struct cr_hdr_guard *)craft_nth(w, CR_HDR_GUARD, 0))->end -= 8;
}

static void guards_out_of_order(struct walk *w)
{
	*(struct cr_hdr_guard *)craft_nth(w, CR_HDR_GUARD, 1) =
		*(struct cr_hdr_guard *)craft_nth(w, CR_HDR_GUARD, 0);
}

TEST_F(subject, bad_guard_regions)
{
	if (variant->how != KILLED)
		return;
	restart_fails(_metadata, with_guards, guard_outside, NULL, EINVAL,
		      "it is in no mapping");
	restart_fails(_metadata, with_guards, guard_too_long, NULL, EINVAL,
		      "it is in no mapping");
	restart_fails(_metadata, with_guards, guard_not_aligned, NULL, EINVAL,
		      "GUARD");
	restart_fails(_metadata, with_guards, guards_out_of_order, NULL, EINVAL,
		      "GUARD");
}

static void with_droppable(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	checkpoint_here();
}

/* Whatever it is mapped with, it is no shared memory. */
static void droppable_and_shared(struct walk *w)
{
	size_t i, nr = walk_count(w, CR_HDR_VMA);

	for (i = 0; i < nr; i++) {
		struct cr_hdr_vma *vma = craft_nth(w, CR_HDR_VMA, i);

		if (vma->flags & CR_VMA_DROPPABLE)
			vma->flags |= CR_VMA_SHARED;
	}
}

TEST_F(subject, bad_droppable)
{
	if (variant->how != KILLED)
		return;
	restart_fails(_metadata, with_droppable, droppable_and_shared, NULL, EINVAL,
		      "VMA");
}

TEST_HARNESS_MAIN
