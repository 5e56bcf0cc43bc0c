// SPDX-License-Identifier: GPL-2.0
/*
 * What several processes have is one after a restart, too: what one does to it the
 * others see. And it is in the image once.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "subject.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

/* What all processes of a subject have. */
static struct common {
	volatile int step;
	volatile int value;
	pid_t tid;
	pthread_mutex_t lock;
	pthread_cond_t changed;
} *common;

static void begin(void)
{
	common = shared(sizeof(*common));
}

/* Waits until somebody says that it is so far. */
static void await(int step)
{
	unsigned int ms;

	for (ms = 0; common->step < step; ms++) {
		CHECK(ms < PATIENCE);
		sleep_ms(1);
	}
}

/* Says so. */
static void reach(int step)
{
	common->step = step;
}

/* A child that does @fn, in which a check that fails is one of the subject. */
static pid_t child(void (*fn)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	fn();
	_exit(0);
}

static void ends_well(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Files */

static int file, pipes[2], other[2];

static void offset_child(void)
{
	/* Under another number than the parent has it. */
	CHECK(dup2(file, 40) == 40);
	close(file);
	reach(1);
	await(2);
	CHECK(lseek(40, 0, SEEK_CUR) == 5);
	CHECK(write(40, "child", 5) == 5);
	CHECK(!fcntl(40, F_SETFL, O_NONBLOCK | O_APPEND));
	reach(3);
}

SUBJECT_TEST(file_has_one_offset)
{
	char text[16] = { 0 };
	pid_t pid;

	begin();
	file = open(in_dir("file"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	/* As big as it is going to be. */
	CHECK(file >= 0 && pwrite(file, "firstthere", 10, 0) == 10);
	CHECK(lseek(file, 5, SEEK_SET) == 5);
	pid = child(offset_child);
	await(1);
	checkpoint_here();
	reach(2);
	await(3);
	CHECK(lseek(file, 0, SEEK_CUR) == 10);
	CHECK((fcntl(file, F_GETFL) & (O_NONBLOCK | O_APPEND)) == (O_NONBLOCK | O_APPEND));
	CHECK(pread(file, text, 16, 0) == 10 && !strcmp(text, "firstchild"));
	ends_well(pid);
}

static void deleted_child(void)
{
	char text[16] = { 0 };

	reach(1);
	await(2);
	CHECK(pread(file, text, 16, 0) == 7 && !strcmp(text, "deleted"));
	CHECK(pwrite(file, "D", 1, 0) == 1);
	reach(3);
}

SUBJECT_TEST(deleted_file_is_one)
{
	char text[16] = { 0 };
	int again;
	pid_t pid;

	begin();
	file = open(in_dir("gone"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0 && write(file, "deleted", 7) == 7);
	pid = child(deleted_child);
	/* Another open file of the same, which the child has not. */
	again = open(in_dir("gone"), O_RDONLY);
	CHECK(again >= 0 && !unlink(in_dir("gone")));
	await(1);
	checkpoint_here();
	reach(2);
	await(3);
	CHECK(pread(again, text, 16, 0) == 7 && !strcmp(text, "Deleted"));
	ends_well(pid);
}

static void pipe_child(void)
{
	char text[16] = { 0 };

	close(pipes[1]);
	close(other[0]);
	reach(1);
	await(2);
	CHECK(read(pipes[0], text, 4) == 4 && !strcmp(text, "left"));
	CHECK(read(pipes[0], text, 4) == 4 && !strcmp(text, "more"));
	CHECK(write(other[1], "answer", 6) == 6);
	/* The parent has the only other end. */
	CHECK(read(pipes[0], text, 1) == 0);
}

SUBJECT_TEST(pipes_between_members)
{
	char text[16] = { 0 };
	pid_t pid;

	begin();
	CHECK(!pipe(pipes) && !pipe(other));
	pid = child(pipe_child);
	close(pipes[0]);
	close(other[1]);
	CHECK(write(pipes[1], "left", 4) == 4);
	await(1);
	checkpoint_here();
	reach(2);
	CHECK(write(pipes[1], "more", 4) == 4);
	CHECK(read(other[0], text, 16) == 6 && !strcmp(text, "answer"));
	close(pipes[1]);
	CHECK(read(other[0], text, 1) == 0);
	ends_well(pid);
}

static void fifo_child(void)
{
	char text[16] = { 0 };
	int fd = open(in_dir("fifo"), O_RDONLY);

	CHECK(fd >= 0);
	reach(1);
	await(2);
	CHECK(read(fd, text, 16) == 5 && !strcmp(text, "begin"));
	reach(3);
	CHECK(read(fd, text, 16) == 3 && !strncmp(text, "end", 3));
	CHECK(read(fd, text, 1) == 0);
}

SUBJECT_TEST(fifo_between_members)
{
	pid_t pid;
	int fd;

	begin();
	CHECK(!mkfifo(in_dir("fifo"), 0600));
	pid = child(fifo_child);
	fd = open(in_dir("fifo"), O_WRONLY);
	CHECK(fd >= 0 && write(fd, "begin", 5) == 5);
	await(1);
	checkpoint_here();
	reach(2);
	await(3);
	CHECK(write(fd, "end", 3) == 3);
	close(fd);
	ends_well(pid);
}

/* Locks */

static struct flock bytes(int type, int start, int len)
{
	return (struct flock){ .l_type = type, .l_start = start, .l_len = len };
}

static void lock_child(void)
{
	struct flock lock = bytes(F_WRLCK, 10, 10), both = bytes(F_RDLCK, 50, 10);

	CHECK(!fcntl(file, F_SETLK, &lock) && !fcntl(file, F_SETLK, &both));
	reach(1);
	await(2);
	/* Its own is no obstacle, that of the parent is. */
	lock = bytes(F_WRLCK, 10, 10);
	CHECK(!fcntl(file, F_GETLK, &lock) && lock.l_type == F_UNLCK);
	lock = bytes(F_WRLCK, 0, 5);
	CHECK(!fcntl(file, F_GETLK, &lock) && lock.l_type == F_WRLCK);
	CHECK(lock.l_pid == getppid() && lock.l_start == 0 && lock.l_len == 5);
	/* That of the open file is of both. */
	CHECK(!flock(file, LOCK_EX | LOCK_NB));
	reach(3);
	await(4);
}

SUBJECT_TEST(locks_of_each)
{
	struct flock lock = bytes(F_WRLCK, 0, 5), both = bytes(F_RDLCK, 50, 10);
	int again;
	pid_t pid;

	begin();
	file = open(in_dir("file"), O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0);
	CHECK(!fcntl(file, F_SETLK, &lock) && !fcntl(file, F_SETLK, &both));
	CHECK(!flock(file, LOCK_EX));
	lock = bytes(F_WRLCK, 100, 1);
	CHECK(!fcntl(file, F_OFD_SETLK, &lock));
	pid = child(lock_child);
	await(1);
	checkpoint_here();
	reach(2);
	await(3);
	lock = bytes(F_WRLCK, 12, 1);
	CHECK(fcntl(file, F_SETLK, &lock) == -1 && errno == EAGAIN);
	CHECK(!fcntl(file, F_GETLK, &lock) && lock.l_pid == pid);
	CHECK(lock.l_start == 10 && lock.l_len == 10);
	lock = bytes(F_WRLCK, 50, 1);
	CHECK(!fcntl(file, F_GETLK, &lock) && lock.l_type == F_RDLCK && lock.l_pid == pid);
	reach(4);
	ends_well(pid);
	lock = bytes(F_WRLCK, 10, 10);
	CHECK(!fcntl(file, F_SETLK, &lock));
	again = open(in_dir("file"), O_RDWR);
	CHECK(flock(again, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	lock = bytes(F_WRLCK, 100, 1);
	CHECK(fcntl(again, F_OFD_SETLK, &lock) == -1 && errno == EAGAIN);
	close(again);
}

/* Who is told */

static volatile sig_atomic_t told, told_fd;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	told = sig;
	told_fd = info->si_fd;
}

static void listen_to(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	CHECK(!sigaction(sig, &sa, NULL));
}

static void own(int fd, int type, pid_t pid)
{
	const struct f_owner_ex owner = { type, pid };

	CHECK(!fcntl(fd, F_SETOWN_EX, &owner));
}

static void owned_by(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = { -1, -1 };

	CHECK(!fcntl(fd, F_GETOWN_EX, &owner));
	CHECK((int)owner.type == type && owner.pid == pid);
}

static int files[4];

static void *owner_thread(void *arg)
{
	(void)arg;
	common->tid = gettid();
	reach(1);
	await(2);
	/* It may have another number now. */
	common->tid = gettid();
	return NULL;
}

static void owner_child(void)
{
	struct f_owner_ex owner;
	pthread_t thread;

	CHECK(!setpgid(0, 0));
	CHECK(!pthread_create(&thread, NULL, owner_thread, NULL));
	await(2);
	CHECK(!pthread_join(thread, NULL));
	owned_by(files[0], F_OWNER_PID, getpid());
	owned_by(files[1], F_OWNER_PGRP, getpid());
	/* It is joined before it is gone. */
	while (!fcntl(files[2], F_GETOWN_EX, &owner) && owner.pid)
		sleep_ms(1);
	owned_by(files[2], F_OWNER_TID, 0);
	owned_by(files[3], F_OWNER_PID, getppid());
	reach(3);
}

/* Returns the child. */
static pid_t checkpoint_owners(void)
{
	pid_t pid;
	int i;

	begin();
	for (i = 0; i < 4; i++)
		files[i] = open(in_dir("file"), O_RDWR | O_CREAT, 0600);
	pid = child(owner_child);
	await(1);
	own(files[0], F_OWNER_PID, pid);
	own(files[1], F_OWNER_PGRP, pid);
	own(files[2], F_OWNER_TID, common->tid);
	own(files[3], F_OWNER_PID, getpid());
	checkpoint_here();
	return pid;
}

static void owners(void)
{
	pid_t pid = checkpoint_owners();

	owned_by(files[3], F_OWNER_PID, getpid());
	/* Of a thread that has not ended yet. */
	owned_by(files[2], F_OWNER_TID, common->tid);
	reach(2);
	await(3);
	ends_well(pid);
}

SUBJECT_TEST(owners_are_members)
{
	owners();
}

static void new_owners(void)
{
	struct f_owner_ex owner;
	int i;

	checkpoint_owners();
	CHECK(!fcntl(files[2], F_GETOWN_EX, &owner) && owner.pid > 0);
	reach(2);
	await(3);
	CHECK(wait(&i) > 0 && WIFEXITED(i) && !WEXITSTATUS(i));
}

TEST_F_TIMEOUT(subject, owners_with_new_pids, 120)
{
	if (variant->how != KILLED)
		return;
	run_subject_flags(_metadata, new_owners, KILLED, 0, RESTART_NEW_PIDS);
}

static void async_child(void)
{
	char c;

	close(pipes[1]);
	CHECK(dup2(pipes[0], 33) == 33);
	close(pipes[0]);
	listen_to(SIGRTMIN + 2);
	own(33, F_OWNER_PID, getpid());
	CHECK(!fcntl(33, F_SETSIG, SIGRTMIN + 2));
	CHECK(!fcntl(33, F_SETFL, O_ASYNC | O_NONBLOCK));
	reach(1);
	await(2);
	while (!told)
		sleep_ms(1);
	CHECK(told == SIGRTMIN + 2 && told_fd == 33);
	CHECK(read(33, &c, 1) == 1);
}

/* Only a child has the file, and so only its descriptor can be told. */
SUBJECT_TEST(signals_of_the_file_of_a_child)
{
	pid_t pid;

	begin();
	CHECK(!pipe(pipes));
	pid = child(async_child);
	close(pipes[0]);
	await(1);
	checkpoint_here();
	CHECK(write(pipes[1], "x", 1) == 1);
	reach(2);
	ends_well(pid);
}

/* Files without a path */

static void wait_end(void)
{
	reach(1);
	await(2);
}

static bool is_of(int pidfd, pid_t pid)
{
	char path[64], text[512] = { 0 }, *at;
	int fd, len;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	at = len > 0 ? strstr(text, "\nPid:") : NULL;
	return at && atoi(at + 5) == pid;
}

static void *sleeping_thread(void *arg)
{
	(void)arg;
	common->tid = gettid();
	reach(1);
	await(2);
	return NULL;
}

SUBJECT_TEST(pidfds_of_members)
{
	int of_child, of_zombie, of_thread, of_self, in_epoll;
	struct epoll_event event = { .events = EPOLLIN };
	siginfo_t info = { 0 };
	pid_t pid, zombie;
	pthread_t thread;
	int epoll;

	begin();
	pid = child(wait_end);
	await(1);
	zombie = fork();
	if (!zombie)
		_exit(3);
	CHECK(!waitid(P_PID, zombie, &info, WEXITED | WNOWAIT));
	common->step = 0;
	CHECK(!pthread_create(&thread, NULL, sleeping_thread, NULL));
	await(1);
	of_child = syscall(SYS_pidfd_open, pid, 0);
	of_zombie = syscall(SYS_pidfd_open, zombie, 0);
	of_self = syscall(SYS_pidfd_open, getpid(), 0);
	of_thread = syscall(SYS_pidfd_open, common->tid, PIDFD_THREAD);
	CHECK(of_child >= 0 && of_zombie >= 0 && of_self >= 0 && of_thread >= 0);
	in_epoll = syscall(SYS_pidfd_open, pid, 0);
	epoll = epoll_create1(0);
	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, in_epoll, &event));
	checkpoint_here();
	CHECK(is_of(of_child, pid) && is_of(of_zombie, zombie));
	CHECK(is_of(of_self, getpid()) && is_of(of_thread, common->tid));
	CHECK(!syscall(SYS_pidfd_send_signal, of_child, 0, NULL, 0));
	/* The one that has ended can be waited for by it. */
	info.si_pid = 0;
	CHECK(!waitid(P_PIDFD, of_zombie, &info, WEXITED));
	CHECK(info.si_pid == zombie && info.si_status == 3);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	reach(2);
	CHECK(!pthread_join(thread, NULL));
	CHECK(epoll_wait(epoll, &event, 1, PATIENCE) == 1);
	ends_well(pid);
}

static int pid_in(int fd)
{
	char text[512] = { 0 };

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : -1;
}

static void proc_child(void)
{
	file = open("/proc/self/stat", O_RDONLY);
	CHECK(file >= 0);
	reach(1);
	await(2);
	CHECK(pid_in(file) == getpid());
	CHECK(pid_in(other[0]) == getppid());
}

SUBJECT_TEST(proc_files_of_members)
{
	int of_child, of_thread, status;
	char path[64];
	pthread_t thread;
	pid_t pid;

	begin();
	other[0] = open("/proc/self/stat", O_RDONLY);
	pid = child(proc_child);
	await(1);
	common->step = 0;
	CHECK(!pthread_create(&thread, NULL, sleeping_thread, NULL));
	await(1);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	of_child = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), common->tid);
	of_thread = open(path, O_RDONLY);
	CHECK(of_child >= 0 && of_thread >= 0);
	checkpoint_here();
	CHECK(pid_in(of_child) == pid);
	CHECK(pid_in(of_thread) == common->tid);
	CHECK(pid_in(other[0]) == getpid());
	reach(2);
	CHECK(!pthread_join(thread, NULL));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	/* They are of who has gone, which a thread is a little after it is joined. */
	CHECK(pid_in(of_child) == -1);
	while (pid_in(of_thread) != -1)
		sleep_ms(1);
}

static int epoll_fd, event_fd, signal_fd, timer_fd;

static void epoll_child(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 77 };
	uint64_t count;

	/* Of a file that only this one has. */
	CHECK(!pipe(pipes));
	CHECK(!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[0], &event));
	reach(1);
	await(2);
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(read(event_fd, &count, 8) == 8 && count == 5);
	count = 9;
	CHECK(write(event_fd, &count, 8) == 8);
	reach(3);
	await(4);
}

