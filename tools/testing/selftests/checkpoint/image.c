// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint(2) writes: every field of every record against what the
 * kernel says about the task by other ways.
 */
#include "ckpt_util.h"

#include <pthread.h>
#include <sched.h>

FIXTURE(image)
{
	int fd;
	long id;
	struct image img;
};

FIXTURE_SETUP(image)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->fd = tmp_memfd();
	ASSERT_LE(0, self->fd);
	set_comm("imaged");
}

FIXTURE_TEARDOWN(image)
{
	close(self->fd);
}

/* The caller's image, fresh; false if there is none. */
static bool take_flags(struct _test_data_image *self, unsigned long flags)
{
	if (ftruncate(self->fd, 0) || lseek(self->fd, 0, SEEK_SET))
		return false;
	self->id = sys_checkpoint(0, self->fd, flags, 2);
	img_pread(&self->img, self->fd);
	return self->id > 0 && !img_wrong(&self->img, self->id, get_comm().name);
}

static bool take(struct _test_data_image *self)
{
	return take_flags(self, 0);
}

TEST_F(image, layout_of_the_abi)
{
	EXPECT_EQ(8UL, sizeof(struct cr_hdr));
	EXPECT_EQ(232UL, sizeof(struct cr_hdr_head));
	EXPECT_EQ(24UL, sizeof(struct cr_hdr_task));
	EXPECT_EQ(104UL, sizeof(struct cr_hdr_task_stats));
	EXPECT_EQ(16UL, sizeof(struct cr_hdr_tail));
	EXPECT_EQ(432UL, IMG_SIZE);
	EXPECT_EQ(1, CR_HDR_HEAD);
	EXPECT_EQ(2, CR_HDR_STRING);
	EXPECT_EQ(101, CR_HDR_TASK);
	EXPECT_EQ(104, CR_HDR_TASK_STATS);
	EXPECT_EQ(5001, CR_HDR_TAIL);
}

TEST_F(image, records_and_checksum)
{
	self->id = sys_checkpoint(0, self->fd, 0, 0);
	ASSERT_LT(0, self->id);
	img_pread(&self->img, self->fd);
	EXPECT_IMAGE(&self->img, self->id, "imaged");
}

TEST_F(image, record_starts_are_aligned)
{
	size_t at = 0, records = 0;

	ASSERT_TRUE(take(self));
	while (at < self->img.len) {
		struct cr_hdr *h = (struct cr_hdr *)(self->img.buf + at);

		EXPECT_EQ(0UL, at % CR_ALIGN);
		ASSERT_LE(0, h->len);
		EXPECT_EQ(0, h->len % CR_ALIGN);
		at += REC_SIZE(h->len);
		records++;
	}
	EXPECT_EQ(self->img.len, at);
	EXPECT_EQ(5UL, records);
}

TEST_F(image, head_magic_and_rev)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0x00feed0cc0a2d200ULL, img_head(&self->img)->magic);
	EXPECT_EQ(2, img_head(&self->img)->rev);
	EXPECT_EQ(CR_VERSION, img_head(&self->img)->rev);
}

TEST_F(image, head_kernel_version)
{
	struct cr_hdr_head here = this_kernel();

	ASSERT_TRUE(take(self));
	EXPECT_EQ(here.major, img_head(&self->img)->major);
	EXPECT_EQ(here.minor, img_head(&self->img)->minor);
	EXPECT_EQ(here.patch, img_head(&self->img)->patch);
}

/* All 64 bytes: what is behind the text must not be kernel memory. */
TEST_F(image, head_utsname)
{
	struct cr_hdr_head here = this_kernel(), *head;

	ASSERT_TRUE(take(self));
	head = img_head(&self->img);
	EXPECT_EQ(0, memcmp(here.release, head->release, CR_UTS_LEN));
	EXPECT_EQ(0, memcmp(here.version, head->version, CR_UTS_LEN));
	EXPECT_EQ(0, memcmp(here.machine, head->machine, CR_UTS_LEN));
}

TEST_F(image, head_time_is_now)
{
	__u64 before = now_ns(CLOCK_REALTIME_COARSE) / SEC, after;

	ASSERT_TRUE(take(self));
	after = now_ns(CLOCK_REALTIME) / SEC;
	EXPECT_LE(before, img_head(&self->img)->time);
	EXPECT_GE(after, img_head(&self->img)->time);
}

