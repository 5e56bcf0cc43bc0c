// SPDX-License-Identifier: GPL-2.0
/*
 * CHECKPOINT_INHERIT: what no image can have does not end the checkpoint.
 * RESTART_INHERIT: a descriptor of the restarter takes the place of one in the
 * image.
 */
#include "proc.h"

#include <sys/socket.h>
#include <sys/stat.h>

FIXTURE(inherit)
{
	struct subject s;
};

FIXTURE_SETUP(inherit)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(inherit)
{
	subject_close(&self->s);
	remove_dir();
}

/* The subject is saved, with @flags, and killed. */
static bool save(struct __test_metadata *_metadata, struct subject *s,
		 void (*fn)(void), unsigned long flags)
{
	if (!subject_start(s, fn, KILLED) ||
	    !subject_checkpoint(s, KILLED, CHECKPOINT_KILL | flags)) {
		TH_LOG("it was not saved");
		_metadata->exit_code = KSFT_FAIL;
		return false;
	}
	close(s->in);
	close(s->out);
	return true;
}

/*
 * A child that restarts the image, with @fd as its descriptor @as, unless that
 * is -1. The first three are those of spawn_restart().
 */
static bool restore(struct subject *s, unsigned long flags, int fd, int as, bool cloexec)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || !subject_rewind(s))
		return false;
	pid = fork();
	if (!pid) {
		int image, logfd;

		settle(in[0], out[1], -1);
		set_comm("restarter");
		image = fcntl(s->image, F_DUPFD_CLOEXEC, 100);
		logfd = fcntl(s->logfd, F_DUPFD_CLOEXEC, 100);
		fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 100);
		syscall(SYS_close_range, 3, 99, 0);
		if (fd >= 0)
			dup3(fd, as, cloexec ? O_CLOEXEC : 0);
		errno = 0;
		sys_restart(0, image, flags | CHECKPOINT_LOG, logfd);
		_exit(100 + errno);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = out[0];
	s->pid = pid;
	return pid > 0;
}

static void fails(struct __test_metadata *_metadata, struct subject *s, int err,
		  const char *what)
{
	int status = wait_ms(s->pid, PATIENCE);
	char log[1024] = { 0 };

	close(s->in);
	close(s->out);
	ASSERT_LE(0, pread(s->logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + err)
		TH_LOG("status %#x, log '%s'", status, log);
	EXPECT_TRUE(!!strstr(log, what))
		TH_LOG("log '%s', wanted '%s'", log, what);
}

static void socket_subject(void)
{
	int sv[2];
	char c;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK(dup2(sv[0], 50) == 50 && dup2(sv[0], 51) == 51);
	close(sv[0]);
	close(sv[1]);
	checkpoint_here();
	/* What is there now talks, by both. */
	CHECK(write(50, "h", 1) == 1);
	CHECK(read(51, &c, 1) == 1 && c == 'i');
}

TEST_F(inherit, socket)
{
	int sv[2];
	char c = 0;

	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, sv[0], 50, false));
	close(sv[0]);
	EXPECT_EQ(1, write(sv[1], "i", 1));
	subject_finish(&self->s, "with another socket");
	EXPECT_EQ(1, read(sv[1], &c, 1));
	EXPECT_EQ('h', c);
	close(sv[1]);
}

TEST_F(inherit, socket_by_its_second_descriptor)
{
	int sv[2];

	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, sv[0], 51, false));
	close(sv[0]);
	EXPECT_EQ(1, write(sv[1], "i", 1));
	subject_finish(&self->s, "with another socket");
	close(sv[1]);
}

TEST_F(inherit, socket_is_said_what_it_was)
{
	struct walk w;
	char *name = NULL;
	size_t i;

	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	w = walk_file(self->s.image);
	ASSERT_EQ(NULL, w.wrong);
	for (i = 0; i + 1 < w.nr; i++) {
		struct cr_hdr_file *file = walk_payload(&w, &w.recs[i]);

		if (w.recs[i].type == CR_HDR_FILE && file->kind == CR_FILE_EXTERNAL)
			name = walk_payload(&w, &w.recs[i + 1]);
	}
	ASSERT_NE(NULL, name);
	EXPECT_EQ(0, strncmp(name, "socket:[", 8));
	walk_free(&w);
}

TEST_F(inherit, socket_is_missing)
{
	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	ASSERT_TRUE(restore(&self->s, 0, -1, -1, false));
	fails(_metadata, &self->s, EBADF, "restart: fd 50: socket:[");
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, -1, -1, false));
	fails(_metadata, &self->s, EBADF, "] needs a replacement\n");
}

