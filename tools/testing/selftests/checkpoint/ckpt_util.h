/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the checkpoint selftests share: the two system calls, an image builder
 * and parser that knows nothing of the kernel's own, and the question that
 * nearly every test asks: was it refused, and is everything as it was?
 */
#ifndef __CKPT_UTIL_H
#define __CKPT_UTIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/checkpoint.h>
#include <linux/checkpoint_hdr.h>
#include <linux/magic.h>

#include "kselftest_harness.h"

#ifndef __NR_checkpoint
#define __NR_checkpoint 500
#endif
#ifndef __NR_restart
#define __NR_restart 501
#endif
#ifndef CHECKPOINT_MAGIC_HEAD
#define CHECKPOINT_MAGIC_HEAD 0x00feed0cc0a2d200ULL
#endif
#ifndef CHECKPOINT_MAGIC_TAIL
#define CHECKPOINT_MAGIC_TAIL 0x002d2a0cc0deef00ULL
#endif

#define COMM_LEN 16		/* TASK_COMM_LEN */
#define UNTOUCHED "untouched"	/* comm of a task that must keep it */
#define RESTORED "restored"	/* comm in the images that the tests make */

/* What a handler, a child or the kernel changes meanwhile. */
#ifndef READ_ONCE
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#endif

#define MSEC 1000000ULL
#define SEC 1000000000ULL

/* Bytes of a whole record with @len bytes of payload. */
#define REC_SIZE(len) \
	(sizeof(struct cr_hdr) + (((len) + CR_ALIGN - 1UL) & ~(CR_ALIGN - 1UL)))

/* Bytes of the image that img_default() makes: a task, and nothing of it. */
#define IMG_SIZE \
	(REC_SIZE(sizeof(struct cr_hdr_head)) + \
	 REC_SIZE(sizeof(struct cr_hdr_task)) + REC_SIZE(COMM_LEN) + \
	 REC_SIZE(sizeof(struct cr_hdr_task_stats)) + \
	 REC_SIZE(sizeof(struct cr_hdr_tail)))

/* Which allocations are failed before a call (every_nth.h); no @step: none. */
static struct {
	unsigned int first;
	unsigned int step;
	unsigned int most;
} every_nth;

__attribute__((constructor)) static void read_every_nth(void)
{
	const char *text = getenv("CKPT_FAIL_NTH");

	if (!text || sscanf(text, "%u:%u:%u", &every_nth.first, &every_nth.step,
			    &every_nth.most) < 1)
		return;
	every_nth.step = every_nth.step ?: 1;
}

/*
 * How long anything may take that takes no time; the machine may be slow. Calls that are
 * made for each allocation take longer the more of them there are.
 */
#define PATIENCE (!every_nth.step ? 30000 : every_nth.step < 32 ? 1800000 : 240000)

static inline bool nth_try_checkpoint(pid_t pid, int fd, unsigned long flags, int logfd,
				      long *ret);
static inline bool nth_try_restart(int crid, int fd, unsigned long flags);

/* The two system calls */

static inline long sys_checkpoint(pid_t pid, int fd, unsigned long flags,
				  int logfd)
{
	int err = errno;
	long ret;

	if (every_nth.step && !nth_try_checkpoint(pid, fd, flags, logfd, &ret))
		return ret;
	errno = err;
	return syscall(__NR_checkpoint, pid, fd, flags, logfd);
}

static inline long sys_restart(int crid, int fd, unsigned long flags, int logfd)
{
	int err = errno;

	if (every_nth.step && !nth_try_restart(crid, fd, flags)) {
		errno = EBADE;
		return -1;
	}
	errno = err;
	return syscall(__NR_restart, crid, fd, flags, logfd);
}

/*
 * Descriptors of whoever runs the tests: pipes, most of them, that lead out of
 * the test's processes and could not be saved.
 */
__attribute__((constructor)) static void close_inherited(void)
{
	syscall(SYS_close_range, 3, ~0U, 0);
}

/* Does the kernel answer as it does to a call that nobody ever had? */
static inline bool ckpt_missing(void)
{
	int no_such_call;

	syscall(-1);
	no_such_call = errno;
	return sys_checkpoint(0, -1, 0, 0) == -1 && errno == no_such_call;
}

/*
 * What a FIXTURE_SETUP() begins with: skips, and says why, if the kernel has not
 * got the calls, or without root, who is needed @what_for; then it is true.
 */
