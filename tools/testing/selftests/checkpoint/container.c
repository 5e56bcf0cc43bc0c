// SPDX-License-Identifier: GPL-2.0
/*
 * CHECKPOINT_CONTAINER: what would be left to the restarter is refused by its
 * descriptor, and the process goes on.
 */
#include "proc.h"

static void has_streams(void)
{
	checkpoint_here();
}

/* What it is saved with has no stream from outside. */
static void has_none(void)
{
	int fd = open("/dev/null", O_RDWR);

	CHECK(fd >= 0);
	say(SAY_READY);
	CHECK(dup2(fd, 0) == 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
	close(fd);
	for (;;)
		pause();
}

FIXTURE(container)
{
	struct subject s;
};

FIXTURE_SETUP(container)
{
	if (skip_without_root(_metadata, "to save others"))
		return;
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(container)
{
	subject_close(&self->s);
}

TEST_F(container, streams_from_outside_are_refused)
{
	char log[512] = "";

	ASSERT_TRUE(subject_start(&self->s, has_streams, LEFT));
	self->s.ready = read_byte(self->s.out);
	ASSERT_TRUE(proc_wait_asleep(self->s.pid));
	errno = 0;
	EXPECT_EQ(-1, sys_checkpoint(self->s.pid, self->s.image,
				     CHECKPOINT_CONTAINER | CHECKPOINT_LOG,
				     self->s.logfd));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_LT(0, pread(self->s.logfd, log, sizeof(log) - 1, 0));
	EXPECT_NE(NULL, strstr(log, "fd 0: what is outside of the tree is not supported"))
		TH_LOG("log: %s", log);
	/* Nothing was written, and it goes on. */
	EXPECT_EQ(0, lseek(self->s.image, 0, SEEK_END));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
}

TEST_F(container, nothing_from_outside_is_saved)
{
	ASSERT_TRUE(subject_start(&self->s, has_none, LEFT));
	EXPECT_EQ(SAY_READY[0], read_byte(self->s.out));
	/* Until its end of the pipe is closed. */
	EXPECT_EQ(-1, read_byte(self->s.out));
	ASSERT_TRUE(proc_wait_asleep(self->s.pid));
	EXPECT_LT(0, sys_checkpoint(self->s.pid, self->s.image,
				    CHECKPOINT_CONTAINER | CHECKPOINT_KILL | CHECKPOINT_LOG,
				    self->s.logfd))
		show_log(_metadata, self->s.logfd);
	EXPECT_EQ(self->s.pid, waitpid(self->s.pid, NULL, 0));
}

TEST_HARNESS_MAIN