SUBJECT_TEST(events_over_fork)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 78 };
	struct itimerspec never = { .it_value.tv_sec = 5000 };
	struct itimerspec left;
	uint64_t count = 5;
	sigset_t set;
	pid_t pid;

	begin();
	epoll_fd = epoll_create1(0);
	event_fd = eventfd(0, 0);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signal_fd = signalfd(-1, &set, 0);
	CHECK(epoll_fd >= 0 && event_fd >= 0 && signal_fd >= 0);
	CHECK(!timerfd_settime(timer_fd, 0, &never, NULL));
	CHECK(write(event_fd, &count, 8) == 8);
	pid = child(epoll_child);
	await(1);
	checkpoint_here();
	CHECK(epoll_wait(epoll_fd, &event, 1, 0) == 0);
	reach(2);
	CHECK(epoll_wait(epoll_fd, &event, 1, PATIENCE) == 1 && event.data.u32 == 77);
	await(3);
	CHECK(read(event_fd, &count, 8) == 8 && count == 9);
	CHECK(!timerfd_gettime(timer_fd, &left) && left.it_value.tv_sec > 4000);
	reach(4);
	ends_well(pid);
}

/* Memory */

#define BIG (16UL << 20)

static char *anon, *of_memfd, *of_file;

static void memory_child(void)
{
	/* It may be elsewhere, in part. */
	CHECK(mremap(anon, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, of_file + 4096) ==
	      of_file + 4096);
	reach(common->step + 1);
	while (common->value < 1)
		sleep_ms(1);
	CHECK(of_file[4096] == 'p' && of_memfd[5] == 'q' && of_file[7] == 'r');
	of_file[4097] = 's';
	anon[BIG - 1] = 't';
	of_memfd[6] = 'u';
	of_file[8] = 'v';
	reach(common->step + 1);
	while (common->value < 2)
		sleep_ms(1);
}

