// SPDX-License-Identifier: GPL-2.0
/*
 * Pid namespaces: a tree whose first task is the init of one is saved from outside
 * or from inside, with the numbers that its tasks have there, and is brought back
 * in a new one; a namespace below is refused.
 */
#include "whole.h"

#include <sys/wait.h>

FIXTURE(pidns)
{
	struct whole w;
};

FIXTURE_SETUP(pidns)
{
	if (skip_without_root(_metadata, "to make namespaces"))
		return;
	ASSERT_TRUE(make_dir());
	self->w = (struct whole) { .metadata = _metadata };
}

FIXTURE_TEARDOWN(pidns)
{
	remove_dir();
}

/* Ends with its number when it is told to. */
static pid_t child(int gate[2], int number)
{
	pid_t pid = fork();
	char c;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	close(gate[1]);
	CHECK(!read(gate[0], &c, 1));
	CHECK(getpid() == number && getppid() == 1);
	_exit(number);
}

/* The init of a namespace, with children and what has their numbers. */
static void init_tree(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2,
	};
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	int gate[2], status, i;
	sigset_t set;
	siginfo_t info;
	timer_t timer;

	CHECK(getpid() == 1 && !pipe(gate));
	put_at(gate[0], 8);
	put_at(gate[1], 9);
	gate[0] = 8;
	gate[1] = 9;
	for (i = 2; i <= 4; i++)
		CHECK(child(gate, i) == i);
	CHECK(!close(8));
	/* An orphan becomes a child of the first task. */
	if (!fork()) {
		if (!fork()) {
			close(9);
			for (;;)
				pause();
		}
		_exit(0);
	}
	CHECK(waitpid(5, &status, 0) == 5 && !status);

	block_signal(SIGUSR2);
	event._sigev_un._tid = 1;
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	block_signal(SIGTERM);
	CHECK(!kill(getpid(), SIGTERM));

	whole_here();
	CHECK(getpid() == 1 && syscall(SYS_gettid) == 1);
	for (i = 2; i <= 6; i++)
		CHECK(kill(i, 0) == (i == 5 ? -1 : 0));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CHECK(sigwaitinfo(&set, &info) == SIGTERM && info.si_pid == 1);
	CHECK(!timer_settime(timer, 0, &soon, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigwaitinfo(&set, &info) == SIGUSR2);
	CHECK(!close(9));
	for (i = 2; i <= 4; i++) {
		CHECK(waitpid(i, &status, 0) == i);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i);
	}
	CHECK(!kill(6, SIGKILL) && waitpid(6, &status, 0) == 6);
}

/* The numbers of the tasks in the image are those of the namespace. */
static void numbers_are_small(struct whole *w, __u32 nr)
{
	struct __test_metadata *_metadata = w->metadata;
	struct walk image = walk_file(w->image);
	struct cr_hdr_head *head = walk_payload(&image, &image.recs[0]);
	size_t i, tasks = 0;

	EXPECT_EQ(NULL, image.wrong);
	EXPECT_EQ(1, head->pid);
	EXPECT_EQ(nr, head->nr_tasks);
	for (i = 0; i < image.nr; i++) {
		struct cr_hdr_task *task = walk_payload(&image, &image.recs[i]);

		if (image.recs[i].type != CR_HDR_TASK)
			continue;
		tasks++;
		EXPECT_TRUE(task->pid > 0 && task->pid <= 6)
			TH_LOG("pid %d", task->pid);
		EXPECT_EQ(tasks == 1 ? 0 : 1, task->ppid);
	}
	EXPECT_EQ(nr, tasks);
	walk_free(&image);
}

TEST_F_TIMEOUT(pidns, from_outside, 120)
{
	struct whole *w = &self->w;

	ASSERT_TRUE(whole_start(w, init_tree, CLONE_NEWPID))
		whole_show(w);
	ASSERT_EQ(0, whole_checkpoint(w, 0))
		whole_show(w);
	numbers_are_small(w, 5);
	/* It goes on. */
	whole_finish(w);

	ASSERT_TRUE(whole_restart(w, 0, CLONE_NEWPID, 0));
	whole_goes_on(w);
	/* And once more, from the same image. */
	ASSERT_TRUE(whole_restart(w, 0, CLONE_NEWPID, 0));
	whole_goes_on(w);
	whole_end(w);
}

TEST_F_TIMEOUT(pidns, container_that_is_killed, 120)
{
	struct whole *w = &self->w;

	whole_move(w, init_tree, CLONE_NEWPID, CHECKPOINT_CONTAINER);
	ASSERT_TRUE(whole_restart(w, 0, CLONE_NEWPID, 0));
	whole_goes_on(w);
	whole_end(w);
}

/* In the namespace of the test its numbers are those of others: it is refused. */
TEST_F_TIMEOUT(pidns, numbers_are_taken_outside, 120)
{
	struct whole *w = &self->w;
	int status;

	whole_move(w, init_tree, CLONE_NEWPID, 0);
	/* The kernel's first threads are always there. */
	ASSERT_TRUE(whole_restart(w, 0, 0, 0));
	status = wait_ms(w->pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + EEXIST)
		TH_LOG("status %#x", status);
	whole_log(w, "task 2: the pid is taken by task 2 (kthreadd)");
	whole_end(w);
}

