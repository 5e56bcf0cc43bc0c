// SPDX-License-Identifier: GPL-2.0
/*
 * Open files that are a counter, a set of signals, or a process: eventfd(2),
 * signalfd(2), pidfd_open(2).
 */
#include "subject.h"

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static bool reads(int fd, __u64 count)
{
	__u64 got = ~count;

	return read(fd, &got, sizeof(got)) == sizeof(got) && got == count;
}

static bool writes(int fd, __u64 count)
{
	return write(fd, &count, sizeof(count)) == sizeof(count);
}

/* There is nothing to be read, and that is said at once. */
static bool is_empty(int fd)
{
	char buf[256];

	return read(fd, buf, sizeof(buf)) == -1 && errno == EAGAIN;
}

static short polls(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* A line of /proc/self/fdinfo/@fd. */
static void read_fdinfo(int fd, const char *field, char *line, size_t size)
{
	char path[64], text[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	CHECK(!!f);
	line[0] = '\0';
	while (fgets(text, sizeof(text), f))
		if (!strncmp(text, field, strlen(field)))
			snprintf(line, size, "%.*s", (int)size - 1, text);
	fclose(f);
	CHECK(line[0]);
}

/* eventfd */

SUBJECT_TEST(eventfd_count)
{
	int fd = eventfd(3, EFD_NONBLOCK);

	CHECK(fd >= 0 && writes(fd, 4));
	checkpoint_here();
	CHECK(polls(fd) == (POLLIN | POLLOUT));
	CHECK(reads(fd, 7) && is_empty(fd));
	CHECK(writes(fd, 1ULL << 40) && reads(fd, 1ULL << 40));
}

SUBJECT_TEST(eventfd_zero)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(polls(fd) == POLLOUT && is_empty(fd));
}

/* No other process could write more to it. */
SUBJECT_TEST(eventfd_full)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(fd >= 0 && writes(fd, 0xfffffffffffffffeULL));
	checkpoint_here();
	CHECK(polls(fd) == POLLIN);
	CHECK(!writes(fd, 1) && errno == EAGAIN);
	CHECK(reads(fd, 0xfffffffffffffffeULL) && is_empty(fd));
}

SUBJECT_TEST(eventfd_semaphore)
{
	int fd = eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE);

	CHECK(fd >= 0 && reads(fd, 1));
	checkpoint_here();
	CHECK(reads(fd, 1) && reads(fd, 1) && is_empty(fd));
	CHECK(writes(fd, 2) && reads(fd, 1) && reads(fd, 1) && is_empty(fd));
}

SUBJECT_TEST(eventfd_flags)
{
	int plain = eventfd(1, 0);
	int other = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	int later = eventfd(1, 0);

	CHECK(plain >= 0 && other >= 0 && later >= 0);
	CHECK(!fcntl(later, F_SETFL, O_NONBLOCK | O_APPEND));
	checkpoint_here();
	CHECK(fcntl(plain, F_GETFL) == O_RDWR && fcntl(plain, F_GETFD) == 0);
	CHECK(fcntl(other, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fcntl(other, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(later, F_GETFL) == (O_RDWR | O_NONBLOCK | O_APPEND));
}

SUBJECT_TEST(eventfd_by_two_descriptors)
{
	int fd = eventfd(5, EFD_NONBLOCK), again = dup(fd);
	int other = eventfd(6, EFD_NONBLOCK);

	CHECK(fd >= 0 && again >= 0 && other >= 0);
	checkpoint_here();
	CHECK(writes(again, 2) && reads(fd, 7) && is_empty(again));
	CHECK(reads(other, 6));
}

static int event;

static void count_one(int sig __maybe_unused)
{
	__u64 one = 1;

	if (write(event, &one, sizeof(one)) != sizeof(one))
		_exit(1);
}

/* Who waits for it is woken by it afterwards. */
SUBJECT_TEST(eventfd_reader_waits)
{
	struct sigaction sa = { .sa_handler = count_one, .sa_flags = SA_RESTART };

	event = eventfd(0, 0);
	CHECK(event >= 0 && !sigaction(SIGUSR1, &sa, NULL));
	if (subject_how == ITSELF) {
		checkpoint_here();
		return;
	}
	say(SAY_SLEEPING);
	CHECK(reads(event, 1));
	wait_go();
}

/* signalfd */

static void signals(sigset_t *set, int a, int b)
{
	sigemptyset(set);
	sigaddset(set, a);
	sigaddset(set, b);
}

static bool takes(int fd, int sig)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) &&
	       info.ssi_signo == (unsigned int)sig &&
	       info.ssi_pid == (unsigned int)getpid() && info.ssi_uid == getuid();
}

SUBJECT_TEST(signalfd_mask)
{
	sigset_t set, all;
	int fd;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	signals(&set, SIGUSR1, SIGRTMIN + 1);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(is_empty(fd) && polls(fd) == 0);
	CHECK(!kill(getpid(), SIGUSR2) && is_empty(fd));
	CHECK(!kill(getpid(), SIGRTMIN + 1));
	CHECK(polls(fd) == POLLIN && takes(fd, SIGRTMIN + 1) && is_empty(fd));
	/* It can be changed. */
	signals(&set, SIGUSR2, SIGHUP);
	CHECK(signalfd(fd, &set, 0) == fd && takes(fd, SIGUSR2) && is_empty(fd));
}