static inline bool skip_without_root(struct __test_metadata *_metadata,
				     const char *what_for)
{
	if (ckpt_missing())
		SKIP(return true, "kernel has no checkpoint(2)");
	if (geteuid())
		SKIP(return true, "needs root, %s", what_for);
	return false;
}

/* Small things */

/* Puts a text where there is room for it, with its NUL. */
static inline void put_text(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

static inline void set_comm(const char *comm)
{
	prctl(PR_SET_NAME, comm);
}

struct comm {
	char name[COMM_LEN + 1];
};

static inline struct comm get_comm(void)
{
	struct comm c = { 0 };

	prctl(PR_GET_NAME, c.name);
	return c;
}

static inline __u64 now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static inline __u64 cpu_ns(void)
{
	return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * MSEC };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static inline int tmp_memfd(void)
{
	return memfd_create("ckpt", MFD_CLOEXEC);
}

/* A file on a real file system, gone when its last descriptor is. */
static inline int tmp_file(int flags)
{
	char name[] = "/tmp/ckpt-selftest-XXXXXX";
	int fd = mkstemp(name), again;

	if (fd < 0)
		return fd;
	again = open(name, flags | O_CLOEXEC);
	close(fd);
	unlink(name);
	return again;
}

static inline off_t tell(int fd)
{
	return lseek(fd, 0, SEEK_CUR);
}

static inline off_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* The lowest free descriptor: tells whether a call left one open. */
static inline int free_fd(void)
{
	int fd = fcntl(0, F_DUPFD, 0);

	if (fd < 0)
		fd = open("/dev/null", O_RDONLY);
	close(fd);
	return fd;
}

static inline int set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	return fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK);
}

static inline bool write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* Reads until @len bytes are there or the file ends. */
static inline ssize_t read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return n;
		if (!n)
			break;
		done += n;
	}
	return done;
}

/*
 * Splices a byte through a pipe that is empty. From then on, the kernel cannot
 * ask these open files not to wait: splice(2) takes that away for good.
 */
static inline bool splice_through(int rd, int wr)
{
	int from = open("/dev/zero", O_RDONLY), to = open("/dev/null", O_WRONLY);
	bool ok = splice(from, NULL, wr, NULL, 1, 0) == 1 &&
		  splice(rd, NULL, to, NULL, 1, 0) == 1;

	close(from);
	close(to);
	return ok;
}

/* Memory that forked children share. */
static inline void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Likewise, but a file: who is saved may share that with others. */
static inline void *shared_file(size_t size, char name[32])
{
	void *p = MAP_FAILED;
	int fd;

	memcpy(name, "/tmp/ckpt-selftest-XXXXXX", sizeof("/tmp/ckpt-selftest-XXXXXX"));
	fd = mkstemp(name);
	if (fd >= 0 && !ftruncate(fd, size))
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* Replaces memory by a copy that nobody else has. */
static inline void replace_memory(unsigned long start, size_t size)
{
	void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		_exit(96);
	memcpy(copy, (void *)start, size);
	/* Mappings beside it that differ in nothing would be one with it after a restart. */
	if (madvise(copy, size, MADV_DONTDUMP))
		_exit(96);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)start) == MAP_FAILED)
		_exit(96);
}

/*
 * The harness has memory that all its children share, and no image has memory
 * that is shared with somebody else. So a child that is going to be saved gets a
 * copy of its own, and is not heard of by that any more.
 */
static inline void own_memory(void)
{
	static char maps[256 * 1024];
	unsigned long from = 0, to = 0, start, end;
	ssize_t n = 0, len = 0;
	char *line, *save, perms[5];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	while (len < (ssize_t)sizeof(maps) - 1 &&
	       (n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += n;
	close(fd);
	maps[len] = '\0';
	for (line = strtok_r(maps, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) != 3 ||
		    perms[3] != 's' || !strstr(line, "/dev/zero (deleted)"))
			continue;
		if (start != to) {
			if (to)
				replace_memory(from, to - from);
			from = start;
		}
		to = end;
	}
	if (to)
		replace_memory(from, to - from);
}

static inline void block_signal(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Was a signal sent that block_signal() holds back? Takes it. */
static inline bool took_signal(int sig)
{
	struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, NULL, &now) == sig;
}

/* wait4() status of @pid, or -1 when it does not end within @ms. */
static inline int wait_ms(pid_t pid, unsigned int ms)
{
	__u64 end = now_ns(CLOCK_MONOTONIC) + ms * MSEC;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ns(CLOCK_MONOTONIC) > end)
			return -1;
		sleep_ms(5);
	}
	return status;
}

