// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces: each kind of mapping, with its contents, its place, its
 * protection, and all that was advised about it.
 */
#include "subject.h"
#include "memory.h"

#include <sys/auxv.h>
#include <sys/swap.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

SUBJECT_TEST(mappings_and_their_flags)
{
	checkpoint_and_compare();
}

static char bss[64 * 1024];
static char data[64 * 1024] = { 1, 2, 3 };
static const char text[] = "read only";

SUBJECT_TEST(program_and_heap)
{
	char *heap = malloc(300000), *old = sbrk(0), *more;

	CHECK(!!heap);
	fill(bss, sizeof(bss), 1);
	fill(data, sizeof(data), 2);
	fill(heap, 300000, 3);
	CHECK(sbrk(10 * PAGE) == old);
	fill(old, 10 * PAGE, 4);
	checkpoint_and_compare();
	CHECK(filled(bss, sizeof(bss), 1));
	CHECK(filled(data, sizeof(data), 2));
	CHECK(filled(heap, 300000, 3));
	CHECK(filled(old, 10 * PAGE, 4));
	CHECK(!strcmp(text, "read only"));
	/* The heap grows on where it was, and shrinks. */
	CHECK(sbrk(0) == old + 10 * PAGE);
	CHECK(sbrk(100 * PAGE) == old + 10 * PAGE);
	CHECK(zero(old + 10 * PAGE, 100 * PAGE));
	CHECK(sbrk(-110 * (long)PAGE) == old + 110 * PAGE);
	more = malloc(1000000);
	CHECK(!!more);
	memset(more, 5, 1000000);
	free(more);
	free(heap);
}

static int deep(int depth, bool save)
{
	char here[8192];
	int ret = 0;

	here[0] = depth;
	here[8191] = depth >> 8;
	/* They are on the stack, and all of them. */
	asm volatile("" : : "r" (here) : "memory");
	if (depth)
		ret = deep(depth - 1, save);
	else if (save)
		checkpoint_and_compare();
	asm volatile("" : : "r" (here) : "memory");
	CHECK(here[0] == (char)depth && here[8191] == (char)(depth >> 8));
	return ret + 1;
}

/* Saved in the depth of it; afterwards it grows to twice that. */
SUBJECT_TEST(stack)
{
	CHECK(deep(100, true) == 101);
	CHECK(deep(250, false) == 251);
}

