// SPDX-License-Identifier: GPL-2.0
/*
 * What a tree shares with a process outside of it: refused by what it is and who
 * else has it, always or with CHECKPOINT_CONTAINER; and a tree that shares
 * nothing is saved with that flag.
 */
#include "whole.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PAGE 4096

FIXTURE(container)
{
	struct whole w;
};

FIXTURE_SETUP(container)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->w = (struct whole) { .metadata = _metadata };
}

FIXTURE_TEARDOWN(container)
{
	remove_dir();
}

/*
 * It is refused with @flags, by a line that has @what in it, and the holder's pid
 * and name behind that; and the tree goes on and notices nothing.
 */
static void refused_for(struct whole *w, unsigned long flags, const char *what)
{
	struct __test_metadata *_metadata = w->metadata;
	char text[1024] = { 0 }, name[64], *at;
	int pid = 0;

	EXPECT_EQ(EOPNOTSUPP, whole_checkpoint(w, flags | CHECKPOINT_KILL));
	whole_log(w, what);
	ASSERT_LE(0, pread(w->logfd, text, sizeof(text) - 1, 0));
	snprintf(name, sizeof(name), "checkpoint: task %d (", w->pid);
	EXPECT_TRUE(!strncmp(text, name, strlen(name)))
		TH_LOG("log '%s', wanted '%s'", text, name);
	at = strstr(text, what);
	at = at ? strstr(at, "task ") : NULL;
	EXPECT_TRUE(at && sscanf(at, "task %d", &pid) == 1);
	snprintf(name, sizeof(name), "task %d (holder)", pid);
	EXPECT_TRUE(!!strstr(text, name))
		TH_LOG("log '%s', wanted '%s'", text, name);
	EXPECT_EQ(0, kill(pid, 0));
	EXPECT_TRUE(proc_wait_asleep(w->pid));
}

/* What there is between a tree and somebody outside of it. */
enum tie {
	SHARED,		/* would be cut: refused always, and with the flag */
	FOUND_AGAIN,	/* is not cut without the flag, as it can be found again */
	PROVIDED,	/* likewise by the restarter, by rule, and not for a container */
};

static void run_tied(struct whole *w, void (*fn)(void), enum tie tie, const char *what)
{
	struct __test_metadata *_metadata = w->metadata;

	ASSERT_TRUE(whole_start(w, fn, 0))
		whole_show(w);
	if (tie == SHARED) {
		refused_for(w, 0, what);
	} else {
		EXPECT_EQ(0, whole_checkpoint(w, 0))
			whole_show(w);
	}
	if (tie == PROVIDED) {
		EXPECT_EQ(EOPNOTSUPP,
			  whole_checkpoint(w, CHECKPOINT_CONTAINER | CHECKPOINT_KILL));
		whole_log(w, what);
	} else {
		refused_for(w, CHECKPOINT_CONTAINER, what);
	}
	whole_finish(w);
	whole_end(w);
}

#define SHARED_TEST(name, tie, what) \
	static void name##_tree(void); \
	TEST_F_TIMEOUT(container, name, 120) \
	{ \
		run_tied(&self->w, name##_tree, tie, what); \
	} \
	static void name##_tree(void)

/* An open file description at 5, which the holder has, too. */
static void hold_at_5(int fd)
{
	put_at(fd, 5);
	hold(5, 5);
	whole_here();
	CHECK(fcntl(5, F_GETFD) >= 0);
	let_holder_go();
}

SHARED_TEST(eventfd, SHARED, "fd 5: eventfd: it is shared with task ")
{
	hold_at_5(eventfd(7, 0));
}

SHARED_TEST(timerfd, SHARED, "fd 5: timerfd: it is shared with task ")
{
	hold_at_5(timerfd_create(CLOCK_MONOTONIC, 0));
}

SHARED_TEST(signalfd, SHARED, "fd 5: signalfd: it is shared with task ")
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	hold_at_5(signalfd(-1, &set, 0));
}

SHARED_TEST(epoll, SHARED, "fd 5: epoll: it is shared with task ")
{
	hold_at_5(epoll_create1(0));
}

