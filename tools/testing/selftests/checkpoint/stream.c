// SPDX-License-Identifier: GPL-2.0
/*
 * Images through pipes, FIFOs and stream sockets, blocking and not: slow ends,
 * full buffers, ends that go away.
 */
#include "proc.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#define DELAY 500		/* ms that the other end takes its time */
#define WAITED 300		/* ms that the caller must have waited then */

enum kind {
	PIPE,
	FIFO,
	UNIX,
	TCP,
};

FIXTURE(stream)
{
	int rd;
	int wr;
	struct tiny tiny;	/* who is saved */
	struct image img;
	struct image *got;	/* what a child has read */
};

FIXTURE_VARIANT(stream)
{
	enum kind kind;
	bool nonblock;		/* the end that the kernel is given */
	bool spliced;		/* only for a pipe */
};

FIXTURE_VARIANT_ADD(stream, pipe) {
	.kind = PIPE,
};

FIXTURE_VARIANT_ADD(stream, pipe_nonblock) {
	.kind = PIPE, .nonblock = true,
};

FIXTURE_VARIANT_ADD(stream, spliced_pipe) {
	.kind = PIPE, .spliced = true,
};

FIXTURE_VARIANT_ADD(stream, fifo) {
	.kind = FIFO,
};

FIXTURE_VARIANT_ADD(stream, fifo_nonblock) {
	.kind = FIFO, .nonblock = true,
};

FIXTURE_VARIANT_ADD(stream, unix) {
	.kind = UNIX,
};

FIXTURE_VARIANT_ADD(stream, unix_nonblock) {
	.kind = UNIX, .nonblock = true,
};

FIXTURE_VARIANT_ADD(stream, tcp) {
	.kind = TCP,
};

FIXTURE_VARIANT_ADD(stream, tcp_nonblock) {
	.kind = TCP, .nonblock = true,
};

static bool make_fifo(int *rd, int *wr)
{
	char dir[] = "/tmp/ckpt-selftest-XXXXXX", path[64];

	if (!mkdtemp(dir))
		return false;
	snprintf(path, sizeof(path), "%s/fifo", dir);
	if (!mkfifo(path, 0600)) {
		*rd = open(path, O_RDONLY | O_NONBLOCK);
		*wr = open(path, O_WRONLY);
		unlink(path);
	}
	rmdir(dir);
	return *rd >= 0 && *wr >= 0 && !set_nonblock(*rd, false);
}

/* A connection to ourselves, with small buffers. */
static bool make_tcp(int *rd, int *wr)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int small = 4096, fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);

	/* Nobody has set up lo in a test VM: take one of our own. */
	if (!geteuid() && !unshare(CLONE_NEWNET)) {
		close(fd);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		ioctl(fd, SIOCSIFFLAGS, &lo);
	}
	*wr = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(*wr, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    listen(fd, 1) || connect(*wr, (struct sockaddr *)&addr, len))
		return false;
	*rd = accept(fd, NULL, NULL);
	close(fd);
	return *rd >= 0;
}

FIXTURE_SETUP(stream)
{
	int sv[2], small = 4096;

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->rd = -1;
	self->wr = -1;
	switch (variant->kind) {
	case PIPE:
		ASSERT_EQ(0, pipe(sv));
		self->rd = sv[0];
		self->wr = sv[1];
		if (variant->spliced)
			ASSERT_TRUE(splice_through(self->rd, self->wr));
		break;
	case FIFO:
		ASSERT_TRUE(make_fifo(&self->rd, &self->wr));
		break;
	case UNIX:
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
		self->rd = sv[0];
		self->wr = sv[1];
		ASSERT_EQ(0, setsockopt(self->wr, SOL_SOCKET, SO_SNDBUF, &small,
					sizeof(small)));
		break;
	case TCP:
		if (!make_tcp(&self->rd, &self->wr))
			SKIP(return, "no TCP on loopback: %s", strerror(errno));
		break;
	}
	ASSERT_TRUE(tiny_start(&self->tiny));
	img_default(&self->img);
	self->got = shared(sizeof(*self->got));
	ASSERT_TRUE(!!self->got);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(stream)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->rd);
	close(self->wr);
}

