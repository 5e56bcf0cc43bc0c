// SPDX-License-Identifier: GPL-2.0
/*
 * Who is told of what happens to an open file: owner, signal, O_ASYNC, leases;
 * and hints about the life of what is written.
 */
#include "subject.h"

#include <sys/stat.h>

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

static volatile sig_atomic_t told;
static volatile int told_fd;

static void notify(int sig, siginfo_t *info, void *context)
{
	(void)context;
	told = sig;
	told_fd = info->si_fd;
}

static void listen_to(int sig)
{
	struct sigaction sa = { .sa_sigaction = notify, .sa_flags = SA_SIGINFO | SA_RESTART };

	CHECK(!sigaction(sig, &sa, NULL));
}

static bool owned_by(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = { -1, -1 };

	CHECK(!fcntl(fd, F_GETOWN_EX, &owner));
	return (int)owner.type == type && owner.pid == pid;
}

static void own(int fd, int type, pid_t pid)
{
	const struct f_owner_ex owner = { type, pid };

	CHECK(!fcntl(fd, F_SETOWN_EX, &owner));
}

static int new_file(const char *name, int flags)
{
	int fd = open(in_dir(name), flags | O_CREAT, 0600);

	CHECK(fd >= 0);
	return fd;
}

SUBJECT_TEST(owner_is_the_process)
{
	int fd = new_file("file", O_RDWR);

	CHECK(!fcntl(fd, F_SETOWN, getpid()));
	checkpoint_here();
	CHECK(owned_by(fd, F_OWNER_PID, getpid()));
	CHECK(fcntl(fd, F_GETOWN) == getpid());
	CHECK(!fcntl(fd, F_GETSIG));
}

SUBJECT_TEST(owner_is_the_thread)
{
	int fd = new_file("file", O_RDWR);

	own(fd, F_OWNER_TID, gettid());
	CHECK(!fcntl(fd, F_SETSIG, SIGRTMIN + 3));
	checkpoint_here();
	CHECK(owned_by(fd, F_OWNER_TID, gettid()));
	CHECK(fcntl(fd, F_GETSIG) == SIGRTMIN + 3);
}

SUBJECT_TEST(owner_is_another_process)
{
	int fd = new_file("file", O_RDWR);

	own(fd, F_OWNER_PID, getppid());
	checkpoint_here();
	CHECK(owned_by(fd, F_OWNER_PID, getppid()));
}

/* As fcntl(2) says it of one that is dead. */
SUBJECT_TEST(owner_is_gone)
{
	int fd = new_file("file", O_RDWR);
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	own(fd, F_OWNER_PID, pid);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(!fcntl(fd, F_SETSIG, SIGUSR2));
	checkpoint_here();
	CHECK(owned_by(fd, F_OWNER_PID, 0));
	CHECK(fcntl(fd, F_GETSIG) == SIGUSR2);
}

SUBJECT_TEST(signal_without_owner)
{
	int fd = new_file("file", O_RDWR);

	CHECK(!fcntl(fd, F_SETSIG, SIGUSR1));
	checkpoint_here();
	CHECK(fcntl(fd, F_GETSIG) == SIGUSR1);
	CHECK(!fcntl(fd, F_GETOWN));
}