/* State of a task, as /proc has it; 0 if it is gone. */
static inline char proc_state(pid_t pid)
{
	char path[64], text[512] = { 0 }, *p;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	p = n > 0 ? strrchr(text, ')') : NULL;
	return p ? p[2] : 0;
}

/* Images */

#define IMG_MAX (128 * 1024)

struct image {
	size_t len;
	__u8 buf[IMG_MAX];	/* on an 8 byte boundary, as records want it */
};

/* CRC-32C of @data, which goes on where @crc ended. */
static inline __u32 crc32c_more(__u32 crc, const void *data, size_t len)
{
	static __u32 table[256];
	const __u8 *p = data;
	int byte, bit;

	for (byte = 0; !table[255] && byte < 256; byte++) {
		__u32 c = byte;

		for (bit = 0; bit < 8; bit++)
			c = c & 1 ? (c >> 1) ^ 0x82f63b78 : c >> 1;
		table[byte] = c;
	}
	crc = ~crc;
	while (len--)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

static inline __u32 crc32c(const void *data, size_t len)
{
	return crc32c_more(0, data, len);
}

static inline void img_put(struct image *img, int type, const void *payload,
			   size_t len)
{
	struct cr_hdr h = { .type = type, .len = len };
	__u8 *at = img->buf + img->len;

	memset(at, 0, REC_SIZE(len));
	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), payload, len);
	img->len += REC_SIZE(len);
}

/* The @nth record (from 0) of @type in a well-formed image, or NULL. */
static inline struct cr_hdr *img_nth(struct image *img, int type, int nth)
{
	size_t at = 0;

	while (at + sizeof(struct cr_hdr) <= img->len) {
		struct cr_hdr *h = (struct cr_hdr *)(img->buf + at);

		if (h->len < 0 || at + REC_SIZE(h->len) > img->len)
			return NULL;
		if (h->type == type && !nth--)
			return h;
		at += REC_SIZE(h->len);
	}
	return NULL;
}

static inline struct cr_hdr *img_find(struct image *img, int type)
{
	return img_nth(img, type, 0);
}

static inline size_t img_offset(struct image *img, int type)
{
	return (__u8 *)img_find(img, type) - img->buf;
}

/* Payloads of the image's first record of a type. */
static inline void *img_payload(struct image *img, int type)
{
	struct cr_hdr *h = img_find(img, type);

	return h ? h + 1 : NULL;
}

static inline struct cr_hdr_head *img_head(struct image *img)
{
	return img_payload(img, CR_HDR_HEAD);
}

static inline struct cr_hdr_task *img_task(struct image *img)
{
	return img_payload(img, CR_HDR_TASK);
}

static inline struct cr_hdr_task_stats *img_stats(struct image *img)
{
	return img_payload(img, CR_HDR_TASK_STATS);
}

/* The comm: there are STRING records of other things before it. */
static inline char *img_comm(struct image *img)
{
	struct cr_hdr *h = img_find(img, CR_HDR_TASK);

	return h ? (char *)h + REC_SIZE(h->len) + sizeof(*h) : NULL;
}

static inline struct cr_hdr_tail *img_tail(struct image *img)
{
	return img_payload(img, CR_HDR_TAIL);
}

/* Makes the checksum right again; the image must end with its TAIL. */
static inline void img_seal(struct image *img)
{
	size_t before = img->len - REC_SIZE(sizeof(struct cr_hdr_tail));
	struct cr_hdr_tail *tail;

	tail = (void *)(img->buf + before + sizeof(struct cr_hdr));
	tail->cksum = crc32c(img->buf, before);
}

static inline void img_remove(struct image *img, int type)
{
	struct cr_hdr *h = img_find(img, type);
	__u8 *at = (__u8 *)h;
	size_t size = REC_SIZE(h->len);

	memmove(at, at + size, img->buf + img->len - at - size);
	img->len -= size;
}

/* Inserts a record in front of the first one of type @before. */
static inline void img_insert(struct image *img, int before, int type,
			      const void *payload, size_t len)
{
	__u8 *at = (__u8 *)img_find(img, before);
	__u8 *end = img->buf + img->len;
	struct image rec = { .len = 0 };

	img_put(&rec, type, payload, len);
	memmove(at + rec.len, at, end - at);
	memcpy(at, rec.buf, rec.len);
	img->len += rec.len;
}

