/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Any test, without memory: where the environment has CKPT_FAIL_NTH=FIRST[:STEP[:MOST]],
 * a call that is going to succeed is made many times before, with the FIRST-th
 * allocation failed, then that STEP further on, until a call comes to its end
 * without a failure. Each of them fails with an errno that says so, and leaves
 * everything as it was, or does without that memory and succeeds. Then the test
 * makes its call, and goes on as ever: to it, nothing has happened.
 *
 *	checkpoint	The image goes to a memfd, and neither kills nor stops.
 *	restart		A copy of the caller makes the calls, in a pid namespace,
 *			where it has the caller's pid, and is killed when it has
 *			become somebody else.
 *
 * FIRST 0 is another one for each pid, for all of them together to be hit sooner. With
 * MOST, the STEP of a call that has many allocations is so long that no more than MOST of
 * them are failed.
 *
 * A call that fails with nothing injected is the test's own business. What was
 * done goes to the file that CKPT_FAIL_REPORT names, a line for each call.
 */
#ifndef __CKPT_EVERY_NTH_H
#define __CKPT_EVERY_NTH_H

#include "ckpt_util.h"
#include "fault.h"
#include "snapshot.h"

#include <linux/sched.h>
#include <poll.h>
#include <stdarg.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* So many allocations are in no call: to learn how many it makes. */
#define NTH_NEVER 100000000

/* Of the calls that failed, how many are made once more, to kill or to stop. */
#define NTH_ENDS 8

/* Calls of one process to which that happens. */
#define NTH_CALLS 16

/* How often a call is made again of what somebody else saves just then. */
#define NTH_BUSY 10000

/* After which of those that failed the caller looks at all of himself, which takes long. */
#define NTH_LOOK_EACH 16

/* A restart that goes nowhere for so long hangs. */
#define NTH_HANGS 120000

static inline unsigned int nth_step(unsigned int allocations)
{
	unsigned int most = every_nth.most ? allocations / every_nth.most + 1 : 1;

	return most > every_nth.step ? most : every_nth.step;
}

static inline unsigned int nth_first(unsigned int step)
{
	return every_nth.first ?: 1 + getpid() * 7U % step;
}

struct nth_counts {
	unsigned int step;
	unsigned int allocations;	/* of a call to which nothing happens */
	unsigned int failed;		/* calls that did */
	unsigned int without;		/* that did without */
};

static inline void __printf(1, 2) nth_report(const char *fmt, ...)
{
	const char *path = getenv("CKPT_FAIL_REPORT");
	char text[1024];
	va_list args;
	int fd, len;

	if (!path)
		return;
	len = snprintf(text, sizeof(text), "%s[%d] %llu.%03llu ", program_invocation_short_name,
		       getpid(), now_ns(CLOCK_BOOTTIME) / SEC,
		       now_ns(CLOCK_BOOTTIME) / MSEC % 1000);
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - len - 1, fmt, args);
	va_end(args);
	/* One line, also where a log ends it. */
	len = strcspn(text, "\n");
	memcpy(text + len, "\n", 2);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	write_all(fd, text, strlen(text));
	close(fd);
}

/* Of a process that calls on and on, as in a storm, so many calls are enough. */
static inline bool nth_enough(const char *call)
{
	static unsigned int calls;

	if (calls++ < NTH_CALLS)
		return false;
	if (calls == NTH_CALLS + 1)
		nth_report("%s: skipped: all further calls of a process", call);
	return true;
}

static inline void nth_done(const char *call, const struct nth_counts *c)
{
	nth_report("%s: %u allocations, %u failed, %u without, each %u", call,
		   c->allocations, c->failed, c->without, c->step);
}

/* A log that nobody else reads, emptied. */
static inline bool nth_rewind(int fd)
{
	return !lseek(fd, 0, SEEK_SET) && !ftruncate(fd, 0);
}

/* What is wrong with how a call failed; NULL if nothing is. */
static inline const char *nth_wrong(int err, int logfd, char log[512])
{
	ssize_t n = pread(logfd, log, 511, 0);

	log[n > 0 ? n : 0] = '\0';
	if (!says_no_memory(err))
		return "errno";
	if (log[0] && !one_printable_line(log))
		return "log is not one line";
	return NULL;
}

