// SPDX-License-Identifier: GPL-2.0
/*
 * Job control in trees: groups and sessions without a leader, processes that are
 * stopped, who adopts orphans, and the terminal.
 */
#include <linux/sched.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "subject.h"

#ifndef CLONE_AUTOREAP
#define CLONE_AUTOREAP (1ULL << 34)
#endif

/* What is one test, not one of three manners. */
FIXTURE(once)
{
	char none;
};

FIXTURE_SETUP(once)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ASSERT_TRUE(make_dir());
}

FIXTURE_TEARDOWN(once)
{
	remove_dir();
}

/* Children wait here for their end; what they say is that they are there. */
static int gate[2], ready[2];

static void prepare(void)
{
	CHECK(!pipe(gate) && !pipe(ready));
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
}

static void here(void)
{
	if (write(ready[1], "r", 1) != 1)
		_exit(97);
}

static void await_one(void)
{
	char c;

	CHECK(read(ready[0], &c, 1) == 1);
}

static void at_gate(void)
{
	char c;

	close(gate[1]);
	if (read(gate[0], &c, 1))
		_exit(99);
}

/* A child that is of group @group, 0 for its own, and ends with @code. */
static pid_t member(pid_t group, int code)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid) {
		await_one();
		return pid;
	}
	if (setpgid(0, group))
		_exit(96);
	here();
	at_gate();
	_exit(code);
}

static void check_end(pid_t pid, int code)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void kill_and_reap(pid_t pid)
{
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
}

SUBJECT_TEST(group_without_leader)
{
	pid_t leader, others[3];
	int i;

	prepare();
	leader = member(0, 1);
	for (i = 0; i < 2; i++)
		others[i] = member(leader, 2 + i);
	kill_and_reap(leader);
	checkpoint_here();
	CHECK(kill(leader, 0) == -1 && errno == ESRCH);
	CHECK(!kill(-leader, 0));
	for (i = 0; i < 2; i++)
		CHECK(getpgid(others[i]) == leader && getsid(others[i]) == getsid(0));
	/* Others may join it, and wait for it. */
	others[2] = member(leader, 4);
	CHECK(getpgid(others[2]) == leader);
	close(gate[1]);
	for (i = 0; i < 3; i++)
		CHECK(waitpid(-leader, NULL, 0) > 0);
	CHECK(waitpid(-leader, NULL, 0) == -1 && errno == ECHILD);
	CHECK(kill(-leader, 0) == -1 && errno == ESRCH);
}

SUBJECT_TEST(session_without_leader)
{
	int numbers[2], i;
	pid_t leader, others[2];

	prepare();
	CHECK(!pipe(numbers));
	leader = fork();
	CHECK(leader >= 0);
	if (!leader) {
		setsid();
		for (i = 0; i < 2; i++) {
			others[i] = fork();
			if (others[i])
				continue;
			if (i)
				setpgid(0, 0);
			here();
			at_gate();
			_exit(5 + i);
		}
		if (write(numbers[1], others, sizeof(others)) != sizeof(others))
			_exit(99);
		_exit(0);
	}
	CHECK(read(numbers[0], others, sizeof(others)) == sizeof(others));
	CHECK(waitpid(leader, NULL, 0) == leader);
	await_one();
	await_one();
	checkpoint_here();
	for (i = 0; i < 2; i++)
		CHECK(getsid(others[i]) == leader);
	CHECK(getpgid(others[0]) == leader && getpgid(others[1]) == others[1]);
	CHECK(kill(leader, 0) == -1 && errno == ESRCH);
	close(gate[1]);
	check_end(others[0], 5);
	check_end(others[1], 6);
}

/*
 * With other numbers than it had: members say whether they are of one group, which
 * is not that of their parent, nor has it a leader.
 */
static void leaderless_subject(void)
{
	int say[2], i, status;
	pid_t leader, told[2];

	prepare();
	CHECK(!pipe(say));
	leader = member(0, 1);
	for (i = 0; i < 2; i++) {
		if (fork()) {
			await_one();
			continue;
		}
		if (setpgid(0, leader))
			_exit(96);
		here();
		at_gate();
		told[0] = getpgid(0);
		if (write(say[1], told, sizeof(told[0])) != sizeof(told[0]))
			_exit(97);
		_exit(kill(told[0], 0) && told[0] != getpgid(getppid()) ? 0 : 1);
	}
	kill_and_reap(leader);
	checkpoint_here();
	close(gate[1]);
	for (i = 0; i < 2; i++)
		CHECK(wait(&status) > 0 && !status);
	CHECK(read(say[0], told, sizeof(told)) == sizeof(told));
	CHECK(told[0] == told[1]);
}