SHARED_TEST(inotify, SHARED, "fd 5: inotify: it is shared with task ")
{
	hold_at_5(inotify_init1(0));
}

SHARED_TEST(pipe_end, SHARED, "fd 5: pipe: the other end is with task ")
{
	int p[2];
	char c;

	CHECK(!pipe(p));
	put_at(p[0], 5);
	put_at(p[1], 6);
	hold(6, 6);
	CHECK(!close(6));
	whole_here();
	let_holder_go();
	CHECK(read(5, &c, 1) == 0);
}

/* Both ends are in the tree, and somebody else has one of them. */
SHARED_TEST(pipe_of_both_ends, SHARED, "fd 6: pipe: it is shared with task ")
{
	int p[2];

	CHECK(!pipe(p));
	put_at(p[0], 5);
	put_at(p[1], 6);
	hold(6, 6);
	whole_here();
	CHECK(write(6, "x", 1) == 1);
	let_holder_go();
}

SHARED_TEST(memfd, SHARED, "fd 5: shared memory: it is shared with task ")
{
	hold_at_5(memfd_create("shared", 0));
}

/* The holder has opened it by itself. */
SHARED_TEST(memfd_opened_again, SHARED,
	    "fd 5: shared memory: it is shared with task ")
{
	put_at(memfd_create("shared", 0), 5);
	put_at(open("/proc/self/fd/5", O_RDONLY), 6);
	hold(6, 6);
	CHECK(!close(6));
	whole_here();
	let_holder_go();
}

/* The holder has it mapped, and no descriptor of it. */
SHARED_TEST(memfd_mapped, SHARED, "fd 5: shared memory: it is shared with task ")
{
	char *p;

	put_at(memfd_create("shared", 0), 5);
	CHECK(!ftruncate(5, PAGE));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 5, 0);
	CHECK(p != MAP_FAILED);
	hold(100, 100);
	CHECK(!munmap(p, PAGE));
	whole_here();
	let_holder_go();
}

SHARED_TEST(anonymous_memory, SHARED, ": shared memory: it is shared with task ")
{
	char *p = shared(PAGE);

	CHECK(p);
	hold(100, 100);
	p[0] = 'x';
	whole_here();
	CHECK(p[0] == 'x');
	let_holder_go();
}

/* Nobody can write to it, so that both have the same whatever becomes of either. */
SHARED_TEST(sealed_memory, FOUND_AGAIN, "fd 5: shared memory: it is shared with task ")
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	CHECK(write(fd, "contents", 8) == 8);
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK));
	put_at(open("/proc/self/fd/3", O_RDONLY), 6);
	put_at(fd, 5);
	hold(6, 6);
	CHECK(!close(6));
	whole_here();
	let_holder_go();
}

SHARED_TEST(deleted_file, SHARED, "fd 5: a deleted file: it is shared with task ")
{
	put_at(open(in_dir("deleted"), O_RDWR | O_CREAT, 0600), 5);
	put_at(open(in_dir("deleted"), O_RDONLY), 6);
	CHECK(!unlink(in_dir("deleted")) && write(5, "x", 1) == 1);
	hold(6, 6);
	CHECK(!close(6));
	whole_here();
	let_holder_go();
}

SHARED_TEST(deleted_file_mapped, SHARED,
	    "fd 5: a deleted file: it is shared with task ")
{
	char *p;

	put_at(open(in_dir("deleted"), O_RDWR | O_CREAT, 0600), 5);
	CHECK(!unlink(in_dir("deleted")) && !ftruncate(5, PAGE));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 5, 0);
	CHECK(p != MAP_FAILED);
	hold(100, 100);
	CHECK(!munmap(p, PAGE));
	whole_here();
	let_holder_go();
}

SHARED_TEST(regular_file, FOUND_AGAIN, "fd 5: file: it is shared with task ")
{
	hold_at_5(open(in_dir("file"), O_RDWR | O_CREAT, 0600));
}

SHARED_TEST(directory, FOUND_AGAIN, "fd 5: directory: it is shared with task ")
{
	hold_at_5(open("/tmp", O_RDONLY | O_DIRECTORY));
}

