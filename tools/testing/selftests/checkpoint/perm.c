// SPDX-License-Identifier: GPL-2.0
/*
 * Who may call: unprivileged users, the sysctl kernel.checkpoint_unprivileged,
 * capabilities, user namespaces, and the rules of ptrace.
 */
#include "proc.h"

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

/*
 * Leaves the caller with nothing but @caps, which the programs that it starts
 * have as well: only who has the same can bring them back.
 */
static bool only_caps(__u64 caps)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ caps, caps, caps },
		{ caps >> 32, caps >> 32, caps >> 32 },
	};
	int cap;

	if (syscall(SYS_capset, &hdr, data))
		return false;
	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (caps >> cap & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return false;
	return true;
}

/* Makes the caller nobody, with @caps and no others. */
static bool become_nobody(__u64 caps)
{
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
	    setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || !only_caps(caps) ||
	    /* A credential as well; execve(2) would take it away. */
	    prctl(PR_SET_KEEPCAPS, 0))
		return false;
	return true;
}

FIXTURE(perm)
{
	struct image img;
	int file;
	int good;
	char dir[32];		/* with a program that all may start */
	char path[48];
	int old;		/* the sysctl, before */
};

/* A copy that all may read and start. */
static bool copy_program(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out;
	char buf[65536];
	ssize_t n;

	out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (!write_all(out, buf, n))
			n = -1;
	fchmod(out, 0755);
	close(in);
	close(out);
	return !n;
}

