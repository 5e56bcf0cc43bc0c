// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of checkpoint(2) and restart(2): what they take, and each errno
 * with which they refuse.
 */
#include "proc.h"

#include <pthread.h>
#include <sys/socket.h>

FIXTURE(api)
{
	int file;		/* empty, where checkpoint(2) writes */
	int good;		/* a whole image, at its beginning */
	struct tiny tiny;	/* who may be saved */
	struct image img;
};

FIXTURE_SETUP(api)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->file = tmp_memfd();
	ASSERT_LE(0, self->file);
	img_default(&self->img);
	self->good = img_memfd(&self->img);
	ASSERT_LE(0, self->good);
	ASSERT_TRUE(tiny_start(&self->tiny));
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(api)
{
	/* Whatever was done to it, it did not notice, and is there. */
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->file);
	close(self->good);
}

/* Neither the file nor the image was touched by a refused call. */
#define EXPECT_FILES_UNTOUCHED() do { \
	EXPECT_EQ(0, file_size(self->file)); \
	EXPECT_EQ(0, tell(self->file)); \
	EXPECT_EQ((off_t)self->img.len, file_size(self->good)); \
	EXPECT_EQ(0, tell(self->good)); \
} while (0)

/*
 * A child that saves itself into a pipe. It exits with 1 if it went on with an
 * id, with 2 if it was restored.
 */
static pid_t saves_itself(int *image, bool by_pid)
{
	int p[2];
	pid_t pid;
	long id;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		settle(-1, p[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		id = sys_checkpoint(by_pid ? getpid() : 0, 1, 0, 0);
		_exit(id > 0 ? 1 : !id ? 2 : 3);
	}
	close(p[1]);
	*image = p[0];
	return pid;
}

TEST_F(api, ids_are_positive_and_unique)
{
	long id, last = 0;
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
		id = sys_checkpoint(self->tiny.pid, self->file, 0, 0);
		ASSERT_LT(0, id);
		ASSERT_GE(INT_MAX, id);
		ASSERT_NE(last, id);
		last = id;
	}
	EXPECT_PROCESS(self->file, last, "tiny");
}

static void check_itself(struct __test_metadata *_metadata,
			 struct _test_data_api *self, bool by_pid)
{
	int fd, status, logfd = tmp_memfd();
	struct cr_hdr_head *head;
	struct walk w;
	pid_t pid, again;

	pid = saves_itself(&fd, by_pid);
	ASSERT_LT(0, pid);
	w = walk_fd(fd);
	close(fd);
	ASSERT_EQ(NULL, w.wrong);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	head = walk_find(&w, CR_HDR_HEAD);
	EXPECT_EQ(NULL, walk_wrong(&w, head->crid, UNTOUCHED));
	EXPECT_EQ(pid, head->pid);
	ASSERT_TRUE(write_all(self->file, w.buf, w.len));
	walk_free(&w);

	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	again = spawn_restart(0, self->file, 0, 0, logfd, STDIN_FILENO,
			      STDOUT_FILENO);
	ASSERT_EQ(again, waitpid(again, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2)
		TH_LOG("status %#x", status);
	show_log(_metadata, logfd);
	close(logfd);
}

TEST_F(api, pid_zero_is_self)
{
	check_itself(_metadata, self, false);
}

TEST_F(api, own_pid_is_self)
{
	check_itself(_metadata, self, true);
}

TEST_F(api, three_arguments_do)
{
	long garbage = 0x5a5a5a5a5a5a5a5aL;
	long id;

	/* The log descriptor's register holds whatever was there before. */
	id = syscall(__NR_checkpoint, self->tiny.pid, self->file, 0UL, garbage);
	ASSERT_LT(0, id);
	EXPECT_EQ(0, syscall(__NR_restart, 0, self->good, 0UL, garbage));

	/* Nor do the upper halves of int arguments count. */
	ASSERT_EQ(0, ftruncate(self->file, 0));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(self->good, 0, SEEK_SET));
	id = syscall(__NR_checkpoint, 0x100000000L | self->tiny.pid,
		     0x700000000L | self->file, 0UL, garbage);
	ASSERT_LT(0, id);
	EXPECT_PROCESS(self->file, id, "tiny");
	EXPECT_EQ(0, syscall(__NR_restart, 0x100000000L,
			     0x700000000L | self->good, 0UL, garbage));
}

