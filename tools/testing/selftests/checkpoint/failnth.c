// SPDX-License-Identifier: GPL-2.0
/*
 * No memory: the first allocation of a call is failed, then the second, and so
 * on, until a call comes to its end without one (Documentation/fault-injection).
 * Each of them either fails with an errno that says so, and everybody is what he
 * was, or does without that memory and succeeds. Nothing is leaked.
 *
 * Needs a kernel with CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC,
 * CONFIG_FAULT_INJECTION_USERCOPY and CONFIG_FAULT_INJECTION_DEBUG_FS.
 */
#include "caller.h"
#include "fault.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/sendfile.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif

#define PAGE 4096UL
#define HUGE (2UL << 20)

/*
 * The program runs from a file system in memory, and is static: a network file
 * system such as 9p, on which it may be, does not take it well if it has no
 * memory for what it wants to tell its server when a file is closed.
 */
__attribute__((constructor)) static void run_from_memory(int argc __maybe_unused,
							 char **argv)
{
	char dir[] = "/tmp/ckpt-selftest-XXXXXX", path[64];
	int from, to, status = 0;
	pid_t pid;

	if (getenv("FAILNTH") || geteuid() || ckpt_missing() ||
	    access("/proc/thread-self/fail-nth", W_OK))
		return;
	if (!mkdtemp(dir) || mount("tmpfs", dir, "tmpfs", 0, NULL))
		return;
	snprintf(path, sizeof(path), "%s/failnth", dir);
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	while (copy_file_range(from, NULL, to, NULL, 1 << 20, 0) > 0 ||
	       sendfile(to, from, NULL, 1 << 20) > 0)
		;
	close(from);
	close(to);
	pid = fork();
	if (!pid) {
		setenv("FAILNTH", "1", 1);
		execv(path, argv);
		_exit(KSFT_FAIL);
	}
	waitpid(pid, &status, 0);
	umount2(dir, 0);
	rmdir(dir);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL);
}

/* The subject */

static void fill(char *p, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = i * 7 + i / 251 + seed;
}

static bool filled(const char *p, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i] != (char)(i * 7 + i / 251 + seed))
			return false;
	return true;
}

static char *map_fd(int fd, size_t size, int flags)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* Credentials of its own, and two filters. */
static void restrict_itself(void)
{
	const gid_t groups[] = { 5, 7 };
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(insns), insns };
	int i;

	CHECK(!setgroups(ARRAY_SIZE(groups), groups));
	CHECK(!setresgid(0, 0, 1234) && !setresuid(0, 0, 1234));
	CHECK(!prctl(PR_CAPBSET_DROP, CAP_WAKE_ALARM));
	for (i = 0; i < 2; i++)
		CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