FIXTURE_SETUP(perm)
{
	char from[PATH_MAX];

	if (skip_without_root(_metadata, "to write a sysctl"))
		return;
	img_default(&self->img);
	self->file = tmp_memfd();
	self->good = img_memfd(&self->img);
	ASSERT_TRUE(self->file >= 0 && self->good >= 0);
	/* Where the tests are, the unprivileged may not look. */
	put_text(self->dir, "/tmp/ckpt-selftest-XXXXXX");
	ASSERT_TRUE(!!mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/tiny", self->dir);
	ASSERT_EQ(0, chmod(self->dir, 0755));
	ASSERT_EQ(0, chdir("/"));
	tiny_path(from, sizeof(from));
	ASSERT_TRUE(copy_program(from, self->path));
	self->old = sysctl_read();
	ASSERT_NE(-1, self->old);
	ASSERT_EQ(0, sysctl_write("1"));
	set_comm(UNTOUCHED);
}

/* In the parent, which has kept its privileges. */
FIXTURE_TEARDOWN_PARENT(perm)
{
	unlink(self->path);
	rmdir(self->dir);
	sysctl_write(self->old ? "1" : "0");
}

/* A child that saves itself into a pipe; its image is put into @fd. */
static long saves_itself(int fd)
{
	struct cr_hdr_head *head;
	int p[2], status;
	struct walk w;
	pid_t pid;
	long id = -1;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		settle(-1, p[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		_exit(sys_checkpoint(0, 1, 0, 0) > 0 ? 0 : errno);
	}
	close(p[1]);
	w = walk_fd(p[0]);
	close(p[0]);
	if (waitpid(pid, &status, 0) == pid && !status && !w.wrong &&
	    write_all(fd, w.buf, w.len)) {
		head = walk_find(&w, CR_HDR_HEAD);
		id = head->crid;
	} else {
		errno = WEXITSTATUS(status);
	}
	walk_free(&w);
	return id;
}

/* Both calls work for whoever calls this. */
static void works(struct __test_metadata *_metadata,
		  struct _test_data_perm *self)
{
	struct outcome o;
	struct tiny t;
	long id;

	/* Another process, which is the caller's own. */
	ASSERT_TRUE(tiny_start_path(&t, self->path));
	EXPECT_TRUE(tiny_answers(&t));
	ASSERT_TRUE(proc_wait_asleep(t.pid));
	o = try_checkpoint(t.pid, self->file);
	EXPECT_LT(0, o.ret)
		TH_LOG("checkpoint: %s: %s", strerror(o.err), o.log);
	if (o.ret > 0) {
		EXPECT_PROCESS(self->file, o.ret, "tiny");
		ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
		EXPECT_TINY(&t, self->file, o.ret);
	}
	EXPECT_TRUE(tiny_stop(&t));

	/* The caller itself. */
	ASSERT_EQ(0, ftruncate(self->file, 0));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	id = saves_itself(self->file);
	EXPECT_LT(0, id)
		TH_LOG("checkpoint of itself: %s", strerror(errno));
	if (id > 0)
		EXPECT_PROCESS(self->file, id, UNTOUCHED);

	/* The image of a task. */
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

/* An image of root's process that it may read: nothing of it comes true. */
TEST_F(perm, unprivileged_user_gains_nothing)
{
	struct tiny t, again;
	int logfd = tmp_memfd(), status, fd;
	char text[512] = { 0 };

	ASSERT_TRUE(tiny_start_path(&t, self->path));
	ASSERT_LT(0, sys_checkpoint(t.pid, self->file, 0, 0));
	EXPECT_TRUE(tiny_stop(&t));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	ASSERT_TRUE(become_nobody(0));
	again.count = t.count;
	ASSERT_TRUE(tiny_restart(&again, 0, self->file, 0, 0, logfd));
	status = wait_ms(again.pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + EPERM)
		TH_LOG("status %#x", status);
	ASSERT_LT(0, pread(logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!strncmp(text, "restart: credentials: ", 22))
		TH_LOG("log: %s", text);
	EXPECT_TRUE(one_printable_line(text));
	fd = open(SYSCTL, O_WRONLY);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EACCES, errno);
}

/* The other way: root may become anybody. */
TEST_F(perm, root_becomes_another_user)
{
	char path[64], text[4096] = { 0 };
	int logfd = tmp_memfd(), status, fd, p[2];
	struct tiny t, again;
	pid_t pid;

	/* A child becomes nobody and starts it, and passes on what it has. */
	ASSERT_EQ(0, pipe(p));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char c;

		if (!become_nobody(0) || !tiny_start_path(&t, self->path) ||
		    write(p[1], &t.pid, sizeof(t.pid)) != sizeof(t.pid))
			_exit(1);
		close(p[1]);
		/* Until it is killed. */
		_exit(read(t.out, &c, 1) == 1);
	}
	close(p[1]);
	ASSERT_EQ((ssize_t)sizeof(t.pid), read(p[0], &t.pid, sizeof(t.pid)));
	ASSERT_LT(0, sys_checkpoint(t.pid, self->file, CHECKPOINT_KILL, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	again.count = 0;
	ASSERT_TRUE(tiny_restart(&again, 0, self->file, 0, 0, logfd));
	EXPECT_TRUE(tiny_answers(&again));
	show_log(_metadata, logfd);
	snprintf(path, sizeof(path), "/proc/%d/status", again.pid);
	fd = open(path, O_RDONLY);
	ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	EXPECT_TRUE(!!strstr(text, "\nUid:\t65534\t65534\t65534\t65534\n"));
	EXPECT_TRUE(!!strstr(text, "\nCapPrm:\t0000000000000000\n"));
	EXPECT_TRUE(tiny_stop(&again));
	close(p[0]);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

/* Root of a user namespace, and of no more. */
TEST_F(perm, user_namespace)
{
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces: %s", strerror(errno));
	ASSERT_TRUE(write_text("/proc/self/setgroups", "deny"));
	ASSERT_TRUE(write_text("/proc/self/uid_map", "0 0 1"));
	ASSERT_TRUE(write_text("/proc/self/gid_map", "0 0 1"));
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

/* Who is not there is not there for anybody; who is, is not told more. */
TEST_F(perm, nobodys_pid_esrch)
{
	ASSERT_TRUE(become_nobody(0));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MAX, self->file), ESRCH,
				  "");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(-1, self->file), EINVAL, "");
}

TEST_HARNESS_MAIN