/* What execve(2) would close is not handed in. */
TEST_F(inherit, close_on_exec)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fd, 50, true));
	fails(_metadata, &self->s, EBADF, "needs a replacement");
	close(fd);
}

TEST_F(inherit, not_open_for_the_same)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ASSERT_TRUE(save(_metadata, &self->s, socket_subject, CHECKPOINT_INHERIT));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fd, 50, false));
	fails(_metadata, &self->s, EBADF,
	      "fd 50: its replacement is not open for reading and writing");
	close(fd);
}

/* Without the flag it is refused as ever, and lives on. */
TEST_F(inherit, not_asked_for)
{
	char log[1024] = { 0 };
	long ret;

	ASSERT_TRUE(subject_start(&self->s, socket_subject, LEFT));
	ASSERT_EQ(SAY_READY[0], read_byte(self->s.out));
	ASSERT_TRUE(proc_wait_asleep(self->s.pid));
	errno = 0;
	ret = sys_checkpoint(self->s.pid, self->s.image, CHECKPOINT_LOG, self->s.logfd);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EOPNOTSUPP, errno);
	ASSERT_LE(0, pread(self->s.logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(!!strstr(log, "fd 50: a socket is not supported"))
		TH_LOG("log '%s'", log);
	kill(self->s.pid, SIGKILL);
	waitpid(self->s.pid, NULL, 0);
	close(self->s.in);
	close(self->s.out);
}

/* A child has the socket, which its parent has not. */
static void socket_of_child_subject(void)
{
	int gate[2], status, fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;
	char c;

	CHECK(fd >= 0 && !pipe(gate));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (dup2(fd, 50) != 50 || close(fd) || close(gate[1]) ||
		    read(gate[0], &c, 1))
			_exit(1);
		_exit(write(50, "h", 1) == 1 && read(50, &c, 1) == 1 && c == 'i' ? 42 : 2);
	}
	close(fd);
	close(gate[0]);
	CHECK(proc_wait_asleep(pid));
	checkpoint_here();
	CHECK(fcntl(50, F_GETFD) == -1 && errno == EBADF);
	close(gate[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

TEST_F(inherit, socket_of_a_child)
{
	int sv[2];
	char c = 0;

	ASSERT_TRUE(save(_metadata, &self->s, socket_of_child_subject, CHECKPOINT_INHERIT));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, -1, -1, false));
	fails(_metadata, &self->s, EBADF, "restart: fd 50: socket:[");
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, sv[0], 50, false));
	close(sv[0]);
	EXPECT_EQ(1, write(sv[1], "i", 1));
	subject_finish(&self->s, "with another socket of its child");
	EXPECT_EQ(1, read(sv[1], &c, 1));
	EXPECT_EQ('h', c);
	close(sv[1]);
}

/* The parent has another file at the only number of the socket. */
static void same_number_subject(void)
{
	int gate[2], fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;
	char c;

	CHECK(fd >= 0 && !pipe(gate));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (dup2(fd, 50) == 50 && !close(fd) && !close(gate[1]))
			_exit(read(gate[0], &c, 1));
		_exit(1);
	}
	close(fd);
	CHECK(proc_wait_asleep(pid));
	CHECK(dup2(gate[0], 50) == 50);
	checkpoint_here();
}

TEST_F(inherit, number_of_another_file)
{
	static const char what[] =
		"fd 50: handing in another file for a number that is another one's";
	char log[1024] = { 0 };
	long ret;

	ASSERT_TRUE(subject_start(&self->s, same_number_subject, LEFT));
	ASSERT_EQ(SAY_READY[0], read_byte(self->s.out));
	ASSERT_TRUE(proc_wait_asleep(self->s.pid));
	errno = 0;
	ret = sys_checkpoint(self->s.pid, self->s.image, CHECKPOINT_INHERIT | CHECKPOINT_LOG,
			     self->s.logfd);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EOPNOTSUPP, errno);
	ASSERT_LE(0, pread(self->s.logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(!!strstr(log, what))
		TH_LOG("log '%s'", log);
	EXPECT_EQ(0, lseek(self->s.image, 0, SEEK_END));
	/* Both live on. */
	EXPECT_EQ(0, kill(self->s.pid, 0));
	kill(self->s.pid, SIGKILL);
	waitpid(self->s.pid, NULL, 0);
	close(self->s.in);
	close(self->s.out);
}

static void outside_pipe_subject(void)
{
	/* The pipe to the test, opened once more. */
	int fd = open("/proc/self/fd/1", O_WRONLY);

	CHECK(fd >= 0 && dup2(fd, 50) == 50);
	close(fd);
	checkpoint_here();
	CHECK(write(50, "out", 3) == 3);
}

TEST_F(inherit, pipe_that_leads_outside)
{
	char text[8] = { 0 };
	int fds[2];

	ASSERT_TRUE(save(_metadata, &self->s, outside_pipe_subject, CHECKPOINT_INHERIT));
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fds[1], 50, false));
	close(fds[1]);
	subject_finish(&self->s, "with another pipe");
	EXPECT_EQ(3, read(fds[0], text, sizeof(text)));
	EXPECT_STREQ("out", text);
	close(fds[0]);
}