/* A bit of everything. Then it answers, until it shall go on. */
static void rich_subject(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	int ep, count, notify;
	char *anon, *shm, *copied, *file, *mem, *huge, text[64];
	int both[2], packets[2], fd, memfd, i;
	struct timespec now = { 0 };
	siginfo_t info;
	sigset_t set;

	anon = map_fd(-1, 16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS);
	fill(anon, 16 * PAGE, 1);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, anon, 16 * PAGE, "some memory");
	CHECK(!mprotect(anon + 4 * PAGE, 4 * PAGE, PROT_READ));
	CHECK(!madvise(anon + 12 * PAGE, 4 * PAGE, MADV_DONTFORK));
	CHECK(!mlock(anon, PAGE));

	shm = map_fd(-1, 8 * PAGE, MAP_SHARED | MAP_ANONYMOUS);
	fill(shm, 4 * PAGE, 2);

	fd = open(in_dir("file"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	copied = map_fd(fd, 4 * PAGE, MAP_PRIVATE);
	fill(copied + PAGE, PAGE, 3);
	file = map_fd(fd, 4 * PAGE, MAP_SHARED);
	CHECK(lseek(fd, 1234, SEEK_SET) == 1234);

	memfd = memfd_create("in memory", 0);
	CHECK(memfd >= 0 && !ftruncate(memfd, 8 * PAGE));
	mem = map_fd(memfd, 8 * PAGE, MAP_SHARED);
	fill(mem, 3 * PAGE, 4);

	/* Whether it is one page is for the kernel to decide; see memory.c. */
	huge = map_fd(-1, 2 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS);
	huge = (char *)(((unsigned long)huge + HUGE - 1) & ~(HUGE - 1));
	CHECK(!madvise(huge, HUGE, MADV_HUGEPAGE));
	fill(huge, 3 * PAGE, 5);

	CHECK(!pipe(both) && !pipe2(packets, O_DIRECT | O_NONBLOCK));
	CHECK(write(both[1], "first second", 12) == 12);
	CHECK(write(packets[1], "abc", 3) == 3 && write(packets[1], "de", 2) == 2);
	CHECK(dup2(both[0], 30) == 30);
	/* More of them than a small table has. */
	CHECK(dup2(fd, 300) == 300);
	CHECK(!fcntl(300, F_SETFD, FD_CLOEXEC));
	CHECK(open("/dev/zero", O_RDONLY) >= 0);
	CHECK(open(subject_dir, O_RDONLY | O_DIRECTORY) >= 0);
	ep = epoll_create1(0);
	count = eventfd(5, EFD_NONBLOCK);
	notify = inotify_init1(IN_NONBLOCK);
	CHECK(ep >= 0 && count >= 0 && notify >= 0);
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, count, &event));
	CHECK(inotify_add_watch(notify, subject_dir, IN_MOVE_SELF) == 1);

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < 4; i++)
		CHECK(!sigqueue(getpid(), SIGRTMIN + 2, (union sigval) { .sival_int = i }));
	CHECK(!kill(getpid(), SIGUSR2));
	CHECK(!chdir(subject_dir));
	umask(027);
	restrict_itself();

	say(SAY_READY);
	for (;;) {
		CHECK(read(0, text, 1) == 1);
		if (text[0] == 'g')
			break;
		CHECK(text[0] == 'p');
		say("p");
	}

	CHECK(filled(anon, 16 * PAGE, 1));
	CHECK(filled(shm, 4 * PAGE, 2) && !shm[5 * PAGE]);
	CHECK(filled(copied + PAGE, PAGE, 3) && filled(copied, PAGE, 6));
	CHECK(filled(file, 4 * PAGE, 6));
	CHECK(filled(mem, 3 * PAGE, 4) && !mem[3 * PAGE]);
	CHECK(filled(huge, 3 * PAGE, 5) && !huge[3 * PAGE] && !huge[HUGE - 1]);
	/* Still one and the same. */
	mem[7 * PAGE] = 'm';
	CHECK(pread(memfd, text, 1, 7 * PAGE) == 1 && text[0] == 'm');
	CHECK(lseek(300, 1, SEEK_CUR) == 1235 && tell(fd) == 1235);
	CHECK(fcntl(300, F_GETFD) == FD_CLOEXEC && !fcntl(30, F_GETFD));
	CHECK(read(30, text, 6) == 6 && !memcmp(text, "first ", 6));
	CHECK(read(both[0], text, 64) == 6 && !memcmp(text, "second", 6));
	CHECK(read(packets[0], text, 64) == 3 && !memcmp(text, "abc", 3));
	CHECK(read(packets[0], text, 64) == 2 && !memcmp(text, "de", 2));
	CHECK(read(packets[0], text, 64) == -1 && errno == EAGAIN);
	CHECK(epoll_wait(ep, &event, 1, 0) == 1 && event.data.u64 == 4711);
	CHECK(read(count, text, 8) == 8 && text[0] == 5);
	CHECK(!epoll_wait(ep, &event, 1, 0) && !inotify_rm_watch(notify, 1));
	sigdelset(&set, SIGUSR2);
	for (i = 0; i < 4; i++) {
		CHECK(sigtimedwait(&set, &info, &now) == SIGRTMIN + 2);
		CHECK(info.si_value.sival_int == i && info.si_code == SI_QUEUE);
	}
	CHECK(sigtimedwait(&set, &info, &now) == -1);
	CHECK(took_signal(SIGUSR2));
	CHECK(umask(0) == 027);
	CHECK(!!getcwd(text, sizeof(text)) && !strcmp(text, subject_dir));
	CHECK(get_comm().name[0] == 's');
	CHECK(syscall(SYS_getppid) == -1 && errno == 77);
	CHECK(prctl(PR_CAPBSET_READ, CAP_WAKE_ALARM) == 0);
}

/* Two processes of two threads: most of the allocations are for one more of each. */
static int tree_until[2];