/* What a caller may notice of himself at a glance; he may have threads that go on. */
struct nth_self {
	__u32 maps;		/* 0 if there are threads */
	int fd;
};

static inline struct nth_self nth_look(void)
{
	struct nth_self s = { .fd = free_fd() };
	char buf[4096];
	struct stat st;
	ssize_t n;
	int fd;

	/* . and .., and one for each thread */
	if (stat("/proc/self/task", &st) || st.st_nlink != 3)
		return s;
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		s.maps = crc32c_more(s.maps, buf, n);
	close(fd);
	return s;
}

static inline const char *nth_changed(const struct nth_self *a, const struct nth_self *b)
{
	if (a->maps && b->maps && a->maps != b->maps)
		return "mappings of the caller";
	/* Other threads may have opened some. */
	return a->maps && a->fd != b->fd ? "descriptors of the caller" : NULL;
}

/* checkpoint(2) */

/* Is it stopped if it was, and goes on if it did? */
static inline bool nth_same_state(pid_t pid, char was)
{
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		char is = proc_state(pid);

		if ((was == 'T') == (is == 'T') && (was == 'Z') == (is == 'Z') && is)
			return true;
		sleep_ms(5);
	}
	return false;
}

/* Looks into an image; set where there is a parser (proc.h). */
static const char *(*nth_image_wrong)(int fd);

struct nth_checkpoint {
	int fail_nth;
	int image;
	int logfd;
	long ret;
	int err;
};

/* Returns how many allocations were left. */
static inline unsigned int nth_save(struct nth_checkpoint *c, pid_t pid,
				    unsigned long flags, unsigned int n)
{
	unsigned int left;

	if (lseek(c->image, 0, SEEK_SET) || !nth_rewind(c->logfd))
		_exit(92);
	arm(c->fail_nth, n);
	c->ret = syscall(__NR_checkpoint, pid, c->image, flags | CHECKPOINT_LOG, c->logfd);
	c->err = errno;
	left = disarm(c->fail_nth);
	if (c->ret > 0 && ftruncate(c->image, tell(c->image)))
		_exit(92);
	return left;
}

/*
 * Made with the flags of the test's call, too, which have to do nothing if it fails.
 * If it does not, then that was the test's call: false.
 */
static inline bool nth_save_flags(struct nth_checkpoint *c, pid_t pid,
				  unsigned long flags, unsigned int n, int fd)
{
	char buf[4096];
	ssize_t len;

	nth_save(c, pid, flags, n);
	if (c->ret < 0)
		return true;
	lseek(c->image, 0, SEEK_SET);
	while ((len = read(c->image, buf, sizeof(buf))) > 0)
		if (!write_all(fd, buf, len))
			_exit(92);
	return false;
}

/* Could the test's call fail, for what @fd is? */
static inline bool nth_plain_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_DIRECT) &&
	       !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/* @ret is that of the test's call, if there is no other call to make: false. */
