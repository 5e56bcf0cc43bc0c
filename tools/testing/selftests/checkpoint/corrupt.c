// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images: every length that is too short, every single bit that is
 * wrong. None may be taken, none may change the caller.
 */
#include "ckpt_util.h"

FIXTURE(corrupt)
{
	struct image img;
	int fd;
	int log[2];
	int free;
	unsigned long refused;
};

FIXTURE_SETUP(corrupt)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	/* The kernel's own image, not ours: with real numbers in it. */
	self->fd = tmp_memfd();
	ASSERT_LE(0, self->fd);
	set_comm(RESTORED);
	ASSERT_LT(0, sys_checkpoint(0, self->fd, 0, 0));
	img_pread(&self->img, self->fd);
	ASSERT_EQ(IMG_SIZE, self->img.len);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTORED(try_restart(0, self->fd), RESTORED);
	ASSERT_EQ(0, pipe2(self->log, O_NONBLOCK | O_CLOEXEC));
	set_comm(UNTOUCHED);
	self->free = free_fd();
}

FIXTURE_TEARDOWN(corrupt)
{
	close(self->fd);
	close(self->log[0]);
	close(self->log[1]);
}

/*
 * As EXPECT_RESTART_REFUSED, but with a log that is open already and no more
 * calls than needed: this runs thousands of times.
 */
static void refused(struct __test_metadata *_metadata,
		    struct _test_data_corrupt *self, int fd, bool may_end,
		    const char *where, unsigned int at, unsigned int what)
{
	long ret = sys_restart(0, fd, CHECKPOINT_LOG, self->log[1]);
	int err = errno;
	char log[1024];
	ssize_t n = read(self->log[0], log, sizeof(log) - 1);

	log[n < 0 ? 0 : n] = '\0';
	self->refused++;
	if (ret == -1 && (err == EINVAL || (may_end && err == EPIPE)) &&
	    !strcmp(get_comm().name, UNTOUCHED) && one_printable_line(log) &&
	    !strncmp(log, "restart: ", 9) && strstr(log, "image offset "))
		return;
	TH_LOG("%s %u, change %#x: returned %ld, errno %d (%s), comm '%s', log '%.*s'",
	       where, at, what, ret, ret ? err : 0, strerror(err),
	       get_comm().name, (int)strcspn(log, "\n"), log);
	_metadata->exit_code = KSFT_FAIL;
	set_comm(UNTOUCHED);
}

TEST_F_TIMEOUT(corrupt, every_truncation_of_a_file, 120)
{
	struct outcome o;
	size_t len;

	for (len = IMG_SIZE; len-- > 0;) {
		ASSERT_EQ(0, ftruncate(self->fd, len));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		o = try_restart(0, self->fd);
		EXPECT_RESTART_REFUSED(o, EPIPE, "image offset ");
		EXPECT_GE((long)len, log_offset(o.log));
		EXPECT_EQ((off_t)len, tell(self->fd));
	}
	EXPECT_EQ(self->free, free_fd());
}

TEST_F_TIMEOUT(corrupt, every_truncation_of_a_pipe, 120)
{
	struct outcome o;
	size_t len;
	int fd;

	for (len = 0; len < IMG_SIZE; len++) {
		fd = img_pipe_len(&self->img, len);
		ASSERT_LE(0, fd);
		o = try_restart(0, fd);
		EXPECT_RESTART_REFUSED(o, EPIPE, "image offset ");
		EXPECT_GE((long)len, log_offset(o.log));
		close(fd);
	}
	EXPECT_EQ(self->free, free_fd());
}

/* All of the image but its first bytes. */
TEST_F_TIMEOUT(corrupt, every_missing_beginning, 120)
{
	size_t cut;

	for (cut = 1; cut < IMG_SIZE; cut++) {
		ASSERT_EQ((off_t)cut, lseek(self->fd, cut, SEEK_SET));
		refused(_metadata, self, self->fd, true, "from byte", cut, 0);
	}
	EXPECT_EQ(IMG_SIZE - 1, self->refused);
}

/* One byte was lost on the way, or came twice. */
TEST_F_TIMEOUT(corrupt, every_lost_and_every_doubled_byte, 120)
{
	__u8 *from = self->img.buf;
	size_t at;

	for (at = 0; at < IMG_SIZE; at++) {
		ASSERT_EQ(0, ftruncate(self->fd, IMG_SIZE - 1));
		ASSERT_EQ((ssize_t)at, pwrite(self->fd, from, at, 0));
		ASSERT_EQ((ssize_t)(IMG_SIZE - 1 - at),
			  pwrite(self->fd, from + at + 1, IMG_SIZE - 1 - at, at));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		refused(_metadata, self, self->fd, true, "without byte", at, 0);

		ASSERT_EQ((ssize_t)at + 1, pwrite(self->fd, from, at + 1, 0));
		ASSERT_EQ((ssize_t)(IMG_SIZE - at),
			  pwrite(self->fd, from + at, IMG_SIZE - at, at + 1));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		/* The last one twice is an image, and a byte behind it. */
		if (at + 1 < IMG_SIZE && from[at] != from[IMG_SIZE - 1])
			refused(_metadata, self, self->fd, true, "twice byte",
				at, 0);
	}
}

/* Tries the image with byte @at changed by @change. */
static void change(struct __test_metadata *_metadata,
		   struct _test_data_corrupt *self, unsigned int at, __u8 mask)
{
	__u8 byte = self->img.buf[at] ^ mask;