static bool is_socket(enum kind kind)
{
	return kind == UNIX || kind == TCP;
}

/* Gives the kernel's end the mode that the variant asks for. */
#define MODE(fd) ASSERT_EQ(0, set_nonblock(fd, variant->nonblock))

/*
 * Writes to a stream until it takes no more, and returns how much it took. A
 * pipe is left with @room bytes, less than an image needs.
 */
static size_t fill(struct _test_data_stream *self, enum kind kind, size_t room)
{
	static char junk[4096];
	size_t total = 0, chunk = sizeof(junk);
	int stuck = 0;

	memset(junk, 'j', sizeof(junk));
	if (!is_socket(kind)) {
		if (fcntl(self->wr, F_SETPIPE_SZ, 4096) < 0)
			return 0;
		chunk -= room;
		return write(self->wr, junk, chunk) == (ssize_t)chunk ? chunk : 0;
	}
	set_nonblock(self->wr, true);
	/* What is in flight makes room again: until nothing moves any more. */
	while (stuck < 30) {
		ssize_t n = write(self->wr, junk, chunk);

		if (n > 0) {
			total += n;
			stuck = 0;
		} else if (chunk > 1) {
			chunk /= 2;
		} else {
			stuck++;
			sleep_ms(10);
		}
	}
	set_nonblock(self->wr, false);
	return total;
}

/*
 * A child that, after @delay ms, reads @skip bytes of junk and then all there
 * is, @step bytes at a time. What it read is in self->got when it is gone.
 */
static pid_t slow_reader(struct _test_data_stream *self, unsigned int delay,
			 size_t skip, size_t step)
{
	char junk[4096];
	pid_t pid = fork();

	if (pid)
		return pid;
	close(self->wr);
	sleep_ms(delay);
	while (skip) {
		ssize_t n = read(self->rd, junk,
				 skip < sizeof(junk) ? skip : sizeof(junk));

		if (n <= 0)
			_exit(1);
		skip -= n;
	}
	self->got->len = 0;
	for (;;) {
		ssize_t n = read(self->rd, self->got->buf + self->got->len, step);

		if (n < 0)
			_exit(2);
		if (!n)
			_exit(0);
		self->got->len += n;
		sleep_ms(1);
	}
}

/* A child that, after @delay ms, writes @len bytes of the image in steps. */
static pid_t slow_writer(struct _test_data_stream *self, unsigned int delay,
			 size_t len, size_t step)
{
	pid_t pid = fork();
	size_t at, n;

	if (pid)
		return pid;
	close(self->rd);
	sleep_ms(delay);
	for (at = 0; at < len; at += n) {
		n = len - at < step ? len - at : step;
		if (!write_all(self->wr, self->img.buf + at, n))
			_exit(1);
		sleep_ms(delay ? 1 : 0);
	}
	_exit(0);
}

static void expect_exit(struct __test_metadata *_metadata, pid_t pid)
{
	EXPECT_EQ(0, wait_ms(pid, PATIENCE));
}

TEST_F(stream, there_and_back)
{
	struct tiny again = { .count = 0 };
	int logfd = tmp_memfd();
	char c;

	MODE(self->wr);
	MODE(self->rd);
	/* The reader is first: no buffer holds all of an image. */
	ASSERT_TRUE(tiny_restart(&again, 0, self->rd, 0, 0, logfd));
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, self->wr, 0, 0));
	EXPECT_TRUE(tiny_answers(&again));
	EXPECT_TRUE(tiny_stop(&again));
	show_log(_metadata, logfd);
	/* Not a byte more, not a byte less. */
	close(self->wr);
	self->wr = -1;
	EXPECT_EQ(0, read(self->rd, &c, 1));
	close(logfd);
}