static inline bool nth_try_checkpoint(pid_t pid, int fd, unsigned long flags, int logfd,
				      long *ret)
{
	unsigned long calm = flags & ~(CHECKPOINT_KILL | CHECKPOINT_STOP);
	bool check = flags & CHECKPOINT_CHECK;
	struct nth_counts counts = { 0 };
	struct nth_self before, after;
	struct nth_checkpoint c = { .ret = -1 };
	const char *wrong = NULL;
	char state, log[512];
	bool go_on = true;
	unsigned int n, left, ends[NTH_ENDS], i, busy = 0;

	if ((!check && fcntl(fd, F_GETFL) < 0) ||
	    (flags & CHECKPOINT_LOG && fcntl(logfd, F_GETFL) < 0) || nth_enough("checkpoint"))
		return true;
	c.fail_nth = open_fail_nth();
	c.image = tmp_memfd();
	c.logfd = tmp_memfd();
	if (c.fail_nth < 0 || c.image < 0 || c.logfd < 0) {
		nth_report("checkpoint: skipped: %s", strerror(errno));
		goto out;
	}

	left = nth_save(&c, pid, calm, NTH_NEVER);
	if (c.ret < 0) {
		nth_wrong(c.err, c.logfd, log);
		nth_report("checkpoint: refused: %s: %.200s", strerror(c.err), log);
		goto out;
	}
	counts.allocations = NTH_NEVER - left;
	counts.step = nth_step(counts.allocations);
	state = pid ? proc_state(pid) : 'R';
	/* Twice: what the first one touches is there for the second. */
	before = nth_look();
	before = nth_look();
	for (n = nth_first(counts.step), left = 0; !left; n += counts.step) {
		if (n > NTH_MAX) {
			wrong = "there is always one more";
			break;
		}
		log[0] = '\0';
		left = nth_save(&c, pid, calm, n);
		if (c.ret < 0 && c.err == EBUSY && busy++ < NTH_BUSY) {
			sleep_ms(1);
			n -= counts.step;
			left = 0;
			continue;
		}
		if (c.ret >= 0) {
			counts.without += !left;
			if (!check && nth_image_wrong)
				wrong = nth_image_wrong(c.image);
			/* That takes memory. */
			before = nth_look();
		} else if (left) {
			nth_wrong(c.err, c.logfd, log);
			wrong = "it fails by itself now";
		} else {
			ends[counts.failed++ % NTH_ENDS] = n;
			wrong = nth_wrong(c.err, c.logfd, log);
			after = nth_look();
			if (!wrong)
				wrong = nth_changed(&before, &after);
			if (!wrong && pid && pid != getpid() &&
			    !nth_same_state(pid, state)) {
				snprintf(log, sizeof(log), "%c, %c", state, proc_state(pid));
				wrong = "state";
			}
		}
		if (wrong)
			break;
	}
	for (i = 0; !wrong && go_on && calm != flags && nth_plain_file(fd) &&
	     i < NTH_ENDS && i < counts.failed; i++) {
		n = ends[i];
		go_on = nth_save_flags(&c, pid, flags, n, fd);
		if (go_on && !nth_same_state(pid, state))
			wrong = "state, by the flags";
	}
	if (wrong) {
		nth_report("checkpoint: BAD: %u: %s: %s: %.400s", n, wrong,
			   strerror(c.err), log);
		c.ret = -1;
		c.err = EBADE;
		go_on = false;
	} else {
		nth_done("checkpoint", &counts);
	}
out:
	close(c.fail_nth);
	close(c.image);
	close(c.logfd);
	*ret = c.ret;
	errno = c.err;
	return go_on;
}

/* restart(2) */

enum nth_end {
	NTH_TRIES,
	NTH_RETURNED,		/* it has restored what is not a process */
	NTH_REFUSED,		/* with nothing injected */
	NTH_BAD,
};

/* What the caller, his copy, and who watches that share. */
struct nth_restart {
	unsigned int n;
	unsigned int left;
	unsigned int max;
	enum nth_end end;
	int err;
	struct nth_counts counts;
	char proc[32];		/* of the copy */
	char text[512];
	/* The call. */
	int crid;
	int fd;
	off_t at;
	unsigned long flags;
	pid_t pid;
	bool leads_session;
	bool leads_group;
};

/* Ends the copy. */
static inline void nth_end(struct nth_restart *r, enum nth_end end)
{
	r->end = end;
	_exit(0);
}