static void *tree_thread(void *arg)
{
	char c;

	return read(tree_until[0], &c, 1) ? NULL : arg;
}

static void tree_subject(void)
{
	pthread_t thread;
	void *value;
	int status;
	pid_t pid;
	char c;

	CHECK(!pipe(tree_until));
	CHECK(!pthread_create(&thread, NULL, tree_thread, &tree_until));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(tree_until[1]);
		CHECK(!pthread_create(&thread, NULL, tree_thread, &tree_until));
		CHECK(!pthread_join(thread, &value) && value);
		_exit(21);
	}

	say(SAY_READY);
	for (;;) {
		CHECK(read(0, &c, 1) == 1);
		if (c == 'g')
			break;
		CHECK(c == 'p');
		say("p");
	}
	close(tree_until[1]);
	CHECK(!pthread_join(thread, &value) && value);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 21);
}

static bool subject_answers(struct subject *s)
{
	return write(s->in, "p", 1) == 1 && read_byte(s->out) == 'p';
}

/* What a leak would change */

struct counters {
	long files;
	long shmem;		/* KiB */
	long available;		/* KiB */
};

static long number_in(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			n = strtol(line + strlen(field), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static struct counters count(void)
{
	return (struct counters) {
		.files = number_in("/proc/sys/fs/file-nr", ""),
		.shmem = number_in("/proc/meminfo", "Shmem:"),
		.available = number_in("/proc/meminfo", "MemAvailable:"),
	};
}

/* Some is given back a bit later; and KASAN keeps some for a while. */
static bool nothing_more(const struct counters *before, struct counters *after)
{
	int tries;

	for (tries = 0; tries < 50; tries++) {
		*after = count();
		if (after->files <= before->files + 4 &&
		    after->shmem <= before->shmem + 256 &&
		    after->available >= before->available - 256 * 1024)
			return true;
		sleep_ms(100);
	}
	return false;
}

FIXTURE(failnth)
{
	struct subject s;
	struct counters before;
	int fail_nth;
	bool mounted;
};

FIXTURE_VARIANT(failnth)
{
	void (*fn)(void);
};

FIXTURE_VARIANT_ADD(failnth, rich) {
	.fn = rich_subject,
};

FIXTURE_VARIANT_ADD(failnth, tree) {
	.fn = tree_subject,
};

FIXTURE_SETUP(failnth)
{
	static char text[4 * PAGE];

	if (skip_without_root(_metadata, "to give pids and to inject faults"))
		return;
	self->fail_nth = open_fail_nth();
	if (self->fail_nth < 0)
		SKIP(return, "kernel has no fault injection");
	if (!set_knobs()) {
		reset_knobs();
		SKIP(return, "no failslab and fail_page_alloc in debugfs");
	}
	self->before = count();

	/* A file system of its own: a leaked reference keeps it busy. */
	ASSERT_TRUE(make_dir());
	ASSERT_EQ(0, mount("tmpfs", subject_dir, "tmpfs", 0, NULL));
	self->mounted = true;
	fill(text, sizeof(text), 6);
	ASSERT_TRUE(make_file("file", text, sizeof(text)));

	self->s.metadata = _metadata;
	ASSERT_TRUE(subject_start(&self->s, variant->fn, LEFT));
	self->s.ready = read_byte(self->s.out);
	ASSERT_EQ(SAY_READY[0], self->s.ready);
}

FIXTURE_TEARDOWN(failnth)
{
	struct counters after;

	if (!self->mounted)
		return;
	reset_knobs();
	/* A test that has come to its end has seen to that. */
	kill(self->s.pid, SIGKILL);
	waitpid(self->s.pid, NULL, 0);
	subject_reap();
	subject_close(&self->s);
	EXPECT_EQ(0, umount2(subject_dir, 0))
		TH_LOG("somebody still uses the subject's files: %s", strerror(errno));
	rmdir(subject_dir);
	EXPECT_TRUE(nothing_more(&self->before, &after))
		TH_LOG("files %ld to %ld, Shmem %ld to %ld KiB, available %ld to %ld KiB",
		       self->before.files, after.files, self->before.shmem, after.shmem,
		       self->before.available, after.available);
}

/* The first @len bytes of an image are refused, because there are no more. */
static void expect_truncated(struct __test_metadata *_metadata, int image, off_t len)
{
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, image, 0);
	int fd = tmp_memfd();

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_TRUE(write_all(fd, p, len));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EPIPE, "image offset ");
	munmap(p, len);
	close(fd);
}