SHARED_TEST(device, FOUND_AGAIN, "fd 5: device: it is shared with task ")
{
	hold_at_5(open("/dev/zero", O_RDONLY));
}

SHARED_TEST(pidfd, FOUND_AGAIN, "fd 5: pidfd: it is of task ")
{
	hold(100, 100);
	put_at(syscall(SYS_pidfd_open, holder, 0), 5);
	whole_here();
	let_holder_go();
}

SHARED_TEST(owner, FOUND_AGAIN, "fd 5: file: its signals go to task ")
{
	hold(100, 100);
	put_at(open(in_dir("file"), O_RDWR | O_CREAT, 0600), 5);
	CHECK(!fcntl(5, F_SETOWN, holder));
	whole_here();
	let_holder_go();
}

/* The holder waits for a lock that the tree has. */
static void waited_for(bool posix)
{
	struct flock all = { .l_type = F_WRLCK };

	put_at(open(in_dir("file"), O_RDWR | O_CREAT, 0600), 5);
	CHECK(posix ? !fcntl(5, F_SETLK, &all) : !flock(5, LOCK_EX));
	holder = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	CHECK(holder >= 0);
	if (!holder) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_close_range, 0, ~0U, 0);
		put_at(open(in_dir("file"), O_RDWR), 9);
		set_comm("holder");
		_exit(posix ? fcntl(9, F_SETLKW, &all) : flock(9, LOCK_EX));
	}
	CHECK(proc_wait_comm(holder, "holder") && proc_wait_asleep(holder));
	whole_here();
	let_holder_go();
}

SHARED_TEST(lock, FOUND_AGAIN, "fd 5: file: task ")
{
	waited_for(true);
}

SHARED_TEST(whole_file_lock, FOUND_AGAIN, "fd 5: file: task ")
{
	waited_for(false);
}

/* What the restarter provides by rule is nothing that a container may have. */

SHARED_TEST(standard_pipe, PROVIDED, "fd 0: pipe: the other end is with task ")
{
	int p[2];

	CHECK(!pipe(p));
	put_at(p[1], 6);
	put_at(p[0], 0);
	hold(6, 6);
	CHECK(!close(6));
	whole_here();
	let_holder_go();
}

SHARED_TEST(standard_socket, PROVIDED,
	    "fd 0: a socket: the restarter would have to provide it")
{
	put_at(socket(AF_UNIX, SOCK_STREAM, 0), 0);
	whole_here();
}

SHARED_TEST(terminal, PROVIDED, "terminal: the restarter would have to provide it")
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), number, off = 0;
	char name[32];

	CHECK(master >= 0 && !ioctl(master, TIOCSPTLCK, &off));
	CHECK(!ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	put_at(open(name, O_RDWR | O_NOCTTY), 0);
	put_at(master, 9);
	hold(9, 9);
	CHECK(!close(9));
	whole_here();
	let_holder_go();
}

/* With CHECKPOINT_INHERIT the restarter hands it in. */
static void eventfd_tree(void);

TEST_F_TIMEOUT(container, shared_file_that_is_inherited, 120)
{
	struct whole *w = &self->w;

	ASSERT_TRUE(whole_start(w, eventfd_tree, 0))
		whole_show(w);
	EXPECT_EQ(0, whole_checkpoint(w, CHECKPOINT_INHERIT))
		whole_show(w);
	whole_finish(w);
	whole_end(w);
}

/*
 * The file of the image, which the tree has, and somebody else: the restarter has one
 * for it, which is nothing that a container may need.
 */