/* In the copy: calls, until it is somebody else. */
static inline void nth_restart_calls(struct nth_restart *r)
{
	int fail_nth = open_fail_nth(), logfd = tmp_memfd();
	static struct snapshot before, after;
	struct nth_self self, now;
	ssize_t n = readlink("/proc/self", r->proc, sizeof(r->proc) - 1);
	unsigned int failed = 0;
	const char *wrong;
	char log[512];
	long ret;

	r->proc[n > 0 ? n : 0] = '\0';
	/* The user may be busy with others. */
	snapshot_of_user = false;
	/* Twice: what the first one touches is there for the second. */
	self = nth_look();
	self = nth_look();
	for (;; r->n += r->counts.step) {
		if (fail_nth < 0 || lseek(r->fd, r->at, SEEK_SET) != r->at ||
		    !nth_rewind(logfd)) {
			snprintf(r->text, sizeof(r->text), "cannot try");
			nth_end(r, NTH_BAD);
		}
		arm(fail_nth, r->n);
		ret = syscall(__NR_restart, r->crid, r->fd, r->flags | CHECKPOINT_LOG,
			      logfd);
		r->err = errno;
		r->left = disarm(fail_nth);
		if (ret >= 0)
			nth_end(r, NTH_RETURNED);
		wrong = nth_wrong(r->err, logfd, log);
		if (r->left) {
			snprintf(r->text, sizeof(r->text), "%.400s", log);
			nth_end(r, NTH_REFUSED);
		}
		r->counts.failed++;
		if (!wrong && (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD))
			wrong = "it has a child";
		now = nth_look();
		if (!wrong)
			wrong = nth_changed(&self, &now);
		if (wrong) {
			snprintf(r->text, sizeof(r->text), "%s: %.400s", wrong, log);
			nth_end(r, NTH_BAD);
		}
		if (failed++ % NTH_LOOK_EACH == 0) {
			/* Where it stopped to read may be any. */
			lseek(r->fd, r->at, SEEK_SET);
			take_snapshot(failed == 1 ? &before : &after);
			if (failed > 1 &&
			    !same_snapshots(&before, &after, r->text, sizeof(r->text)))
				nth_end(r, NTH_BAD);
			/* That takes more of the stack. */
			self = nth_look();
		}
		if (r->n > NTH_MAX) {
			snprintf(r->text, sizeof(r->text), "there is always one more");
			nth_end(r, NTH_BAD);
		}
	}
}

/*
 * The pipes by which whoever is restored talks with the test, as others, so that it
 * waits for a word and says nothing.
 */
static inline void nth_pipes(int ends[3])
{
	int i, p[2];

	for (i = 0; i < 3; i++) {
		int flags = fcntl(i, F_GETFL), fd_flags = fcntl(i, F_GETFD), end;
		struct stat st;

		ends[i] = -1;
		if (flags < 0 || fstat(i, &st) || !S_ISFIFO(st.st_mode) ||
		    pipe2(p, O_CLOEXEC | (flags & O_NONBLOCK)))
			continue;
		end = (flags & O_ACCMODE) != O_RDONLY;
		dup2(p[end], i);
		fcntl(i, F_SETFD, fd_flags);
		close(p[end]);
		/* Out of the way of what the caller has. */
		ends[i] = fcntl(p[!end], F_DUPFD_CLOEXEC, 100);
		close(p[!end]);
	}
}

/* The first process of a namespace is copied as that of another one. */
static inline pid_t nth_copy(struct nth_restart *r, int alive, const int ends[3])
{
	struct clone_args args = {
		.flags = r->pid == 1 ? CLONE_NEWPID : 0,
		.exit_signal = SIGCHLD,
		.set_tid = r->pid == 1 ? 0 : (uintptr_t)&r->pid,
		.set_tid_size = r->pid != 1,
	};
	pid_t pid;
	int i;

	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid)
		return pid;
	close(alive);
	for (i = 0; i < 3; i++)
		close(ends[i]);
	if (r->leads_session)
		setsid();
	else if (r->leads_group)
		setpgid(0, 0);
	nth_restart_calls(r);
	_exit(0);
}

/* Until the copy has no descriptors of the caller any more; false if it hangs. */
static inline bool nth_wait(struct nth_restart *r, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned int seen = 0, waited = 0;

	for (;;) {
		int ret = poll(&p, 1, 1000);

		if (ret > 0)
			return true;
		waited = READ_ONCE(r->n) == seen ? waited + 1000 : 0;
		seen = READ_ONCE(r->n);
		if (waited > NTH_HANGS)
			return false;
	}
}

/* How many allocations are left to who has been restored. */
static inline unsigned int nth_left(struct nth_restart *r)
{
	char path[64], text[16] = { 0 };
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/fail-nth", r->proc);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atoi(text);
}

/*
 * In the first process of the namespace, or outside of those of the copies: makes
 * copies, and ends what they become.
 */