TEST_F(stream, two_images_back_to_back)
{
	struct tiny one, two;
	char end[4] = { 0 };
	pid_t pid;

	MODE(self->wr);
	MODE(self->rd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (sys_checkpoint(self->tiny.pid, self->wr, 0, 0) <= 0 ||
		    sys_checkpoint(self->tiny.pid, self->wr, 0, 0) <= 0 ||
		    !write_all(self->wr, "end", 3))
			_exit(1);
		_exit(0);
	}
	one.count = 0;
	two.count = 0;
	ASSERT_TRUE(tiny_restart(&one, 0, self->rd, 0, 0, -1));
	EXPECT_TRUE(tiny_answers(&one));
	ASSERT_TRUE(tiny_restart(&two, 0, self->rd, 0, 0, -1));
	EXPECT_TRUE(tiny_answers(&two));
	EXPECT_TRUE(tiny_answers(&one));
	expect_exit(_metadata, pid);
	EXPECT_EQ(3, read(self->rd, end, sizeof(end)));
	EXPECT_STREQ("end", end);
	EXPECT_TRUE(tiny_stop(&one));
	EXPECT_TRUE(tiny_stop(&two));
}

/* Of tasks, which are small: the caller stays and is restored twice. */
TEST_F(stream, two_images_of_tasks_back_to_back)
{
	char end[4] = { 0 };
	struct image two;

	img_build(&two, "two\0\0\0\0\0\0\0\0\0\0\0\0", COMM_LEN);
	MODE(self->rd);
	ASSERT_TRUE(write_all(self->wr, self->img.buf, self->img.len));
	ASSERT_TRUE(write_all(self->wr, two.buf, two.len));
	ASSERT_TRUE(write_all(self->wr, "end", 3));
	EXPECT_RESTORED(try_restart(0, self->rd), RESTORED);
	EXPECT_RESTORED(try_restart(0, self->rd), "two");
	EXPECT_EQ(3, read(self->rd, end, sizeof(end)));
	EXPECT_STREQ("end", end);
}

TEST_F(stream, slow_reader_of_a_full_stream)
{
	__u64 start, waited, cpu;
	size_t junk;
	long id;
	pid_t pid;

	junk = fill(self, variant->kind, 0);
	ASSERT_LT(0UL, junk);
	/* It is full: this is what the call is going to meet. */
	ASSERT_EQ(0, set_nonblock(self->wr, true));
	ASSERT_EQ(-1, write(self->wr, "x", 1));
	ASSERT_EQ(EAGAIN, errno);
	MODE(self->wr);

	pid = slow_reader(self, DELAY, junk, 61);
	close(self->rd);
	self->rd = -1;
	start = now_ns(CLOCK_MONOTONIC);
	cpu = cpu_ns();
	id = sys_checkpoint(self->tiny.pid, self->wr, 0, 0);
	cpu = cpu_ns() - cpu;
	waited = now_ns(CLOCK_MONOTONIC) - start;
	EXPECT_LT(0, id);
	close(self->wr);
	self->wr = -1;
	expect_exit(_metadata, pid);
	EXPECT_PROCESS_IN(self->got, id, "tiny");
	/* It did wait, and slept meanwhile: who spins uses all the time. */
	EXPECT_LE(WAITED * MSEC, waited);
	EXPECT_GT(waited / 4, cpu);
}

TEST_F(stream, slow_writer)
{
	__u64 start, waited, cpu;
	struct outcome o;
	pid_t pid;

	MODE(self->rd);
	pid = slow_writer(self, DELAY, self->img.len, 64);
	start = now_ns(CLOCK_MONOTONIC);
	cpu = cpu_ns();
	o = try_restart(0, self->rd);
	cpu = cpu_ns() - cpu;
	waited = now_ns(CLOCK_MONOTONIC) - start;
	EXPECT_RESTORED(o, RESTORED);
	EXPECT_LE(WAITED * MSEC, waited);
	EXPECT_GT(waited / 4, cpu);
	expect_exit(_metadata, pid);
}