SUBJECT_TEST(private_with_every_protection)
{
	char *none = map_private(4 * PAGE), *ro = map_private(4 * PAGE);
	char *wo = map_private(4 * PAGE), *exec = map_private(PAGE);
	/* mov $42, %eax; ret */
	static const char code[] = "\xb8\x2a\x00\x00\x00\xc3";

	fill(none, 4 * PAGE, 1);
	fill(ro, 4 * PAGE, 2);
	fill(wo, 4 * PAGE, 3);
	memcpy(exec, code, sizeof(code));
	CHECK(!mprotect(none, 4 * PAGE, PROT_NONE));
	CHECK(!mprotect(ro, 4 * PAGE, PROT_READ));
	CHECK(!mprotect(wo, 4 * PAGE, PROT_WRITE));
	CHECK(!mprotect(exec, PAGE, PROT_READ | PROT_EXEC));
	checkpoint_and_compare();
	CHECK(((int (*)(void))exec)() == 42);
	CHECK(filled(ro, 4 * PAGE, 2));
	/* What is protected is so: a system call says EFAULT. */
	CHECK(prctl(PR_SET_NAME, none) == -1 && errno == EFAULT);
	CHECK(prctl(PR_GET_NAME, ro) == -1 && errno == EFAULT);
	CHECK(!mprotect(none, 4 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(wo, 4 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(filled(none, 4 * PAGE, 1));
	CHECK(filled(wo, 4 * PAGE, 3));
	none[0] = 1;
	wo[0] = 1;
}

SUBJECT_TEST(protections_split_a_mapping)
{
	static const int prots[] = {
		PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE,
		PROT_READ | PROT_EXEC,
	};
	char *p = map_private(64 * PAGE);
	size_t i;

	fill(p, 64 * PAGE, 7);
	for (i = 0; i < 64; i++)
		CHECK(!mprotect(p + i * PAGE, PAGE, prots[i % 4]));
	checkpoint_and_compare();
	/* And become one again. */
	CHECK(!mprotect(p, 64 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(filled(p, 64 * PAGE, 7));
	p[5 * PAGE] = 1;
}

/* Some touched, some not, some only read. */
SUBJECT_TEST(holes)
{
	char *p = map_private(256 * PAGE);
	size_t i;

	for (i = 0; i < 256; i += 3)
		fill(p + i * PAGE, PAGE, i);
	for (i = 1; i < 256; i += 3)
		CHECK(!p[i * PAGE]);
	checkpoint_and_compare();
	for (i = 0; i < 256; i++)
		CHECK(i % 3 ? zero(p + i * PAGE, PAGE) :
			      filled(p + i * PAGE, PAGE, i));
	/* All of it can be written. */
	fill(p, 256 * PAGE, 9);
	CHECK(filled(p, 256 * PAGE, 9));
}

SUBJECT_TEST(given_back)
{
	char *p = map_private(64 * PAGE);

	fill(p, 64 * PAGE, 3);
	CHECK(!madvise(p + 16 * PAGE, 16 * PAGE, MADV_DONTNEED));
	checkpoint_and_compare();
	CHECK(filled(p, 16 * PAGE, 3));
	CHECK(zero(p + 16 * PAGE, 16 * PAGE));
}

/* More than one announcement of pages, and then some. */
SUBJECT_TEST(many_pages)
{
	char *p = map_private(12 * MIB);

	madvise(p, 12 * MIB, MADV_NOHUGEPAGE);
	fill(p, 12 * MIB, 5);
	checkpoint_and_compare();
	CHECK(filled(p, 12 * MIB, 5));
}

/* More than one announcement's worth of pieces. */
SUBJECT_TEST(many_extents)
{
	char *p = map_private(3000 * 2 * PAGE);
	size_t i;

	madvise(p, 3000 * 2 * PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < 3000; i++)
		memset(p + i * 2 * PAGE, i % 255 + 1, 8);
	checkpoint_here();
	for (i = 0; i < 3000; i++) {
		CHECK(p[i * 2 * PAGE] == (char)(i % 255 + 1));
		CHECK(!p[i * 2 * PAGE + PAGE]);
	}
}

SUBJECT_TEST(many_mappings)
{
	char *p = map(2000 * PAGE, PROT_READ, MAP_PRIVATE);
	size_t i;

	for (i = 0; i < 2000; i += 2)
		CHECK(!mprotect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE));
	for (i = 0; i < 2000; i += 2)
		p[i * PAGE] = i % 255 + 1;
	checkpoint_and_compare();
	for (i = 0; i < 2000; i++)
		CHECK(p[i * PAGE] == (i % 2 ? 0 : (char)(i % 255 + 1)));
}

/* Files */

#define FILE_PAGES 4

static int open_file(int flags)
{
	static char contents[FILE_PAGES * PAGE - PAGE / 2];
	int fd;

	/* The first one makes it: the restored one must find the same. */
	fill(contents, sizeof(contents), 11);
	CHECK(make_file("file", contents, sizeof(contents)));
	fd = open(in_dir("file"), flags);
	CHECK(fd >= 0);
	return fd;
}

SUBJECT_TEST(file_private)
{
	int fd = open_file(O_RDONLY);
	char *clean, *cow, *part;

	clean = mmap(NULL, FILE_PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	cow = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   fd, 0);
	part = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
	CHECK(clean != MAP_FAILED && cow != MAP_FAILED && part != MAP_FAILED);
	close(fd);
	CHECK(filled(clean, 3 * PAGE, 11));
	/* The second page, and behind the end of the file in the last. */
	fill(cow + PAGE, PAGE, 12);
	cow[FILE_PAGES * PAGE - 1] = 'x';
	checkpoint_and_compare();
	CHECK(filled(clean, FILE_PAGES * PAGE - PAGE / 2, 11));
	CHECK(zero(clean + FILE_PAGES * PAGE - PAGE / 2, PAGE / 2));
	CHECK(filled(cow, PAGE, 11));
	CHECK(filled(cow + PAGE, PAGE, 12));
	CHECK(!memcmp(cow + 2 * PAGE, clean + 2 * PAGE, 2 * PAGE - 1));
	CHECK(cow[FILE_PAGES * PAGE - 1] == 'x');
	CHECK(!memcmp(part, clean + 2 * PAGE, PAGE));
	/* What was not written to is the file's still. */
	cow[0] ^= 1;
	CHECK(cow[0] != clean[0]);
}

/* Pages of a mapping that lie wholly behind the end of the file: SIGBUS. */
SUBJECT_TEST(file_mapping_longer_than_the_file)
{
	int fd = open_file(O_RDWR);
	char *p = mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	CHECK(p != MAP_FAILED);
	checkpoint_and_compare();
	CHECK(filled(p, 3 * PAGE, 11));
	CHECK(prctl(PR_SET_NAME, p + 8 * PAGE) == -1 && errno == EFAULT);
}

SUBJECT_TEST(file_shared)
{
	int fd = open_file(O_RDWR), again;
	char *p = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);
	char here[16] = { 0 };

	CHECK(p != MAP_FAILED);
	put_text(p + 100, "before");
	checkpoint_and_compare();
	CHECK(!strncmp(p + 100, "before", 6));
	/* It is the file: what is written to one is seen in the other. */
	CHECK(pwrite(fd, "by fd", 6, 200) == 6);
	CHECK(!strcmp(p + 200, "by fd"));
	put_text(p + 300, "by memory");
	again = open(in_dir("file"), O_RDONLY);
	CHECK(pread(again, here, 10, 300) == 10);
	CHECK(!strcmp(here, "by memory"));
}

/* Read only and shared, from a descriptor that is closed. */
SUBJECT_TEST(file_shared_read_only)
{
	int fd = open_file(O_RDONLY);
	char *p = mmap(NULL, FILE_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	close(fd);
	checkpoint_and_compare();
	CHECK(filled(p, 3 * PAGE, 11));
	/* It cannot become writable. */
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
}

/* Shared memory without a path */

SUBJECT_TEST(anonymous_shared)
{
	char *p = map(64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), *q;
	int status;
	pid_t pid;

	fill(p, 32 * PAGE, 21);
	/* A second view of the same memory. */
	q = mremap(p, 0, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	checkpoint_and_compare();
	CHECK(filled(p, 32 * PAGE, 21));
	CHECK(zero(p + 32 * PAGE, 32 * PAGE));
	put_text(q + 40 * PAGE, "seen");
	CHECK(!strcmp(p + 40 * PAGE, "seen"));
	/* And children share it. */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		p[0] = 'c';
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(q[0] == 'c');
}

SUBJECT_TEST(memfd)
{
	int fd = memfd_create("selftest", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	char link[2][64] = { "", "" }, path[64], *p, *q;
	struct stat st;

	CHECK(fd >= 0 && !ftruncate(fd, 16 * PAGE + 100));
	p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	fill(p, 4 * PAGE, 31);
	CHECK(pwrite(fd, "the end", 7, 16 * PAGE + 93) == 7);
	q[0] ^= 1;
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	CHECK(lseek(fd, 123, SEEK_SET) == 123);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link[0], 63) > 0);
	checkpoint_and_compare();
	CHECK(filled(p, 4 * PAGE, 31));
	CHECK(zero(p + 4 * PAGE, 12 * PAGE));
	CHECK(q[0] == (p[PAGE] ^ 1) && !memcmp(q + 1, p + PAGE + 1, PAGE - 1));
	CHECK(lseek(fd, 0, SEEK_CUR) == 123);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(!fstat(fd, &st) && st.st_size == 16 * PAGE + 100);
	CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
	CHECK(ftruncate(fd, 0) == -1 && errno == EPERM);
	CHECK(readlink(path, link[1], 63) > 0 && !strcmp(link[0], link[1]));
	/* The descriptor and the mapping are one object. */
	CHECK(pwrite(fd, "by fd", 6, 5 * PAGE) == 6);
	CHECK(!strcmp(p + 5 * PAGE, "by fd"));
	CHECK(pread(fd, path, 7, 16 * PAGE + 93) == 7 && !memcmp(path, "the end", 7));
}

/* A mapping alone keeps it. */
SUBJECT_TEST(memfd_that_is_closed)
{
	int fd = memfd_create("closed", 0);
	char *p;

	CHECK(fd >= 0 && !ftruncate(fd, 8 * PAGE));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
	CHECK(p != MAP_FAILED);
	fill(p, 4 * PAGE, 41);
	close(fd);
	checkpoint_and_compare();
	CHECK(filled(p, 4 * PAGE, 41));
}

/* Advice, names, keys, locks, seals */

SUBJECT_TEST(advice)
{
	static const int advices[] = {
		MADV_DONTFORK, MADV_WIPEONFORK, MADV_DONTDUMP, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_SEQUENTIAL, MADV_RANDOM, MADV_MERGEABLE,
	};
	char *p[ARRAY_SIZE(advices)], *both;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		/* So that no two of them become one. */
		map(PAGE, PROT_NONE, MAP_PRIVATE);
		p[i] = map_private(4 * PAGE);
		p[i][0] = i + 1;
		/* Whatever this kernel was built without changes nothing. */
		madvise(p[i], 4 * PAGE, advices[i]);
	}
	map(PAGE, PROT_NONE, MAP_PRIVATE);
	both = map_private(2 * PAGE);
	CHECK(!madvise(both, 2 * PAGE, MADV_DONTFORK));
	CHECK(!madvise(both, 2 * PAGE, MADV_DONTDUMP));
	checkpoint_and_compare();
	for (i = 0; i < ARRAY_SIZE(advices); i++)
		CHECK(p[i][0] == (char)(i + 1));
}

/* What the flags do is done, too. */
SUBJECT_TEST(wipe_on_fork_and_dont_fork)
{
	char *wiped = map_private(PAGE), *absent = map_private(PAGE);
	int status;
	pid_t pid;

	wiped[0] = 'w';
	absent[0] = 'a';
	CHECK(!madvise(wiped, PAGE, MADV_WIPEONFORK));
	CHECK(!madvise(absent, PAGE, MADV_DONTFORK));
	checkpoint_here();
	CHECK(wiped[0] == 'w' && absent[0] == 'a');
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(wiped[0] || prctl(PR_SET_NAME, absent) != -1);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

SUBJECT_TEST(name_of_a_mapping)
{
	char *p = map_private(4 * PAGE), *q = map_private(4 * PAGE);
	char longest[80] = { 0 };

	memset(longest, 'n', 79);
	/* Compared by the names in maps. */
	p[0] = 1;
	CHECK(!prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 4 * PAGE, "a name"));
	CHECK(!prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, q, 4 * PAGE, longest));
	checkpoint_and_compare();
	CHECK(!!strstr(mappings[1], "[anon:a name]"));
	CHECK(p[0] == 1);
}

SUBJECT_TEST(growsdown)
{
	char *area = map(64 * PAGE, PROT_NONE, MAP_PRIVATE), *top, *p;
	struct rlimit rl;

	CHECK(!munmap(area, 64 * PAGE));
	top = area + 63 * PAGE;
	p = mmap(top, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	CHECK(p == top);
	p[0] = 'a';
	CHECK(!getrlimit(RLIMIT_STACK, &rl));
	checkpoint_and_compare();
	CHECK(p[0] == 'a');
	CHECK(!!strstr(mappings[1], " gd"));
}

SUBJECT_TEST(locked)
{
	char *p = map_private(8 * PAGE), *q;

	CHECK(!mlock(p, 4 * PAGE));
	map(PAGE, PROT_NONE, MAP_PRIVATE);
	q = map_private(4 * PAGE);
	CHECK(!mlock2(q, 4 * PAGE, MLOCK_ONFAULT));
	fill(p, 8 * PAGE, 51);
	checkpoint_and_compare();
	CHECK(filled(p, 8 * PAGE, 51));
	CHECK(smaps_kib(p, "Locked:") == 16);
	CHECK(!munlock(p, 4 * PAGE) && !munlock(q, 4 * PAGE));
}

SUBJECT_TEST(lock_of_future_mappings)
{
	char *p;

	CHECK(!mlockall(MCL_FUTURE));
	checkpoint_here();
	p = map_private(4 * PAGE);
	CHECK(smaps_kib(p, "Locked:") == 16);
}

SUBJECT_TEST(sealed)
{
	char *p = map_private(4 * PAGE);

	fill(p, 4 * PAGE, 61);
	CHECK(!mprotect(p, 4 * PAGE, PROT_READ));
	CHECK(!syscall(SYS_mseal, p, 4 * PAGE, 0));
	checkpoint_and_compare();
	CHECK(filled(p, 4 * PAGE, 61));
	CHECK(munmap(p, PAGE) == -1 && errno == EPERM);
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EPERM);
}

static void keys_subject(void)
{
	int key = pkey_alloc(0, 0);
	char *p = map_private(4 * PAGE);

	CHECK(key > 0);
	fill(p, 4 * PAGE, 71);
	CHECK(!pkey_mprotect(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, key));
	checkpoint_and_compare();
	CHECK(filled(p, 4 * PAGE, 71));
	CHECK(!pkey_set(key, PKEY_DISABLE_ACCESS));
	CHECK(prctl(PR_SET_NAME, p + PAGE) == -1 && errno == EFAULT);
	CHECK(!prctl(PR_SET_NAME, "subject"));
}

TEST_F_TIMEOUT(subject, protection_keys, 120)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP(return, "this processor has no protection keys");
	pkey_free(key);
	run_subject(_metadata, keys_subject, variant->how);
}

/* What /proc shows of a program comes from its memory and its mm */

static char seen[2][8][32768];
static size_t seen_len[2][8];

static void see(int when)
{
	static const char * const files[] = {
		"cmdline", "environ", "auxv", "coredump_filter",
	};
	char path[64];
	unsigned long f[52];
	char *p;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		seen_len[when][i] = read_proc(path);
		CHECK(seen_len[when][i] < sizeof(seen[when][i]));
		memcpy(seen[when][i], proc_text, seen_len[when][i]);
	}
	n = readlink("/proc/self/exe", seen[when][4], sizeof(seen[when][4]));
	CHECK(n > 0);
	seen_len[when][4] = n;
	/* Where code, stack, data, heap, arguments and environment are. */
	read_proc("/proc/self/stat");
	p = strrchr(proc_text, ')') + 1;
	for (i = 3; i < ARRAY_SIZE(f); i++) {
		while (*p == ' ')
			p++;
		f[i] = i == 3 ? 0 : strtoul(p, NULL, 10);
		p += strcspn(p, " ");
	}
	f[29] = 0;		/* the stack pointer, if ever */
	seen_len[when][5] = 3 * sizeof(f[0]);
	memcpy(seen[when][5], &f[26], seen_len[when][5]);
	seen_len[when][6] = 7 * sizeof(f[0]);
	memcpy(seen[when][6], &f[45], seen_len[when][6]);
}

