/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whole processes: a parser of their images, the smallest process that there
 * is (tiny.c), and subjects. A subject sets up some state, is checkpointed,
 * goes on, and checks its state itself. It has descriptors 0 to 2 and what it
 * opens, and is in a session of its own:
 *
 *	0	a pipe by which the test tells it to go on
 *	1	a pipe for what it says
 *	2	/dev/null, or a pipe for its image if it checkpoints itself
 *
 * Whoever restarts it has such pipes there, too.
 */
#ifndef __CKPT_PROC_H
#define __CKPT_PROC_H

#include "ckpt_util.h"

#include <linux/sched.h>
#include <dirent.h>
#include <poll.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* Images of processes, record by record */

struct rec {
	size_t at;		/* its header */
	int type;
	size_t len;		/* of its payload */
	size_t bulk;		/* the data that it announced */
	size_t bulk_len;
};

struct walk {
	int fd;			/* where more is read from, or -1 */
	__u8 *buf;
	size_t len;
	size_t room;
	struct rec *recs;
	size_t nr;
	const char *wrong;	/* NULL if it is a whole image */
};

static inline bool walk_need(struct walk *w, size_t len)
{
	if (len > w->room) {
		w->room = 2 * len + 65536;
		w->buf = realloc(w->buf, w->room);
	}
	if (!w->buf)
		return false;
	if (len > w->len && w->fd >= 0) {
		ssize_t n = read_all(w->fd, w->buf + w->len, len - w->len);

		w->len += n > 0 ? n : 0;
	}
	return len <= w->len;
}

static inline void *walk_payload(struct walk *w, const struct rec *r)
{
	return w->buf + r->at + sizeof(struct cr_hdr);
}

/* The record that begins at *@at, NULL if there is none. */
static inline struct rec *walk_record(struct walk *w, size_t *at, __u32 *crc)
{
	struct cr_hdr h;
	struct rec *r;
	size_t i;

	w->wrong = "end";
	if (!walk_need(w, *at + sizeof(h)))
		return NULL;
	memcpy(&h, w->buf + *at, sizeof(h));
	w->wrong = "header of a record";
	if (h.len < 0 || h.parent)
		return NULL;
	w->wrong = "end";
	if (!walk_need(w, *at + REC_SIZE(h.len)))
		return NULL;
	w->recs = realloc(w->recs, (w->nr + 1) * sizeof(*w->recs));
	r = &w->recs[w->nr++];
	*r = (struct rec) { .at = *at, .type = h.type, .len = h.len };
	w->wrong = "padding behind a record";
	for (i = sizeof(h) + h.len; i < REC_SIZE(h.len); i++)
		if (w->buf[*at + i])
			return NULL;
	if (h.type != CR_HDR_TAIL)
		*crc = crc32c_more(*crc, w->buf + *at, REC_SIZE(h.len));
	*at += REC_SIZE(h.len);
	w->wrong = NULL;
	return r;
}

