// SPDX-License-Identifier: GPL-2.0
/*
 * Restarts of a tree that fail or are killed, at every step: of the tasks that were
 * made nothing is left, and who called is what he was, with his own children.
 */
#include "caller.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

/* The tree: two processes of two threads, and one that has ended. */

#define TASKS 5

/* In a file, for the test: who they are. */
struct known {
	pid_t pids[TASKS];
	unsigned int nr;
};

static struct known *known;

static struct known *map_known(void)
{
	int fd = open(in_dir("known"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	struct known *k;

	if (fd < 0 || fchmod(fd, 0666) || ftruncate(fd, sizeof(*k)))
		return NULL;
	k = mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return k == MAP_FAILED ? NULL : k;
}

static void know(void)
{
	known->pids[__atomic_fetch_add(&known->nr, 1, __ATOMIC_SEQ_CST)] = gettid();
}

static int until[2];

static void *waits(void *arg)
{
	char c;

	know();
	return read(until[0], &c, 1) ? NULL : arg;
}

static void second_thread(pthread_t *thread)
{
	know();
	CHECK(!pthread_create(thread, NULL, waits, &until));
}

static void tree_subject(void)
{
	pthread_t thread;
	pid_t child, ended;
	siginfo_t info;
	void *value;
	int status;

	CHECK(!pipe(until));
	second_thread(&thread);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		/* What only this one has. */
		int fd = open(in_dir("file"), O_RDONLY);
		char text[5];

		CHECK(fd >= 0 && lseek(fd, 1, SEEK_SET) == 1);
		close(until[1]);
		second_thread(&thread);
		CHECK(!pthread_join(thread, &value) && value);
		CHECK(read(fd, text, 5) == 3 && !memcmp(text, "ext", 3));
		_exit(21);
	}
	ended = fork();
	CHECK(ended >= 0);
	if (!ended) {
		know();
		_exit(22);
	}
	CHECK(!waitid(P_PID, ended, &info, WEXITED | WNOWAIT));
	while (__atomic_load_n(&known->nr, __ATOMIC_SEQ_CST) < TASKS)
		sleep_ms(1);
	checkpoint_here();
	close(until[1]);
	CHECK(!pthread_join(thread, &value) && value);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 21);
	CHECK(waitpid(ended, &status, 0) == ended);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 22);
}

/* Who has a number of the tree that is taken. */
static pid_t taker;

/* Nobody else has one, but the first, whose it is. */
static bool numbers_are_free(void)
{
	char path[64];
	int i;

	for (i = 1; i < TASKS; i++) {
		snprintf(path, sizeof(path), "/proc/%d", known->pids[i]);
		if (known->pids[i] != taker && !access(path, F_OK))
			return false;
	}
	return true;
}

FIXTURE(tree_fail)
{
	struct subject s;
	struct walk w;
};

FIXTURE_SETUP(tree_fail)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	ASSERT_EQ(0, chmod(subject_dir, 0755));
	ASSERT_TRUE(make_file("file", "text", 4));
	ASSERT_EQ(0, chmod(in_dir("file"), 0644));
	known = map_known();
	ASSERT_TRUE(!!known);
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(tree_fail)
{
	walk_free(&self->w);
	subject_close(&self->s);
	remove_dir();
}

/* Until there is an image, and nobody of the tree. */
static bool save_tree(struct subject *s, struct walk *w, void (*fn)(void))
{
	if (!subject_start(s, fn, KILLED) || !subject_checkpoint(s, KILLED, CHECKPOINT_KILL)) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		subject_reap();
		return false;
	}
	close(s->in);
	close(s->out);
	*w = walk_file(s->image);
	return !w->wrong && numbers_are_free();
}

/* The whole image still is one. */
static void expect_restored(struct subject *s)
{
	if (subject_restart(s))
		subject_finish(s, "the restored one");
}

/* What else a caller has: its children, and what it knows of those that it had. */
struct family {
	char children[256];
	struct rusage usage;
	sigset_t pending;
	siginfo_t ended;
	long cutime;
};

static void take_family(struct family *f, pid_t ended)
{
	char path[64];
	ssize_t n;
	int fd;

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, f->children, sizeof(f->children) - 1);
	if (n < 0)
		_exit(90);
	close(fd);
	getrusage(RUSAGE_CHILDREN, &f->usage);
	sigpending(&f->pending);
	waitid(P_PID, ended, &f->ended, WEXITED | WNOHANG | WNOWAIT);
}