TEST_F(image, head_flags_are_those_of_the_call)
{
	ASSERT_TRUE(take_flags(self, 0));
	EXPECT_EQ(0ULL, img_head(&self->img)->flags);
	ASSERT_TRUE(take_flags(self, CHECKPOINT_LOG));
	EXPECT_EQ((__u64)CHECKPOINT_LOG, img_head(&self->img)->flags);
}

TEST_F(image, head_crid_is_the_returned_id)
{
	long last;

	ASSERT_TRUE(take(self));
	EXPECT_EQ(self->id, img_head(&self->img)->crid);
	last = self->id;
	ASSERT_TRUE(take(self));
	EXPECT_EQ(self->id, img_head(&self->img)->crid);
	EXPECT_NE(last, self->id);
}

TEST_F(image, head_page_size)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ((__u32)getpagesize(), img_head(&self->img)->page_size);
}

TEST_F(image, task_is_running)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0U, img_task(&self->img)->state);
	EXPECT_EQ(0U, img_task(&self->img)->exit_state);
	EXPECT_EQ(0, img_task(&self->img)->exit_code);
	EXPECT_EQ(0U, img_task(&self->img)->reserved);
}

TEST_F(image, task_exit_signal_of_fork)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(SIGCHLD, img_task(&self->img)->exit_signal);
}

TEST_F(image, task_exit_signal_of_clone)
{
	struct image *img = shared(sizeof(*img));
	int status;
	pid_t pid;

	ASSERT_TRUE(!!img);
	signal(SIGUSR2, SIG_IGN);
	pid = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
	ASSERT_LE(0, pid);
	if (!pid) {
		sys_checkpoint(0, self->fd, 0, 0);
		img_pread(img, self->fd);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	ASSERT_EQ(IMG_SIZE, img->len);
	EXPECT_EQ(SIGUSR2, img_task(img)->exit_signal);
}

static void *thread_takes(void *arg)
{
	struct _test_data_image *self = arg;

	set_comm("a thread");
	self->id = sys_checkpoint(0, self->fd, 0, 0);
	return NULL;
}

TEST_F(image, task_of_a_thread)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, thread_takes, self));
	pthread_join(thread, NULL);
	ASSERT_LT(0, self->id);
	img_pread(&self->img, self->fd);
	EXPECT_IMAGE(&self->img, self->id, "a thread");
	EXPECT_EQ(-1, img_task(&self->img)->exit_signal);
}

TEST_F(image, task_comm_len)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(COMM_LEN, img_task(&self->img)->task_comm_len);
	EXPECT_EQ(COMM_LEN, img_find(&self->img, CR_HDR_STRING)->len);
}

/* All 16 bytes, also where a longer name was before. */
TEST_F(image, comm_is_padded_with_zeros)
{
	static const char * const names[] = {
		"fifteen letters", "", "x", "a b", "\xff\x80\x01", "new\nline",
		"sixteen letters!",
	};
	char expect[COMM_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		set_comm(names[i]);
		ASSERT_TRUE(take(self));
		memset(expect, 0, sizeof(expect));
		memcpy(expect, names[i], strnlen(names[i], COMM_LEN - 1));
		EXPECT_EQ(0, memcmp(expect, img_payload(&self->img, CR_HDR_STRING),
				    COMM_LEN))
			TH_LOG("comm '%s'", names[i]);
	}
}

TEST_F(image, tail_magic_and_checksum)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0x002d2a0cc0deef00ULL, img_tail(&self->img)->magic);
	EXPECT_EQ(0ULL, img_tail(&self->img)->cksum >> 32);
	EXPECT_EQ(crc32c(self->img.buf,
			 IMG_SIZE - REC_SIZE(sizeof(struct cr_hdr_tail))),
		  (__u32)img_tail(&self->img)->cksum);
	/* The well-known check value: it is that CRC, and not another. */
	EXPECT_EQ(0xe3069283U, crc32c("123456789", 9));
}

/* Nothing that the caller can see is changed by being saved. */
TEST_F(image, caller_stays_as_it_is)
{
	int fds = free_fd();
	sigset_t set, now;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, &set, NULL));
	ASSERT_TRUE(take(self));
	EXPECT_STREQ("imaged", get_comm().name);
	EXPECT_EQ(fds, free_fd());
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &now));
	EXPECT_EQ(1, sigismember(&now, SIGUSR1));
	EXPECT_EQ(0, sigismember(&now, SIGUSR2));
}