/* Goes through the image that w->buf holds, or that comes from w->fd. */
static inline const char *walk(struct walk *w)
{
	size_t at = 0, page = getpagesize(), i;
	__u32 crc = 0, bulk_crc = 0;
	size_t bulk_len = 0;
	bool bulk = false;

	for (;;) {
		struct rec *r = walk_record(w, &at, &crc);
		struct cr_hdr_pages *pages;
		struct cr_hdr_data *data;
		struct cr_hdr_tail *tail;
		size_t owner = w->nr - 1;

		if (!r)
			return w->wrong;
		switch (r->type) {
		case CR_HDR_PAGES:
			pages = walk_payload(w, r);
			bulk_len = (size_t)pages->nr_pages * page;
			bulk_crc = pages->crc;
			i = pages->nr_extents;
			r = walk_record(w, &at, &crc);
			if (!r)
				return w->wrong;
			if (r->type != CR_HDR_EXTENTS ||
			    r->len != i * sizeof(struct cr_extent))
				return w->wrong = "EXTENTS";
			bulk = true;
			break;
		case CR_HDR_DATA:
			data = walk_payload(w, r);
			bulk_len = data->len;
			bulk_crc = data->crc;
			bulk = true;
			break;
		case CR_HDR_TAIL:
			tail = walk_payload(w, r);
			if (tail->magic != CHECKPOINT_MAGIC_TAIL)
				return w->wrong = "magic of TAIL";
			if (tail->cksum != crc)
				return w->wrong = "cksum of TAIL";
			return NULL;
		}
		if (!bulk)
			continue;
		bulk = false;
		if (at % page) {
			r = walk_record(w, &at, &crc);
			if (!r)
				return w->wrong;
			if (r->type != CR_HDR_PAD || at % page)
				return w->wrong = "PAD";
			for (i = 0; i < r->len; i++)
				if (((char *)walk_payload(w, r))[i])
					return w->wrong = "PAD: not zeros";
		}
		r = &w->recs[owner];
		r->bulk = at;
		r->bulk_len = bulk_len;
		at += (bulk_len + CR_ALIGN - 1) & ~(CR_ALIGN - 1UL);
		if (!walk_need(w, at))
			return w->wrong = "end in bulk data";
		if (crc32c(w->buf + r->bulk, bulk_len) != bulk_crc)
			return w->wrong = "crc of bulk data";
	}
}

static inline void walk_free(struct walk *w)
{
	free(w->buf);
	free(w->recs);
	memset(w, 0, sizeof(*w));
}

/* The image that comes from @fd, to its TAIL and no further. */
static inline struct walk walk_fd(int fd)
{
	struct walk w = { .fd = fd };

	walk(&w);
	return w;
}

/* The image in a file, from its beginning; the position stays. */
static inline struct walk walk_file(int fd)
{
	off_t size = file_size(fd);
	struct walk w = { .fd = -1 };

	w.buf = malloc(size + 1);
	w.room = size + 1;
	if (w.buf && pread(fd, w.buf, size, 0) == size)
		w.len = size;
	walk(&w);
	return w;
}

/* NULL also where the test has a limit of its own, and no memory to look at it. */
static inline const char *walk_file_wrong(int fd)
{
	void *room = malloc(4 * file_size(fd));
	const char *wrong;
	struct walk w;

	if (!room)
		return NULL;
	free(room);
	w = walk_file(fd);
	wrong = w.wrong;
	walk_free(&w);
	return wrong;
}

/* So that images are looked into there, too. */
__attribute__((constructor)) static void set_image_wrong(void)
{
	nth_image_wrong = walk_file_wrong;
}

/* The image that @img has been filled with. */
static inline struct walk walk_img(const struct image *img)
{
	struct walk w = { .fd = -1 };

	w.buf = malloc(img->len + 1);
	w.room = img->len + 1;
	if (w.buf) {
		memcpy(w.buf, img->buf, img->len);
		w.len = img->len;
	}
	walk(&w);
	return w;
}

static inline struct rec *walk_nth(struct walk *w, int type, int nth)
{
	size_t i;

	for (i = 0; i < w->nr; i++)
		if (w->recs[i].type == type && !nth--)
			return &w->recs[i];
	return NULL;
}

/* Payload of the first record of a type; NULL if there is none. */
static inline void *walk_find(struct walk *w, int type)
{
	struct rec *r = walk_nth(w, type, 0);

	return r ? walk_payload(w, r) : NULL;
}

static inline size_t walk_count(struct walk *w, int type)
{
	size_t i, n = 0;

	for (i = 0; i < w->nr; i++)
		n += w->recs[i].type == type;
	return n;
}

/* Makes the checksum right again after a change. */
static inline void walk_seal(struct walk *w)
{
	struct cr_hdr_tail *tail = walk_find(w, CR_HDR_TAIL);
	__u32 crc = 0;
	size_t i;

	for (i = 0; i < w->nr && w->recs[i].type != CR_HDR_TAIL; i++)
		crc = crc32c_more(crc, w->buf + w->recs[i].at,
				  REC_SIZE(w->recs[i].len));
	tail->cksum = crc;
}