/* Fills @to as the kernel fills a utsname field: zeros behind the text. */
static inline void img_uts(char to[CR_UTS_LEN], const char *from)
{
	memset(to, 0, CR_UTS_LEN);
	memcpy(to, from, strnlen(from, CR_UTS_LEN));
}

static inline struct cr_hdr_head this_kernel(void)
{
	struct cr_hdr_head head = {
		.magic = CHECKPOINT_MAGIC_HEAD,
		.rev = CR_VERSION,
		.time = time(NULL),
		.crid = 4711,
		.page_size = getpagesize(),
		.pid = getpid(),
		.nr_tasks = 1,
	};
	unsigned int major = 0, minor = 0, patch = 0;
	struct utsname uts;

	uname(&uts);
	if (sscanf(uts.release, "%u.%u.%u", &major, &minor, &patch) >= 2) {
		head.major = major;
		head.minor = minor;
		head.patch = patch;
	}
	img_uts(head.release, uts.release);
	img_uts(head.version, uts.version);
	img_uts(head.machine, uts.machine);
	return head;
}

/* An image that this kernel must take, made without its help. */
static inline void img_build(struct image *img, const char *comm,
			     size_t comm_len)
{
	struct cr_hdr_head head = this_kernel();
	struct cr_hdr_task task = {
		.exit_signal = SIGCHLD,
		.task_comm_len = comm_len,
		.pid = getpid(),
		.pgid = getpgid(0),
		.sid = getsid(0),
		.tgid = getpid(),
	};
	struct cr_hdr_task_stats stats = { .utime = 1 };
	struct cr_hdr_tail tail = { .magic = CHECKPOINT_MAGIC_TAIL };

	img->len = 0;
	img_put(img, CR_HDR_HEAD, &head, sizeof(head));
	img_put(img, CR_HDR_TASK, &task, sizeof(task));
	img_put(img, CR_HDR_STRING, comm, comm_len);
	img_put(img, CR_HDR_TASK_STATS, &stats, sizeof(stats));
	img_put(img, CR_HDR_TAIL, &tail, sizeof(tail));
	img_seal(img);
}

static inline void img_default(struct image *img)
{
	img_build(img, RESTORED "\0\0\0\0\0\0\0", COMM_LEN);
}

/* A memfd with the image in it, at its beginning. */
static inline int img_memfd(const struct image *img)
{
	int fd = tmp_memfd();

	if (fd < 0 || pwrite(fd, img->buf, img->len, 0) != (ssize_t)img->len)
		return -1;
	return fd;
}

/* The read end of a pipe with the first @len bytes, then end of file. */
static inline int img_pipe_len(const struct image *img, size_t len)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -1;
	if (len && !write_all(p[1], img->buf, len))
		return -1;
	close(p[1]);
	return p[0];
}

static inline int img_pipe(const struct image *img)
{
	return img_pipe_len(img, img->len);
}

/* Everything from @fd's position on, moved there. */
static inline void img_read(struct image *img, int fd)
{
	ssize_t n = read_all(fd, img->buf, sizeof(img->buf));

	img->len = n < 0 ? 0 : n;
}

/* The file's contents; its position stays. */
static inline void img_pread(struct image *img, int fd)
{
	ssize_t n = pread(fd, img->buf, sizeof(img->buf), 0);

	img->len = n < 0 ? 0 : n;
}

/* Calls with a log, and what became of them */

struct outcome {
	long ret;
	int err;
	struct comm comm;	/* of the caller, afterwards */
	int leaked;		/* a descriptor is open that was not before */
	size_t lines;		/* in the log */
	char log[2048];
};

static inline void outcome_log(struct outcome *o, int logfd)
{
	ssize_t n = pread(logfd, o->log, sizeof(o->log) - 1, 0);
	ssize_t i;

	o->lines = 0;
	if (n < 0)
		n = 0;
	o->log[n] = '\0';
	for (i = 0; i < n; i++)
		o->lines += o->log[i] == '\n';
	close(logfd);
}