TEST_F(api, logfd_is_not_looked_at_without_flag)
{
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, self->file, 0, -1));
	EXPECT_EQ(0, sys_restart(0, self->good, 0, -1));
	/* An open one is not written to either. */
	ASSERT_EQ(0, ftruncate(self->file, 0));
	EXPECT_EQ(-1, sys_checkpoint(-1, self->good, 0, self->file));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, file_size(self->file));
}

TEST_F(api, log_stays_empty_on_success)
{
	struct outcome o = try_checkpoint(self->tiny.pid, self->file);

	EXPECT_LT(0, o.ret);
	EXPECT_EQ(0UL, o.lines);
	EXPECT_STREQ("", o.log);
	EXPECT_EQ(0, o.leaked);
	EXPECT_RESTORED(try_restart(0, self->good), RESTORED);
}

TEST_F(api, unknown_flags_einval)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		unsigned long flag = 1UL << bit;

		if (!(flag & CHECKPOINT_FLAGS)) {
			EXPECT_EQ(-1, sys_checkpoint(0, self->file, flag, 0))
				TH_LOG("checkpoint took flag %#lx", flag);
			EXPECT_EQ(EINVAL, errno);
			/* Flags come first: a bad fd does not hide them. */
			EXPECT_EQ(-1, sys_checkpoint(0, -1, flag, 0));
			EXPECT_EQ(EINVAL, errno);
			EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(0, self->file, flag),
						  EINVAL, "flag");
		}
		if (!(flag & RESTART_FLAGS)) {
			EXPECT_EQ(-1, sys_restart(0, self->good, flag, 0))
				TH_LOG("restart took flag %#lx", flag);
			EXPECT_EQ(EINVAL, errno);
			EXPECT_EQ(-1, sys_restart(0, -1, flag, 0));
			EXPECT_EQ(EINVAL, errno);
			EXPECT_RESTART_REFUSED(try_restart_flags(0, self->good, flag),
					       EINVAL, "flag");
		}
	}
	EXPECT_FILES_UNTOUCHED();
}

/* What is whole by itself has nothing handed in. */
TEST_F(api, container_and_inherit_einval)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(0, self->file,
						       CHECKPOINT_CONTAINER |
						       CHECKPOINT_INHERIT),
				  EINVAL, "exclude each other");
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, fd_minus_one_ebadf)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, -1), EBADF, "-1");
	EXPECT_RESTART_REFUSED(try_restart(0, -1), EBADF, "-1");
}

TEST_F(api, fd_minimum_ebadf)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, INT_MIN), EBADF, "fd");
	EXPECT_RESTART_REFUSED(try_restart(0, INT_MIN), EBADF, "fd");
}

TEST_F(api, fd_closed_ebadf)
{
	int fd = fcntl(self->good, F_DUPFD, 100);

	ASSERT_LE(100, fd);
	close(fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EBADF, "fd");
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EBADF, "fd");
}

TEST_F(api, fd_open_the_wrong_way_ebadf)
{
	char path[64];
	int fd, p[2];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->good);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EBADF, "writ");
	EXPECT_EQ(0, tell(fd));
	close(fd);
	fd = open(path, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EBADF, "read");
	EXPECT_EQ(0, tell(fd));
	close(fd);

	ASSERT_EQ(0, pipe(p));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, p[0]), EBADF, "writ");
	EXPECT_RESTART_REFUSED(try_restart(0, p[1]), EBADF, "read");
	close(p[0]);
	close(p[1]);
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, fd_o_path_ebadf)
{
	int fd = open("/dev/null", O_PATH);

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EBADF, "fd");
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EBADF, "fd");
	close(fd);
}

TEST_F(api, fd_directory_is_refused)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	struct outcome o;

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EBADF, "writ");
	o = try_restart(0, fd);
	EXPECT_TRUE(o.err == EISDIR || o.err == EINVAL);
	EXPECT_RESTART_REFUSED(o, o.err, "");
	close(fd);
}

