// SPDX-License-Identifier: GPL-2.0
/*
 * Who may call: unprivileged users, the sysctl kernel.checkpoint_unprivileged,
 * capabilities, user namespaces, and the rules of ptrace.
 */
#include "ckpt_util.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>

#define NOBODY 65534U
#define SYSCTL "/proc/sys/kernel/checkpoint_unprivileged"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/* Writes to the sysctl: 0 or an errno. */
static int sysctl_write(const char *value)
{
	int fd = open(SYSCTL, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

static int sysctl_read(void)
{
	char text[16] = { 0 };
	int fd = open(SYSCTL, O_RDONLY), n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? atoi(text) : -1;
}

/* Leaves the caller with nothing but @caps, effective and permitted. */
static bool only_caps(__u64 caps)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
		{ .effective = caps >> 32, .permitted = caps >> 32 },
	};

	return !syscall(SYS_capset, &hdr, data);
}

/* Makes the caller nobody, with @caps and no others. */
static bool become_nobody(__u64 caps)
{
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
	    setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || !only_caps(caps))
		return false;
	return true;
}

FIXTURE(perm)
{
	struct image img;
	int file;
	int good;
	int p[2];
	int old;		/* the sysctl, before */
};

FIXTURE_SETUP(perm)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	if (geteuid())
		SKIP(return, "needs root");
	img_default(&self->img);
	self->file = tmp_memfd();
	self->good = img_memfd(&self->img);
	ASSERT_TRUE(self->file >= 0 && self->good >= 0);
	/* It is written and read by the unprivileged: opened before. */
	ASSERT_EQ(0, pipe(self->p));
	self->old = sysctl_read();
	ASSERT_NE(-1, self->old);
	ASSERT_EQ(0, sysctl_write("1"));
	set_comm(UNTOUCHED);
}

/* In the parent, which has kept its privileges. */
FIXTURE_TEARDOWN_PARENT(perm)
{
	sysctl_write(self->old ? "1" : "0");
}

/* Both calls work for whoever calls this. */
static void works(struct __test_metadata *_metadata,
		  struct _test_data_perm *self)
{
	long id;

	set_comm("permitted");
	id = sys_checkpoint(0, self->p[1], 0, 0);
	EXPECT_LT(0, id)
		TH_LOG("checkpoint: %s", strerror(errno));
	if (id <= 0)
		return;
	EXPECT_RESTORED(try_restart(id, self->p[0]), "permitted");
	id = sys_checkpoint(getpid(), self->file, 0, 0);
	EXPECT_LT(0, id);
	img_pread(&self->img, self->file);
	EXPECT_IMAGE(&self->img, id, "permitted");
	ASSERT_EQ(0, lseek(self->good, 0, SEEK_SET));
	EXPECT_RESTORED(try_restart(0, self->good), RESTORED);
}

/* Neither does, and each says why. */
static void closed(struct __test_metadata *_metadata,
		   struct _test_data_perm *self)
{
	off_t size = file_size(self->file);

	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, self->file), EPERM,
				  "checkpoint_unprivileged");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(getpid(), self->file), EPERM,
				  "checkpoint_unprivileged");
	EXPECT_RESTART_REFUSED(try_restart(0, self->good), EPERM,
			       "checkpoint_unprivileged");
	/* It comes before all that would tell about fd and logfd. */
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, -1), EPERM,
				  "checkpoint_unprivileged");
	EXPECT_EQ(-1, sys_checkpoint(0, self->file, CHECKPOINT_LOG, -1));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, sys_restart(0, self->good, CHECKPOINT_LOG, -1));
	EXPECT_EQ(EPERM, errno);
	/* But after the flags. */
	EXPECT_EQ(-1, sys_checkpoint(0, self->file, 1UL << 63, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(0, self->good, 1UL << 63, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(size, file_size(self->file));
	EXPECT_EQ(size, tell(self->file));
	EXPECT_EQ(0, tell(self->good));
}

TEST_F(perm, root)
{
	works(_metadata, self);
}

TEST_F(perm, unprivileged_user)
{
	ASSERT_TRUE(become_nobody(0));
	ASSERT_EQ(NOBODY, geteuid());
	works(_metadata, self);
}

/* Its own image, and one of root's that it may read: the name, no more. */
TEST_F(perm, unprivileged_user_gains_nothing)
{
	int fd;

	ASSERT_LT(0, sys_checkpoint(0, self->file, 0, 0));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	ASSERT_TRUE(become_nobody(0));
	EXPECT_EQ(0, sys_restart(0, self->file, 0, 0));
	EXPECT_EQ(NOBODY, getuid());
	EXPECT_EQ(NOBODY, geteuid());
	EXPECT_EQ(NOBODY, getegid());
	fd = open(SYSCTL, O_WRONLY);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EACCES, errno);
}

TEST_F(perm, user_namespace)
{
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces: %s", strerror(errno));
	works(_metadata, self);
}

TEST_F(perm, not_dumpable)
{
	ASSERT_TRUE(become_nobody(0));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 0));
	/* A task may always look at itself. */
	works(_metadata, self);
}