SUBJECT_TEST(program_in_proc)
{
	size_t i;

	see(0);
	CHECK(seen_len[0][0] > 0 && seen_len[0][2] > 0);
	checkpoint_here();
	see(1);
	for (i = 0; i < 8; i++) {
		CHECK(seen_len[0][i] == seen_len[1][i]);
		CHECK(!memcmp(seen[0][i], seen[1][i], seen_len[0][i]));
	}
}

SUBJECT_TEST(vdso_is_where_it_was)
{
	struct timespec ts;

	CHECK(getauxval(AT_SYSINFO_EHDR));
	checkpoint_here();
	CHECK(!memcmp((void *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4));
	CHECK(!clock_gettime(CLOCK_MONOTONIC, &ts));
	CHECK(ts.tv_sec || ts.tv_nsec);
}

SUBJECT_TEST(not_dumpable)
{
	CHECK(!prctl(PR_SET_DUMPABLE, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
}

SUBJECT_TEST(flags_of_the_mm)
{
	int fd = open("/proc/self/coredump_filter", O_RDWR);

	CHECK(fd >= 0 && write(fd, "0x55", 4) == 4);
	close(fd);
	CHECK(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	CHECK(read_proc("/proc/self/coredump_filter") > 0);
	CHECK(strtoul(proc_text, NULL, 16) == 0x55);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
}

SUBJECT_TEST(memory_deny_write_execute)
{
	char *p;

	CHECK(!prctl(PR_SET_MDWE, 1, 0, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_MDWE, 0, 0, 0, 0) == 1);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p == MAP_FAILED && errno == EACCES);
}

/* Huge pages come back huge. */
static char *huge_area;

static void huge_subject(void)
{
	char *area = map_private(6 * MIB);

	huge_area = (char *)(((unsigned long)area + 2 * MIB - 1) & ~(2 * MIB - 1));
	CHECK(!madvise(huge_area, 4 * MIB, MADV_HUGEPAGE));
	fill(huge_area, 4 * MIB, 81);
	CHECK(smaps_kib(huge_area, "AnonHugePages:") == 4096);
	checkpoint_here();
	CHECK(smaps_kib(huge_area, "AnonHugePages:") == 4096);
	CHECK(filled(huge_area, 4 * MIB, 81));
	/* They can be split and written to as before. */
	CHECK(!madvise(huge_area + PAGE, PAGE, MADV_DONTNEED));
	CHECK(zero(huge_area + PAGE, PAGE));
	CHECK(filled(huge_area, PAGE, 81));
}

TEST_F_TIMEOUT(subject, huge_pages_stay_huge, 120)
{
	char text[128] = { 0 };
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);

	if (fd < 0)
		SKIP(return, "no transparent huge pages in this kernel");
	ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	if (strstr(text, "[never]")) {
		fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
		ASSERT_EQ(7, write(fd, "madvise", 7));
		close(fd);
	}
	run_subject(_metadata, huge_subject, variant->how);
}

/* A huge page of which only a part is left. */
SUBJECT_TEST(part_of_a_huge_page)
{
	char *area = map_private(4 * MIB), *p;

	p = (char *)(((unsigned long)area + 2 * MIB - 1) & ~(2 * MIB - 1));
	madvise(p, 2 * MIB, MADV_HUGEPAGE);
	fill(p, 2 * MIB, 82);
	CHECK(!munmap(p + MIB, PAGE));
	CHECK(!mprotect(p + 64 * PAGE, PAGE, PROT_READ));
	checkpoint_and_compare();
	CHECK(filled(p, 512 * 1024, 82));
	CHECK(p[MIB + PAGE] == p[MIB + PAGE]);
	p[0] = 1;
}

/* What is swapped out is saved, and is not where it was when it comes back. */
static void swapped_subject(void)
{
	char *p = map_private(64 * PAGE);
	int i;

	madvise(p, 64 * PAGE, MADV_NOHUGEPAGE);
	fill(p, 64 * PAGE, 91);
	/* It takes what is not in use just now. */
	for (i = 0; i < 20 && smaps_kib(p, "Swap:") <= 0; i++) {
		CHECK(!madvise(p, 64 * PAGE, MADV_PAGEOUT));
		sleep_ms(20);
	}
	CHECK(smaps_kib(p, "Swap:") > 0);
	checkpoint_here();
	CHECK(filled(p, 64 * PAGE, 91));
	p[0] = 1;
}

/* The first page of a swap area, as mkswap(8) makes it. */
static bool make_swap(const char *path, unsigned int pages)
{
	static char page[4096];
	__u32 *info = (__u32 *)(page + 1024);
	int fd = open(path, O_WRONLY);
	bool ok;

	memset(page, 0, sizeof(page));
	info[0] = 1;
	info[1] = pages - 1;
	memcpy(page + 4096 - 10, "SWAPSPACE2", 10);
	ok = fd >= 0 && write_all(fd, page, sizeof(page)) && !fsync(fd);
	close(fd);
	return ok;
}

TEST_F_TIMEOUT(subject, swapped_out, 120)
{
	if (access("/dev/ram0", W_OK))
		SKIP(return, "no /dev/ram0 to swap to");
	ASSERT_TRUE(make_swap("/dev/ram0", 512));
	ASSERT_EQ(0, swapon("/dev/ram0", 0));
	run_subject(_metadata, swapped_subject, variant->how);
	ASSERT_EQ(0, swapoff("/dev/ram0"));
}

/* Holes cost nothing, not in the image and not in time. */

#define TIB (1024UL * 1024 * MIB)

static void small_subject(void)
{
	checkpoint_here();
}

static void sparse_subject(void)
{
	char *p = map(TIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	size_t i;

	madvise(p, TIB, MADV_NOHUGEPAGE);
	for (i = 0; i < 100; i++)
		p[i * (TIB / 100) / PAGE * PAGE] = i + 1;
	checkpoint_here();
	for (i = 0; i < 100; i++) {
		CHECK(p[i * (TIB / 100) / PAGE * PAGE] == (char)(i + 1));
		CHECK(!p[i * (TIB / 100) / PAGE * PAGE + PAGE]);
	}
}

static void measure(struct __test_metadata *_metadata, void (*fn)(void),
		    off_t *size, __u64 *took)
{
	struct subject s = { .metadata = _metadata };
	__u64 start;

	ASSERT_TRUE(subject_start(&s, fn, KILLED));
	s.ready = read_byte(s.out);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	start = now_ns(CLOCK_MONOTONIC);
	ASSERT_LT(0, sys_checkpoint(s.pid, s.image, 0, 0));
	*took = now_ns(CLOCK_MONOTONIC) - start;
	*size = file_size(s.image);
	EXPECT_TRUE(subject_finish(&s, "the one that went on"));
	ASSERT_TRUE(subject_restart(&s));
	EXPECT_TRUE(subject_finish(&s, "the restored one"));
	subject_close(&s);
}

FIXTURE(measured)
{
	char none;
};

FIXTURE_SETUP(measured)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
}

FIXTURE_TEARDOWN(measured)
{
}

TEST_F_TIMEOUT(measured, tebibyte_with_100_pages, 120)
{
	__u64 small_took, took;
	off_t small, size;

	measure(_metadata, small_subject, &small, &small_took);
	measure(_metadata, sparse_subject, &size, &took);
	EXPECT_GT(small + 4 * (off_t)MIB, size)
		TH_LOG("%zd bytes, and %zd without", (ssize_t)size, (ssize_t)small);
	/* It is 100 pages and their tables more, on a machine that has no hurry. */
	EXPECT_GT(10 * small_took + SEC, took)
		TH_LOG("%llu us, and %llu without", took / 1000, small_took / 1000);
}

TEST_HARNESS_MAIN
