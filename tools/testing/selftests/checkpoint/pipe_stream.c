// SPDX-License-Identifier: GPL-2.0
/*
 * From one process to the other without a file between: checkpoint(2) writes
 * into what restart(2) reads from.
 */
#include "proc.h"

#include <sys/socket.h>

enum line {
	PIPE,
	SMALL_PIPE,
	NONBLOCKING_PIPE,
	SOCKETPAIR,
	SLOW,
};

FIXTURE(line)
{
	struct subject s;
	int rd;
	int wr;
};

FIXTURE_VARIANT(line)
{
	enum line line;
};

FIXTURE_VARIANT_ADD(line, pipe) {
	.line = PIPE,
};

FIXTURE_VARIANT_ADD(line, small_pipe) {
	.line = SMALL_PIPE,
};

FIXTURE_VARIANT_ADD(line, nonblocking_pipe) {
	.line = NONBLOCKING_PIPE,
};

FIXTURE_VARIANT_ADD(line, socketpair) {
	.line = SOCKETPAIR,
};

FIXTURE_VARIANT_ADD(line, slow) {
	.line = SLOW,
};

/* Between two pipes, in pieces that are never those of the kernel. */
static void pass_on(int from, int to)
{
	static char buf[65536];
	unsigned int seed = 7;
	ssize_t n;

	while ((n = read(from, buf, rand_r(&seed) % 60000 + 1)) > 0) {
		if (!write_all(to, buf, n))
			_exit(1);
		if (!(rand_r(&seed) % 16))
			sleep_ms(1);
	}
	_exit(n < 0);
}

FIXTURE_SETUP(line)
{
	int p[2], q[2], ret;

	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	if (variant->line == SOCKETPAIR)
		ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p);
	else
		ret = pipe2(p, O_CLOEXEC);
	ASSERT_EQ(0, ret);
	if (variant->line == SMALL_PIPE)
		ASSERT_EQ(4096, fcntl(p[1], F_SETPIPE_SZ, 4096));
	if (variant->line == NONBLOCKING_PIPE) {
		ASSERT_EQ(0, set_nonblock(p[0], true));
		ASSERT_EQ(0, set_nonblock(p[1], true));
	}
	self->rd = p[0];
	self->wr = p[1];
	if (variant->line == SLOW) {
		pid_t pid;

		ASSERT_EQ(0, pipe2(q, O_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			close(p[1]);
			close(q[0]);
			pass_on(p[0], q[1]);
		}
		close(p[0]);
		close(q[1]);
		self->rd = q[0];
	}
}

FIXTURE_TEARDOWN(line)
{
	subject_close(&self->s);
	remove_dir();
}

/*
 * The restarter runs first and waits for the image. It has another pid: that
 * of the subject is free only when the image has been written to its end.
 */
static void pass(struct __test_metadata *_metadata, struct _test_data_line *self,
		 void (*fn)(void))
{
	int in[2], out[2], log = tmp_memfd(), status;
	struct subject *s = &self->s;
	pid_t next;
	char c;

	ASSERT_TRUE(subject_start(s, fn, KILLED));
	s->ready = read_byte(s->out);
	ASSERT_EQ(SAY_READY[0], s->ready);
	ASSERT_TRUE(proc_wait_asleep(s->pid));
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	next = spawn_restart(0, self->rd, 0, 0, log, in[0], out[1]);
	ASSERT_LT(0, next);
	close(in[0]);
	close(out[1]);
	ASSERT_LT(0, sys_checkpoint(s->pid, self->wr,
				    CHECKPOINT_KILL | CHECKPOINT_LOG, s->logfd))
		show_log(_metadata, s->logfd);
	/* Never two of them: who writes the end is dead before it is read. */
	status = wait_ms(s->pid, PATIENCE);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(s->in);
	close(s->out);
	close(s->logfd);
	s->logfd = log;
	s->pid = next;
	s->in = in[1];
	s->out = out[0];
	/* Who passes it on ends then. */
	close(self->wr);
	EXPECT_TRUE(subject_finish(s, "the one that came by the line"));
	/* All that was written was read. */
	ASSERT_EQ(0, set_nonblock(self->rd, false));
	EXPECT_EQ(0, read(self->rd, &c, 1));
	close(self->rd);
}

static void has_nothing(void)
{
	checkpoint_here();
}

TEST_F_TIMEOUT(line, program, 120)
{
	pass(_metadata, self, has_nothing);
}

static void has_much(void)
{
	size_t size = 8 << 20, i;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	for (i = 0; i < size; i += 512)
		p[i] = i / 512 * 7;
	checkpoint_here();
	for (i = 0; i < size; i += 512)
		CHECK(p[i] == (char)(i / 512 * 7));
}

TEST_F_TIMEOUT(line, megabytes, 120)
{
	pass(_metadata, self, has_much);
}

static void has_objects(void)
{
	int p[2], fd = memfd_create("passed", 0);
	char buf[16] = { 0 }, *m;

	CHECK(fd >= 0 && !ftruncate(fd, 300000));
	m = mmap(NULL, 300000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	memset(m + 100000, 'm', 100000);
	CHECK(!pipe(p) && write(p[1], "in the pipe", 11) == 11);
	checkpoint_here();
	CHECK(!m[99999] && m[100000] == 'm' && m[199999] == 'm' && !m[200000]);
	CHECK(pread(fd, buf, 1, 150000) == 1 && buf[0] == 'm');
	CHECK(read(p[0], buf, 15) == 11 && !strcmp(buf, "in the pipe"));
}

TEST_F_TIMEOUT(line, pipes_and_shared_memory, 120)
{
	pass(_metadata, self, has_objects);
}

TEST_HARNESS_MAIN
