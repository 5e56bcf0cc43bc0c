// SPDX-License-Identifier: GPL-2.0
/*
 * Pids of a restart: one that is taken is refused by name before anything is
 * made, and with RESTART_NEW_PIDS all tasks get others, which they are known by
 * among themselves. That takes no privilege.
 */
#include "whole.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/wait.h>

#define USER 1000U

FIXTURE(newpids)
{
	struct whole w;
};

FIXTURE_SETUP(newpids)
{
	if (skip_without_root(_metadata, "to become somebody else"))
		return;
	ASSERT_TRUE(make_dir());
	ASSERT_EQ(0, chmod(subject_dir, 0777));
	self->w = (struct whole) { .metadata = _metadata };
}

FIXTURE_TEARDOWN(newpids)
{
	remove_dir();
}

/* Tells @parent of a signal that it has sent, and ends when it is told to. */
static pid_t child(int gate[2])
{
	pid_t pid = fork();
	char c;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	set_comm("child");
	close(gate[1]);
	CHECK(!setpgid(0, 0));
	CHECK(!kill(getppid(), SIGTERM));
	CHECK(!read(gate[0], &c, 1));
	CHECK(getpgrp() == getpid());
	_exit(7);
}

static void family_tree(void)
{
	int gate[2], status;
	sigset_t set;
	siginfo_t info;
	pid_t was = getpid(), old, pid;

	CHECK(!pipe(gate));
	put_at(gate[0], 8);
	put_at(gate[1], 9);
	gate[0] = 8;
	gate[1] = 9;
	block_signal(SIGTERM);
	old = child(gate);
	close(8);
	put_at(open(in_dir("file"), O_RDWR | O_CREAT, 0666), 5);
	CHECK(!fcntl(5, F_SETOWN, old));
	CHECK(proc_wait_comm(old, "child") && proc_wait_asleep(old));
	whole_here();

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CHECK(sigwaitinfo(&set, &info) == SIGTERM);
	pid = info.si_pid;
	/* Either none is what it was, or each is. */
	CHECK((pid == old) == (getpid() == was));
	CHECK(fcntl(5, F_GETOWN) == pid);
	CHECK(getpgid(pid) == pid && getsid(pid) == getsid(0));
	CHECK(!close(9));
	CHECK(waitpid(-1, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

/* The image of a tree that lives: its numbers are taken. */
TEST_F_TIMEOUT(newpids, beside_the_tree, 120)
{
	struct whole *w = &self->w, original;
	char text[1024] = { 0 };
	int status, taken = 0, by = 0;

	ASSERT_TRUE(whole_start(w, family_tree, 0))
		whole_show(w);
	ASSERT_EQ(0, whole_checkpoint(w, 0))
		whole_show(w);
	original = *w;

	ASSERT_TRUE(whole_restart(w, 0, 0, 0));
	status = wait_ms(w->pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + EEXIST)
		TH_LOG("status %#x", status);
	whole_log(w, "restart: task ");
	ASSERT_LE(0, pread(w->logfd, text, sizeof(text) - 1, 0));
	if (sscanf(text, "restart: task %d: the pid is taken by task %d (child)", &taken,
		   &by) != 2)
		TH_LOG("log '%s'", text);
	EXPECT_LT(0, taken);
	EXPECT_EQ(taken, by);

	ASSERT_TRUE(whole_restart(w, 0, 0, RESTART_NEW_PIDS));
	whole_goes_on(w);
	/* The first one has not noticed. */
	whole_finish(&original);
	whole_end(w);
}

/* A number that is only that of a process group. */
TEST_F_TIMEOUT(newpids, taken_by_a_group, 120)
{
	struct whole *w = &self->w;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	char text[1024] = { 0 };
	pid_t pid, leader = 0, member;
	int status, gate[2];
	size_t i;
	char c;

	whole_move(w, family_tree, 0, 0);
	pid = w->pid;
	{
		struct walk image = walk_file(w->image);

		for (i = 0; i < image.nr; i++) {
			struct cr_hdr_task *task = walk_payload(&image, &image.recs[i]);

			if (image.recs[i].type == CR_HDR_TASK)
				leader = task->pid;
		}
		walk_free(&image);
	}
	ASSERT_LT(0, leader);

	/* A process with the number leads a group, and goes. */
	ASSERT_EQ(0, pipe2(gate, O_CLOEXEC));
	args.set_tid = (uintptr_t)&leader;
	member = syscall(SYS_clone3, &args, sizeof(args));
	if (!member) {
		setpgid(0, 0);
		member = fork();
		if (member) {
			close(gate[1]);
			_exit(read(gate[0], &c, 1) < 0);
		}
		prctl(PR_SET_PDEATHSIG, 0);
		close(gate[0]);
		set_comm("member");
		close(gate[1]);
		for (;;)
			pause();
	}
	ASSERT_EQ(leader, member);
	close(gate[1]);
	close(gate[0]);
	ASSERT_EQ(leader, waitpid(leader, &status, 0));

	ASSERT_TRUE(whole_restart(w, pid, 0, 0));
	status = wait_ms(w->pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + EEXIST)
		TH_LOG("status %#x", status);
	snprintf(text, sizeof(text),
		 "restart: task %d: the pid is taken by a process group", leader);
	whole_log(w, text);

	kill(-leader, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	ASSERT_TRUE(whole_restart(w, pid, 0, 0));
	whole_goes_on(w);
	whole_end(w);
}

/* Somebody without any privilege, in the test's child. */
static bool become(__u32 uid)
{
	return !setgroups(0, NULL) && !setresgid(uid, uid, uid) &&
	       !setresuid(uid, uid, uid) && !prctl(PR_SET_DUMPABLE, 1);
}

/* What a child of the test found: 0 if all is right. */
static void as_user(struct __test_metadata *_metadata, struct whole *w,
		    int (*fn)(struct whole *w))
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		if (!become(USER))
			_exit(99);
		_exit(fn(w));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) {
		TH_LOG("status %#x", status);
		whole_show(w);
	}
}

/* All of it by somebody without privileges. */
static int user_restarts(struct whole *w)
{
	int status;

	if (!whole_start(w, family_tree, 0))
		return 1;
	if (whole_checkpoint(w, CHECKPOINT_KILL))
		return 2;
	while (waitpid(-1, NULL, 0) > 0)
		;
	/* Nobody without a privilege chooses pids. */
	if (!whole_restart(w, 0, 0, 0))
		return 3;
	status = wait_ms(w->pid, PATIENCE);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 100 + EPERM)
		return 4;
	if (!whole_restart(w, 0, 0, RESTART_NEW_PIDS))
		return 5;
	if (!whole_goes_on(w))
		return 6;
	return 0;
}

TEST_F_TIMEOUT(newpids, without_privileges, 120)
{
	struct whole *w = &self->w;

	w->image = -1;
	as_user(_metadata, w, user_restarts);
}

/* A tree in which one task is of somebody else. */

static void mixed_tree(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		set_comm("stranger");
		for (;;)
			pause();
	}
	CHECK(proc_wait_comm(pid, "stranger"));
	CHECK(become(USER));
	whole_here();
	/* The child is root's, and goes by itself. */
	CHECK(getppid() != 1);
}