/* A pipe that becomes readable says so, and by which descriptor. */
SUBJECT_TEST(pipe_sends_signals)
{
	int fds[2];

	CHECK(!pipe(fds));
	listen_to(SIGRTMIN + 1);
	CHECK(!fcntl(fds[0], F_SETSIG, SIGRTMIN + 1));
	CHECK(!fcntl(fds[0], F_SETOWN, getpid()));
	CHECK(!fcntl(fds[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	checkpoint_here();
	CHECK(fcntl(fds[0], F_GETFL) == (O_RDONLY | O_ASYNC | O_NONBLOCK));
	CHECK(!(fcntl(fds[1], F_GETFL) & O_ASYNC));
	CHECK(!told);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(told == SIGRTMIN + 1 && told_fd == fds[0]);
	/* And no more, when it is told not to. */
	told = 0;
	CHECK(!fcntl(fds[0], F_SETFL, O_NONBLOCK));
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(!told);
}

SUBJECT_TEST(fifo_sends_signals)
{
	int fd;

	CHECK(!mkfifo(in_dir("fifo"), 0600) || errno == EEXIST);
	fd = open(in_dir("fifo"), O_RDWR | O_NONBLOCK);
	CHECK(fd >= 0);
	listen_to(SIGIO);
	CHECK(!fcntl(fd, F_SETOWN, getpid()));
	CHECK(!fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	checkpoint_here();
	CHECK(fcntl(fd, F_GETFL) & O_ASYNC);
	CHECK(write(fd, "x", 1) == 1);
	CHECK(told == SIGIO);
}

SUBJECT_TEST(signals_for_nobody)
{
	int fds[2];

	CHECK(!pipe(fds));
	CHECK(!fcntl(fds[0], F_SETFL, O_ASYNC));
	checkpoint_here();
	CHECK(fcntl(fds[0], F_GETFL) & O_ASYNC);
	CHECK(write(fds[1], "x", 1) == 1);
}

SUBJECT_TEST(user_who_set_it)
{
	int fd = new_file("file", O_RDWR);
	uid_t ids[2] = { -1, -1 };

	CHECK(!setresuid(-1, 1234, -1));
	CHECK(!fcntl(fd, F_SETOWN, getpid()));
	CHECK(!setresuid(-1, 0, -1));
	checkpoint_here();
	if (!fcntl(fd, F_GETOWNER_UIDS, ids))
		CHECK(ids[0] == 0 && ids[1] == 1234);
}

/* Leases */

static bool cannot_open(int flags)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(open(in_dir("file"), flags | O_NONBLOCK) == -1 &&
		      errno == EWOULDBLOCK ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

SUBJECT_TEST(read_lease)
{
	int fd;

	close(new_file("file", O_RDWR));
	fd = open(in_dir("file"), O_RDONLY);
	listen_to(SIGRTMIN + 2);
	CHECK(!fcntl(fd, F_SETSIG, SIGRTMIN + 2));
	CHECK(!fcntl(fd, F_SETLEASE, F_RDLCK));
	checkpoint_here();
	CHECK(fcntl(fd, F_GETLEASE) == F_RDLCK);
	CHECK(owned_by(fd, F_OWNER_PID, getpid()));
	CHECK(fcntl(fd, F_GETSIG) == SIGRTMIN + 2);
	CHECK(!told);
	CHECK(cannot_open(O_WRONLY));
	CHECK(told == SIGRTMIN + 2 && told_fd == fd);
	CHECK(!fcntl(fd, F_SETLEASE, F_UNLCK));
	CHECK(!cannot_open(O_WRONLY));
}

SUBJECT_TEST(write_lease)
{
	int fd = new_file("file", O_RDWR);

	listen_to(SIGIO);
	CHECK(!fcntl(fd, F_SETLEASE, F_WRLCK));
	checkpoint_here();
	CHECK(fcntl(fd, F_GETLEASE) == F_WRLCK);
	CHECK(cannot_open(O_RDONLY));
	CHECK(told == SIGIO);
	CHECK(!fcntl(fd, F_SETLEASE, F_UNLCK));
}

SUBJECT_TEST(write_hint)
{
	int fd = new_file("file", O_RDWR);
	unsigned long hint = RWH_WRITE_LIFE_LONG;

	CHECK(!fcntl(fd, F_SET_RW_HINT, &hint));
	checkpoint_here();
	hint = 0;
	CHECK(!fcntl(fd, F_GET_RW_HINT, &hint));
	CHECK(hint == RWH_WRITE_LIFE_LONG);
}

/* The inode is a new one, and has it all the same. */
SUBJECT_TEST(write_hint_of_a_deleted_file)
{
	int fd = new_file("file", O_RDWR);
	unsigned long hint = RWH_WRITE_LIFE_SHORT;

	CHECK(!unlink(in_dir("file")));
	CHECK(!fcntl(fd, F_SET_RW_HINT, &hint));
	checkpoint_here();
	hint = 0;
	CHECK(!fcntl(fd, F_GET_RW_HINT, &hint));
	CHECK(hint == RWH_WRITE_LIFE_SHORT);
}

/* Restarts that fail */

FIXTURE(owner)
{
	struct subject s;
	struct walk w;
};

static void owner_subject(void)
{
	int fd = new_file("file", O_RDONLY);

	CHECK(!fcntl(fd, F_SETOWN, getpid()));
	CHECK(!fcntl(fd, F_SETLEASE, F_RDLCK));
	checkpoint_here();
}

FIXTURE_SETUP(owner)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	self->w = subject_walk(&self->s, owner_subject);
	ASSERT_EQ(1U, walk_count(&self->w, CR_HDR_OWNER));
	ASSERT_EQ(1U, walk_count(&self->w, CR_HDR_LOCK));
}

FIXTURE_TEARDOWN(owner)
{
	walk_free(&self->w);
	subject_close(&self->s);
	remove_dir();
}

TEST_F(owner, no_such_process)
{
	struct cr_hdr_owner *owner = walk_find(&self->w, CR_HDR_OWNER);

	owner->pid = INT_MAX;
	subject_unfit(&self->s, &self->w, ESRCH,
		      "its signals cannot be sent to 2147483647");
}

TEST_F(owner, no_such_signal)
{
	struct cr_hdr_owner *owner = walk_find(&self->w, CR_HDR_OWNER);

	owner->signal = 65;
	subject_unfit(&self->s, &self->w, EINVAL, "signal");
}

TEST_F(owner, no_such_kind_of_owner)
{
	struct cr_hdr_owner *owner = walk_find(&self->w, CR_HDR_OWNER);

	owner->kind = 3;
	subject_unfit(&self->s, &self->w, EINVAL, "kind");
}

/* Somebody writes to it now. */
TEST_F(owner, lease_in_the_way)
{
	int fd = open(in_dir("file"), O_WRONLY);

	ASSERT_LE(0, fd);
	subject_unfit(&self->s, &self->w, EAGAIN,
		      "no lease: another process has it open");
	close(fd);
	/* Nobody has one now. */
	fd = open(in_dir("file"), O_WRONLY | O_NONBLOCK);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_HARNESS_MAIN