/*
 * Checks that it is the image of one process with one thread and with this id in
 * it. NULL if so, else what is wrong with it.
 */
static inline const char *walk_wrong(struct walk *w, long crid, const char *comm)
{
	static const struct {
		int type;
		size_t len;
	} order[] = {
		{ CR_HDR_TASK, sizeof(struct cr_hdr_task) },
		{ CR_HDR_STRING, COMM_LEN },
		{ CR_HDR_TASK_STATS, sizeof(struct cr_hdr_task_stats) },
		{ CR_HDR_CREDS, sizeof(struct cr_hdr_creds) },
		{ CR_HDR_GROUPS, 0 },
		{ CR_HDR_SECCOMP, sizeof(struct cr_hdr_seccomp) },
		{ CR_HDR_LIMITS, sizeof(struct cr_hdr_limits) },
		{ CR_HDR_SCHED, sizeof(struct cr_hdr_sched) },
		{ CR_HDR_AFFINITY, 0 },
		{ CR_HDR_TASK_ATTRS, sizeof(struct cr_hdr_task_attrs) },
		{ CR_HDR_THREAD, sizeof(struct cr_hdr_thread) },
		{ CR_HDR_CPU, sizeof(struct cr_hdr_cpu) },
		{ CR_HDR_XSTATE, 0 },
		{ CR_HDR_TIMERS, sizeof(struct cr_hdr_timers) },
		{ CR_HDR_TIMER, sizeof(struct cr_hdr_timer) },
		{ CR_HDR_SIGNALS, sizeof(struct cr_hdr_signals) },
		{ CR_HDR_SIGINFO, sizeof(struct cr_hdr_siginfo) },
		{ CR_HDR_PROCESS, sizeof(struct cr_hdr_process) },
		{ CR_HDR_SIGACTION, sizeof(struct cr_hdr_sigaction) },
		{ CR_HDR_SIGINFO, sizeof(struct cr_hdr_siginfo) },
		{ CR_HDR_FS, sizeof(struct cr_hdr_fs) },
		{ CR_HDR_FILES, sizeof(struct cr_hdr_files) },
		{ CR_HDR_FD, sizeof(struct cr_hdr_fd) },
		{ CR_HDR_LOCK, sizeof(struct cr_hdr_lock) },
		{ CR_HDR_MM, sizeof(struct cr_hdr_mm) },
		{ CR_HDR_MM_CONTEXT, sizeof(struct cr_hdr_mm_context) },
		{ CR_HDR_AUXV, 0 },
	};
	struct cr_hdr_head *head = walk_find(w, CR_HDR_HEAD);
	char name[COMM_LEN] = { 0 };
	size_t i, n = 0;

	if (w->wrong)
		return w->wrong;
	if (!head || w->recs[0].type != CR_HDR_HEAD)
		return "HEAD";
	if (head->magic != CHECKPOINT_MAGIC_HEAD)
		return "magic of HEAD";
	if (head->crid != crid)
		return "crid of HEAD";
	if (head->nr_tasks != 1)
		return "nr_tasks of HEAD";
	while (n < w->nr && w->recs[n].type != CR_HDR_TASK)
		n++;
	memcpy(name, comm, strnlen(comm, COMM_LEN - 1));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		int type = order[i].type;
		bool any = type == CR_HDR_GROUPS || type == CR_HDR_AFFINITY ||
			   type == CR_HDR_TIMER || type == CR_HDR_SIGACTION ||
			   type == CR_HDR_SIGINFO || type == CR_HDR_FD ||
			   type == CR_HDR_LOCK;

		if (!any && (n == w->nr || w->recs[n].type != type))
			return "order of the records";
		while (n < w->nr && w->recs[n].type == type) {
			if (order[i].len && w->recs[n].len != order[i].len)
				return "len of a record";
			if (type == CR_HDR_STRING &&
			    memcmp(walk_payload(w, &w->recs[n]), name, COMM_LEN))
				return "comm";
			n++;
			if (!any)
				break;
		}
	}
	if (n == w->nr || w->recs[n].type != CR_HDR_VMA)
		return "VMA";
	return NULL;
}