TEST_F(stream, writer_of_single_bytes)
{
	pid_t pid;

	MODE(self->rd);
	pid = slow_writer(self, 0, self->img.len, 1);
	EXPECT_RESTORED(try_restart(0, self->rd), RESTORED);
	expect_exit(_metadata, pid);
}

TEST_F(stream, reader_is_gone)
{
	block_signal(SIGPIPE);
	MODE(self->wr);
	if (is_socket(variant->kind)) {
		ASSERT_EQ(0, shutdown(self->wr, SHUT_WR));
	} else {
		close(self->rd);
		self->rd = -1;
	}
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, self->wr), EPIPE, "image");
	/* As write(2) does it. */
	EXPECT_TRUE(took_signal(SIGPIPE));
}

TEST_F(stream, reader_is_gone_kills_by_sigpipe)
{
	pid_t pid;
	int status;

	MODE(self->wr);
	if (is_socket(variant->kind)) {
		ASSERT_EQ(0, shutdown(self->wr, SHUT_WR));
	} else {
		close(self->rd);
		self->rd = -1;
	}
	pid = fork();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		sys_checkpoint(self->tiny.pid, self->wr, 0, 0);
		_exit(0);
	}
	status = wait_ms(pid, 5000);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST_F(stream, reader_goes_away_meanwhile)
{
	struct outcome o;
	pid_t pid;

	block_signal(SIGPIPE);
	ASSERT_LT(0UL, fill(self, variant->kind, 0));
	MODE(self->wr);
	pid = fork();
	if (!pid) {
		close(self->wr);
		sleep_ms(200);
		_exit(0);
	}
	close(self->rd);
	self->rd = -1;
	o = try_checkpoint(self->tiny.pid, self->wr);
	/* A socket tells that what was in it is lost. */
	if (is_socket(variant->kind) && o.err == ECONNRESET)
		EXPECT_CHECKPOINT_REFUSED(o, ECONNRESET, "image");
	else
		EXPECT_CHECKPOINT_REFUSED(o, EPIPE, "image");
	expect_exit(_metadata, pid);
}

TEST_F(stream, writer_goes_away_in_mid_record)
{
	static const size_t lens[] = { 0, 1, 8, 100, 248, 300, IMG_SIZE - 1 };
	struct outcome o;
	size_t len;
	pid_t pid;

	/* One per stream kind is enough: there is one stream per test. */
	len = lens[(variant->kind * 2 + variant->nonblock) % ARRAY_SIZE(lens)];
	MODE(self->rd);
	pid = slow_writer(self, 200, len, 64);
	close(self->wr);
	self->wr = -1;
	o = try_restart(0, self->rd);
	EXPECT_RESTART_REFUSED(o, EPIPE, "image offset ");
	EXPECT_GE((long)len, log_offset(o.log));
	expect_exit(_metadata, pid);
}

TEST_F(stream, writer_is_gone)
{
	MODE(self->rd);
	close(self->wr);
	self->wr = -1;
	EXPECT_RESTART_REFUSED(try_restart(0, self->rd), EPIPE,
			       "image offset 0: ");
}

/* Refused at once, though the writer is there and could say more. */
TEST_F(stream, bad_beginning_is_refused_without_waiting)
{
	img_head(&self->img)->rev = 1;
	MODE(self->rd);
	ASSERT_TRUE(write_all(self->wr, self->img.buf,
			      img_offset(&self->img, CR_HDR_TASK)));
	EXPECT_RESTART_REFUSED(try_restart(0, self->rd), EINVAL, "HEAD: rev");
}

/* restart(2) returns with the last byte, not when the writer closes. */
TEST_F(stream, ends_with_tail_not_with_the_stream)
{
	MODE(self->rd);
	ASSERT_TRUE(write_all(self->wr, self->img.buf, self->img.len));
	EXPECT_RESTORED(try_restart(0, self->rd), RESTORED);
	/* Nothing was put back or held: the next image finds its way. */
	ASSERT_TRUE(write_all(self->wr, self->img.buf, self->img.len));
	EXPECT_RESTORED(try_restart(0, self->rd), RESTORED);
}