/*
 * Checkpoints, each @step-th allocation failed, until there is an image to which
 * nothing happened. If @fresh, the file has to allocate its pages each time.
 */
static void fail_checkpoints(struct __test_metadata *_metadata, struct subject *s,
			     int fail_nth, bool fresh, unsigned int step)
{
	unsigned int n, failed = 0, did_without = 0, left = 0;
	off_t end, seen = 0;

	for (n = 1; n < NTH_MAX; n += step) {
		struct walk w;
		long id;
		int err;

		ASSERT_EQ(0, lseek(s->image, 0, SEEK_SET));
		ASSERT_EQ(0, lseek(s->logfd, 0, SEEK_SET));
		ASSERT_EQ(0, ftruncate(s->logfd, 0));
		if (fresh)
			ASSERT_EQ(0, ftruncate(s->image, 0));
		arm(fail_nth, n);
		id = sys_checkpoint(s->pid, s->image, CHECKPOINT_LOG, s->logfd);
		err = errno;
		left = disarm(fail_nth);
		end = tell(s->image);
		if (id < 0) {
			failed++;
			ASSERT_EQ(0U, left) {
				TH_LOG("%u: failed by itself: %s", n, strerror(err));
				show_log(_metadata, s->logfd);
			}
			EXPECT_TRUE(says_no_memory(err))
				TH_LOG("%u: %s", n, strerror(err));
			if (end && end != seen)
				expect_truncated(_metadata, s->image, end);
			seen = end;
		} else {
			w = walk_file(s->image);
			EXPECT_EQ(NULL, w.wrong)
				TH_LOG("%u: not an image: %s", n, w.wrong);
			walk_free(&w);
		}
		ASSERT_TRUE(subject_answers(s))
			TH_LOG("%u: the subject does not answer, state %c", n,
			       proc_state(s->pid));
		if (left)
			break;
		did_without += id > 0;
	}
	EXPECT_NE(0U, left)
		TH_LOG("there is always one more allocation");
	ASSERT_EQ(0, ftruncate(s->image, end));
	TH_LOG("%u allocations, in steps of %u: %u ended the call, %u did not", n - left,
	       step, failed, did_without);
}

/* It goes on, and so does what the image says. */
static void expect_goes_on(struct subject *s)
{
	s->ready = SAY_READY[0];
	if (!subject_finish(s, "the one that went on"))
		return;
	if (subject_restart(s))
		subject_finish(s, "the restored one");
}

TEST_F_TIMEOUT(failnth, checkpoint, 600)
{
	fail_checkpoints(_metadata, &self->s, self->fail_nth, false, 1);
	expect_goes_on(&self->s);
}

/* That is many pages, and each of them is like the next. */
TEST_F_TIMEOUT(failnth, checkpoint_to_an_empty_file, 600)
{
	fail_checkpoints(_metadata, &self->s, self->fail_nth, true, 11);
	expect_goes_on(&self->s);
}

/* Restarts. The caller is a child; it writes what the test wants to know. */

struct verdict {
	unsigned int n;		/* which allocation is failed */
	unsigned int failed;	/* calls that did */
	char text[512];
};

/* In the child: calls, until it is somebody else. */
static void call_until_restored(struct verdict *v, int image, int logfd)
{
	static struct snapshot before, after;
	int fail_nth;

	keep_only(image, logfd);
	fail_nth = fcntl(open_fail_nth(), F_DUPFD, 42);
	close(3);
	decorate();
	/* Twice: what the first one touches is there for the second. */
	take_snapshot(&before);
	take_snapshot(&before);
	for (; v->n < NTH_MAX; v->n++) {
		char log[1024] = { 0 };
		unsigned int left;
		long ret;
		int err;

		if (lseek(image, 0, SEEK_SET) || lseek(logfd, 0, SEEK_SET) ||
		    ftruncate(logfd, 0))
			_exit(92);
		arm(fail_nth, v->n);
		ret = sys_restart(0, image, CHECKPOINT_LOG, logfd);
		err = errno;
		left = disarm(fail_nth);
		v->failed++;
		take_snapshot(&after);
		if (pread(logfd, log, sizeof(log) - 1, 0) < 0)
			_exit(93);
		if (ret != -1)
			snprintf(v->text, sizeof(v->text), "it returned %ld", ret);
		else if (left)
			snprintf(v->text, sizeof(v->text), "failed by itself: %s, '%.200s'",
				 strerror(err), log);
		else if (!says_no_memory(err))
			snprintf(v->text, sizeof(v->text), "%s, '%.200s'", strerror(err),
				 log);
		else if (log[0] && !one_printable_line(log))
			snprintf(v->text, sizeof(v->text), "the log is not one line");
		else if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
			snprintf(v->text, sizeof(v->text), "it has a child");
		else if (same_snapshots(&before, &after, v->text, sizeof(v->text)))
			continue;
		_exit(4);
	}
	_exit(5);
}