	ASSERT_EQ(1, pwrite(self->fd, &byte, 1, at));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	/* A longer record makes the image end too early. */
	refused(_metadata, self, self->fd, true, "byte", at, mask);
	ASSERT_EQ(1, pwrite(self->fd, &self->img.buf[at], 1, at));
}

TEST_F_TIMEOUT(corrupt, every_bit_flip, 240)
{
	unsigned int at, bit;

	for (at = 0; at < IMG_SIZE; at++)
		for (bit = 0; bit < 8; bit++)
			change(_metadata, self, at, 1 << bit);
	EXPECT_EQ(8 * IMG_SIZE, self->refused);
	EXPECT_EQ(self->free, free_fd());
	/* It is the changes that were refused: without one it is taken. */
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTORED(try_restart(0, self->fd), RESTORED);
}

TEST_F_TIMEOUT(corrupt, every_byte_inverted, 120)
{
	unsigned int at;

	for (at = 0; at < IMG_SIZE; at++)
		change(_metadata, self, at, 0xff);
	EXPECT_EQ(IMG_SIZE, self->refused);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTORED(try_restart(0, self->fd), RESTORED);
}

TEST_F_TIMEOUT(corrupt, every_byte_inverted_in_a_pipe, 120)
{
	unsigned int at;
	int fd;

	for (at = 0; at < IMG_SIZE; at++) {
		self->img.buf[at] ^= 0xff;
		fd = img_pipe(&self->img);
		self->img.buf[at] ^= 0xff;
		ASSERT_LE(0, fd);
		refused(_metadata, self, fd, true, "byte in a pipe", at, 0xff);
		close(fd);
	}
	EXPECT_EQ(IMG_SIZE, self->refused);
}

/*
 * The same, with a checksum that fits: what the CRC cannot catch is either
 * refused for what it is, or means nothing to restart(2).
 */
TEST_F_TIMEOUT(corrupt, every_bit_flip_with_right_checksum, 240)
{
	struct cr_hdr_tail *tail = img_tail(&self->img);
	size_t comm = img_offset(&self->img, CR_HDR_STRING);
	size_t end = img_offset(&self->img, CR_HDR_TAIL);
	unsigned long taken = 0;
	unsigned int at, bit;

	for (at = 0; at < end; at++) {
		for (bit = 0; bit < 8; bit++) {
			struct image *img = &self->img;
			struct comm now;
			long ret;

			img->buf[at] ^= 1 << bit;
			tail->cksum = crc32c(img->buf, end);
			ASSERT_EQ((ssize_t)img->len,
				  pwrite(self->fd, img->buf, img->len, 0));
			ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
			img->buf[at] ^= 1 << bit;

			set_comm(UNTOUCHED);
			ret = sys_restart(0, self->fd, 0, 0);
			now = get_comm();
			if (ret == -1) {
				EXPECT_TRUE(errno == EINVAL || errno == EPIPE);
				EXPECT_STREQ(UNTOUCHED, now.name)
					TH_LOG("byte %u bit %u", at, bit);
				continue;
			}
			taken++;
			EXPECT_EQ(0, ret);
			/* Headers and the numbers that must be have no such bit. */
			if (at >= comm + sizeof(struct cr_hdr) &&
			    at < comm + REC_SIZE(COMM_LEN))
				continue;
			EXPECT_STREQ(RESTORED, now.name)
				TH_LOG("byte %u bit %u", at, bit);
			EXPECT_LE(sizeof(struct cr_hdr), at);
		}
	}
	/* Free to differ: time, id, task and exit state, comm, the statistics. */
	EXPECT_LT(0UL, taken);
	EXPECT_GE(8 * (8 + 4 + 12 + COMM_LEN +
		       sizeof(struct cr_hdr_task_stats)), taken);
}

/* Numbers of a machine with the other byte order. */
TEST_F(corrupt, other_byte_order)
{
	struct cr_hdr *h = (struct cr_hdr *)self->img.buf;

	h->type = __builtin_bswap16(h->type);
	h->len = __builtin_bswap16(h->len);
	img_seal(&self->img);
	ASSERT_EQ((ssize_t)self->img.len,
		  pwrite(self->fd, self->img.buf, self->img.len, 0));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EINVAL,
			       "image offset 0: ");
}

/* Not images at all, 200 of them; the seed is fixed so that a failure comes back. */
TEST_F_TIMEOUT(corrupt, noise, 120)
{
	unsigned int seed = 20081110, round;
	__u8 buf[4096];
	size_t i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = rand_r(&seed) >> 7;
		/* Some with a true beginning. */
		memcpy(buf, self->img.buf, round % 9 * 48);
		ASSERT_EQ((ssize_t)sizeof(buf),
			  pwrite(self->fd, buf, sizeof(buf), 0));
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		refused(_metadata, self, self->fd, true, "noise", round, 0);
	}
}

TEST_F(corrupt, text_file)
{
	int fd = open("/proc/self/maps", O_RDONLY), pipefd[2];
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text));

	ASSERT_LT(0, n);
	close(fd);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_TRUE(write_all(pipefd[1], text, n));
	EXPECT_RESTART_REFUSED(try_restart(0, pipefd[0]), EINVAL,
			       "image offset 0: ");
	close(pipefd[0]);
	close(pipefd[1]);
}

TEST_F(corrupt, nothing_at_all)
{
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_RESTART_REFUSED(try_restart(0, self->fd), EPIPE,
			       "image offset 0: ");
}

TEST_HARNESS_MAIN