/* Signals that wait are read by it. */
SUBJECT_TEST(signalfd_with_signals)
{
	union sigval value = { .sival_int = 4711 };
	struct signalfd_siginfo info;
	sigset_t set, all;
	int fd, other;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	signals(&set, SIGUSR1, SIGRTMIN + 3);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	signals(&set, SIGUSR2, SIGTERM);
	other = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0 && other >= 0);
	CHECK(!kill(getpid(), SIGUSR1) && !kill(getpid(), SIGTERM));
	CHECK(!sigqueue(getpid(), SIGRTMIN + 3, value));
	checkpoint_here();
	CHECK(takes(fd, SIGUSR1));
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info));
	CHECK(info.ssi_signo == (unsigned int)SIGRTMIN + 3);
	CHECK(info.ssi_code == SI_QUEUE && info.ssi_int == 4711);
	CHECK(is_empty(fd));
	CHECK(takes(other, SIGTERM) && is_empty(other));
	CHECK(fcntl(other, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
}

/* Each bit: /proc shows them. SIGKILL and SIGSTOP are in none. */
SUBJECT_TEST(signalfd_masks_in_proc)
{
	static char before[65][64], after[64];
	int fd[65], sig;

	for (sig = 1; sig <= 64; sig++) {
		__u64 mask = 1ULL << (sig - 1) | 1ULL << 63;

		/* The C library has no signal 32. */
		fd[sig] = syscall(SYS_signalfd4, -1, &mask, sizeof(mask), 0);
		CHECK(fd[sig] >= 0);
		read_fdinfo(fd[sig], "sigmask:", before[sig], 64);
	}
	checkpoint_here();
	for (sig = 1; sig <= 64; sig++) {
		read_fdinfo(fd[sig], "sigmask:", after, 64);
		CHECK(!strcmp(before[sig], after));
	}
}

/* pidfd */

static int pidfd_open(pid_t pid, unsigned int flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static pid_t pid_of(int fd)
{
	char line[64];
	int pid = 0;

	read_fdinfo(fd, "Pid:", line, sizeof(line));
	CHECK(sscanf(line, "Pid: %d", &pid) == 1);
	return pid;
}

static int pidfd_signal(int fd, int sig)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

SUBJECT_TEST(pidfd_of_itself)
{
	int fd = pidfd_open(getpid(), 0);
	siginfo_t info;
	sigset_t set;

	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(pid_of(fd) == getpid());
	CHECK(!polls(fd));
	signals(&set, SIGUSR1, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!pidfd_signal(fd, SIGUSR1));
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_pid == getpid());
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) == O_RDWR);
}

SUBJECT_TEST(pidfd_flags)
{
	int thread = pidfd_open(getpid(), PIDFD_THREAD);
	int later = pidfd_open(getpid(), O_NONBLOCK);
	int both = pidfd_open(getpid(), PIDFD_THREAD | O_NONBLOCK);

	CHECK(thread >= 0 && later >= 0 && both >= 0);
	CHECK(!fcntl(thread, F_SETFD, 0));
	checkpoint_here();
	CHECK(fcntl(thread, F_GETFL) == (O_RDWR | PIDFD_THREAD));
	CHECK(fcntl(thread, F_GETFD) == 0);
	CHECK(fcntl(later, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fcntl(both, F_GETFL) == (O_RDWR | O_NONBLOCK | PIDFD_THREAD));
	CHECK(pid_of(thread) == getpid() && pid_of(both) == getpid());
}

/* The test itself, which lives on. */
SUBJECT_TEST(pidfd_of_another)
{
	pid_t parent = getppid();
	int fd = pidfd_open(parent, 0);
	struct stat before, after;

	CHECK(fd >= 0 && !fstat(fd, &before));
	checkpoint_here();
	CHECK(!fstat(fd, &after));
	CHECK(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
	CHECK(pid_of(fd) == parent);
	CHECK(!pidfd_signal(fd, 0) && !polls(fd));
}

/* A process that may end between checkpoint and restart. */
static pid_t other_pid;

static void with_pidfd_of_other(void)
{
	int fd = pidfd_open(other_pid, 0);

	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(pid_of(fd) == other_pid);
}

static pid_t idle_process(void)
{
	pid_t pid = fork();

	while (!pid)
		pause();
	return pid;
}

TEST_F(subject, pidfd_of_a_process_that_ended)
{
	struct subject s = { .metadata = _metadata };
	char text[1024] = { 0 };
	int status;
	pid_t pid;

	if (variant->how != KILLED)
		SKIP(return, "only the process that was killed is of interest");
	other_pid = idle_process();
	ASSERT_LT(0, other_pid);
	subject_has_others = true;
	ASSERT_TRUE(subject_start(&s, with_pidfd_of_other, KILLED));
	ASSERT_TRUE(subject_checkpoint(&s, KILLED, CHECKPOINT_KILL));
	close(s.in);
	close(s.out);
	kill(other_pid, SIGKILL);
	ASSERT_EQ(other_pid, waitpid(other_pid, NULL, 0));
	ASSERT_EQ(0, ftruncate(s.logfd, 0));
	ASSERT_EQ(0, lseek(s.logfd, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(s.image, 0, SEEK_SET));
	pid = spawn_restart(0, s.image, 0, 0, s.logfd, -1, -1);
	ASSERT_LT(0, pid);
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(100 + ESRCH, WEXITSTATUS(status));
	ASSERT_LE(0, pread(s.logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, "that process is gone"))
		TH_LOG("log '%s'", text);
	EXPECT_TRUE(one_printable_line(text));
	subject_close(&s);
}

TEST_HARNESS_MAIN
