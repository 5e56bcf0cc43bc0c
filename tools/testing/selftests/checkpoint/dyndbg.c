// SPDX-License-Identifier: GPL-2.0
/*
 * Each line of the log is also a pr_debug(), so that an administrator finds in
 * the kernel's log why somebody else's call was refused.
 */
#include "proc.h"

#define CALL_SITE "file rust/helpers/checkpoint.c"

FIXTURE(dyndbg)
{
	int control;
	int kmsg;
};

static const char * const controls[] = {
	"/proc/dynamic_debug/control",
	"/sys/kernel/debug/dynamic_debug/control",
};

static bool debug(int control, bool on)
{
	const char *cmd = on ? CALL_SITE " +p" : CALL_SITE " -p";

	return write(control, cmd, strlen(cmd)) == (ssize_t)strlen(cmd);
}

FIXTURE_SETUP(dyndbg)
{
	size_t i;

	if (skip_without_root(_metadata, "for dynamic debug"))
		return;
	self->control = -1;
	for (i = 0; i < ARRAY_SIZE(controls) && self->control < 0; i++)
		self->control = open(controls[i], O_RDWR);
	if (self->control < 0)
		SKIP(return, "no dynamic debug: %s", strerror(errno));
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (self->kmsg < 0)
		SKIP(return, "no /dev/kmsg: %s", strerror(errno));
	ASSERT_LE(0, lseek(self->kmsg, 0, SEEK_END));
	ASSERT_TRUE(debug(self->control, false));
	set_comm("debugged");
}

FIXTURE_TEARDOWN(dyndbg)
{
	debug(self->control, false);
	close(self->control);
	close(self->kmsg);
}

/* How many new lines of the kernel's log have @text in them. */
static int seen(struct _test_data_dyndbg *self, const char *text)
{
	char line[8192];
	int count = 0;
	ssize_t n;

	/* What is logged meanwhile overwrites what was not read: go on. */
	while ((n = read(self->kmsg, line, sizeof(line) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		count += !!strstr(line, text);
	}
	return count;
}

TEST_F(dyndbg, silent_by_default)
{
	EXPECT_EQ(-1, sys_checkpoint(-77, 1, 0, 0));
	EXPECT_EQ(-1, sys_restart(-77, 0, 0, 0));
	EXPECT_EQ(0, seen(self, "-77"));
}

TEST_F(dyndbg, call_site_is_listed)
{
	bool found = false;
	char line[1024];
	FILE *f;

	f = fdopen(dup(self->control), "r");
	ASSERT_TRUE(!!f);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		found |= !!strstr(line, "rust/helpers/checkpoint.c:");
	fclose(f);
	EXPECT_TRUE(found);
}

/* Also where the caller asked for no log of his own. */
TEST_F(dyndbg, refusals_appear)
{
	int fd = open("/dev/null", O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_TRUE(debug(self->control, true));
	EXPECT_EQ(-1, sys_checkpoint(-77, fd, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, seen(self, "checkpoint: "));
	EXPECT_EQ(-1, sys_restart(-78, fd, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, seen(self, "restart: "));
	EXPECT_EQ(-1, sys_restart(0, fd, 0, 0));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(1, seen(self, "restart: image offset 0"));
	EXPECT_EQ(-1, sys_checkpoint(0, fd, 1UL << 40, 0));
	EXPECT_EQ(1, seen(self, "checkpoint: "));
	EXPECT_EQ(-1, sys_checkpoint(0, fd, CHECKPOINT_LOG, -1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(1, seen(self, "checkpoint: "));
	close(fd);
}

/* The line is the same one that the caller gets. */
TEST_F(dyndbg, same_line_as_in_the_log)
{
	struct outcome o;

	ASSERT_TRUE(debug(self->control, true));
	o = try_checkpoint(-77, STDOUT_FILENO);
	EXPECT_CHECKPOINT_REFUSED(o, EINVAL, "-77");
	o.log[strcspn(o.log, "\n")] = '\0';
	EXPECT_EQ(1, seen(self, o.log))
		TH_LOG("not in the kernel's log: %s", o.log);
}

TEST_F(dyndbg, success_is_silent)
{
	int fd = tmp_memfd();
	struct tiny t;
	long id;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(tiny_start(&t));
	ASSERT_TRUE(debug(self->control, true));
	id = sys_checkpoint(t.pid, fd, 0, 0);
	EXPECT_LT(0, id);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_TINY(&t, fd, id);
	EXPECT_EQ(0, seen(self, "checkpoint: "));
	EXPECT_TRUE(tiny_stop(&t));
	close(fd);
}

TEST_F(dyndbg, off_again)
{
	ASSERT_TRUE(debug(self->control, true));
	EXPECT_EQ(-1, sys_checkpoint(-77, 1, 0, 0));
	EXPECT_EQ(1, seen(self, "-77"));
	ASSERT_TRUE(debug(self->control, false));
	EXPECT_EQ(-1, sys_checkpoint(-77, 1, 0, 0));
	EXPECT_EQ(0, seen(self, "-77"));
}

TEST_HARNESS_MAIN