/* Every way in which a logfd can be wrong is EBADF and stops the call. */
static void bad_logfd(struct __test_metadata *_metadata,
		      struct _test_data_api *self, int logfd)
{
	set_comm(UNTOUCHED);
	EXPECT_EQ(-1, sys_checkpoint(0, self->file, CHECKPOINT_LOG, logfd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, sys_restart(0, self->good, CHECKPOINT_LOG, logfd));
	EXPECT_EQ(EBADF, errno);
	/* It is looked at before fd and pid are. */
	EXPECT_EQ(-1, sys_checkpoint(-1, self->file, CHECKPOINT_LOG, logfd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_STREQ(UNTOUCHED, get_comm().name);
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, logfd_minus_one_ebadf)
{
	bad_logfd(_metadata, self, -1);
}

TEST_F(api, logfd_closed_ebadf)
{
	int fd = dup(self->file);

	close(fd);
	bad_logfd(_metadata, self, fd);
}

TEST_F(api, logfd_read_only_ebadf)
{
	int fd = open("/dev/null", O_RDONLY);

	ASSERT_LE(0, fd);
	bad_logfd(_metadata, self, fd);
}

TEST_F(api, logfd_o_path_ebadf)
{
	int fd = open("/dev/null", O_PATH);

	ASSERT_LE(0, fd);
	bad_logfd(_metadata, self, fd);
}

TEST_F(api, log_that_cannot_be_written_keeps_the_errno)
{
	int fd = open("/dev/full", O_WRONLY), p[2];

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, sys_checkpoint(-1, self->file, CHECKPOINT_LOG, fd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(-1, self->good, CHECKPOINT_LOG, fd));
	EXPECT_EQ(EINVAL, errno);
	close(fd);

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, pipe(p));
	close(p[0]);
	EXPECT_EQ(-1, sys_checkpoint(-1, self->file, CHECKPOINT_LOG, p[1]));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, sys_restart(-1, self->good, CHECKPOINT_LOG, p[1]));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, sys_restart(0, self->good, CHECKPOINT_LOG, p[1]));
	close(p[1]);
}

TEST_F(api, log_appends_to_what_is_there)
{
	char text[512] = { 0 };
	int fd = tmp_memfd();

	ASSERT_TRUE(write_all(fd, "before\n", 7));
	EXPECT_EQ(-1, sys_checkpoint(-1, self->file, CHECKPOINT_LOG, fd));
	EXPECT_EQ(-1, sys_restart(-1, self->good, CHECKPOINT_LOG, fd));
	EXPECT_EQ(file_size(fd), tell(fd));
	ASSERT_LT(7, pread(fd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(0, strncmp(text, "before\ncheckpoint: ", 19))
		TH_LOG("log: %s", text);
	EXPECT_TRUE(!!strstr(text, "\nrestart: "))
		TH_LOG("log: %s", text);
	close(fd);
}

TEST_F(api, log_through_a_pipe)
{
	char text[512] = { 0 };
	int p[2];

	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(-1, sys_restart(-1, self->good, CHECKPOINT_LOG, p[1]));
	ASSERT_LT(0, read(p[0], text, sizeof(text) - 1));
	EXPECT_EQ(0, strncmp(text, "restart: ", 9));
	close(p[0]);
	close(p[1]);
}

TEST_F(api, log_line_names_the_task)
{
	char expect[64];
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, pipe(p));
	close(p[0]);
	snprintf(expect, sizeof(expect), "checkpoint: task %d (tiny): ",
		 self->tiny.pid);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, p[1]), EPIPE,
				  expect);
	close(p[1]);
}

/* A task's own name must not let it write lines of somebody else's log. */
TEST_F(api, log_line_is_one_line_whatever_the_comm)
{
	int fd = tmp_memfd(), p[2], i, n;
	char text[512] = { 0 };
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(p));
	close(p[0]);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		settle(-1, -1, -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		set_comm("a\nb: c\033\177\x80");
		for (;;)
			pause();
	}
	ASSERT_TRUE(proc_wait_asleep(pid));
	EXPECT_EQ(-1, sys_checkpoint(pid, p[1], CHECKPOINT_LOG, fd));
	EXPECT_EQ(EPIPE, errno);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	n = pread(fd, text, sizeof(text) - 1, 0);
	ASSERT_LT(0, n);
	for (i = 0; i < n - 1; i++)
		EXPECT_TRUE(text[i] >= ' ' && text[i] < 0x7f)
			TH_LOG("byte %#x at %d", (unsigned char)text[i], i);
	EXPECT_EQ('\n', text[n - 1]);
	close(fd);
	close(p[1]);
}