static inline void check_process(struct __test_metadata *_metadata, int line,
				 struct walk w, long crid, const char *comm)
{
	const char *wrong = walk_wrong(&w, crid, comm);

	if (wrong) {
		TH_LOG("line %d: image of %zu bytes, %zu records: wrong %s", line,
		       w.len, w.nr, wrong);
		_metadata->exit_code = KSFT_FAIL;
	}
	walk_free(&w);
}

/* The file @fd holds an image of a process from its beginning on. */
#define EXPECT_PROCESS(fd, crid, comm) \
	check_process(_metadata, __LINE__, walk_file(fd), crid, comm)

/* Such an image comes out of the stream @fd. */
#define EXPECT_PROCESS_FROM(fd, crid, comm) \
	check_process(_metadata, __LINE__, walk_fd(fd), crid, comm)

/* Such an image is in @img. */
#define EXPECT_PROCESS_IN(img, crid, comm) \
	check_process(_metadata, __LINE__, walk_img(img), crid, comm)

/* Processes that are started, and that restart */

/* In a child: closes all but 0, 1, 2 and the two given ones. */
static inline void keep_only(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		syscall(SYS_close_range, 3, low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0U, 0);
}

/* In a child: a session of its own, and descriptors 0 to 2; -1 is /dev/null. */
static inline void settle(int in, int out, int err)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	/* Whatever they are, they are not in each other's way. */
	in = fcntl(in < 0 ? null : in, F_DUPFD, 10);
	out = fcntl(out < 0 ? null : out, F_DUPFD, 10);
	err = fcntl(err < 0 ? null : err, F_DUPFD, 10);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	close(in);
	close(out);
	close(err);
	if (null > 2)
		close(null);
}

/*
 * A child with @pid, if that is not 0, that calls restart(2), and becomes what
 * the image says. If it fails, its exit code is 100 and the errno.
 */
static inline pid_t spawn_restart(pid_t pid, int fd, int crid,
				  unsigned long flags, int logfd, int in, int out)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid ? 1 : 0,
	};
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	if (child)
		return child;
	settle(in, out, -1);
	set_comm("restarter");
	/* What is restored has none of this. */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	fd = fcntl(fd, F_DUPFD, 10);
	logfd = fcntl(logfd, F_DUPFD, 10);
	keep_only(fd, logfd);
	errno = 0;
	sys_restart(crid, fd, flags | CHECKPOINT_LOG, logfd);
	_exit(100 + errno);
}

/* Shows what a log has, as diagnostics. */
static inline void show_log(struct __test_metadata *_metadata, int logfd)
{
	char text[1024], *line, *save;
	ssize_t n = pread(logfd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		TH_LOG("log: %s", line);
}

/* Is it called so? */
static inline bool proc_comm_is(pid_t pid, const char *comm)
{
	char path[64], text[COMM_LEN + 2] = { 0 };
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && text[n - 1] == '\n' && strlen(comm) == n - 1UL &&
	       !memcmp(text, comm, n - 1);
}

/* Until it sleeps, and has done so for a moment. */
static inline bool proc_wait_state(pid_t pid, char state)
{
	int tries, seen = 0;

	for (tries = 0; tries < PATIENCE / 5 && seen < 5; tries++) {
		seen = proc_state(pid) == state ? seen + 1 : 0;
		sleep_ms(5);
	}
	return seen >= 5;
}

static inline bool proc_wait_asleep(pid_t pid)
{
	return proc_wait_state(pid, 'S');
}

static inline bool proc_wait_comm(pid_t pid, const char *comm)
{
	int tries;

	for (tries = 0; tries < PATIENCE / 5; tries++) {
		if (proc_comm_is(pid, comm))
			return true;
		/* It has ended instead, unless only its leader has, by now. */
		if (proc_state(pid) == 'Z' || !proc_state(pid))
			return proc_comm_is(pid, comm);
		sleep_ms(5);
	}
	return false;
}

/* Reads one byte, in time; -1 at the end. */
static inline int read_byte(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned char c;

	if (poll(&p, 1, PATIENCE) != 1 || read(fd, &c, 1) != 1)
		return -1;
	return c;
}

/* Reads all that comes until the other end is closed; false if it is not. */
static inline bool read_text(int fd, char *text, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		text[len] = '\0';
		if (len == size - 1 || poll(&p, 1, PATIENCE) != 1)
			return false;
		n = read(fd, text + len, size - 1 - len);
		if (n <= 0)
			return !n;
		len += n;
	}
}