static inline void nth_watch(struct nth_restart *r)
{
	int alive[2], ends[3], p[2], i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_DFL);
	nth_pipes(ends);
	for (r->n = NTH_NEVER;; r->n += r->counts.step) {
		bool first = r->n == NTH_NEVER;
		pid_t pid;

		if (pipe2(p, O_CLOEXEC))
			_exit(3);
		for (i = 0; i < 2; i++) {
			alive[i] = fcntl(p[i], F_DUPFD_CLOEXEC, 100);
			close(p[i]);
		}
		r->end = NTH_TRIES;
		pid = nth_copy(r, alive[0], ends);
		if (pid < 0)
			_exit(4);
		close(alive[1]);
		if (!nth_wait(r, alive[0])) {
			r->end = NTH_BAD;
			snprintf(r->text, sizeof(r->text), "it hangs, in state %c",
				 proc_state(atoi(r->proc)));
		}
		close(alive[0]);
		if (r->end == NTH_TRIES) {
			/* It may still be in the call. */
			sleep_ms(20);
			r->left = nth_left(r);
		}
		kill(r->pid == 1 ? pid : -1, SIGKILL);
		while (waitpid(-1, NULL, __WALL) > 0)
			;
		if (r->end == NTH_REFUSED && !first) {
			/* The first one was not. */
			r->end = NTH_BAD;
		}
		if (r->end == NTH_REFUSED || r->end == NTH_BAD)
			_exit(0);
		if (first) {
			r->counts.allocations = NTH_NEVER - r->left;
			/* Who does not sleep allocates on; for how long is unknown. */
			r->max = r->counts.allocations + 64;
			r->counts.step = nth_step(r->counts.allocations);
			r->n = nth_first(r->counts.step) - r->counts.step;
			continue;
		}
		if (r->left || r->n > r->max)
			_exit(0);
		r->counts.without++;
	}
}

static inline bool nth_try_restart(int crid, int fd, unsigned long flags)
{
	struct clone_args args = { .flags = getpid() == 1 ? 0 : CLONE_NEWPID };
	struct nth_restart *r;
	int fail_nth, status = -1;
	bool ok = true;
	off_t at = tell(fd);
	pid_t pid;

	if (fcntl(fd, F_GETFL) < 0 || nth_enough("restart"))
		return true;
	fail_nth = open_fail_nth();
	r = shared(sizeof(*r));
	if (at < 0 || fail_nth < 0 || !r) {
		nth_report("restart: skipped: %s",
			   at < 0 ? "no file that can be read again" : strerror(errno));
		goto out;
	}
	r->crid = crid;
	r->fd = fd;
	r->at = at;
	r->flags = flags;
	r->pid = getpid();
	r->leads_session = getsid(0) == r->pid;
	r->leads_group = getpgid(0) == r->pid;
	close(fail_nth);
	fail_nth = -1;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		nth_watch(r);
	if (pid < 0) {
		nth_report("restart: skipped: %s", strerror(errno));
		goto out;
	}
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	lseek(fd, at, SEEK_SET);
	if (status || r->end == NTH_BAD) {
		nth_report("restart: BAD: %u: status %#x, %s: %s", r->n, status,
			   strerror(r->err), r->text);
		ok = false;
	} else if (r->end == NTH_REFUSED) {
		nth_report("restart: refused: %s: %s", strerror(r->err), r->text);
	} else {
		nth_done("restart", &r->counts);
	}
out:
	close(fail_nth);
	if (r)
		munmap(r, sizeof(*r));
	return ok;
}

/* What main() does: the tests, which get time for all that. */
static inline int every_nth_run(int argc, char **argv)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	if (every_nth.step && !set_knobs()) {
		fprintf(stderr, "CKPT_FAIL_NTH: no failslab and fail_page_alloc in debugfs\n");
		return KSFT_FAIL;
	}
	for (f = __fixture_list; every_nth.step && f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout = PATIENCE / 1000;
	return test_harness_run(argc, argv);
}

#undef TEST_HARNESS_MAIN
#define TEST_HARNESS_MAIN \
	int main(int argc, char **argv) \
	{ \
		exit(every_nth_run(argc, argv)); \
	}

#endif /* __CKPT_EVERY_NTH_H */