/* A line between two machines: bytes, but a terminal at either end. */

FIXTURE(terminal)
{
	int master;
	int slave;
	struct tiny tiny;
	struct image img;
};

FIXTURE_VARIANT(terminal)
{
	bool nonblock;
};

FIXTURE_VARIANT_ADD(terminal, blocking) {
	.nonblock = false,
};

FIXTURE_VARIANT_ADD(terminal, nonblock) {
	.nonblock = true,
};

FIXTURE_SETUP(terminal)
{
	struct termios raw;

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->master = posix_openpt(O_RDWR | O_NOCTTY);
	if (self->master < 0 || grantpt(self->master) || unlockpt(self->master))
		SKIP(return, "no pseudo-terminals: %s", strerror(errno));
	self->slave = open(ptsname(self->master), O_RDWR | O_NOCTTY);
	ASSERT_LE(0, self->slave);
	ASSERT_EQ(0, tcgetattr(self->slave, &raw));
	cfmakeraw(&raw);
	ASSERT_EQ(0, tcsetattr(self->slave, TCSANOW, &raw));
	ASSERT_EQ(0, set_nonblock(self->slave, variant->nonblock));
	ASSERT_TRUE(tiny_start(&self->tiny));
	img_default(&self->img);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(terminal)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->master);
	close(self->slave);
}

TEST_F(terminal, checkpoint)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct walk w = walk_fd(self->master);
		struct cr_hdr_head *head = walk_find(&w, CR_HDR_HEAD);

		_exit(!head || walk_wrong(&w, head->crid, "tiny"));
	}
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, self->slave, 0, 0));
	expect_exit(_metadata, pid);
}

TEST_F(terminal, restart)
{
	char next;

	ASSERT_TRUE(write_all(self->master, self->img.buf, self->img.len));
	ASSERT_TRUE(write_all(self->master, "n", 1));
	EXPECT_RESTORED(try_restart(0, self->slave), RESTORED);
	EXPECT_EQ(1, read(self->slave, &next, 1));
	EXPECT_EQ('n', next);
}

TEST_F(terminal, restart_from_a_slow_line)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		size_t at;

		for (at = 0; at < self->img.len; at += 27) {
			sleep_ms(10);
			if (!write_all(self->master, self->img.buf + at, 27))
				_exit(1);
		}
		_exit(0);
	}
	EXPECT_RESTORED(try_restart(0, self->slave), RESTORED);
	expect_exit(_metadata, pid);
}

TEST_F(terminal, hang_up)
{
	char junk[200];
	struct outcome o;

	memcpy(junk, self->img.buf, sizeof(junk));
	ASSERT_TRUE(write_all(self->master, junk, sizeof(junk)));
	close(self->master);
	self->master = -1;
	/* read(2) says that it is the end, or that the line is broken. */
	o = try_restart(0, self->slave);
	EXPECT_TRUE(o.err == EPIPE || o.err == EIO);
	EXPECT_RESTART_REFUSED(o, o.err, "image offset ");
	o = try_checkpoint(self->tiny.pid, self->slave);
	EXPECT_TRUE(o.err == EPIPE || o.err == EIO);
	EXPECT_CHECKPOINT_REFUSED(o, o.err, "image");
}

/* Only pipes: their room is known to the byte. */

FIXTURE(room)
{
	int p[2];
	struct tiny tiny;
};

FIXTURE_VARIANT(room)
{
	bool nonblock;
	bool spliced;
};

FIXTURE_VARIANT_ADD(room, blocking) {
	.nonblock = false,
};

FIXTURE_VARIANT_ADD(room, nonblock) {
	.nonblock = true,
};