static pid_t big_children[3];

/* Three processes with memory that is theirs in common. */
static void make_big(void)
{
	int fd = tmp_memfd(), i;

	begin();
	anon = shared(BIG);
	memset(anon, 'a', BIG);
	CHECK(!ftruncate(fd, 4096));
	of_memfd = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(of_memfd != MAP_FAILED);
	close(fd);
	file = open(in_dir("file"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(!ftruncate(file, 4096));
	of_file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(of_file != MAP_FAILED);
	close(file);
	for (i = 0; i < 3; i++) {
		big_children[i] = child(memory_child);
		await(i + 1);
	}
}

static void use_big(void)
{
	int i;

	anon[0] = 'p';
	of_memfd[5] = 'q';
	of_file[7] = 'r';
	common->step = 0;
	common->value = 1;
	/* All of them write the same. */
	while (anon[1] != 's' || anon[BIG - 1] != 't' || of_memfd[6] != 'u' || of_file[8] != 'v')
		sleep_ms(1);
	CHECK(anon[BIG / 2] == 'a');
	common->value = 2;
	for (i = 0; i < 3; i++)
		ends_well(big_children[i]);
}

SUBJECT_TEST(memory_of_several)
{
	make_big();
	checkpoint_here();
	use_big();
}

static void mutex_child(void)
{
	CHECK(!pthread_mutex_lock(&common->lock));
	common->step = 1;
	while (common->value != 1)
		CHECK(!pthread_cond_wait(&common->changed, &common->lock));
	common->value = 2;
	CHECK(!pthread_cond_broadcast(&common->changed));
	CHECK(!pthread_mutex_unlock(&common->lock));
	/* It ends with the lock, which the parent is told. */
	await(2);
	CHECK(!pthread_mutex_lock(&common->lock));
	reach(3);
	await(4);
}

SUBJECT_TEST(mutex_of_several)
{
	pthread_mutexattr_t of_lock;
	pthread_condattr_t of_cond;
	pid_t pid;

	begin();
	pthread_mutexattr_init(&of_lock);
	pthread_mutexattr_setpshared(&of_lock, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&of_lock, PTHREAD_MUTEX_ROBUST);
	pthread_condattr_init(&of_cond);
	pthread_condattr_setpshared(&of_cond, PTHREAD_PROCESS_SHARED);
	CHECK(!pthread_mutex_init(&common->lock, &of_lock));
	CHECK(!pthread_cond_init(&common->changed, &of_cond));
	pid = child(mutex_child);
	await(1);
	checkpoint_here();
	CHECK(!pthread_mutex_lock(&common->lock));
	common->value = 1;
	CHECK(!pthread_cond_broadcast(&common->changed));
	while (common->value != 2)
		CHECK(!pthread_cond_wait(&common->changed, &common->lock));
	CHECK(!pthread_mutex_unlock(&common->lock));
	reach(2);
	await(3);
	reach(4);
	CHECK(pthread_mutex_lock(&common->lock) == EOWNERDEAD);
	ends_well(pid);
}

/* The image */

static void counted_subject(void)
{
	make_big();
	CHECK(!pipe(pipes));
	checkpoint_here();
	use_big();
}

static size_t bytes_of(struct walk *w, int type)
{
	size_t i, sum = 0;

	for (i = 0; i < w->nr; i++)
		sum += w->recs[i].type == type ? w->recs[i].bulk_len : 0;
	return sum;
}

/* Has @fn saved while it goes on; returns what is in the image. */
static struct walk save(struct subject *s, void (*fn)(void))
{
	struct __test_metadata *_metadata = s->metadata;
	struct walk w = { .wrong = "not saved" };

	if (subject_start(s, fn, LEFT) && subject_checkpoint(s, LEFT, 0))
		w = walk_file(s->image);
	EXPECT_EQ(NULL, w.wrong);
	return w;
}

/* Both go on to their ends. */
static void finish_both(struct subject *s)
{
	subject_finish(s, "the one that went on");
	if (subject_restart(s))
		subject_finish(s, "the restored one");
	subject_close(s);
}

TEST_F_TIMEOUT(subject, each_object_once, 120)
{
	struct subject s = { .metadata = _metadata };
	struct walk w;
	size_t i, pipes_found = 0, big = 0;

	if (variant->how != LEFT)
		return;
	w = save(&s, counted_subject);
	ASSERT_EQ(NULL, w.wrong);
	EXPECT_EQ(4U, walk_count(&w, CR_HDR_TASK));
	EXPECT_EQ(4U, walk_count(&w, CR_HDR_MM));
	EXPECT_EQ(4U, walk_count(&w, CR_HDR_FILES));
	EXPECT_EQ(1U, walk_count(&w, CR_HDR_PIPE));
	EXPECT_LE(BIG, bytes_of(&w, CR_HDR_DATA));
	/* The harness has some memory that is shared, too. */
	EXPECT_GT(BIG + BIG / 8, bytes_of(&w, CR_HDR_DATA));
	/* Of each kind of open file there is no second record for one open file. */
	for (i = 0; i < w.nr; i++) {
		struct cr_hdr_file *file = walk_payload(&w, &w.recs[i]);

		if (w.recs[i].type == CR_HDR_FILE && file->kind == CR_FILE_PIPE)
			pipes_found++;
		if (w.recs[i].type == CR_HDR_SHM) {
			struct cr_hdr_shm *shm = walk_payload(&w, &w.recs[i]);

			big += shm->size == BIG;
		}
	}
	EXPECT_EQ(2U, pipes_found);
	EXPECT_EQ(1U, big);
	walk_free(&w);
	finish_both(&s);
}

static int together(void *arg)
{
	(void)arg;
	/* Memory and descriptors are those of the parent, its errno as well. */
	while (common->step < 2)
		syscall(SYS_sched_yield);
	return 0;
}

static void counted_tasks(void)
{
	static char stacks[3][16384];
	static const int flags[3] = {
		CLONE_VM | CLONE_FILES,
		CLONE_VM | CLONE_FS | CLONE_SIGHAND,
		CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND,
	};
	int i, status;
	pid_t pids[3];

	begin();
	for (i = 0; i < 3; i++)
		pids[i] = clone(together, stacks[i + 1], flags[i] | SIGCHLD, NULL);
	checkpoint_here();
	reach(2);
	for (i = 0; i < 3; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

TEST_F_TIMEOUT(subject, what_tasks_share_once, 120)
{
	struct subject s = { .metadata = _metadata };
	struct walk w;

	if (variant->how != LEFT)
		return;
	w = save(&s, counted_tasks);
	ASSERT_EQ(NULL, w.wrong);
	EXPECT_EQ(4U, walk_count(&w, CR_HDR_TASK));
	EXPECT_EQ(1U, walk_count(&w, CR_HDR_MM));
	EXPECT_EQ(2U, walk_count(&w, CR_HDR_FILES));
	EXPECT_EQ(2U, walk_count(&w, CR_HDR_FS));
	EXPECT_EQ(4U, walk_count(&w, CR_HDR_PROCESS));
	walk_free(&w);
	finish_both(&s);
}

TEST_HARNESS_MAIN