TEST_F(subject, leaderless_with_new_pids)
{
	run_subject_flags(_metadata, leaderless_subject, variant->how, 0,
			  RESTART_NEW_PIDS);
}

/* The number of what is going to be restored is somebody else's meanwhile. */
TEST_F(once, leaderless_number_is_taken)
{
	struct subject s = { .metadata = _metadata };
	char log[1024] = { 0 }, want[64];
	int in[2], out[2], status;
	pid_t group = 0, pid;
	struct walk w;
	size_t i;

	ASSERT_TRUE(subject_start(&s, leaderless_subject, KILLED));
	ASSERT_TRUE(subject_checkpoint(&s, KILLED, CHECKPOINT_KILL));
	w = walk_file(s.image);
	ASSERT_EQ(NULL, w.wrong);
	for (i = 0; i < w.nr; i++)
		if (w.recs[i].type == CR_HDR_TASK)
			group = ((struct cr_hdr_task *)walk_payload(&w, &w.recs[i]))->pgid;
	walk_free(&w);
	{
		struct clone_args args = {
			.set_tid = (uintptr_t)&group, .set_tid_size = 1,
			.exit_signal = SIGCHLD,
		};

		pid = syscall(SYS_clone3, &args, sizeof(args));
	}
	ASSERT_LE(0, pid);
	if (!pid)
		for (;;)
			pause();
	ASSERT_EQ(group, pid);
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	ASSERT_EQ(0, ftruncate(s.logfd, 0));
	ASSERT_EQ(0, lseek(s.logfd, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(s.image, 0, SEEK_SET));
	s.pid = spawn_restart(s.pid, s.image, 0, 0, s.logfd, in[0], out[1]);
	ASSERT_LT(0, s.pid);
	status = wait_ms(s.pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status))
		TH_LOG("status %#x", status);
	ASSERT_LT(0, pread(s.logfd, log, sizeof(log) - 1, 0));
	snprintf(want, sizeof(want), "process group %d: the number is taken by task %d (",
		 group, group);
	EXPECT_TRUE(!!strstr(log, want))
		TH_LOG("log '%s', wanted '%s'", log, want);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(subject_reap());
	subject_close(&s);
}

