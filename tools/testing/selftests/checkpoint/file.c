// SPDX-License-Identifier: GPL-2.0
/*
 * Images in files: positions, O_APPEND, and the errors that a file can give.
 */
#include "proc.h"

#include <sched.h>
#include <sys/mount.h>

FIXTURE(file)
{
	int fd;			/* empty, on a real file system */
	struct tiny tiny;
	off_t size;		/* of its image */
	struct image img;
};

FIXTURE_SETUP(file)
{
	int fd;

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->fd = tmp_file(O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(tiny_start(&self->tiny));
	/* Nothing happens to it meanwhile: all its images have one size. */
	fd = tmp_memfd();
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	self->size = file_size(fd);
	EXPECT_LT((off_t)IMG_SIZE, self->size);
	close(fd);
	img_default(&self->img);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(file)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->fd);
}

TEST_F(file, position_after_success)
{
	long id = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);

	ASSERT_LT(0, id);
	EXPECT_EQ(self->size, tell(self->fd));
	EXPECT_EQ(self->size, file_size(self->fd));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, id);
	EXPECT_EQ(self->size, tell(self->fd));
}

TEST_F(file, position_after_success_of_a_task)
{
	ASSERT_TRUE(write_all(self->fd, self->img.buf, self->img.len));
	ASSERT_TRUE(write_all(self->fd, "behind", 6));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(0, sys_restart(0, self->fd, 0, 0));
	EXPECT_EQ((off_t)IMG_SIZE, tell(self->fd));
}

TEST_F(file, image_at_an_offset)
{
	char before[1001], after[8] = { 0 };
	long id;

	memset(before, 'b', sizeof(before));
	ASSERT_TRUE(write_all(self->fd, before, sizeof(before)));
	id = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	ASSERT_LT(0, id);
	EXPECT_EQ(1001 + self->size, tell(self->fd));
	ASSERT_TRUE(write_all(self->fd, "behind", 6));
	EXPECT_EQ(1001 + self->size + 6, file_size(self->fd));

	ASSERT_EQ((ssize_t)sizeof(before),
		  pread(self->fd, self->img.buf, sizeof(before), 0));
	EXPECT_EQ(0, memcmp(before, self->img.buf, sizeof(before)));
	ASSERT_EQ(1001, lseek(self->fd, 1001, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, id);
	EXPECT_EQ(1001 + self->size, tell(self->fd));
	EXPECT_EQ(6, read(self->fd, after, sizeof(after)));
	EXPECT_STREQ("behind", after);
}

/* From the middle of an image there is no image. */
TEST_F(file, restart_at_a_wrong_offset)
{
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	ASSERT_EQ(8, lseek(self->fd, 8, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EINVAL,
			       "image offset 0: ");
	EXPECT_LE(8, tell(self->fd));
	EXPECT_GE(self->size, tell(self->fd));
}

TEST_F(file, overwrites_what_is_there)
{
	char old[4096], byte;
	long id;
	off_t at;

	memset(old, 'o', sizeof(old));
	for (at = 0; at < 2 * self->size; at += sizeof(old))
		ASSERT_TRUE(write_all(self->fd, old, sizeof(old)));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	id = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	ASSERT_LT(0, id);
	/* As write(2): the rest of the file stays. */
	EXPECT_EQ(at, file_size(self->fd));
	EXPECT_EQ(self->size, tell(self->fd));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, self->size));
	EXPECT_EQ('o', byte);
	EXPECT_PROCESS(self->fd, id, "tiny");
}

TEST_F(file, append)
{
	char first[5];
	struct walk w;
	long id;

	ASSERT_TRUE(write_all(self->fd, "first", 5));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_APPEND));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	id = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	ASSERT_LT(0, id);
	EXPECT_EQ(5 + self->size, file_size(self->fd));
	EXPECT_EQ(5 + self->size, tell(self->fd));
	ASSERT_EQ(5, lseek(self->fd, 5, SEEK_SET));
	w = walk_fd(self->fd);
	EXPECT_EQ(NULL, walk_wrong(&w, id, "tiny"));
	walk_free(&w);
	ASSERT_EQ(5, pread(self->fd, first, 5, 0));
	EXPECT_EQ(0, memcmp(first, "first", 5));
}

TEST_F(file, two_images_back_to_back)
{
	struct tiny was = self->tiny;
	long one, two;

	one = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	EXPECT_TRUE(tiny_answers(&self->tiny));
	ASSERT_TRUE(proc_wait_asleep(self->tiny.pid));
	two = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	ASSERT_TRUE(one > 0 && two > 0 && one != two);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&was, self->fd, one);
	EXPECT_TINY(&self->tiny, self->fd, two);
	EXPECT_EQ(file_size(self->fd), tell(self->fd));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EPIPE,
			       "image offset 0: ");
}