/* restart(2) by a task called UNTOUCHED, with a log. */
static inline struct outcome try_restart_flags(int crid, int fd,
					       unsigned long flags)
{
	int logfd = tmp_memfd(), before;
	struct outcome o = { 0 };

	set_comm(UNTOUCHED);
	before = free_fd();
	errno = 0;
	o.ret = sys_restart(crid, fd, flags | CHECKPOINT_LOG, logfd);
	o.err = o.ret == -1 ? errno : 0;
	o.leaked = free_fd() != before;
	o.comm = get_comm();
	outcome_log(&o, logfd);
	return o;
}

static inline struct outcome try_restart(int crid, int fd)
{
	return try_restart_flags(crid, fd, 0);
}

/* checkpoint(2) of a task called UNTOUCHED, with a log. */
static inline struct outcome try_checkpoint_flags(pid_t pid, int fd,
						  unsigned long flags)
{
	int logfd = tmp_memfd(), before;
	struct outcome o = { 0 };

	set_comm(UNTOUCHED);
	before = free_fd();
	errno = 0;
	o.ret = sys_checkpoint(pid, fd, flags | CHECKPOINT_LOG, logfd);
	o.err = o.ret == -1 ? errno : 0;
	o.leaked = free_fd() != before;
	o.comm = get_comm();
	outcome_log(&o, logfd);
	return o;
}

static inline struct outcome try_checkpoint(pid_t pid, int fd)
{
	return try_checkpoint_flags(pid, fd, 0);
}

static inline bool one_printable_line(const char *s)
{
	for (; *s && *s != '\n'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return s[0] == '\n' && !s[1];
}

/* N of "image offset N" in a log line, LONG_MAX if there is none. */
static inline long log_offset(const char *log)
{
	static const char words[] = "image offset ";
	const char *at = strstr(log, words);

	return at ? strtol(at + strlen(words), NULL, 10) : LONG_MAX;
}

static inline void check_failed(struct __test_metadata *_metadata, int line,
				const struct outcome *o, const char *reason,
				const char *label)
{
	TH_LOG("line %d: %s%s%s", line, label ?: "", label ? ": " : "", reason);
	TH_LOG("  returned %ld, errno %d (%s), comm '%s', log '%.*s'", o->ret,
	       o->err, strerror(o->err), o->comm.name,
	       (int)strcspn(o->log, "\n"), o->log);
	_metadata->exit_code = KSFT_FAIL;
}

/*
 * The call was refused with @err, changed nothing in the caller, and said why
 * in exactly one line that begins with @prefix and has @what in it.
 */
static inline bool check_refused(struct __test_metadata *_metadata, int line,
				 struct outcome o, int err, const char *prefix,
				 const char *what, const char *label)
{
	const char *reason;

	if (o.ret != -1)
		reason = "was not refused";
	else if (o.err != err)
		reason = strerror(err);
	else if (strcmp(o.comm.name, UNTOUCHED))
		reason = "changed comm";
	else if (o.leaked)
		reason = "left a descriptor open";
	else if (!o.lines)
		reason = "no log line";
	else if (!one_printable_line(o.log))
		reason = "log is not one printable line";
	else if (strncmp(o.log, prefix, strlen(prefix)))
		reason = prefix;
	else if (!strstr(o.log, what))
		reason = what;
	else
		return true;
	if (reason == prefix || reason == what)
		TH_LOG("expected '%s' in the log", reason);
	else if (o.ret == -1 && o.err != err)
		TH_LOG("expected errno %d", err);
	check_failed(_metadata, line, &o, reason, label);
	return false;
}

#define EXPECT_RESTART_REFUSED(o, err, what) \
	check_refused(_metadata, __LINE__, o, err, "restart: ", what, NULL)

#define EXPECT_CHECKPOINT_REFUSED(o, err, what) \
	check_refused(_metadata, __LINE__, o, err, "checkpoint: ", what, NULL)

/* restart(2) worked, the caller is called @name now, and the log is empty. */
static inline void check_restored(struct __test_metadata *_metadata, int line,
				  struct outcome o, const char *name)
{
	const char *reason;

	if (o.ret)
		reason = "did not return 0";
	else if (strcmp(o.comm.name, name))
		reason = "comm was not restored";
	else if (o.leaked)
		reason = "left a descriptor open";
	else if (o.log[0])
		reason = "wrote to the log";
	else
		return;
	check_failed(_metadata, line, &o, reason, name);
}

#define EXPECT_RESTORED(o, name) \
	check_restored(_metadata, __LINE__, o, name)

#include "every_nth.h"

#endif /* __CKPT_UTIL_H */