/* A task of another pid namespace is known by the pid that it has there. */
TEST_F(image, pid_namespace)
{
	int status;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces: %s", strerror(errno));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (getpid() != 1 || sys_checkpoint(1, self->fd, 0, 0) <= 0)
			_exit(1);
		errno = 0;
		if (sys_checkpoint(2, self->fd, 0, 0) != -1 || errno != ESRCH)
			_exit(2);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ((off_t)IMG_SIZE, file_size(self->fd));
}

/* TASK_STATS against /proc, getrusage and the clocks */

struct proc_stat {
	unsigned long long min_flt, maj_flt, utime, stime, start, gtime;
	unsigned long long nvcsw, nivcsw;
};

static bool read_stat(struct proc_stat *st)
{
	char text[4096] = { 0 }, *p;
	FILE *f;

	f = fopen("/proc/thread-self/stat", "r");
	if (!f)
		return false;
	p = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	/* From field 3, state, on. */
	if (!p || sscanf(p + 2,
			 "%*c %*d %*d %*d %*d %*d %*u %llu %*u %llu %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
			 &st->min_flt, &st->maj_flt, &st->utime, &st->stime,
			 &st->start) != 5)
		return false;
	f = fopen("/proc/thread-self/status", "r");
	if (!f)
		return false;
	while (fgets(text, sizeof(text), f)) {
		if (!strncmp(text, "voluntary_ctxt_switches:", 24))
			st->nvcsw = strtoull(text + 24, NULL, 10);
		if (!strncmp(text, "nonvoluntary_ctxt_switches:", 27))
			st->nivcsw = strtoull(text + 27, NULL, 10);
	}
	fclose(f);
	return true;
}

static __u64 tv_ns(struct timeval tv)
{
	return tv.tv_sec * SEC + tv.tv_usec * 1000ULL;
}

/* Uses the processor for @ms, in user mode or mostly in the kernel. */
static void burn(unsigned int ms, bool kernel)
{
	__u64 end = cpu_ns() + ms * MSEC;
	static char page[65536];
	int fd = kernel ? open("/dev/zero", O_RDONLY) : -1;
	unsigned int i;

	while (cpu_ns() < end) {
		if (kernel) {
			if (read(fd, page, sizeof(page)) < 0)
				break;
		} else {
			for (i = 0; i < 100000; i++)
				asm volatile("" : : : "memory");
		}
	}
	if (fd >= 0)
		close(fd);
}

TEST_F(image, stats_faults)
{
	struct cr_hdr_task_stats first;
	size_t size = 256 * getpagesize(), i;
	struct proc_stat a, b;
	char *mem;

	ASSERT_TRUE(read_stat(&a));
	ASSERT_TRUE(take(self));
	ASSERT_TRUE(read_stat(&b));
	first = *img_stats(&self->img);
	EXPECT_LE(a.min_flt, first.min_flt);
	EXPECT_GE(b.min_flt, first.min_flt);
	EXPECT_LE(a.maj_flt, first.maj_flt);
	EXPECT_GE(b.maj_flt, first.maj_flt);

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, size, MADV_NOHUGEPAGE);
	for (i = 0; i < size; i += getpagesize())
		mem[i] = 1;
	ASSERT_TRUE(take(self));
	EXPECT_LE(first.min_flt + 256, img_stats(&self->img)->min_flt);
	munmap(mem, size);
}

TEST_F(image, stats_context_switches)
{
	struct cr_hdr_task_stats first;
	struct proc_stat a, b;
	int i;

	ASSERT_TRUE(read_stat(&a));
	ASSERT_TRUE(take(self));
	ASSERT_TRUE(read_stat(&b));
	first = *img_stats(&self->img);
	EXPECT_LE(a.nvcsw, first.nvcsw);
	EXPECT_GE(b.nvcsw, first.nvcsw);
	EXPECT_LE(a.nivcsw, first.nivcsw);
	EXPECT_GE(b.nivcsw, first.nivcsw);

	for (i = 0; i < 20; i++)
		sleep_ms(1);
	ASSERT_TRUE(take(self));
	EXPECT_LE(first.nvcsw + 20, img_stats(&self->img)->nvcsw);
}

TEST_F(image, stats_user_time_grows_with_work)
{
	struct cr_hdr_task_stats first, *now;

	ASSERT_TRUE(take(self));
	first = *img_stats(&self->img);
	burn(300, false);
	ASSERT_TRUE(take(self));
	now = img_stats(&self->img);
	/* Ticks are a sample: most of the time, not all of it. */
	EXPECT_LE(first.utime + 100 * MSEC, now->utime);
	EXPECT_LE(first.stime, now->stime);
	EXPECT_GE(first.utime + 3 * SEC, now->utime);
}