/* tiny.c */

struct tiny {
	pid_t pid;
	int in;			/* our end of its descriptor 0 */
	int out;		/* and of its descriptor 1 */
	unsigned char count;	/* bytes that it has answered */
};

static inline void tiny_path(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 6);

	path[n > 0 ? n : 0] = '\0';
	put_text(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, "tiny");
}

static inline bool tiny_start_path(struct tiny *t, const char *path)
{
	char *const argv[] = { "tiny", NULL }, *const envp[] = { NULL };
	int in[2], out[2];
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	memset(t, 0, sizeof(*t));
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	/* Not into *t: the child may share it. */
	pid = fork();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		settle(in[0], out[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		execve(path, argv, envp);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t->pid = pid;
	t->in = in[1];
	t->out = out[0];
	return t->pid > 0 && proc_wait_comm(t->pid, "tiny") &&
	       proc_wait_asleep(t->pid);
}

static inline bool tiny_start(struct tiny *t)
{
	char path[PATH_MAX];

	tiny_path(path, sizeof(path));
	return tiny_start_path(t, path);
}

/* Is it there, and is it where it was? */
static inline bool tiny_answers(struct tiny *t)
{
	unsigned char expect = 'a' + t->count++;

	return write(t->in, "a", 1) == 1 && read_byte(t->out) == expect;
}

/* Its end, by the end of its input: false if it noticed anything. */
static inline bool tiny_stop(struct tiny *t)
{
	int status;

	close(t->in);
	status = wait_ms(t->pid, PATIENCE);
	close(t->out);
	if (status == -1) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	t->pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

/* Its end without a word. */
static inline void tiny_kill(struct tiny *t)
{
	if (t->pid <= 0)
		return;
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	close(t->in);
	close(t->out);
	t->pid = 0;
}

/*
 * A new one from the image in @fd, with @pid if that is not 0. The caller knows
 * what it has counted; @logfd is -1 where nobody wants to know.
 */
static inline bool tiny_restart(struct tiny *t, pid_t pid, int fd, int crid,
				unsigned long flags, int logfd)
{
	int in[2], out[2], log = logfd < 0 ? tmp_memfd() : logfd;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	t->pid = spawn_restart(pid, fd, crid, flags, log, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	t->in = in[1];
	t->out = out[0];
	if (logfd < 0)
		close(log);
	return t->pid > 0;
}

/* Restarts the image in @fd from its beginning; is it what @t was? */
static inline void check_tiny(struct __test_metadata *_metadata, int line,
			      const struct tiny *was, int fd, int crid)
{
	struct tiny t = { .count = was->count };
	int logfd = tmp_memfd();

	if (!tiny_restart(&t, 0, fd, crid, 0, logfd) || !tiny_answers(&t)) {
		TH_LOG("line %d: what was restarted does not answer", line);
		_metadata->exit_code = KSFT_FAIL;
	}
	if (!tiny_stop(&t)) {
		TH_LOG("line %d: what was restarted does not end well", line);
		_metadata->exit_code = KSFT_FAIL;
	}
	show_log(_metadata, logfd);
	close(logfd);
}

#define EXPECT_TINY(was, fd, crid) \
	check_tiny(_metadata, __LINE__, was, fd, crid)

/* Subjects */

enum manner {
	KILLED,			/* by another, which kills it */
	LEFT,			/* by another; both must go on well */
	ITSELF,			/* by itself; both must go on well */
};

/* A directory for files, which the test makes and removes. */
static char subject_dir[32];

/* The name of a file there. */
static inline const char *in_dir(const char *name)
{
	static char path[2][96];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", subject_dir, name);
	return path[turn];
}

static inline bool make_dir(void)
{
	put_text(subject_dir, "/tmp/ckpt-selftest-XXXXXX");
	return !!mkdtemp(subject_dir);
}

static inline void remove_dir(void)
{
	DIR *dir = opendir(subject_dir);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (unlinkat(dirfd(dir), d->d_name, 0))
			unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	rmdir(subject_dir);
}

/* A file there with these contents. */
static inline bool make_file(const char *name, const void *text, size_t len)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write_all(fd, text, len);

	close(fd);
	return ok;
}

/* In the subject */

static enum manner subject_how;

/* The first letter that the subject says: how the test has to go on. */
#define SAY_READY	"r"	/* wait until it sleeps; it goes on by a byte */
#define SAY_SLEEPING	"z"	/* likewise, and by SIGUSR1 and a byte */
#define SAY_SPINNING	"s"	/* it does not sleep; by SIGUSR1 and a byte */
#define SAY_BUSY	"b"	/* it does not sleep; by a byte */

static inline void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(98);
}

static inline void subject_failed(int line, const char *what)
{
	int err = errno;

	dprintf(1, "line %d: %s (errno %d)\n", line, what, err);
	_exit(1);
}

/* In a subject, as ASSERT_TRUE() is in a test. */
#define CHECK(cond) do { \
	if (!(cond)) \
		subject_failed(__LINE__, #cond); \
} while (0)

/* The go-ahead: any interruption is an error. */
static inline void wait_go(void)
{
	char c;

	CHECK(read(0, &c, 1) == 1);
	CHECK(c == 'g');
}

/* Here the checkpoint happens, by whomever. */
static inline void checkpoint_here(void)
{
	if (subject_how == ITSELF)
		CHECK(sys_checkpoint(0, 2, CHECKPOINT_LOG, 1) >= 0);
	else
		say(SAY_READY);
	wait_go();
}

/* In the test */

struct subject {
	struct __test_metadata *metadata;
	pid_t pid;
	int in;
	int out;
	int err;
	int image;		/* a memfd */
	int logfd;
	char ready;		/* what it said */
	unsigned int dead_ms;	/* how long between its end and its restart */
	unsigned long flags;	/* of restart(2) */
};

static inline bool subject_start(struct subject *s, void (*fn)(void), enum manner how)
{
	int in[2], out[2], err[2];

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	s->image = tmp_memfd();
	s->logfd = tmp_memfd();
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return false;
	s->pid = fork();
	if (!s->pid) {
		sigset_t none;
		int sig;

		for (sig = 1; sig <= SIGRTMAX; sig++)
			signal(sig, SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		settle(in[0], out[1], how == ITSELF ? err[1] : -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		set_comm("subject");
		subject_how = how;
		fn();
		say("ok\n");
		_exit(0);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->in = in[1];
	s->out = out[0];
	s->err = err[0];
	return s->pid > 0;
}

/* Kills all children, of which there may be none. */
static inline bool kill_children(void)
{
	char path[64], text[4096], *next = text;
	bool some = false;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	for (;;) {
		pid_t pid = strtol(next, &next, 10);

		if (pid <= 0)
			return some;
		some |= !kill(pid, SIGKILL);
	}
}

/* The test has children besides the subject, and reaps them itself. */
static bool subject_has_others;

/*
 * Reaps what has descended from the subject, which has ended: the test is who gets
 * it. Of what does not end by itself, false is the answer, and it is killed.
 */
static inline bool subject_reap(void)
{
	unsigned int ms;
	pid_t pid;

	if (subject_has_others)
		return true;
	for (ms = 0; ms < PATIENCE; ms++) {
		pid = waitpid(-1, NULL, WNOHANG | __WALL);
		if (pid < 0)
			return true;
		if (!pid)
			sleep_ms(1);
	}
	/* Each that ends may leave others. */
	while (kill_children() && waitpid(-1, NULL, __WALL) > 0)
		;
	return false;
}

static inline void subject_failure(struct subject *s, const char *what)
{
	struct __test_metadata *_metadata = s->metadata;

	TH_LOG("subject %d: %s: %s", s->pid, what, strerror(errno));
	show_log(_metadata, s->logfd);
	_metadata->exit_code = KSFT_FAIL;
}

/* Lets it go on, and listens to what it says: is it "ok", and its end? */
static inline bool subject_finish(struct subject *s, const char *which)
{
	struct __test_metadata *_metadata = s->metadata;
	bool by_signal = s->ready == SAY_SPINNING[0] ||
			 s->ready == SAY_SLEEPING[0];
	char text[2048];
	bool ended;
	int status;

	/*
	 * Between a call that begins again and the call, a signal ends no call: that is so of
	 * every stop.
	 */
	if (s->ready == SAY_SLEEPING[0])
		proc_wait_asleep(s->pid);
	if (by_signal)
		kill(s->pid, SIGUSR1);
	if (write(s->in, "g", 1) != 1)
		TH_LOG("it does not listen: %s", strerror(errno));
	ended = read_text(s->out, text, sizeof(text));
	if (!ended)
		TH_LOG("%s: it hangs, in state %c", which, proc_state(s->pid));
	status = ended ? wait_ms(s->pid, PATIENCE) : -1;
	if (status == -1) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	close(s->in);
	close(s->out);
	if (!subject_reap())
		TH_LOG("%s: it leaves others behind", which);
	else if (!status && !strcmp(text, "ok\n"))
		return true;
	TH_LOG("%s: status %#x, said '%s'", which, status, text);
	show_log(_metadata, s->logfd);
	_metadata->exit_code = KSFT_FAIL;
	return false;
}

/* The image is to be read from its beginning, with a new log. */
static inline bool subject_rewind(struct subject *s)
{
	return !ftruncate(s->logfd, 0) && !lseek(s->logfd, 0, SEEK_SET) &&
	       !lseek(s->image, 0, SEEK_SET);
}

/* A child that becomes what the image says. */
static inline bool subject_restart(struct subject *s)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || !subject_rewind(s))
		return false;
	pid = spawn_restart(s->pid, s->image, 0, s->flags, s->logfd, in[0],
			    out[1]);
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = out[0];
	if (pid < 0) {
		subject_failure(s, "clone3 with its pid");
		return false;
	}
	/* A signal must not come before there is a handler. */
	if (!proc_wait_comm(pid, "subject")) {
		s->pid = pid;
		subject_finish(s, "not restored");
		return false;
	}
	sleep_ms(50);
	return true;
}

/* Until it is ready, and its image; false if there is none. */
static inline bool subject_checkpoint(struct subject *s, enum manner how,
				      unsigned long flags)
{
	int status;
	long id;

	if (how == ITSELF) {
		struct __test_metadata *_metadata = s->metadata;
		struct walk w = walk_fd(s->err);
		const char *wrong = w.wrong;

		if (wrong) {
			char text[1024];

			read_text(s->out, text, sizeof(text));
			TH_LOG("it said '%s'", text);
			subject_failure(s, wrong);
		} else if (!write_all(s->image, w.buf, w.len)) {
			subject_failure(s, "copy of the image");
		}
		s->ready = SAY_READY[0];
		walk_free(&w);
		return !wrong;
	}
	s->ready = read_byte(s->out);
	if (!strchr(SAY_READY SAY_SLEEPING SAY_SPINNING SAY_BUSY, s->ready)) {
		char text[512];

		read_text(s->out, text, sizeof(text));
		subject_failure(s, text);
		return false;
	}
	/* A program that spins is wanted in user mode, another asleep. */
	if (s->ready == SAY_SPINNING[0] || s->ready == SAY_BUSY[0]) {
		sleep_ms(50);
	} else if (!proc_wait_asleep(s->pid)) {
		subject_failure(s, "does not sleep");
		return false;
	}
	errno = 0;
	id = sys_checkpoint(s->pid, s->image, flags | CHECKPOINT_LOG, s->logfd);
	if (id <= 0) {
		subject_failure(s, "checkpoint");
		return false;
	}
	if (!(flags & CHECKPOINT_KILL))
		return true;
	status = wait_ms(s->pid, PATIENCE);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && subject_reap())
		return true;
	subject_failure(s, "was not killed");
	return false;
}

static inline void subject_close(struct subject *s)
{
	close(s->err);
	close(s->image);
	close(s->logfd);
}

/* It is started, saved and killed, and this is its image. */
static inline struct walk subject_walk(struct subject *s, void (*fn)(void))
{
	struct __test_metadata *_metadata = s->metadata;
	struct walk w;

	ASSERT_TRUE(subject_start(s, fn, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	w = walk_file(s->image);
	ASSERT_EQ(NULL, w.wrong);
	return w;
}

/* The image becomes what was made of it. */
static inline void subject_rewrite(struct subject *s, struct walk *w)
{
	struct __test_metadata *_metadata = s->metadata;

	walk_seal(w);
	ASSERT_EQ((ssize_t)w->len, pwrite(s->image, w->buf, w->len, 0));
	ASSERT_TRUE(subject_rewind(s));
}

/* A restart of what was made of it fails with @err and a line with @what. */
static inline void subject_unfit(struct subject *s, struct walk *w, int err,
				 const char *what)
{
	struct __test_metadata *_metadata = s->metadata;
	char text[1024] = { 0 };
	int status;
	pid_t pid;

	subject_rewrite(s, w);
	pid = spawn_restart(0, s->image, 0, s->flags, s->logfd, -1, -1);
	status = wait_ms(pid, PATIENCE);
	ASSERT_LE(0, pread(s->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + err)
		TH_LOG("status %#x, log '%s'", status, text);
	EXPECT_TRUE(!!strstr(text, what))
		TH_LOG("log '%s', wanted '%s'", text, what);
}

/* All of it: start, checkpoint, restart, and what it says in the end. */
static inline void run_subject_flags(struct __test_metadata *_metadata,
				     void (*fn)(void), enum manner how,
				     unsigned int dead_ms, unsigned long flags)
{
	struct subject s = {
		.metadata = _metadata, .dead_ms = dead_ms, .flags = flags,
	};

	ASSERT_TRUE(subject_start(&s, fn, how));
	if (!subject_checkpoint(&s, how, how == KILLED ? CHECKPOINT_KILL : 0)) {
		kill(s.pid, SIGKILL);
		waitpid(s.pid, NULL, 0);
		subject_reap();
		return;
	}
	if (how == KILLED) {
		close(s.in);
		close(s.out);
	} else {
		subject_finish(&s, "the one that went on");
	}
	sleep_ms(s.dead_ms);
	if (subject_restart(&s))
		subject_finish(&s, "the restored one");
	subject_close(&s);
}

static inline void run_subject(struct __test_metadata *_metadata,
			       void (*fn)(void), enum manner how)
{
	run_subject_flags(_metadata, fn, how, 0, 0);
}

#endif /* __CKPT_PROC_H */
