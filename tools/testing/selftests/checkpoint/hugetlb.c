// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of huge pages from a pool: private, shared, of a memfd, of files on
 * hugetlbfs. It comes back with its page size, or not at all.
 */
#include "memory.h"
#include "craft.h"

#include <sys/mount.h>

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

#define HUGE (2 * MIB)
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define RESERVED "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"
#define FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define PAGES 24

FIXTURE(hugetlb)
{
	long was;
};

FIXTURE_VARIANT(hugetlb)
{
	enum manner how;
};

FIXTURE_VARIANT_ADD(hugetlb, killed) {
	.how = KILLED,
};

FIXTURE_VARIANT_ADD(hugetlb, left) {
	.how = LEFT,
};

FIXTURE_VARIANT_ADD(hugetlb, itself) {
	.how = ITSELF,
};

FIXTURE_SETUP(hugetlb)
{
	self->was = -1;
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->was = swap_number(POOL, PAGES);
	if (self->was < 0)
		SKIP(return, "there are no huge pages of 2 MiB");
	if (read_number(FREE) < PAGES)
		SKIP(return, "there is no memory for %d huge pages", PAGES);
	ASSERT_EQ(0, mkdir(in_dir("huge"), 0700));
	ASSERT_EQ(0, mount("none", in_dir("huge"), "hugetlbfs", 0, "pagesize=2M"));
}

FIXTURE_TEARDOWN(hugetlb)
{
	umount2(in_dir("huge"), MNT_DETACH);
	remove_dir();
	if (self->was >= 0)
		swap_number(POOL, self->was);
}

#define HUGE_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(hugetlb, name, 120) \
	{ \
		run_subject(_metadata, name##_subject, variant->how); \
		/* All of it was given back. */ \
		EXPECT_EQ(0, read_number(RESERVED)); \
		EXPECT_EQ(PAGES, read_number(FREE)); \
	} \
	static void name##_subject(void)

static char *map_huge(size_t pages, int flags)
{
	return map(pages * HUGE, PROT_READ | PROT_WRITE,
		   flags | MAP_HUGETLB | MAP_HUGE_2MB);
}

/* The line of maps tells an inode, which is another one afterwards. */
static void is_huge(const char *p)
{
	CHECK(smaps_kib(p, "KernelPageSize:") == 2048);
	CHECK(smaps_kib(p, "MMUPageSize:") == 2048);
}

HUGE_TEST(private)
{
	char *p = map_huge(4, MAP_PRIVATE), *ro = map_huge(1, MAP_PRIVATE);
	char *none = map_huge(1, MAP_PRIVATE);

	fill(p, HUGE, 1);
	fill(p + 2 * HUGE, HUGE, 2);
	fill(ro, HUGE, 3);
	fill(none, HUGE, 4);
	CHECK(!mprotect(ro, HUGE, PROT_READ) && !mprotect(none, HUGE, PROT_NONE));
	CHECK(!madvise(p, 4 * HUGE, MADV_DONTFORK));
	checkpoint_here();
	is_huge(p);
	is_huge(ro);
	CHECK(filled(p, HUGE, 1) && filled(p + 2 * HUGE, HUGE, 2));
	/* Two of them are there, for two there is a reservation. */
	CHECK(smaps_kib(p, "Private_Hugetlb:") == 2 * 2048);
	CHECK(read_number(RESERVED) == 2);
	CHECK(zero(p + HUGE, HUGE) && zero(p + 3 * HUGE, HUGE));
	fill(p + 3 * HUGE, HUGE, 5);
	CHECK(filled(p + 3 * HUGE, HUGE, 5) && read_number(RESERVED) == 0);
	CHECK(filled(ro, HUGE, 3));
	CHECK(prctl(PR_GET_NAME, ro) == -1 && errno == EFAULT);
	CHECK(prctl(PR_SET_NAME, none) == -1 && errno == EFAULT);
	CHECK(!mprotect(none, HUGE, PROT_READ | PROT_WRITE));
	CHECK(filled(none, HUGE, 4));
}

/* What was split, and had a part unmapped, is where it was. */
HUGE_TEST(private_in_pieces)
{
	char *p = map_huge(6, MAP_PRIVATE);

	fill(p, 6 * HUGE, 1);
	CHECK(!munmap(p + HUGE, HUGE));
	CHECK(!mprotect(p + 3 * HUGE, HUGE, PROT_READ));
	checkpoint_here();
	CHECK(filled(p, HUGE, 1));
	CHECK(filled(p + 2 * HUGE, 4 * HUGE, 1 + 2 * HUGE));
	p[2 * HUGE] = 1;
	p[5 * HUGE] = 1;
	CHECK(mmap(p + HUGE, HUGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED_NOREPLACE, -1, 0) == p + HUGE);
}

/* More than the pool has, which is found out when it is touched. */
HUGE_TEST(private_without_reservation)
{
	char *p = map_huge(PAGES * 4, MAP_PRIVATE | MAP_NORESERVE);

	fill(p + PAGES * HUGE, HUGE, 1);
	checkpoint_here();
	is_huge(p);
	CHECK(read_number(RESERVED) == 0);
	CHECK(filled(p + PAGES * HUGE, HUGE, 1));
	fill(p, HUGE, 2);
	CHECK(filled(p, HUGE, 2));
}

HUGE_TEST(shared)
{
	char *p = map_huge(4, MAP_SHARED);

	fill(p + HUGE, HUGE, 1);
	fill(p + 3 * HUGE, HUGE, 2);
	checkpoint_here();
	is_huge(p);
	/* A hole takes no page, but has a reservation. */
	CHECK(read_number(RESERVED) == 2);
	CHECK(filled(p + HUGE, HUGE, 1) && filled(p + 3 * HUGE, HUGE, 2));
	CHECK(zero(p, HUGE));
	fill(p, HUGE, 3);
	/* It is shared with a child. */
	if (!fork()) {
		p[0]++;
		_exit(0);
	}
	wait(NULL);
	p[0]--;
	CHECK(filled(p, HUGE, 3));
}

HUGE_TEST(memfd)
{
	int fd = syscall(SYS_memfd_create, "huge", MFD_HUGETLB | MFD_HUGE_2MB |
			 MFD_ALLOW_SEALING);
	int seals = F_SEAL_GROW | F_SEAL_SHRINK;
	char *shared, *private, name[PATH_MAX] = { 0 };
	struct stat st;

	CHECK(fd >= 0 && !ftruncate(fd, 4 * HUGE));
	shared = mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, HUGE);
	private = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	CHECK(!fcntl(fd, F_ADD_SEALS, seals));
	fill(shared, HUGE, 1);
	fill(shared + 2 * HUGE, HUGE, 2);
	fill(private + 3 * HUGE, HUGE, 3);
	checkpoint_here();
	is_huge(shared);
	is_huge(private);
	CHECK(fcntl(fd, F_GET_SEALS) == seals);
	CHECK(!fstat(fd, &st) && st.st_size == 4 * (off_t)HUGE);
	CHECK(st.st_blksize == (blksize_t)HUGE);
	CHECK(readlink("/proc/self/fd/3", name, sizeof(name) - 1) > 0);
	CHECK(!strncmp(name, "/memfd:huge", 11));
	CHECK(filled(shared, HUGE, 1) && filled(shared + 2 * HUGE, HUGE, 2));
	/* What was written to it is its own, the rest is that of the memfd. */
	CHECK(filled(private + 3 * HUGE, HUGE, 3));
	CHECK(filled(private + HUGE, HUGE, 1));
	fill(shared, HUGE, 4);
	CHECK(filled(private + HUGE, HUGE, 4));
}