FIXTURE_VARIANT_ADD(room, spliced) {
	.spliced = true,
};

FIXTURE_SETUP(room)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(4096, fcntl(self->p[1], F_SETPIPE_SZ, 4096));
	if (variant->spliced)
		ASSERT_TRUE(splice_through(self->p[0], self->p[1]));
	ASSERT_TRUE(tiny_start(&self->tiny));
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(room)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->p[0]);
	close(self->p[1]);
}

/* Wherever in the image the pipe becomes full, it arrives whole. */
TEST_F(room, for_a_part_of_the_image)
{
	static const size_t rooms[] = {
		1, 7, 8, 100, 247, 248, 249, 256, 304, 1000, 3000, 4088, 4095,
	};
	int *crid = shared(sizeof(*crid));
	char junk[4096] = { 0 };
	size_t i;

	ASSERT_TRUE(!!crid);
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		size_t used = sizeof(junk) - rooms[i];
		struct walk w;
		pid_t pid;
		long id;

		ASSERT_TRUE(write_all(self->p[1], junk, used));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			sleep_ms(30);
			if (read_all(self->p[0], junk, used) != (ssize_t)used)
				_exit(1);
			w = walk_fd(self->p[0]);
			if (w.wrong)
				_exit(2);
			*crid = ((struct cr_hdr_head *)walk_find(&w, CR_HDR_HEAD))->crid;
			_exit(walk_wrong(&w, *crid, "tiny") ? 3 : 0);
		}
		ASSERT_EQ(0, set_nonblock(self->p[1], variant->nonblock));
		id = sys_checkpoint(self->tiny.pid, self->p[1], 0, 0);
		EXPECT_LT(0, id);
		EXPECT_EQ(0, wait_ms(pid, PATIENCE));
		EXPECT_EQ(id, *crid);
		ASSERT_EQ(0, set_nonblock(self->p[1], false));
	}
}

/* Many images through a pipe that holds one page, and never all of them. */
TEST_F(room, for_some_of_many_images)
{
	struct rusage a, b;
	int status, i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->p[1]);
		for (i = 0; i < 30; i++) {
			struct walk w = walk_fd(self->p[0]);

			if (w.wrong)
				_exit(1);
			walk_free(&w);
		}
		_exit(read(self->p[0], &i, 1) != 0);
	}
	close(self->p[0]);
	self->p[0] = -1;
	ASSERT_EQ(0, set_nonblock(self->p[1], variant->nonblock));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &a));
	for (i = 0; i < 30; i++)
		ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->p[1], 0, 0));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &b));
	close(self->p[1]);
	self->p[1] = -1;
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(0, status);
	/* The pipe holds few of them: it cannot have gone without waiting. */
	EXPECT_LT(a.ru_nvcsw, b.ru_nvcsw);
}

/* The log is written when the call is over; a full one must not lose a line. */
TEST_F(room, for_the_log)
{
	char junk[4096], text[512] = { 0 };
	pid_t pid;
	int p[2];

	memset(junk, 'j', sizeof(junk));
	ASSERT_TRUE(write_all(self->p[1], junk, sizeof(junk)));
	ASSERT_EQ(0, set_nonblock(self->p[1], variant->nonblock));
	ASSERT_EQ(0, pipe(p));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		errno = 0;
		sys_checkpoint(-1, p[1], CHECKPOINT_LOG, self->p[1]);
		_exit(errno != EINVAL);
	}
	sleep_ms(100);
	ASSERT_EQ((ssize_t)sizeof(junk),
		  read_all(self->p[0], junk, sizeof(junk)));
	EXPECT_EQ(0, wait_ms(pid, 5000));
	ASSERT_EQ(0, set_nonblock(self->p[0], true));
	EXPECT_LT(0, read(self->p[0], text, sizeof(text) - 1));
	EXPECT_EQ(0, strncmp(text, "checkpoint: ", 12));
	EXPECT_TRUE(one_printable_line(text));
}

TEST_HARNESS_MAIN