TEST_F(api, pid_negative_einval)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(-1, self->file), EINVAL, "-1");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MIN, self->file), EINVAL,
				  "pid");
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, pid_of_nobody_esrch)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(pid, self->file), ESRCH,
				  "pid");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MAX, self->file), ESRCH,
				  "2147483647");
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, pid_of_another_task)
{
	long id = sys_checkpoint(self->tiny.pid, self->file, 0, 0);

	ASSERT_LT(0, id);
	EXPECT_PROCESS(self->file, id, "tiny");
	EXPECT_TRUE(tiny_answers(&self->tiny));
}

TEST_F(api, pid_of_a_zombie_is_refused)
{
	siginfo_t info;
	pid_t pid = fork();
	struct outcome o;

	if (!pid)
		_exit(0);
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	o = try_checkpoint(pid, self->file);
	EXPECT_TRUE(o.err == EOPNOTSUPP || o.err == EPERM || o.err == ESRCH);
	EXPECT_CHECKPOINT_REFUSED(o, o.err, "");
	EXPECT_FILES_UNTOUCHED();
	waitpid(pid, NULL, 0);
}

TEST_F(api, pid_comes_after_fd)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(-1, -1), EBADF, "fd");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MAX, -1), EBADF, "fd");
}

TEST_F(api, crid_negative_einval)
{
	EXPECT_RESTART_REFUSED(try_restart(-1, self->good), EINVAL, "-1");
	EXPECT_RESTART_REFUSED(try_restart(INT_MIN, self->good), EINVAL,
			       "crid");
	EXPECT_FILES_UNTOUCHED();
}

TEST_F(api, crid_of_another_image_einval)
{
	int crid = img_head(&self->img)->crid;

	EXPECT_RESTART_REFUSED(try_restart(crid + 1, self->good), EINVAL,
			       "crid");
	ASSERT_EQ(0, lseek(self->good, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(INT_MAX, self->good), EINVAL,
			       "crid");
	ASSERT_EQ(0, lseek(self->good, 0, SEEK_SET));
	EXPECT_RESTORED(try_restart(crid, self->good), RESTORED);
}

TEST_F(api, crid_zero_takes_any_image)
{
	EXPECT_RESTORED(try_restart(0, self->good), RESTORED);
}

TEST_F(api, returned_id_is_the_crid)
{
	long id = sys_checkpoint(self->tiny.pid, self->file, 0, 0);

	ASSERT_LT(0, id);
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(id + 1, self->file), EINVAL, "crid");
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->file, id);
}

static void *idle(void *arg)
{
	char c;

	if (read(*(int *)arg, &c, 1) < 0)
		return NULL;
	return arg;
}

TEST_F(api, restart_with_threads_einval)
{
	pthread_t thread;
	int p[2], i;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, pthread_create(&thread, NULL, idle, &p[0]));
	EXPECT_RESTART_REFUSED(try_restart(0, self->good), EINVAL, "thread");
	EXPECT_FILES_UNTOUCHED();
	close(p[1]);
	pthread_join(thread, NULL);
	/* The thread's task may live on for a moment after the join. */
	for (i = 0; i < 100; i++) {
		if (!sys_restart(0, self->good, 0, 0))
			break;
		EXPECT_EQ(0, tell(self->good));
		sleep_ms(10);
	}
	EXPECT_STREQ(RESTORED, get_comm().name);
}

TEST_F(api, o_direct_einval)
{
	struct outcome o;
	int fd, p[2];

	ASSERT_EQ(0, pipe2(p, O_DIRECT));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, p[1]), EINVAL, "O_DIRECT");
	/*
	 * Only the end for writing has the flag. Of a packet that is not read
	 * at once the rest is lost, so what comes out is no image.
	 */
	ASSERT_TRUE(write_all(p[1], self->img.buf, self->img.len));
	close(p[1]);
	o = try_restart(0, p[0]);
	EXPECT_TRUE(o.err == EINVAL || o.err == EPIPE);
	EXPECT_RESTART_REFUSED(o, o.err, "image offset ");
	close(p[0]);

	fd = tmp_file(O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(write_all(fd, self->img.buf, self->img.len));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	if (fcntl(fd, F_SETFL, O_DIRECT))
		SKIP(return, "no O_DIRECT for files in /tmp");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EINVAL, "O_DIRECT");
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EINVAL, "O_DIRECT");
	EXPECT_EQ(0, tell(fd));
	/* Without the flag it is as good as any. */
	ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
	EXPECT_RESTORED(try_restart(0, fd), RESTORED);
	close(fd);
}