/* What the tree is not to be saved for: it goes on. */
static void refused_tree(struct __test_metadata *_metadata, void (*fn)(void),
			 const char *what)
{
	struct subject s = { .metadata = _metadata };
	char log[1024] = { 0 };

	ASSERT_TRUE(subject_start(&s, fn, LEFT));
	s.ready = read_byte(s.out);
	ASSERT_EQ(SAY_READY[0], s.ready);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	errno = 0;
	EXPECT_EQ(-1, sys_checkpoint(s.pid, s.image, CHECKPOINT_LOG | CHECKPOINT_KILL,
				     s.logfd));
	EXPECT_EQ(EOPNOTSUPP, errno);
	ASSERT_LE(0, pread(s.logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(!!strstr(log, what))
		TH_LOG("log '%s', wanted '%s'", log, what);
	EXPECT_TRUE(one_printable_line(log));
	EXPECT_EQ(0, file_size(s.image));
	subject_finish(&s, "who could not be saved");
	subject_close(&s);
}

/* A child in a group of its session that somebody leads who is not in the tree. */
static void outside_group_subject(void)
{
	int number[2];
	pid_t outsider, pid;

	CHECK(!pipe(number));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		outsider = fork();
		if (!outsider) {
			setpgid(0, 0);
			set_comm("outsider");
			outsider = getpid();
			if (write(number[1], &outsider, sizeof(outsider)) < 0)
				_exit(1);
			syscall(SYS_close_range, 0, ~0U, 0);
			for (;;)
				pause();
		}
		_exit(0);
	}
	/* The test has adopted it. */
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(read(number[0], &outsider, sizeof(outsider)) == sizeof(outsider));
	prepare();
	pid = member(outsider, 3);
	CHECK(getpgid(pid) == outsider);
	checkpoint_here();
	CHECK(getpgid(pid) == outsider && !kill(outsider, SIGKILL));
	close(gate[1]);
	check_end(pid, 3);
}

TEST_F(once, group_led_from_outside)
{
	refused_tree(_metadata, outside_group_subject,
		     " (outsider), which is not in the tree, is not supported\n");
}

/* Stopped */

static bool all_threads_are(pid_t pid, char state)
{
	char path[64];
	struct dirent *d;
	bool all = true;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	CHECK(dir);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			all &= proc_state(atoi(d->d_name)) == state;
	closedir(dir);
	return all;
}

static void await_state(pid_t pid, char state)
{
	int i;

	for (i = 0; i < PATIENCE && !all_threads_are(pid, state); i++)
		sleep_ms(1);
	CHECK(all_threads_are(pid, state));
}

/* What is there to be waited for? 0 for nothing, else what waitid(2) says. */
static int told(pid_t pid, int *status)
{
	siginfo_t info = { 0 };

	CHECK(!waitid(P_PID, pid, &info, WSTOPPED | WCONTINUED | WNOHANG));
	*status = info.si_pid ? info.si_status : 0;
	return info.si_pid ? info.si_code : 0;
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static pid_t stoppable(int threads)
{
	pthread_t thread;
	pid_t pid = fork();
	int i;

	CHECK(pid >= 0);
	if (!pid) {
		/* Some signals do not stop who is in an orphaned group. */
		setpgid(0, 0);
		for (i = 0; i < threads; i++)
			pthread_create(&thread, NULL, sleeper, NULL);
		here();
		at_gate();
		_exit(6);
	}
	await_one();
	return pid;
}

static void go_on(pid_t pid)
{
	int status;

	CHECK(!kill(pid, SIGCONT));
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(!told(pid, &status));
	close(gate[1]);
	check_end(pid, 6);
}

SUBJECT_TEST(stop_that_was_seen)
{
	int status;
	pid_t pid;

	prepare();
	pid = stoppable(0);
	CHECK(!kill(pid, SIGSTOP));
	CHECK(waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	block_signal(SIGCHLD);
	took_signal(SIGCHLD);
	checkpoint_here();
	await_state(pid, 'T');
	CHECK(!told(pid, &status) && !took_signal(SIGCHLD));
	go_on(pid);
}

SUBJECT_TEST(stop_to_be_seen)
{
	siginfo_t info;
	int status;
	pid_t pid;

	prepare();
	pid = stoppable(0);
	block_signal(SIGCHLD);
	CHECK(!kill(pid, SIGTSTP));
	CHECK(!waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT));
	checkpoint_here();
	await_state(pid, 'T');
	/* As many signals as there were. */
	CHECK(took_signal(SIGCHLD) && !took_signal(SIGCHLD));
	CHECK(told(pid, &status) == CLD_STOPPED && status == SIGTSTP);
	CHECK(!told(pid, &status) && !took_signal(SIGCHLD));
	go_on(pid);
}

SUBJECT_TEST(stopped_with_threads)
{
	int status;
	pid_t pid;

	prepare();
	pid = stoppable(3);
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid);
	block_signal(SIGCHLD);
	took_signal(SIGCHLD);
	checkpoint_here();
	await_state(pid, 'T');
	CHECK(!told(pid, &status) && !took_signal(SIGCHLD));
	CHECK(!kill(pid, SIGCONT));
	await_state(pid, 'S');
	CHECK(told(pid, &status) == CLD_CONTINUED);
	CHECK(!kill(pid, SIGTTIN));
	await_state(pid, 'T');
	CHECK(told(pid, &status) == CLD_STOPPED && status == SIGTTIN);
	go_on(pid);
}

SUBJECT_TEST(continuation_to_be_seen)
{
	int status;
	pid_t pid;

	prepare();
	pid = stoppable(1);
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(!kill(pid, SIGCONT));
	await_state(pid, 'S');
	block_signal(SIGCHLD);
	took_signal(SIGCHLD);
	checkpoint_here();
	CHECK(!took_signal(SIGCHLD));
	CHECK(told(pid, &status) == CLD_CONTINUED && status == SIGCONT);
	CHECK(!told(pid, &status));
	close(gate[1]);
	check_end(pid, 6);
}

SUBJECT_TEST(continuation_that_was_seen)
{
	int status;
	pid_t pid;

	prepare();
	pid = stoppable(0);
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(!kill(pid, SIGCONT) && waitpid(pid, &status, WCONTINUED) == pid);
	checkpoint_here();
	CHECK(!told(pid, &status));
	close(gate[1]);
	check_end(pid, 6);
}

/*
 * Nobody is left who could continue it when its parent ends: the subject, who adopts
 * it, is of another session. So the kernel does, with SIGHUP.
 */
SUBJECT_TEST(stopped_in_a_group_that_becomes_orphaned)
{
	pid_t session, parent, child;
	int status;

	prepare();
	session = fork();
	CHECK(session >= 0);
	if (!session) {
		setsid();
		close(gate[1]);
		parent = fork();
		if (parent) {
			waitpid(parent, NULL, 0);
			_exit(3);
		}
		setpgid(0, 0);
		child = fork();
		if (!child) {
			setpgid(0, 0);
			kill(getpid(), SIGSTOP);
			_exit(1);
		}
		waitpid(child, NULL, WUNTRACED);
		if (write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(99);
		at_gate();
		_exit(0);
	}
	CHECK(read(ready[0], &child, sizeof(child)) == sizeof(child));
	checkpoint_here();
	await_state(child, 'T');
	close(gate[0]);
	close(gate[1]);
	check_end(session, 3);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
}

/* Parents */

SUBJECT_TEST(orphans_go_to_the_subreaper)
{
	pid_t reaper, ids[3];
	int status;

	prepare();
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 0));
	reaper = fork();
	CHECK(reaper >= 0);
	if (!reaper) {
		pid_t child;

		CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
		child = fork();
		if (!child) {
			pid_t orphan = fork();

			if (!orphan) {
				/* Its parent goes before the gate opens for it. */
				at_gate();
				while (getppid() != reaper && getppid() == ids[1])
					sleep_ms(1);
				_exit(getppid() == ids[0] ? 11 : 12);
			}
			ids[2] = orphan;
			CHECK(write(ready[1], &orphan, sizeof(orphan)) == sizeof(orphan));
			at_gate();
			_exit(10);
		}
		close(gate[0]);
		close(gate[1]);
		if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 10)
			_exit(1);
		/* The orphan has become a child. */
		if (wait(&status) <= 0 || !WIFEXITED(status))
			_exit(2);
		_exit(wait(NULL) == -1 && errno == ECHILD ? 0 : 3);
	}
	CHECK(read(ready[0], &ids[2], sizeof(ids[2])) == sizeof(ids[2]));
	checkpoint_here();
	close(gate[1]);
	check_end(reaper, 0);
	CHECK(wait(NULL) == -1 && errno == ECHILD);
}