TEST_F(perm, sysctl_zero_and_root)
{
	ASSERT_EQ(0, sysctl_write("0"));
	works(_metadata, self);
}

TEST_F(perm, sysctl_zero_and_unprivileged)
{
	ASSERT_EQ(0, sysctl_write("0"));
	ASSERT_TRUE(become_nobody(0));
	closed(_metadata, self);
}

TEST_F(perm, sysctl_zero_and_cap_checkpoint_restore)
{
	ASSERT_EQ(0, sysctl_write("0"));
	ASSERT_TRUE(become_nobody(1ULL << CAP_CHECKPOINT_RESTORE));
	works(_metadata, self);
}

TEST_F(perm, sysctl_zero_and_cap_sys_admin)
{
	ASSERT_EQ(0, sysctl_write("0"));
	ASSERT_TRUE(become_nobody(1ULL << CAP_SYS_ADMIN));
	works(_metadata, self);
}

TEST_F(perm, sysctl_zero_and_every_other_capability)
{
	__u64 caps = (1ULL << (CAP_LAST_CAP + 1)) - 1;

	caps &= ~(1ULL << CAP_CHECKPOINT_RESTORE);
	caps &= ~(1ULL << CAP_SYS_ADMIN);
	ASSERT_EQ(0, sysctl_write("0"));
	ASSERT_TRUE(become_nobody(caps));
	closed(_metadata, self);
}

/* It is the capability that counts, not the number of the user. */
TEST_F(perm, sysctl_zero_and_root_without_capabilities)
{
	ASSERT_EQ(0, sysctl_write("0"));
	ASSERT_TRUE(only_caps(0));
	ASSERT_EQ(0U, geteuid());
	closed(_metadata, self);
}

/* All capabilities, but only over a namespace that anybody can make. */
TEST_F(perm, sysctl_zero_and_user_namespace)
{
	ASSERT_EQ(0, sysctl_write("0"));
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces: %s", strerror(errno));
	closed(_metadata, self);
}

TEST_F(perm, sysctl_back_to_one)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, sysctl_write("0"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!become_nobody(0))
			_exit(1);
		_exit(sys_checkpoint(0, self->file, 0, 0) != -1 ||
		      errno != EPERM ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, sysctl_write("1"));
	ASSERT_TRUE(become_nobody(0));
	works(_metadata, self);
}

TEST_F(perm, sysctl_takes_zero_and_one_only)
{
	static const char * const bad[] = {
		"2", "-1", "3", "2147483647", "2147483648", "4294967296",
		"4294967297", "-2147483648", "yes",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(0, sysctl_write(i & 1 ? "0" : "1"));
		EXPECT_EQ(EINVAL, sysctl_write(bad[i]))
			TH_LOG("the sysctl took '%s'", bad[i]);
		EXPECT_EQ(i & 1 ? 0 : 1, sysctl_read());
	}
	EXPECT_EQ(0, sysctl_write("0\n"));
	EXPECT_EQ(0, sysctl_read());
	EXPECT_EQ(0, sysctl_write("1\n"));
	EXPECT_EQ(1, sysctl_read());
}

TEST_F(perm, sysctl_is_for_root_to_write_and_all_to_read)
{
	struct stat st;

	ASSERT_EQ(0, stat(SYSCTL, &st));
	EXPECT_EQ(0U, st.st_uid);
	EXPECT_EQ(0644U, st.st_mode & 07777);
	ASSERT_TRUE(become_nobody(0));
	EXPECT_EQ(1, sysctl_read());
	EXPECT_EQ(EACCES, sysctl_write("0"));
	EXPECT_EQ(1, sysctl_read());
}

TEST_F(perm, another_users_task_eperm)
{
	char expect[32];

	ASSERT_TRUE(become_nobody(0));
	snprintf(expect, sizeof(expect), "%d", getppid());
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(1, self->file), EPERM, "1");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(getppid(), self->file), EPERM,
				  expect);
	EXPECT_EQ(0, file_size(self->file));
	EXPECT_EQ(0, tell(self->file));
}

/* Its own user's task, but one that was privileged when it started. */
TEST_F(perm, own_users_task_that_is_not_dumpable_eperm)
{
	pid_t pid;
	int p[2];
	char c;

	ASSERT_EQ(0, pipe(p));
	ASSERT_TRUE(become_nobody(0));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 0);
		if (write(p[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(p[0], &c, 1));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(pid, self->file), EPERM, "");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Where ptrace would be allowed, the answer is another. */
TEST_F(perm, own_users_task_eopnotsupp)
{
	pid_t pid;

	ASSERT_TRUE(become_nobody(0));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(pid, self->file), EOPNOTSUPP,
				  "");
	EXPECT_EQ(0, file_size(self->file));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Who is not there is not there for anybody; who is, is not told more. */
TEST_F(perm, nobodys_pid_esrch)
{
	ASSERT_TRUE(become_nobody(0));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MAX, self->file), ESRCH,
				  "");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(-1, self->file), EINVAL, "");
}

TEST_HARNESS_MAIN