static void image_tree(void)
{
	static const char what[] = "fd 5: file: the restarter would have to provide it\n";
	char log[512] = { 0 };
	long id;

	put_at(open(in_dir("image"), O_RDWR | O_CREAT, 0600), 5);
	put_at(open(in_dir("log"), O_RDWR | O_CREAT, 0600), 6);
	hold(5, 5);
	CHECK(sys_checkpoint(0, 5, CHECKPOINT_CONTAINER | CHECKPOINT_LOG, 6) == -1);
	CHECK(errno == EOPNOTSUPP && !file_size(5) && !lseek(5, 0, SEEK_CUR));
	CHECK(pread(6, log, sizeof(log) - 1, 0) > 0);
	CHECK(strstr(log, what) && one_printable_line(log));
	CHECK(!ftruncate(6, 0) && !lseek(6, 0, SEEK_SET));
	id = sys_checkpoint(0, 5, CHECKPOINT_LOG, 6);
	CHECK(id >= 0 && !file_size(6) && fcntl(5, F_GETFD) == 0);
	/* The restored one has what it was read from. */
	CHECK(lseek(5, 0, SEEK_CUR) == file_size(5));
	if (id)
		let_holder_go();
	whole_here();
}

TEST_F_TIMEOUT(container, image_that_somebody_has, 120)
{
	struct whole *w = &self->w;

	ASSERT_TRUE(whole_start(w, image_tree, 0))
		whole_show(w);
	whole_saved_itself(w);
	while (waitpid(-1, NULL, 0) > 0)
		;
	ASSERT_TRUE(whole_restart(w, w->pid, 0, 0));
	whole_goes_on(w);
	whole_end(w);
}

/* All reasons are in the log of a check. */
static void two_shared_tree(void)
{
	put_at(eventfd(0, 0), 5);
	put_at(eventfd(0, 0), 6);
	hold(5, 6);
	whole_here();
	let_holder_go();
}

TEST_F_TIMEOUT(container, check_tells_all, 120)
{
	struct whole *w = &self->w;
	char text[1024] = { 0 };

	ASSERT_TRUE(whole_start(w, two_shared_tree, 0))
		whole_show(w);
	EXPECT_EQ(EOPNOTSUPP, whole_checkpoint(w, CHECKPOINT_CHECK | CHECKPOINT_CONTAINER));
	ASSERT_LE(0, pread(w->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(strstr(text, "fd 5: eventfd") && strstr(text, "fd 6: eventfd"))
		whole_show(w);
	whole_finish(w);
	whole_end(w);
}

/* A tree with something of everything, all of it its own. */

static void *sleeper(void *arg)
{
	while (!arg)
		pause();
	return arg;
}

static void whole_tree(void)
{
	struct flock all = { .l_type = F_WRLCK };
	char *memory = shared(PAGE), *mapped, c;
	int p[2], status;
	pthread_t thread;
	pid_t child;

	CHECK(memory && !pipe(p));
	put_at(p[0], 5);
	put_at(p[1], 6);
	put_at(eventfd(3, EFD_NONBLOCK), 7);
	put_at(memfd_create("own", 0), 8);
	CHECK(!ftruncate(8, PAGE));
	mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 8, 0);
	CHECK(mapped != MAP_FAILED);
	put_at(open(in_dir("file"), O_RDWR | O_CREAT, 0600), 9);
	CHECK(!fcntl(9, F_SETLK, &all));
	put_at(open(in_dir("deleted"), O_RDWR | O_CREAT, 0600), 10);
	CHECK(!unlink(in_dir("deleted")) && write(10, "d", 1) == 1);
	CHECK(!pthread_create(&thread, NULL, sleeper, NULL));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		__u64 count;

		CHECK(read(5, &c, 1) == 1 && c == 'g');
		CHECK(read(7, &count, sizeof(count)) == sizeof(count) && count == 3);
		memory[0] = 'm';
		mapped[0] = 'f';
		CHECK(pread(10, &c, 1, 0) == 1 && c == 'd');
		_exit(7);
	}
	CHECK(proc_wait_asleep(child));
	whole_here();
	CHECK(write(6, "g", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(memory[0] == 'm' && mapped[0] == 'f');
}

TEST_F_TIMEOUT(container, tree_that_is_whole, 120)
{
	struct whole *w = &self->w;

	whole_move(w, whole_tree, 0, CHECKPOINT_CONTAINER);
	ASSERT_TRUE(whole_restart(w, w->pid, 0, 0));
	whole_goes_on(w);
	whole_end(w);
}

TEST_HARNESS_MAIN
