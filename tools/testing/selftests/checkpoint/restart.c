// SPDX-License-Identifier: GPL-2.0
/*
 * restart(2) of good images: what it restores, and how it treats names that no
 * task could have.
 */
#include "proc.h"

FIXTURE(restart)
{
	struct image img;
};

FIXTURE_SETUP(restart)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(restart)
{
}

/* Restarts an image with a comm of @len bytes; the caller gets @expect. */
static void restart_comm(struct __test_metadata *_metadata,
			 struct _test_data_restart *self, const char *comm,
			 size_t len, const char *expect)
{
	int fd;

	img_build(&self->img, comm, len);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTORED(try_restart(0, fd), expect);
	EXPECT_EQ((off_t)self->img.len, tell(fd));
	close(fd);
	fd = img_pipe(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTORED(try_restart(0, fd), expect);
	close(fd);
}

TEST_F(restart, crafted_image_is_taken)
{
	restart_comm(_metadata, self, "crafted\0\0\0\0\0\0\0\0", COMM_LEN,
		     "crafted");
}

/* The image of a whole process: there is a new one, of that name. */
TEST_F(restart, image_of_a_process)
{
	int fd = tmp_memfd(), logfd = tmp_memfd();
	struct tiny t, again;
	pid_t pid;
	long id;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(tiny_start(&t));
	ASSERT_TRUE(tiny_answers(&t));
	pid = t.pid;
	id = sys_checkpoint(pid, fd, 0, 0);
	ASSERT_LT(0, id);
	again.count = t.count;
	EXPECT_TRUE(tiny_answers(&t));
	EXPECT_TRUE(tiny_stop(&t));

	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	ASSERT_TRUE(tiny_restart(&again, geteuid() ? 0 : pid, fd, id, 0, logfd));
	EXPECT_TRUE(tiny_answers(&again));
	EXPECT_TRUE(proc_comm_is(again.pid, "tiny"));
	if (!geteuid())
		EXPECT_EQ(pid, again.pid);
	EXPECT_TRUE(tiny_answers(&again));
	EXPECT_TRUE(tiny_stop(&again));
	show_log(_metadata, logfd);
	/* To the last byte, and no further. */
	EXPECT_EQ(file_size(fd), tell(fd));
	close(fd);
	close(logfd);
}

/* Many from one image, all at the same time. */
TEST_F(restart, image_of_a_process_many_times)
{
	struct tiny t, again[8];
	int fd = tmp_memfd();
	size_t i;
	long id;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(tiny_start(&t));
	ASSERT_TRUE(tiny_answers(&t));
	id = sys_checkpoint(t.pid, fd, 0, 0);
	ASSERT_LT(0, id);
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		again[i].count = t.count;
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_TRUE(tiny_restart(&again[i], 0, fd, id, 0, -1));
		EXPECT_TRUE(tiny_answers(&again[i]));
	}
	EXPECT_TRUE(tiny_answers(&t));
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		EXPECT_TRUE(tiny_answers(&again[i]));
		EXPECT_TRUE(tiny_stop(&again[i]));
	}
	EXPECT_TRUE(tiny_stop(&t));
	close(fd);
}

/* What was restored can be saved, and so on. */
TEST_F(restart, image_of_what_was_restarted)
{
	struct tiny t, next;
	int fd, i;
	long id;

	ASSERT_TRUE(tiny_start(&t));
	for (i = 0; i < 10; i++) {
		EXPECT_TRUE(tiny_answers(&t));
		ASSERT_TRUE(proc_wait_asleep(t.pid));
		fd = tmp_memfd();
		id = sys_checkpoint(t.pid, fd, CHECKPOINT_KILL, 0);
		ASSERT_LT(0, id)
			TH_LOG("generation %d: %s", i, strerror(errno));
		next.count = t.count;
		tiny_kill(&t);
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_TRUE(tiny_restart(&next, 0, fd, id, 0, -1));
		close(fd);
		t = next;
	}
	EXPECT_TRUE(tiny_answers(&t));
	EXPECT_TRUE(tiny_stop(&t));
}

TEST_F(restart, every_byte_of_comm_survives)
{
	char name[COMM_LEN];
	int c, i;

	for (c = 1; c < 256; c += COMM_LEN - 1) {
		memset(name, 0, sizeof(name));
		for (i = 0; i < COMM_LEN - 1 && c + i < 256; i++)
			name[i] = c + i;
		restart_comm(_metadata, self, name, COMM_LEN, name);
	}
}