static void socket_einval(struct __test_metadata *_metadata, int family,
			  int type)
{
	int fd = socket(family, type, 0);

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, fd), EINVAL, "stream");
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EINVAL, "stream");
	close(fd);
}

TEST_F(api, unix_datagram_socket_einval)
{
	int sv[2];

	socket_einval(_metadata, AF_UNIX, SOCK_DGRAM);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	ASSERT_EQ((ssize_t)self->img.len,
		  write(sv[0], self->img.buf, self->img.len));
	EXPECT_RESTART_REFUSED(try_restart(0, sv[1]), EINVAL, "stream");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, sv[1]), EINVAL, "stream");
	/* Nothing came, and nothing was taken. */
	EXPECT_EQ(-1, recv(sv[0], self->img.buf, 1, MSG_DONTWAIT));
	ASSERT_EQ((ssize_t)self->img.len,
		  recv(sv[1], self->img.buf, self->img.len, MSG_DONTWAIT));
	close(sv[0]);
	close(sv[1]);
}

TEST_F(api, unix_seqpacket_socket_einval)
{
	int sv[2];

	socket_einval(_metadata, AF_UNIX, SOCK_SEQPACKET);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(0, sv[0]), EINVAL, "stream");
	EXPECT_RESTART_REFUSED(try_restart(0, sv[0]), EINVAL, "stream");
	EXPECT_EQ(-1, recv(sv[1], self->img.buf, 1, MSG_DONTWAIT));
	close(sv[0]);
	close(sv[1]);
}

TEST_F(api, udp_socket_einval)
{
	socket_einval(_metadata, AF_INET, SOCK_DGRAM);
}

TEST_F(api, unconnected_stream_socket)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct outcome o;

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, fd), ENOTCONN,
				  "");
	o = try_restart(0, fd);
	/* read(2) of such a socket says EINVAL. */
	EXPECT_RESTART_REFUSED(o, EINVAL, "");
	close(fd);
}

TEST_F(api, fd_comes_before_crid_and_pid)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(INT_MAX, fd), EINVAL,
				  "stream");
	close(fd);
}

/*
 * A reference that the kernel forgot keeps the far end of a pipe alive: once
 * our end is closed the other one must notice.
 */
TEST_F(api, no_reference_to_the_file_is_left)
{
	int round, p[2];
	char c;

	signal(SIGPIPE, SIG_IGN);
	for (round = 0; round < 4; round++) {
		bool fail = round & 1;

		ASSERT_EQ(0, pipe(p));
		if (round < 2) {
			long id;

			/* All of an image fits in. */
			ASSERT_LT(0, fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
			id = sys_checkpoint(fail ? -1 : self->tiny.pid, p[1],
					    CHECKPOINT_LOG, p[1]);
			EXPECT_EQ(fail, id == -1);
			close(p[1]);
			img_read(&self->img, p[0]);
			EXPECT_EQ(0, read(p[0], &c, 1));
			close(p[0]);
		} else {
			img_default(&self->img);
			ASSERT_TRUE(write_all(p[1], self->img.buf,
					      self->img.len));
			EXPECT_EQ(fail ? -1 : 0,
				  sys_restart(fail ? 1 : 0, p[0], 0, 0));
			close(p[0]);
			EXPECT_EQ(-1, write(p[1], "x", 1));
			EXPECT_EQ(EPIPE, errno);
			close(p[1]);
		}
	}
}

TEST_F(api, image_and_log_in_one_file)
{
	/* Nothing is logged on success, so the image stays whole. */
	long id = sys_checkpoint(self->tiny.pid, self->file, CHECKPOINT_LOG,
				 self->file);
	struct walk w;

	ASSERT_LT(0, id);
	w = walk_file(self->file);
	EXPECT_EQ(NULL, walk_wrong(&w, id, "tiny"));
	EXPECT_EQ(file_size(self->file),
		  (off_t)(w.recs[w.nr - 1].at +
			  REC_SIZE(sizeof(struct cr_hdr_tail))));
	EXPECT_EQ((__u64)CHECKPOINT_LOG,
		  ((struct cr_hdr_head *)walk_find(&w, CR_HDR_HEAD))->flags);
	walk_free(&w);
}

TEST_HARNESS_MAIN