/* The position belongs to the open file, not to the descriptor. */
TEST_F(file, position_is_shared_by_dup)
{
	int copy = dup(self->fd);

	ASSERT_LE(0, copy);
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	EXPECT_EQ(self->size, tell(copy));
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, copy, 0, 0));
	EXPECT_EQ(2 * self->size, tell(self->fd));
	close(copy);
}

TEST_F(file, position_when_refused_at_once)
{
	ASSERT_TRUE(write_all(self->fd, "12345", 5));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(-1, self->fd), EINVAL, "pid");
	EXPECT_EQ(5, tell(self->fd));
	EXPECT_EQ(5, file_size(self->fd));
	ASSERT_EQ(2, lseek(self->fd, 2, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(-1, self->fd), EINVAL, "crid");
	EXPECT_EQ(2, tell(self->fd));
}

TEST_F(file, position_when_the_image_ends_early)
{
	size_t len;

	for (len = 0; len < IMG_SIZE; len += 61) {
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		ASSERT_TRUE(write_all(self->fd, self->img.buf, len));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EPIPE, "image");
		EXPECT_EQ((off_t)len, tell(self->fd));
	}
}

TEST_F(file, position_when_the_image_is_refused)
{
	off_t at = img_offset(&self->img, CR_HDR_TASK);

	img_task(&self->img)->exit_state = 16;
	img_seal(&self->img);
	ASSERT_TRUE(write_all(self->fd, self->img.buf, self->img.len));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EINVAL, "exit_state");
	/* At least what is wrong was read, and nothing behind the image. */
	EXPECT_LT(at, tell(self->fd));
	EXPECT_GE((off_t)IMG_SIZE, tell(self->fd));
}

TEST_F(file, position_behind_the_end_is_end_of_file)
{
	ASSERT_TRUE(write_all(self->fd, self->img.buf, self->img.len));
	ASSERT_EQ(100000, lseek(self->fd, 100000, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EPIPE, "image");
	EXPECT_EQ(100000, tell(self->fd));
}

TEST_F(file, hole_before_the_image)
{
	long id;

	ASSERT_EQ(1 << 20, lseek(self->fd, 1 << 20, SEEK_SET));
	id = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
	ASSERT_LT(0, id);
	EXPECT_EQ((1 << 20) + self->size, file_size(self->fd));
	ASSERT_EQ(1 << 20, lseek(self->fd, 1 << 20, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, id);
}

TEST_F(file, modification_time_moves)
{
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct stat st;

	ASSERT_EQ(0, futimens(self->fd, old));
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_LT(1, st.st_mtim.tv_sec);
}

TEST_F(file, memfd)
{
	int fd = tmp_memfd();
	long id;

	ASSERT_LE(0, fd);
	id = sys_checkpoint(self->tiny.pid, fd, 0, 0);
	ASSERT_LT(0, id);
	EXPECT_PROCESS(fd, id, "tiny");
	close(fd);
}

TEST_F(file, sealed_memfd_says_so)
{
	int fd = memfd_create("ckpt", MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, fd), EPERM, "image");
	EXPECT_EQ(0, tell(fd));
	close(fd);
}

TEST_F(file, dev_null)
{
	int fd = open("/dev/null", O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EPIPE, "image");
	close(fd);
}

TEST_F(file, dev_zero_is_no_image)
{
	int fd = open("/dev/zero", O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EINVAL, "image offset 0");
	close(fd);
}

/* Its driver takes what user space has in memory, and nothing else. */
TEST_F(file, device_that_the_kernel_cannot_write)
{
	int fd = open("/dev/full", O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, fd), EINVAL, "");
	close(fd);
}

/*
 * The bytes of a failed checkpoint are those that write(2) would have left:
 * the first @len of an image, and the position behind them.
 */
static void check_partial(struct __test_metadata *_metadata, int fd,
			  off_t start, size_t len)
{
	EXPECT_EQ((off_t)(start + len), file_size(fd));
	EXPECT_EQ((off_t)(start + len), tell(fd));
	if (len >= sizeof(struct cr_hdr)) {
		struct cr_hdr h;

		ASSERT_EQ((ssize_t)sizeof(h), pread(fd, &h, sizeof(h), start));
		EXPECT_EQ(CR_HDR_HEAD, h.type);
	}
	/* What is there cannot be restarted. */
	ASSERT_EQ(start, lseek(fd, start, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, fd), EPIPE, "image");
	EXPECT_EQ((off_t)(start + len), tell(fd));
}