HUGE_TEST(memfd_that_no_one_writes)
{
	int fd = syscall(SYS_memfd_create, "sealed", MFD_HUGETLB | MFD_HUGE_2MB |
			 MFD_ALLOW_SEALING);
	char *p;

	CHECK(fd >= 0 && !ftruncate(fd, HUGE));
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	fill(p, HUGE, 1);
	CHECK(!munmap(p, HUGE));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	p = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	checkpoint_here();
	CHECK(filled(p, HUGE, 1) && fcntl(fd, F_GET_SEALS) == F_SEAL_WRITE);
	CHECK(mprotect(p, HUGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
}

static void files_subject(void)
{
	int fd = open(in_dir("huge/file"), O_RDWR | O_CREAT, 0600);
	char *shared, *private;

	CHECK(fd >= 0 && !ftruncate(fd, 4 * HUGE));
	shared = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		       2 * HUGE);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	fill(shared, 3 * HUGE, 1);
	fill(private + HUGE, HUGE, 2);
	close(fd);
	checkpoint_here();
	is_huge(shared);
	is_huge(private);
	/* The first are in the file, the second nowhere else. */
	CHECK(filled(shared, 3 * HUGE, 1));
	CHECK(filled(private, HUGE, 1 + 2 * HUGE));
	CHECK(filled(private + HUGE, HUGE, 2));
	CHECK(zero(shared + 3 * HUGE, HUGE));
}

TEST_F_TIMEOUT(hugetlb, files, 120)
{
	run_subject(_metadata, files_subject, variant->how);
	EXPECT_EQ(0, unlink(in_dir("huge/file")));
	EXPECT_EQ(0, read_number(RESERVED));
	EXPECT_EQ(PAGES, read_number(FREE));
}

/* A pool that is empty, and images that are wrong */

static void with_private(void)
{
	char *p = map_huge(2, MAP_PRIVATE);

	fill(p, 2 * HUGE, 1);
	checkpoint_here();
}

static void with_private_unreserved(void)
{
	char *p = map_huge(2, MAP_PRIVATE | MAP_NORESERVE);

	fill(p, 2 * HUGE, 1);
	checkpoint_here();
}

static void with_memfd(void)
{
	int fd = syscall(SYS_memfd_create, "huge", MFD_HUGETLB | MFD_HUGE_2MB);
	char *p;

	CHECK(fd >= 0 && !ftruncate(fd, HUGE));
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	fill(p, HUGE, 1);
	CHECK(!munmap(p, HUGE));
	checkpoint_here();
}

static void empty_pool(struct walk *w)
{
	(void)w;
	swap_number(POOL, 0);
}

static void full_pool(void)
{
	swap_number(POOL, PAGES);
}

TEST_F(hugetlb, no_huge_page_is_free)
{
	if (variant->how != KILLED)
		return;
	/* For the reservation, for a page, and for contents of a file. */
	restart_fails(_metadata, with_private, empty_pool, full_pool, ENOMEM,
		      "huge pages of 2^21 bytes: not so many are free");
	restart_fails(_metadata, with_private_unreserved, empty_pool, full_pool,
		      ENOMEM, "no huge page is free");
	restart_fails(_metadata, with_memfd, empty_pool, full_pool, ENOMEM,
		      "no huge page is free");
	EXPECT_EQ(0, read_number(RESERVED));
	EXPECT_EQ(PAGES, read_number(FREE));
}

static struct cr_hdr_vma *huge_vma(struct walk *w)
{
	size_t i, nr = walk_count(w, CR_HDR_VMA);

	for (i = 0; i < nr; i++) {
		struct cr_hdr_vma *vma = craft_nth(w, CR_HDR_VMA, i);

		if (vma->flags & CR_VMA_HUGETLB)
			return vma;
	}
	return NULL;
}

static void other_page_size(struct walk *w)
{
	huge_vma(w)->page_shift = 20;
}

static void page_size_of_nothing(struct walk *w)
{
	huge_vma(w)->page_shift = 0;
}

static void page_size_beyond_all(struct walk *w)
{
	huge_vma(w)->page_shift = 64;
}

static void small_mapping(struct walk *w)
{
	huge_vma(w)->end -= 4096;
}

static void other_page_size_of_memfd(struct walk *w)
{
	((struct cr_hdr_shm *)craft_nth(w, CR_HDR_SHM, 0))->page_shift = 20;
}

static void part_of_a_page_of_memfd(struct walk *w)
{
	((struct cr_hdr_shm *)craft_nth(w, CR_HDR_SHM, 0))->size -= 4096;
}

/* Pages of ordinary size, where only huge ones can be. */
static void extents_not_aligned(struct walk *w)
{
	struct cr_hdr_vma *vma = huge_vma(w);
	size_t i, j, nr = walk_count(w, CR_HDR_EXTENTS);

	for (i = 0; i < nr; i++) {
		struct rec *r = walk_nth(w, CR_HDR_EXTENTS, i);
		struct cr_extent *extent = walk_payload(w, r);

		for (j = 0; j < r->len / sizeof(*extent); j++)
			if (extent[j].start >= vma->start && extent[j].start < vma->end) {
				extent[j].start += 4096;
				return;
			}
	}
}

/* Pages that were of ordinary memory. */
static void mapping_becomes_huge(struct walk *w)
{
	struct cr_hdr_vma *vma = huge_vma(w);

	vma->flags &= ~(__u64)CR_VMA_HUGETLB;
}

TEST_F(hugetlb, bad_images)
{
	if (variant->how != KILLED)
		return;
	restart_fails(_metadata, with_private, other_page_size, NULL, ENODEV,
		      "huge pages of 2^20 bytes: there are none");
	restart_fails(_metadata, with_private, page_size_of_nothing, NULL, EINVAL,
		      "VMA: page_shift");
	restart_fails(_metadata, with_private, page_size_beyond_all, NULL, EINVAL,
		      "VMA: page_shift");
	restart_fails(_metadata, with_private, small_mapping, NULL, EINVAL, "VMA: end");
	restart_fails(_metadata, with_private, mapping_becomes_huge, NULL, EINVAL,
		      "VMA: page_shift");
	restart_fails(_metadata, with_private, extents_not_aligned, NULL, EINVAL,
		      "image offset ");
	restart_fails(_metadata, with_memfd, other_page_size_of_memfd, NULL, ENODEV,
		      "there are no huge pages of 2^20 bytes");
	restart_fails(_metadata, with_memfd, part_of_a_page_of_memfd, NULL, EINVAL,
		      "it cannot be made");
	EXPECT_EQ(0, read_number(RESERVED));
	EXPECT_EQ(PAGES, read_number(FREE));
}

TEST_HARNESS_MAIN