/* One that was adopted before. */
SUBJECT_TEST(adopted)
{
	pid_t child, orphan, parent;
	int status;

	prepare();
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		child = getpid();
		if (fork())
			_exit(0);
		while (getppid() == child)
			sleep_ms(1);
		parent = getppid();
		here();
		at_gate();
		_exit(getppid() == parent ? 9 : 98);
	}
	check_end(child, 0);
	await_one();
	checkpoint_here();
	close(gate[1]);
	orphan = waitpid(-1, &status, 0);
	CHECK(orphan > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static pid_t of_thread;
static int to_thread[2];

static void *parent_thread(void *arg)
{
	char c;

	of_thread = fork();
	if (!of_thread) {
		if (prctl(PR_SET_PDEATHSIG, SIGUSR1))
			_exit(95);
		close(to_thread[1]);
		here();
		at_gate();
		_exit(1);
	}
	if (read(to_thread[0], &c, 1) != 1)
		subject_failed(__LINE__, "thread");
	return arg;
}

/* The thread is the parent that it dies with, not its process. */
SUBJECT_TEST(dies_with_the_parent_thread)
{
	pthread_t thread;
	int status;

	prepare();
	CHECK(!pipe(to_thread));
	CHECK(!pthread_create(&thread, NULL, parent_thread, NULL));
	await_one();
	checkpoint_here();
	sleep_ms(20);
	CHECK(!waitpid(of_thread, &status, WNOHANG));
	CHECK(write(to_thread[1], "x", 1) == 1);
	CHECK(!pthread_join(thread, NULL));
	CHECK(waitpid(of_thread, &status, 0) == of_thread);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

static void children_of(pid_t pid, char *to, size_t size)
{
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	fd = open(path, O_RDONLY);
	len = read(fd, to, size - 1);
	CHECK(len >= 0);
	to[len] = 0;
	close(fd);
}

/* wait(2) finds children in the order in which they came. */
SUBJECT_TEST(order_of_children)
{
	char before[256], after[256];
	pid_t pids[6];
	siginfo_t info;
	int i;

	prepare();
	for (i = 0; i < 6; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i]) {
			if (i % 2)
				_exit(i);
			at_gate();
			_exit(i);
		}
		if (i % 2)
			CHECK(!waitid(P_PID, pids[i], &info, WEXITED | WNOWAIT));
	}
	children_of(getpid(), before, sizeof(before));
	checkpoint_here();
	children_of(getpid(), after, sizeof(after));
	CHECK(!strcmp(before, after));
	for (i = 1; i < 6; i += 2)
		CHECK(waitpid(-1, NULL, 0) == pids[i]);
	close(gate[1]);
	for (i = 0; i < 6; i += 2)
		check_end(pids[i], i);
}