/* The first task saves its tree, or one of its children does. */

static int file_at_7(void)
{
	put_at(open(in_dir("image"), O_RDWR | O_CREAT | O_TRUNC, 0600), 7);
	return 7;
}

static void saves_itself_tree(void)
{
	int status, image, gate[2];
	long id;
	pid_t pid;

	CHECK(!pipe(gate));
	put_at(gate[0], 5);
	put_at(gate[1], 6);
	gate[0] = 5;
	gate[1] = 6;
	pid = child(gate, 2);
	CHECK(pid == 2);
	image = file_at_7();
	id = sys_checkpoint(0, image, CHECKPOINT_LOG, 1);
	CHECK(id >= 0 && getpid() == 1);
	whole_here();
	CHECK(!close(6));
	CHECK(waitpid(2, &status, 0) == 2);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

static void child_saves_tree(void)
{
	int status, image = file_at_7();
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		long id = sys_checkpoint(1, image, CHECKPOINT_LOG, 1);

		CHECK(id >= 0 && getpid() == 2 && getppid() == 1);
		_exit(id ? 3 : 4);
	}
	CHECK(pid == 2);
	CHECK(waitpid(2, &status, 0) == 2);
	CHECK(WIFEXITED(status));
	whole_here();
	/* The one that went on, or the one that was restored. */
	CHECK(WEXITSTATUS(status) == (access(in_dir("restored"), F_OK) ? 3 : 4));
}

static void saves_from_inside(struct whole *w, void (*fn)(void))
{
	struct __test_metadata *_metadata = w->metadata;

	ASSERT_TRUE(whole_start(w, fn, CLONE_NEWPID))
		whole_show(w);
	whole_saved_itself(w);
	ASSERT_TRUE(make_file("restored", "", 0));
	ASSERT_TRUE(whole_restart(w, 0, CLONE_NEWPID, 0));
	whole_goes_on(w);
	whole_end(w);
}

TEST_F_TIMEOUT(pidns, by_the_first_task, 120)
{
	saves_from_inside(&self->w, saves_itself_tree);
}

TEST_F_TIMEOUT(pidns, by_a_child, 120)
{
	saves_from_inside(&self->w, child_saves_tree);
}

/* Refused by name, and the tree goes on. */
static void refused_ns(struct whole *w, void (*fn)(void), __u64 flags, const char *what)
{
	struct __test_metadata *_metadata = w->metadata;

	ASSERT_TRUE(whole_start(w, fn, flags))
		whole_show(w);
	EXPECT_EQ(EOPNOTSUPP, whole_checkpoint(w, CHECKPOINT_KILL));
	whole_log(w, what);
	EXPECT_TRUE(proc_wait_asleep(w->pid));
	whole_finish(w);
	whole_end(w);
}

static pid_t other;

/* A child in another namespace than its parent. */
static void child_in(__u64 flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };

	other = syscall(SYS_clone3, &args, sizeof(args));
	CHECK(other >= 0);
	if (!other) {
		set_comm("other");
		for (;;)
			pause();
	}
	CHECK(proc_wait_comm(other, "other") && proc_wait_asleep(other));
	whole_here();
	CHECK(!kill(other, SIGKILL) && waitpid(other, NULL, 0) == other);
}

static void deeper_tree(void)
{
	child_in(CLONE_NEWPID);
}

TEST_F_TIMEOUT(pidns, namespace_below, 120)
{
	refused_ns(&self->w, deeper_tree, 0,
		   "(other): another pid namespace than that of the first task is not supported");
}

static void unshared_tree(void)
{
	CHECK(!unshare(CLONE_NEWPID));
	whole_here();
}

TEST_F_TIMEOUT(pidns, namespace_for_children, 120)
{
	refused_ns(&self->w, unshared_tree, 0,
		   "(whole): a pid namespace for its children is not supported");
}

static void uts_tree(void)
{
	child_in(CLONE_NEWUTS);
}

TEST_F_TIMEOUT(pidns, child_in_another_uts_namespace, 120)
{
	refused_ns(&self->w, uts_tree, 0,
		   "(other): another UTS namespace than the caller's is not supported");
}

static void net_tree(void)
{
	child_in(CLONE_NEWNET);
}

TEST_F_TIMEOUT(pidns, child_in_another_network_namespace, 120)
{
	refused_ns(&self->w, net_tree, 0,
		   "(other): another network namespace than the caller's is not supported");
}

static void wait_tree(void)
{
	whole_here();
}

/* As unshare --pid --fork --mount-proc makes one. */
TEST_F_TIMEOUT(pidns, with_a_mount_namespace, 120)
{
	refused_ns(&self->w, wait_tree, CLONE_NEWPID | CLONE_NEWNS,
		   "(whole): another mount namespace than the caller's is not supported");
}

TEST_HARNESS_MAIN