/* One way in which a restart fails. */
struct failure {
	const char *name;
	bool (*before)(struct subject *s);	/* in the caller */
	void (*after)(void);
	int err;
	const char *what;
};

struct report {
	unsigned int calls;
	char text[1024];
};

/* In the caller: all of the image's beginnings, or one failure. */
static void call(struct subject *s, struct walk *w, const struct failure *f,
		 struct report *report)
{
	static struct snapshot was, now;
	struct family had, has;
	pid_t ended, living;
	siginfo_t info;
	int image = tmp_memfd(), status;
	size_t i, step = 1;

	block_signal(SIGCHLD);
	decorate();
	ended = fork();
	if (!ended)
		_exit(5);
	waitid(P_PID, ended, &info, WEXITED | WNOWAIT);
	living = fork();
	if (!living)
		for (;;)
			pause();
	took_signal(SIGCHLD);
	take_snapshot(&was);
	take_snapshot(&was);
	take_family(&had, ended);

	for (i = 0; i < w->nr; i += step) {
		size_t len = f ? w->len : w->recs[i].at + (w->recs[i].bulk ? 8 : 0);
		char log[1024] = { 0 };
		bool ok = true;
		long ret;
		int err;

		/* Tasks are made where the records of them end. */
		step = w->recs[i].bulk ? 1 : 7;
		if (f)
			i = w->nr;
		if (ftruncate(image, 0) || pwrite(image, w->buf, len, 0) != (ssize_t)len ||
		    lseek(image, 0, SEEK_SET) || ftruncate(s->logfd, 0) ||
		    lseek(s->logfd, 0, SEEK_SET))
			_exit(91);
		if (f && f->before)
			ok = f->before(s);
		ret = sys_restart(0, image, CHECKPOINT_LOG, s->logfd);
		err = errno;
		if (f && f->after)
			f->after();
		report->calls++;
		if (pread(s->logfd, log, sizeof(log) - 1, 0) < 0)
			_exit(92);
		take_snapshot(&now);
		take_family(&has, ended);
		if (!ok)
			snprintf(report->text, sizeof(report->text), "not prepared");
		else if (ret != -1 || err != (f ? f->err : EPIPE))
			snprintf(report->text, sizeof(report->text),
				 "at %zu: returned %ld, %s, '%.200s'", len, ret,
				 strerror(err), log);
		else if (!strstr(log, f ? f->what : "image offset ") || !one_printable_line(log))
			snprintf(report->text, sizeof(report->text), "at %zu: log '%.200s'",
				 len, log);
		else if (!numbers_are_free())
			snprintf(report->text, sizeof(report->text),
				 "at %zu: somebody is left", len);
		else if (memcmp(&had, &has, sizeof(had)))
			snprintf(report->text, sizeof(report->text),
				 "at %zu: children '%s', they were '%s'", len, has.children,
				 had.children);
		else if (same_snapshots(&was, &now, report->text, sizeof(report->text)))
			continue;
		kill(living, SIGKILL);
		_exit(4);
	}
	/* Its children are its own. */
	if (waitpid(ended, &status, 0) != ended || status != 5 << 8 ||
	    waitpid(living, &status, WNOHANG) || kill(living, SIGKILL) ||
	    waitpid(living, &status, 0) != living || status != SIGKILL ||
	    waitpid(-1, &status, 0) != -1 || errno != ECHILD)
		_exit(6);
	_exit(0);
}

/* A caller with the number of the first, and what it reports. */
static void expect_failure(struct __test_metadata *_metadata, struct subject *s,
			   struct walk *w, const struct failure *f)
{
	struct report *report = shared(sizeof(*report));
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&s->pid,
		.set_tid_size = 1,
	};
	int status;
	pid_t pid;

	ASSERT_TRUE(!!report);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ASSERT_LE(0, pid);
	if (!pid) {
		int image = fcntl(s->image, F_DUPFD, 40);

		s->logfd = fcntl(s->logfd, F_DUPFD, 41);
		settle(-1, -1, -1);
		keep_only(image, s->logfd);
		call(s, w, f, report);
	}
	status = wait_ms(pid, 10 * PATIENCE);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	EXPECT_EQ(0, status)
		TH_LOG("%s: %s", f ? f->name : "truncated", report->text);
	EXPECT_NE(0U, report->calls);
	munmap(report, sizeof(*report));
}