/* Who has executed something since gets SIGCHLD, whatever it asked for before. */
SUBJECT_TEST(parent_has_called_execve)
{
	int own_gate[2];
	pid_t parent;

	prepare();
	CHECK(!pipe(own_gate));
	parent = fork();
	CHECK(parent >= 0);
	if (!parent) {
		pid_t pid = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);

		if (pid < 0)
			_exit(93);
		if (!pid) {
			close(own_gate[1]);
			if (!proc_wait_comm(getppid(), "sh"))
				_exit(91);
			here();
			at_gate();
			_exit(0);
		}
		dup2(own_gate[0], 0);
		syscall(SYS_close_range, 3, ~0U, 0);
		execl("/bin/sh", "sh", "-c", "read x; exit 36", NULL);
		_exit(92);
	}
	await_one();
	checkpoint_here();
	close(gate[0]);
	close(gate[1]);
	sleep_ms(100);
	close(own_gate[1]);
	/* Not killed by the signal that it gets. */
	check_end(parent, 36);
}

/* Nobody waits for such a child: it is gone when it ends. */
SUBJECT_TEST(reaped_by_itself)
{
	struct clone_args args = { .flags = CLONE_AUTOREAP };
	int i;
	pid_t pid;

	prepare();
	pid = syscall(SYS_clone3, &args, sizeof(args));
	CHECK(pid >= 0);
	if (!pid) {
		here();
		at_gate();
		_exit(0);
	}
	await_one();
	checkpoint_here();
	CHECK(!kill(pid, 0));
	close(gate[1]);
	for (i = 0; i < PATIENCE && !kill(pid, 0); i++)
		sleep_ms(1);
	CHECK(kill(pid, 0) == -1 && errno == ESRCH);
	CHECK(waitpid(pid, NULL, __WALL) == -1 && errno == ECHILD);
}

/* Terminals */

/* A session with a terminal inside of the tree; the test has the other end. */
static int master;

static int open_slave(void)
{
	int unlock = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock))
		return -1;
	return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
}

static int slave;

/*
 * What a shell does: it runs a job, which is saved and killed, and then one that
 * restarts it. The job is no session leader; 0 is the terminal, 1 and 2 are pipes.
 */
struct shell {
	void (*fn)(void);
	bool tty;
	bool background;	/* the restarter is */
	bool session;		/* the restarter leads one */
	const char *refused;	/* what the log says then */
};

#define SHELL(cond) do { \
	if (!(cond)) \
		_exit(__LINE__ % 255 + 1); \
} while (0)

static void say_ready(void)
{
	char c;

	CHECK(write(1, SAY_READY, 1) == 1);
	CHECK(read(2, &c, 1) == 1 && c == 'g');
}