TEST_F(image, stats_system_time_grows_with_work)
{
	struct cr_hdr_task_stats first, *now;

	ASSERT_TRUE(take(self));
	first = *img_stats(&self->img);
	burn(400, true);
	ASSERT_TRUE(take(self));
	now = img_stats(&self->img);
	EXPECT_LE(first.stime + 50 * MSEC, now->stime);
	EXPECT_LE(first.utime, now->utime);
	EXPECT_GE(first.stime + 3 * SEC, now->stime);
}

TEST_F(image, stats_times_against_getrusage)
{
	struct cr_hdr_task_stats *st;
	struct rusage a, b;
	__u64 raw, seen;

	burn(200, false);
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &a));
	ASSERT_TRUE(take(self));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &b));
	st = img_stats(&self->img);
	/* As last reported: getrusage() did that, in microseconds. */
	EXPECT_LE(tv_ns(a.ru_utime), st->prev_utime + 999);
	EXPECT_LE(tv_ns(a.ru_stime), st->prev_stime + 999);
	EXPECT_GE(tv_ns(b.ru_utime) + 999, st->prev_utime);
	EXPECT_GE(tv_ns(b.ru_stime) + 999, st->prev_stime);
	/* What was counted differs from what is reported, but not wildly. */
	raw = st->utime + st->stime;
	seen = tv_ns(a.ru_utime) + tv_ns(a.ru_stime);
	EXPECT_LE(seen / 3, raw);
	EXPECT_GE(seen * 3 + 100 * MSEC, raw);
}

TEST_F(image, stats_scaled_and_guest_times)
{
	struct cr_hdr_task_stats *st;

	burn(50, false);
	ASSERT_TRUE(take(self));
	st = img_stats(&self->img);
	EXPECT_EQ(0ULL, st->gtime);
	/* Only powerpc and s390 scale. */
	if (!strncmp(img_head(&self->img)->machine, "x86", 3) ||
	    !strncmp(img_head(&self->img)->machine, "aarch64", 7)) {
		EXPECT_EQ(st->utime, st->utimescaled);
		EXPECT_EQ(st->stime, st->stimescaled);
	}
}

TEST_F(image, stats_start_times)
{
	struct image *img = shared(sizeof(*img));
	__u64 mono[2], boot[2];
	struct proc_stat *st = shared(sizeof(*st));
	long hz = sysconf(_SC_CLK_TCK);
	int status;
	pid_t pid;

	ASSERT_TRUE(img && st);
	mono[0] = now_ns(CLOCK_MONOTONIC);
	boot[0] = now_ns(CLOCK_BOOTTIME);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		sys_checkpoint(0, self->fd, 0, 0);
		img_pread(img, self->fd);
		_exit(!read_stat(st));
	}
	mono[1] = now_ns(CLOCK_MONOTONIC);
	boot[1] = now_ns(CLOCK_BOOTTIME);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(IMG_SIZE, img->len);
	EXPECT_LE(mono[0], img_stats(img)->start_time);
	EXPECT_GE(mono[1], img_stats(img)->start_time);
	EXPECT_LE(boot[0], img_stats(img)->start_boottime);
	EXPECT_GE(boot[1], img_stats(img)->start_boottime);
	EXPECT_EQ(st->start, img_stats(img)->start_boottime / (SEC / hz));
}

/* The start does not move, and times never run backwards. */
TEST_F(image, stats_are_monotonic)
{
	struct cr_hdr_task_stats last, *now;
	int i;

	ASSERT_TRUE(take(self));
	last = *img_stats(&self->img);
	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(take(self));
		now = img_stats(&self->img);
		EXPECT_LE(last.utime, now->utime);
		EXPECT_LE(last.stime, now->stime);
		EXPECT_LE(last.prev_utime, now->prev_utime);
		EXPECT_LE(last.prev_stime, now->prev_stime);
		EXPECT_LE(last.nvcsw, now->nvcsw);
		EXPECT_LE(last.nivcsw, now->nivcsw);
		EXPECT_LE(last.min_flt, now->min_flt);
		EXPECT_LE(last.maj_flt, now->maj_flt);
		EXPECT_EQ(last.start_time, now->start_time);
		EXPECT_EQ(last.start_boottime, now->start_boottime);
		last = *now;
	}
}

TEST_HARNESS_MAIN