static pid_t stranger_of(pid_t parent)
{
	char path[64], text[32] = { 0 };
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	close(fd);
	return atoi(text);
}

/* The line of a status file, such as "voluntary_ctxt_switches:", as a number. */
static long switches_of(pid_t pid)
{
	char path[64], text[4096] = { 0 }, *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	close(fd);
	at = strstr(text, "\nvoluntary_ctxt_switches:");
	return at ? atol(at + strlen("\nvoluntary_ctxt_switches:")) : -1;
}

static int user_may_not_save(struct whole *w)
{
	int err = whole_checkpoint(w, CHECKPOINT_KILL);

	return err == EPERM ? 0 : 1;
}

TEST_F_TIMEOUT(newpids, task_of_somebody_else, 120)
{
	struct whole *w = &self->w;
	char text[64];
	pid_t stranger;
	long before[2];

	ASSERT_TRUE(whole_start(w, mixed_tree, 0))
		whole_show(w);
	stranger = stranger_of(w->pid);
	ASSERT_LT(0, stranger);
	ASSERT_TRUE(proc_wait_asleep(stranger));
	before[0] = switches_of(w->pid);
	before[1] = switches_of(stranger);
	as_user(_metadata, w, user_may_not_save);
	snprintf(text, sizeof(text), "pid %d: the caller may not trace it", stranger);
	whole_log(w, text);
	/* Neither was made to stand still. */
	EXPECT_EQ(before[0], switches_of(w->pid));
	EXPECT_EQ(before[1], switches_of(stranger));
	whole_finish(w);
	kill(stranger, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	whole_end(w);
}

/* A tree with a child that has another user id. */

static void setuid_tree(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!setresuid(USER, 0, 0));
		set_comm("setuid");
		for (;;)
			pause();
	}
	CHECK(proc_wait_comm(pid, "setuid") && proc_wait_asleep(pid));
	CHECK(become(USER));
	whole_here();
	_exit(0);
}

static int user_may_not_restart(struct whole *w)
{
	int status;

	if (!whole_restart(w, 0, 0, RESTART_NEW_PIDS))
		return 1;
	status = wait_ms(w->pid, PATIENCE);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 100 + EPERM)
		return 2;
	/* Nothing is left of the tasks. */
	return waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD ? 0 : 3;
}

TEST_F_TIMEOUT(newpids, child_with_other_credentials, 120)
{
	struct whole *w = &self->w;

	whole_move(w, setuid_tree, 0, 0);
	as_user(_metadata, w, user_may_not_restart);
	whole_log(w, "(setuid): credentials: ");
	whole_end(w);
}

TEST_HARNESS_MAIN