static pid_t run_job(const struct shell *shell, pid_t pid, int image, int logfd,
		     int out, int in)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid ? 1 : 0,
	};
	bool restart = pid, front = shell->tty && !(restart && shell->background);

	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid)
		return pid;
	if (restart && shell->session)
		setsid();
	else
		setpgid(0, 0);
	if (front)
		SHELL(!tcsetpgrp(0, getpid()));
	signal(SIGTTOU, SIG_DFL);
	dup2(out, 1);
	dup2(in, 2);
	image = fcntl(image, F_DUPFD, 100);
	logfd = fcntl(logfd, F_DUPFD, 101);
	syscall(SYS_close_range, 3, 99, 0);
	if (restart) {
		errno = 0;
		sys_restart(0, image, CHECKPOINT_LOG, logfd);
		_exit(100 + errno);
	}
	syscall(SYS_close_range, 3, ~0U, 0);
	own_memory();
	shell->fn();
	say("ok");
	_exit(0);
}

/* In a child of the test. */
static void run_shell(const struct shell *shell, int tty)
{
	int out[2], in[2], image = tmp_memfd(), logfd = tmp_memfd(), status, i;
	char text[1024] = { 0 };
	pid_t pid = 0, same;

	SHELL(setsid() == getpid() && !prctl(PR_SET_CHILD_SUBREAPER, 1));
	signal(SIGTTOU, SIG_IGN);
	dup2(shell->tty ? tty : open("/dev/null", O_RDWR), 0);
	if (shell->tty)
		SHELL(!ioctl(0, TIOCSCTTY, 0));
	for (i = 0; i < 2; i++) {
		SHELL(!pipe(out) && !pipe(in) && !lseek(image, 0, SEEK_SET));
		same = run_job(shell, pid, image, logfd, out[1], in[0]);
		SHELL(same > 0 && (!pid || same == pid));
		pid = same;
		close(out[1]);
		close(in[0]);
		if (i)
			break;
		SHELL(read_byte(out[0]) == SAY_READY[0]);
		sleep_ms(50);
		if (sys_checkpoint(pid, image, CHECKPOINT_LOG | CHECKPOINT_KILL,
				   logfd) <= 0) {
			pread(logfd, text, sizeof(text) - 1, 0);
			dprintf(4, "# %s", text);
			SHELL(false);
		}
		SHELL(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
		SHELL(subject_reap());
		close(out[0]);
		close(in[1]);
		if (shell->tty)
			SHELL(!tcsetpgrp(0, getpid()));
	}
	if (shell->refused) {
		SHELL(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		SHELL(WEXITSTATUS(status) == 100 + EPERM);
		pread(logfd, text, sizeof(text) - 1, 0);
		SHELL(strstr(text, shell->refused));
		SHELL(subject_reap());
		_exit(0);
	}
	SHELL(write(in[1], "g", 1) == 1);
	SHELL(read_all(out[0], text, sizeof(text)) >= 0);
	if (strcmp(text, "ok")) {
		pread(logfd, text + strlen(text), 512, 0);
		dprintf(4, "# it said '%s'\n", text);
	}
	SHELL(!strcmp(text, "ok"));
	SHELL(waitpid(pid, &status, 0) == pid && !status && subject_reap());
	_exit(0);
}

static void check_shell(struct __test_metadata *_metadata, struct shell shell)
{
	int tty = -1, status;
	pid_t pid;

	if (shell.tty) {
		tty = open_slave();
		ASSERT_LE(0, tty);
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(tty, 3);
		dup2(1, 4);
		run_shell(&shell, 3);
	}
	status = wait_ms(pid, 60000);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	EXPECT_EQ(0, status)
		TH_LOG("status %#x", status);
	EXPECT_TRUE(subject_reap());
	close(tty);
	close(master);
}

/* A child leads the group that the first task is of. */
static void in_group_of_child(void)
{
	pid_t child, other;

	prepare();
	child = member(0, 1);
	other = member(child, 2);
	CHECK(!setpgid(0, child));
	say_ready();
	CHECK(getpgid(0) == child && getpgid(child) == child && getpgid(other) == child);
	close(gate[1]);
	check_end(child, 1);
	check_end(other, 2);
	CHECK(getpgid(0) == child);
}

TEST_F(once, first_in_group_of_child)
{
	check_shell(_metadata, (struct shell){ .fn = in_group_of_child });
}

TEST_F(once, a_session_leader_is_in_no_group_of_a_child)
{
	check_shell(_metadata, (struct shell){
		.fn = in_group_of_child, .session = true,
		.refused = ": the caller leads a session, and cannot be of another's group\n",
	});
}

/* Nor is it of the group that it led, in which others are. */
static void left_its_group(void)
{
	pid_t child, other;

	prepare();
	other = member(getpid(), 2);
	child = member(0, 1);
	CHECK(!setpgid(0, child));
	say_ready();
	CHECK(getpgid(0) == child && getpgid(other) == getpid());
	close(gate[1]);
	check_end(child, 1);
	check_end(other, 2);
}

TEST_F(once, first_left_its_group)
{
	check_shell(_metadata, (struct shell){ .fn = left_its_group });
}

/* A shell itself, with a job in the foreground and one in the background. */
static void with_jobs(pid_t in_front)
{
	int status, i;
	pid_t jobs[2];
	char c;

	prepare();
	signal(SIGTTOU, SIG_IGN);
	for (i = 0; i < 2; i++) {
		jobs[i] = fork();
		CHECK(jobs[i] >= 0);
		if (jobs[i]) {
			await_one();
			continue;
		}
		setpgid(0, 0);
		here();
		at_gate();
		/* The terminal is for one of them. */
		_exit(tcgetpgrp(0) == getpid() ? 30 : read(0, &c, 1) == -1 ? 31 : 32);
	}
	CHECK(!tcsetpgrp(0, jobs[0]));
	say_ready();
	CHECK(tcgetpgrp(0) == (in_front ? in_front : jobs[0]));
	close(gate[1]);
	if (!in_front)
		check_end(jobs[0], 30);
	/* Who reads in the background is stopped. */
	for (i = in_front ? 0 : 1; i < 2; i++) {
		CHECK(waitpid(jobs[i], &status, WUNTRACED) == jobs[i]);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
		CHECK(!kill(jobs[i], SIGKILL) && waitpid(jobs[i], NULL, 0) == jobs[i]);
	}
}

static void job_in_front(void)
{
	with_jobs(0);
}

TEST_F(once, foreground)
{
	check_shell(_metadata, (struct shell){ .fn = job_in_front, .tty = true });
}

/* Whoever restarts it in the background keeps the terminal. */
static void shell_in_front(void)
{
	with_jobs(getppid());
}

TEST_F(once, restarted_in_the_background)
{
	check_shell(_metadata, (struct shell){
		.fn = shell_in_front, .tty = true, .background = true,
	});
}

/* One that has given its terminal up does not get it back. */
static void without_terminal(void)
{
	pid_t pid;

	prepare();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (ioctl(0, TIOCNOTTY))
			_exit(33);
		here();
		at_gate();
		_exit(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 34 : 35);
	}
	await_one();
	say_ready();
	close(gate[1]);
	check_end(pid, 34);
	CHECK(open("/dev/tty", O_RDWR | O_CLOEXEC) >= 0);
}

TEST_F(once, without_terminal)
{
	check_shell(_metadata, (struct shell){ .fn = without_terminal, .tty = true });
}

static void terminal_inside_subject(void)
{
	pid_t pid;
	int fd;

	prepare();
	/* A subject begins with three descriptors only. */
	fd = open(in_dir("pts"), O_RDWR | O_NOCTTY);
	CHECK(fd >= 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setsid();
		if (ioctl(fd, TIOCSCTTY, 0))
			_exit(94);
		close(fd);
		here();
		at_gate();
		_exit(8);
	}
	close(fd);
	await_one();
	checkpoint_here();
	close(gate[1]);
	check_end(pid, 8);
}

TEST_F(once, terminal_of_another_session)
{
	char name[64], path[64];
	ssize_t len;

	slave = open_slave();
	ASSERT_LE(0, slave);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", slave);
	len = readlink(path, name, sizeof(name) - 1);
	ASSERT_LT(0, len);
	name[len] = 0;
	ASSERT_EQ(0, symlink(name, in_dir("pts")));
	refused_tree(_metadata, terminal_inside_subject, "a controlling terminal of session ");
	close(slave);
	close(master);
}

TEST_HARNESS_MAIN