/* The child gets the pid of the subject, which is gone. */
static bool start_caller(struct subject *s, struct verdict *v)
{
	pid_t pid = s->pid;
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1,
	};
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		int image = fcntl(s->image, F_DUPFD, 40);
		int logfd = fcntl(s->logfd, F_DUPFD, 41);

		settle(in[0], out[1], -1);
		call_until_restored(v, image, logfd);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = out[0];
	return pid > 0;
}

/* Until it is the subject; false if it has ended, or calls no more. */
static bool wait_restored(pid_t pid, struct verdict *v)
{
	unsigned int seen = 0;
	int tries;

	for (tries = 0; tries < PATIENCE / 5; tries++) {
		if (proc_comm_is(pid, "subject"))
			return proc_wait_asleep(pid);
		if (proc_state(pid) == 'Z')
			return false;
		if (READ_ONCE(v->n) != seen) {
			seen = READ_ONCE(v->n);
			tries = 0;
		}
		sleep_ms(5);
	}
	return false;
}

TEST_F_TIMEOUT(failnth, restart, 900)
{
	struct subject *s = &self->s;
	unsigned int did_without = 0, left = 0;
	struct verdict *v = shared(sizeof(*v));

	ASSERT_TRUE(!!v);
	ASSERT_LT(0, sys_checkpoint(s->pid, s->image, CHECKPOINT_LOG, s->logfd))
		show_log(_metadata, s->logfd);
	ASSERT_TRUE(subject_finish(s, "the one that went on"));

	for (v->n = 1; v->n < NTH_MAX && !left; v->n++) {
		bool restored;
		char path[64];
		int fd;

		ASSERT_TRUE(start_caller(s, v));
		restored = wait_restored(s->pid, v);
		if (!restored)
			kill(s->pid, SIGKILL);
		ASSERT_TRUE(restored) {
			TH_LOG("%u: not restored: %s", v->n, v->text);
			show_log(_metadata, s->logfd);
			waitpid(s->pid, NULL, 0);
		}
		/* It sleeps, so that what is left is what restart(2) left. */
		snprintf(path, sizeof(path), "/proc/%d/fail-nth", s->pid);
		fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		left = disarm(fd);
		close(fd);
		did_without += !left;
		EXPECT_TRUE(subject_finish(s, "the restored one"))
			TH_LOG("%u: allocation that was failed", v->n);
	}
	EXPECT_NE(0U, left)
		TH_LOG("there is always one more allocation");
	TH_LOG("%u allocations: %u ended the call, %u did not", v->n - 1 - left, v->failed,
	       did_without);
	munmap(v, sizeof(*v));
}

/* The last test: what all of them, and who was before, have left behind. */

#define KMEMLEAK DEBUGFS "kmemleak"

FIXTURE(leaks)
{
	char none;
};

FIXTURE_SETUP(leaks)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
}

FIXTURE_TEARDOWN(leaks)
{
}

TEST_F_TIMEOUT(leaks, none, 600)
{
	static char text[2048];
	int fd = open(KMEMLEAK, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		SKIP(return, "kernel has no kmemleak, or the caller may not read it");
	/* What is younger than 5 s may still be on its way to where it belongs. */
	sleep_ms(6000);
	ASSERT_EQ(4, write(fd, "scan", 4))
		TH_LOG("kmemleak has been switched off");
	close(fd);
	fd = open(KMEMLEAK, O_RDONLY | O_CLOEXEC);
	n = read_all(fd, text, sizeof(text) - 1);
	close(fd);
	EXPECT_EQ(0, n) {
		char *line, *save;

		for (line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			TH_LOG("%s", line);
	}
}

TEST_HARNESS_MAIN