TEST_F(restart, comm_shows_in_proc)
{
	char text[64] = { 0 };
	int fd;

	img_default(&self->img);
	fd = img_memfd(&self->img);
	ASSERT_EQ(0, sys_restart(0, fd, 0, 0));
	close(fd);
	fd = open("/proc/self/comm", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
	EXPECT_STREQ(RESTORED "\n", text);
	close(fd);
}

TEST_F(restart, empty_comm)
{
	restart_comm(_metadata, self, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
		     COMM_LEN, "");
}

TEST_F(restart, comm_without_nul_is_cut)
{
	restart_comm(_metadata, self, "0123456789abcdef", 16,
		     "0123456789abcde");
}

/* Every length that the format has room for, padded to 8 in the image. */
TEST_F(restart, comm_of_every_length)
{
	char name[64], expect[COMM_LEN];
	size_t len;

	for (len = 1; len < sizeof(name); len++) {
		memset(name, 'a' + len % 26, sizeof(name));
		memset(expect, 0, sizeof(expect));
		memcpy(expect, name, len < COMM_LEN ? len : COMM_LEN - 1);
		restart_comm(_metadata, self, name, len, expect);
	}
}

TEST_F(restart, comm_of_100_bytes_is_cut)
{
	char name[100];

	memset(name, 'x', sizeof(name));
	memcpy(name, "cut me here, as prctl() does", 28);
	restart_comm(_metadata, self, name, sizeof(name), "cut me here, as");
}

TEST_F(restart, comm_of_4096_bytes_is_cut)
{
	char name[4096];

	memset(name, 'y', sizeof(name));
	restart_comm(_metadata, self, name, sizeof(name), "yyyyyyyyyyyyyyy");
}

TEST_F(restart, comm_of_4097_bytes_is_refused)
{
	char name[4097];
	int fd;

	memset(name, 'z', sizeof(name));
	img_build(&self->img, name, sizeof(name));
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EINVAL, "task_comm_len 4097");
	close(fd);
	fd = img_pipe(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EINVAL, "limit of 4096");
	close(fd);
}

/* A shorter name leaves nothing of the longer one behind it. */
TEST_F(restart, short_comm_after_a_long_one)
{
	char text[COMM_LEN] = { 0 };
	int fd;

	img_build(&self->img, "ab", 2);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	set_comm("a long name too");
	ASSERT_EQ(0, sys_restart(0, fd, 0, 0));
	ASSERT_EQ(0, prctl(PR_GET_NAME, text));
	EXPECT_EQ(0, memcmp(text, "ab\0\0\0\0\0\0\0\0\0\0\0\0\0", COMM_LEN));
	close(fd);
}

TEST_F(restart, image_with_log_flag_is_taken)
{
	int fd;

	img_default(&self->img);
	img_head(&self->img)->flags = CHECKPOINT_LOG;
	img_seal(&self->img);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTORED(try_restart(0, fd), RESTORED);
	close(fd);
}

/* The image is what counts: when it was taken, and by whom, does not. */
TEST_F(restart, old_image_with_large_numbers)
{
	struct cr_hdr_task_stats *st;
	int fd;

	img_default(&self->img);
	img_head(&self->img)->time = 0;
	img_head(&self->img)->crid = INT_MAX;
	st = img_stats(&self->img);
	memset(st, 0xff, sizeof(*st));
	img_seal(&self->img);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	EXPECT_RESTORED(try_restart(INT_MAX, fd), RESTORED);
	close(fd);
}

TEST_F(restart, only_comm_changes)
{
	struct rusage a, b;
	int fds = free_fd(), fd;
	sigset_t set, now;
	pid_t pid = getpid();

	img_default(&self->img);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, &set, NULL));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &a));
	ASSERT_EQ(0, sys_restart(0, fd, 0, 0));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &b));
	close(fd);
	EXPECT_STREQ(RESTORED, get_comm().name);
	EXPECT_EQ(pid, getpid());
	EXPECT_EQ(fds, free_fd());
	/* Used-up time is a record, not something to give back. */
	EXPECT_LE(a.ru_minflt, b.ru_minflt);
	EXPECT_GE(a.ru_minflt + 1000, b.ru_minflt);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &now));
	EXPECT_EQ(1, sigismember(&now, SIGUSR1));
	EXPECT_EQ(0, sigismember(&now, SIGUSR2));
}

TEST_F(restart, again_and_again)
{
	int fd, i;

	img_default(&self->img);
	fd = img_memfd(&self->img);
	ASSERT_LE(0, fd);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		EXPECT_RESTORED(try_restart(0, fd), RESTORED);
	}
	close(fd);
}

/* Each refused restart leaves room for a good one. */
TEST_F(restart, good_after_bad)
{
	int good, bad, i;

	img_default(&self->img);
	good = img_memfd(&self->img);
	img_tail(&self->img)->cksum ^= 1;
	bad = img_memfd(&self->img);
	ASSERT_TRUE(good >= 0 && bad >= 0);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, lseek(bad, 0, SEEK_SET));
		EXPECT_RESTART_REFUSED(try_restart(0, bad), EINVAL, "TAIL");
		ASSERT_EQ(0, lseek(good, 0, SEEK_SET));
		EXPECT_RESTORED(try_restart(0, good), RESTORED);
	}
	close(good);
	close(bad);
}

TEST_HARNESS_MAIN