TEST_F_TIMEOUT(tree_fail, truncated, 600)
{
	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	expect_failure(_metadata, &self->s, &self->w, NULL);
	EXPECT_TRUE(subject_reap());
	expect_restored(&self->s);
}

/* A file of the child, which is made when there is a thread already. */
static bool hide_file(struct subject *s __maybe_unused)
{
	return !rename(in_dir("file"), in_dir("hidden"));
}

static void show_file(void)
{
	if (rename(in_dir("hidden"), in_dir("file")))
		_exit(93);
}

TEST_F_TIMEOUT(tree_fail, file_of_a_child, 120)
{
	static const struct failure f = {
		.name = "file", .before = hide_file, .after = show_file,
		.err = ENOENT, .what = "file",
	};

	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	expect_failure(_metadata, &self->s, &self->w, &f);
	EXPECT_TRUE(subject_reap());
	expect_restored(&self->s);
}

/* Somebody else has a number: that of a process, of a thread, of who has ended. */
TEST_F_TIMEOUT(tree_fail, number_taken, 120)
{
	static const struct failure f = {
		.name = "number", .err = EEXIST, .what = "the pid is taken",
	};
	int i;

	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	for (i = 1; i < TASKS; i++) {
		struct clone_args args = {
			.exit_signal = SIGCHLD,
			.set_tid = (uintptr_t)&known->pids[i],
			.set_tid_size = 1,
		};

		taker = syscall(SYS_clone3, &args, sizeof(args));
		ASSERT_LE(0, taker);
		if (!taker)
			for (;;)
				pause();
		expect_failure(_metadata, &self->s, &self->w, &f);
		kill(taker, SIGKILL);
		EXPECT_EQ(taker, waitpid(taker, NULL, 0));
		taker = 0;
		EXPECT_TRUE(subject_reap());
	}
	expect_restored(&self->s);
}

/* There may be only so many tasks. */

static char cgroup_dir[64];

static bool in_cgroup(const char *name, const char *text)
{
	char path[128];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", cgroup_dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static int most_tasks;

static bool limit_tasks(struct subject *s __maybe_unused)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", most_tasks);
	return in_cgroup("ckpt-fail/pids.max", text) && in_cgroup("ckpt-fail/cgroup.procs", "0");
}

static void limit_no_tasks(void)
{
	if (!in_cgroup("cgroup.procs", "0"))
		_exit(94);
}

TEST_F_TIMEOUT(tree_fail, pids_limit, 300)
{
	static const struct failure f = {
		.name = "pids", .before = limit_tasks, .after = limit_no_tasks,
		.err = EAGAIN, .what = "it cannot be made",
	};
	char path[128];

	put_text(cgroup_dir, in_dir("cgroup"));
	ASSERT_EQ(0, mkdir(cgroup_dir, 0700));
	if (mount("none", cgroup_dir, "cgroup2", 0, NULL))
		SKIP(return, "no cgroup2: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/ckpt-fail", cgroup_dir);
	if (!in_cgroup("cgroup.subtree_control", "+pids") ||
	    (mkdir(path, 0700) && errno != EEXIST)) {
		umount2(cgroup_dir, MNT_DETACH);
		SKIP(return, "no pids controller");
	}
	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	/* The caller alone, or with one of the others, and so on. */
	for (most_tasks = 1; most_tasks < TASKS; most_tasks++)
		expect_failure(_metadata, &self->s, &self->w, &f);
	EXPECT_TRUE(subject_reap());
	expect_restored(&self->s);
	EXPECT_EQ(0, rmdir(path))
		TH_LOG("somebody is left in the control group");
	umount2(cgroup_dir, MNT_DETACH);
}

/* Nobody special: the limit of the user. */
static void user_subject(void)
{
	CHECK(!setresgid(4711, 4711, 4711) && !setresuid(4711, 4711, 4711));
	prctl(PR_SET_DUMPABLE, 1);
	tree_subject();
}