/* Something that the image has all the same. */
static void log_file_subject(void)
{
	int fd = open(in_dir("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

	CHECK(fd >= 0 && dup2(fd, 50) == 50);
	close(fd);
	CHECK(write(50, "before\n", 7) == 7);
	checkpoint_here();
	CHECK(write(50, "after\n", 6) == 6);
}

TEST_F(inherit, instead_of_a_file)
{
	char text[32] = { 0 };
	int fd;

	ASSERT_TRUE(save(_metadata, &self->s, log_file_subject, 0));
	fd = tmp_memfd();
	/* Not even there any more. */
	ASSERT_EQ(0, unlink(in_dir("log")));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fd, 50, false));
	subject_finish(&self->s, "with another file");
	EXPECT_EQ(6, pread(fd, text, sizeof(text), 0));
	EXPECT_STREQ("after\n", text);
	close(fd);
}

/* Without the flag, what the restarter has is closed. */
TEST_F(inherit, not_handed_in)
{
	char text[32] = { 0 };
	int fd;

	ASSERT_TRUE(save(_metadata, &self->s, log_file_subject, 0));
	fd = tmp_memfd();
	ASSERT_TRUE(restore(&self->s, 0, fd, 50, false));
	subject_finish(&self->s, "with its own file");
	EXPECT_EQ(0, pread(fd, text, sizeof(text), 0));
	close(fd);
	fd = open(in_dir("log"), O_RDONLY);
	EXPECT_EQ(13, read(fd, text, sizeof(text)));
	EXPECT_STREQ("before\nafter\n", text);
	close(fd);
}

/* Both ends of a pipe, with what is in it. */
static void pipe_subject(void)
{
	int fds[2];
	char c;

	CHECK(!pipe(fds));
	CHECK(dup2(fds[0], 50) == 50 && dup2(fds[1], 51) == 51);
	close(fds[0]);
	close(fds[1]);
	CHECK(write(51, "old", 3) == 3);
	checkpoint_here();
	CHECK(read(50, &c, 1) == 1 && c == 'n');
	/* Nobody has its other end any more. */
	signal(SIGPIPE, SIG_IGN);
	CHECK(write(51, "x", 1) == -1 && errno == EPIPE);
}

TEST_F(inherit, one_end_of_a_pipe)
{
	int fd = tmp_memfd();

	ASSERT_EQ(3, pwrite(fd, "new", 3, 0));
	ASSERT_TRUE(save(_metadata, &self->s, pipe_subject, 0));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fd, 50, false));
	subject_finish(&self->s, "with another end");
	close(fd);
}

/* Locks are those of the file that it was. */
static void locked_subject(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5 };
	int fd = open(in_dir("log"), O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && dup2(fd, 50) == 50);
	close(fd);
	CHECK(!fcntl(50, F_SETLK, &lock));
	CHECK(!fcntl(50, F_SETOWN, getpid()));
	checkpoint_here();
	CHECK(!fcntl(50, F_GETOWN));
	CHECK(write(50, "x", 1) == 1);
}

TEST_F(inherit, instead_of_a_locked_file)
{
	int fd = tmp_memfd();
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	ASSERT_TRUE(save(_metadata, &self->s, locked_subject, 0));
	ASSERT_TRUE(restore(&self->s, RESTART_INHERIT, fd, 50, false));
	EXPECT_EQ(0, fcntl(fd, F_GETLK, &lock));
	EXPECT_EQ(F_UNLCK, lock.l_type);
	subject_finish(&self->s, "with a file without locks");
	close(fd);
}

TEST_HARNESS_MAIN