TEST_F(file, rlimit_fsize_efbig)
{
	const size_t sizes[] = {
		0, 1, 100, 248, 300, self->size / 2, self->size - 1,
	};
	struct rlimit rl;
	size_t i;

	signal(SIGXFSZ, SIG_IGN);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct outcome o;

		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &rl));
		rl.rlim_cur = sizes[i];
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
		/* The log would have the same limit: a pipe has none. */
		set_comm(UNTOUCHED);
		o.ret = sys_checkpoint(self->tiny.pid, self->fd, 0, 0);
		o.err = errno;
		rl.rlim_cur = rl.rlim_max;
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
		EXPECT_EQ(-1, o.ret);
		EXPECT_EQ(EFBIG, o.err);
		check_partial(_metadata, self->fd, 0, sizes[i]);
	}
}

TEST_F(file, rlimit_fsize_says_so)
{
	char text[512] = { 0 };
	struct rlimit rl;
	int p[2];

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &rl));
	rl.rlim_cur = 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	EXPECT_EQ(-1, sys_checkpoint(self->tiny.pid, self->fd, CHECKPOINT_LOG, p[1]));
	EXPECT_EQ(EFBIG, errno);
	ASSERT_LT(0, read(p[0], text, sizeof(text) - 1));
	EXPECT_EQ(0, strncmp(text, "checkpoint: ", 12));
	EXPECT_TRUE(!!strstr(text, "image offset 100: "))
		TH_LOG("log: %s", text);
}

TEST_F(file, rlimit_fsize_sends_sigxfsz)
{
	struct rlimit rl;

	block_signal(SIGXFSZ);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &rl));
	rl.rlim_cur = 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	EXPECT_EQ(-1, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_TRUE(took_signal(SIGXFSZ));
	EXPECT_EQ(100, file_size(self->fd));
}

TEST_F(file, rlimit_fsize_just_enough)
{
	struct rlimit rl;

	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &rl));
	rl.rlim_cur = self->size;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	EXPECT_EQ(self->size, file_size(self->fd));
}

TEST_F(file, full_file_system_enospc)
{
	size_t room[] = { 0, 1, 100, 248, 300, 0, 0 };
	char dir[] = "/tmp/ckpt-selftest-XXXXXX", path[64], *filler;
	size_t page = getpagesize(), i, blocks;
	int fd;

	if (geteuid())
		SKIP(return, "needs root");
	if (unshare(CLONE_NEWNS))
		SKIP(return, "no mount namespaces: %s", strerror(errno));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	/* Who is saved is in the same namespace. */
	EXPECT_TRUE(tiny_stop(&self->tiny));
	ASSERT_TRUE(tiny_start(&self->tiny));
	/* Which may have another page of stack than the one before. */
	fd = tmp_memfd();
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	self->size = file_size(fd);
	close(fd);
	room[5] = self->size / 2;
	room[6] = self->size - 1;
	ASSERT_TRUE(!!mkdtemp(dir));
	/* Just enough blocks for an image. */
	blocks = (self->size + page - 1) / page;
	filler = calloc(blocks, page);
	ASSERT_TRUE(!!filler);
	snprintf(path, sizeof(path), "nr_blocks=%zu", blocks);
	ASSERT_EQ(0, mount("ckpt", dir, "tmpfs", 0, path));
	snprintf(path, sizeof(path), "%s/image", dir);

	for (i = 0; i < ARRAY_SIZE(room); i++) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		ASSERT_LE(0, fd);
		ASSERT_TRUE(write_all(fd, filler, blocks * page - room[i]));
		EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->tiny.pid, fd), ENOSPC, "image");
		check_partial(_metadata, fd, blocks * page - room[i], room[i]);
		close(fd);
	}
	/* The next one fits, now that there is room. */
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	close(fd);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	free(filler);
}

/* O_NONBLOCK means nothing to a file. */
TEST_F(file, nonblock)
{
	ASSERT_EQ(0, set_nonblock(self->fd, true));
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, 0);
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EPIPE, "image");
}

TEST_F(file, synchronous)
{
	int fd = tmp_file(O_RDWR | O_SYNC);

	ASSERT_LE(0, fd);
	EXPECT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	EXPECT_EQ(self->size, file_size(fd));
	close(fd);
}

TEST_HARNESS_MAIN