TEST_F_TIMEOUT(tree_fail, rlimit_nproc, 120)
{
	int nr, status;

	ASSERT_TRUE(save_tree(&self->s, &self->w, user_subject));
	for (nr = 1; nr <= TASKS + 1; nr++) {
		char text[512] = { 0 };
		int in[2], out[2];
		pid_t pid;

		ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
		ASSERT_EQ(0, ftruncate(self->s.logfd, 0));
		ASSERT_EQ(0, lseek(self->s.logfd, 0, SEEK_SET));
		ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct rlimit limit;
			int image, logfd;

			settle(in[0], out[1], -1);
			image = fcntl(self->s.image, F_DUPFD, 10);
			logfd = fcntl(self->s.logfd, F_DUPFD, 10);
			keep_only(image, logfd);
			if (setresgid(4711, 4711, 4711) || setresuid(4711, 4711, 4711))
				_exit(95);
			getrlimit(RLIMIT_NPROC, &limit);
			limit.rlim_cur = nr;
			if (setrlimit(RLIMIT_NPROC, &limit))
				_exit(96);
			sys_restart(0, image, CHECKPOINT_LOG | RESTART_NEW_PIDS, logfd);
			_exit(errno == EAGAIN && waitpid(-1, NULL, 0) == -1 && errno == ECHILD ?
			      1 : 97);
		}
		close(in[0]);
		close(out[1]);
		if (nr >= TASKS) {
			ASSERT_TRUE(proc_wait_comm(pid, "subject"))
				show_log(_metadata, self->s.logfd);
			self->s.in = in[1];
			self->s.out = out[0];
			self->s.pid = pid;
			/* It finds other numbers, and does not like them. */
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			EXPECT_TRUE(subject_reap());
		} else {
			status = wait_ms(pid, PATIENCE);
			EXPECT_EQ(1 << 8, status);
			EXPECT_LT(0, pread(self->s.logfd, text, sizeof(text) - 1, 0));
			EXPECT_TRUE(!!strstr(text, "it cannot be made"))
				TH_LOG("%d tasks: log '%s'", nr, text);
		}
		close(in[1]);
		close(out[0]);
	}
}

/* Callers that are killed */

/* A restart from a pipe, which gets @len bytes; then, or @us later, the caller is killed. */
static bool killed_at(struct subject *s, struct walk *w, size_t len, unsigned int us)
{
	int p[2], in[2], left, tries, status;
	size_t done = 0;
	pid_t pid;
	bool ok;

	/* Nobody writes to its stream: what was restored waits there for its end. */
	if (pipe2(p, O_CLOEXEC) || pipe2(in, O_CLOEXEC))
		return false;
	pid = spawn_restart(s->pid, p[0], 0, 0, s->logfd, in[0], -1);
	close(p[0]);
	close(in[0]);
	if (pid < 0)
		return false;
	set_nonblock(p[1], true);
	for (tries = 0; done < len && tries < PATIENCE; ) {
		ssize_t n = write(p[1], w->buf + done, len - done);

		if (n > 0) {
			done += n;
			continue;
		}
		if (errno != EAGAIN)
			break;
		sleep_ms(1);
		tries++;
	}
	for (tries = 0; tries < PATIENCE && !us; tries++) {
		if (ioctl(p[1], FIONREAD, &left) || !left)
			break;
		sleep_ms(1);
	}
	usleep(us ?: 500);
	kill(pid, SIGKILL);
	status = wait_ms(pid, PATIENCE);
	close(p[1]);
	close(in[1]);
	ok = done == len && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return subject_reap() && numbers_are_free() && ok;
}

TEST_F_TIMEOUT(tree_fail, killed, 900)
{
	size_t i, step;

	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	for (i = 1; i < self->w.nr; i += step) {
		const struct rec *r = &self->w.recs[i];

		step = r->bulk ? 1 : 17;
		EXPECT_TRUE(killed_at(&self->s, &self->w, r->at, 0))
			TH_LOG("at record %zu of %zu", i, self->w.nr);
		if (r->bulk)
			EXPECT_TRUE(killed_at(&self->s, &self->w, r->bulk + 100, 0))
				TH_LOG("in the data of record %zu", i);
	}
	expect_restored(&self->s);
}

/* At any moment, all of the image being there: before the end, or behind it. */
TEST_F_TIMEOUT(tree_fail, killed_at_any_time, 300)
{
	unsigned int us;

	ASSERT_TRUE(save_tree(&self->s, &self->w, tree_subject));
	for (us = 1; us < 30000; us = us * 5 / 4 + 1)
		EXPECT_TRUE(killed_at(&self->s, &self->w, self->w.len, us))
			TH_LOG("after %u us", us);
	expect_restored(&self->s);
}

TEST_HARNESS_MAIN
