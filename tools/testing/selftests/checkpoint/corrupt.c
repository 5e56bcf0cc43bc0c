// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images: of a task, every length that is too short and every single
 * bit that is wrong; of a process, whose image is larger, each record and some
 * of each page. None may be taken, none may change the caller.
 */
#include "proc.h"

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
	img_default(&self->img);
	ASSERT_EQ(IMG_SIZE, self->img.len);
	self->fd = img_memfd(&self->img);
	ASSERT_LE(0, self->fd);
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
	/*
	 * Free to differ: time, flags, id, the signal at the end, group and
	 * session, comm, the statistics.
	 */
	EXPECT_LT(0UL, taken);
	EXPECT_GE(8 * (8 + 8 + 4 + 4 + 8 + COMM_LEN +
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

/* The image of a process */

FIXTURE(process)
{
	struct walk w;
	int fd;			/* the image, which the tests damage */
	int *at;		/* what a child is trying */
};

FIXTURE_SETUP(process)
{
	struct tiny t;
	long id;

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->fd = tmp_memfd();
	self->at = shared(sizeof(*self->at));
	ASSERT_TRUE(self->fd >= 0 && self->at);
	ASSERT_TRUE(tiny_start(&t));
	ASSERT_TRUE(tiny_answers(&t));
	ASSERT_TRUE(proc_wait_asleep(t.pid));
	id = sys_checkpoint(t.pid, self->fd, 0, 0);
	ASSERT_LT(0, id);
	self->w = walk_file(self->fd);
	ASSERT_EQ(NULL, self->w.wrong);
	/* It is the changes that are refused: without one it is taken. */
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&t, self->fd, id);
	EXPECT_TRUE(tiny_stop(&t));
}

FIXTURE_TEARDOWN(process)
{
	walk_free(&self->w);
	close(self->fd);
}

/*
 * In a child: the image in @fd is refused, and the child is as it was. It ends
 * with 1 if not; if it becomes what it must not, it does not end with 0 either.
 */
static void must_refuse(int fd, int log[2], bool crc_only)
{
	char text[1024];
	long ret, n;
	int err;

	if (lseek(fd, 0, SEEK_SET))
		_exit(2);
	ret = sys_restart(0, fd, CHECKPOINT_LOG, log[1]);
	err = errno;
	n = read(log[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	/*
	 * TAIL, with the checksum, comes last: before that, a change may make a
	 * path that is not there, or anything else that is refused by itself.
	 */
	if (ret == -1 && err && (err != EPIPE || !crc_only) &&
	    one_printable_line(text) && !strncmp(text, "restart: ", 9) &&
	    !strcmp(get_comm().name, UNTOUCHED))
		return;
	printf("# returned %ld, errno %d, comm '%s', log '%s'\n", ret,
	       ret ? err : 0, get_comm().name, text);
	fflush(stdout);
	_exit(1);
}

typedef void (*damage_fn)(struct _test_data_process *self, int log[2]);

/* A child tries what @damage does, many times: its descriptors stay, too. */
static void try_damage(struct __test_metadata *_metadata,
		       struct _test_data_process *self, damage_fn damage)
{
	int log[2], in[2], status;
	pid_t pid;

	/* Who is restored by mistake reads, comes to the end, and ends. */
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int free;

		dup2(in[0], 0);
		close(in[1]);
		if (pipe2(log, O_NONBLOCK))
			_exit(3);
		set_comm(UNTOUCHED);
		free = free_fd();
		damage(self, log);
		_exit(free_fd() == free ? 0 : 4);
	}
	close(in[0]);
	close(in[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status)
		TH_LOG("at byte %d of %zu", *self->at, self->w.len);
}

/* Changes one byte, tries, and puts it back. */
static void flip(struct _test_data_process *self, int log[2], size_t at,
		 __u8 mask, bool crc_only)
{
	__u8 byte = self->w.buf[at] ^ mask;

	*self->at = at;
	if (pwrite(self->fd, &byte, 1, at) != 1)
		_exit(5);
	must_refuse(self->fd, log, crc_only);
	if (pwrite(self->fd, &self->w.buf[at], 1, at) != 1)
		_exit(5);
}

static void flip_headers(struct _test_data_process *self, int log[2])
{
	size_t i, byte;

	for (i = 0; i < self->w.nr; i++)
		for (byte = 0; byte < sizeof(struct cr_hdr); byte++)
			flip(self, log, self->w.recs[i].at + byte,
			     1 << (i + byte) % 8, false);
}

TEST_F_TIMEOUT(process, bit_flips_in_every_header, 240)
{
	try_damage(_metadata, self, flip_headers);
}

static void flip_payloads(struct _test_data_process *self, int log[2])
{
	unsigned int seed = 20081110;
	size_t i, at;

	for (i = 0; i < self->w.nr; i++) {
		struct rec *r = &self->w.recs[i];
		size_t step = r->len > 512 ? 64 : 8;

		for (at = 0; at < REC_SIZE(r->len) - sizeof(struct cr_hdr);
		     at += step) {
			unsigned int rnd = rand_r(&seed);

			flip(self, log,
			     r->at + sizeof(struct cr_hdr) + at + rnd % 8,
			     1 << (rnd >> 8) % 8, false);
		}
	}
}

TEST_F_TIMEOUT(process, bit_flips_in_every_payload, 240)
{
	try_damage(_metadata, self, flip_payloads);
}

static void flip_bulk(struct _test_data_process *self, int log[2])
{
	unsigned int seed = 20081110;
	size_t i, at;

	for (i = 0; i < self->w.nr; i++) {
		struct rec *r = &self->w.recs[i];

		for (at = 0; at < r->bulk_len; at += 512) {
			unsigned int rnd = rand_r(&seed);

			flip(self, log, r->bulk + at + rnd % 512,
			     1 << (rnd >> 10) % 8, true);
		}
	}
}

TEST_F_TIMEOUT(process, bit_flips_in_every_page, 240)
{
	ASSERT_LT(0UL, walk_count(&self->w, CR_HDR_PAGES));
	try_damage(_metadata, self, flip_bulk);
}

static void cut_off(struct _test_data_process *self, int log[2], size_t len)
{
	*self->at = len;
	if (ftruncate(self->fd, len))
		_exit(5);
	must_refuse(self->fd, log, false);
}

/* From the end on, so that the file needs no repair in between. */
static void truncate_everywhere(struct _test_data_process *self, int log[2])
{
	size_t i;

	for (i = self->w.nr; i-- > 0;) {
		struct rec *r = &self->w.recs[i];

		if (r->bulk_len) {
			cut_off(self, log, r->bulk + r->bulk_len - 1);
			cut_off(self, log, r->bulk + r->bulk_len / 2 + 1);
			cut_off(self, log, r->bulk + 1);
			cut_off(self, log, r->bulk);
		}
		cut_off(self, log, r->at + REC_SIZE(r->len) - 1);
		cut_off(self, log, r->at + sizeof(struct cr_hdr));
		cut_off(self, log, r->at + sizeof(struct cr_hdr) - 1);
		cut_off(self, log, r->at);
	}
}

TEST_F_TIMEOUT(process, truncated_at_every_boundary_and_in_mid_page, 240)
{
	try_damage(_metadata, self, truncate_everywhere);
}

/* One record was lost on the way. */
static void lose_records(struct _test_data_process *self, int log[2])
{
	size_t i;

	for (i = 0; i < self->w.nr; i++) {
		struct rec *r = &self->w.recs[i];
		size_t end = r->at + REC_SIZE(r->len);

		*self->at = r->at;
		if (ftruncate(self->fd, self->w.len - REC_SIZE(r->len)) ||
		    pwrite(self->fd, self->w.buf, r->at, 0) != (ssize_t)r->at ||
		    pwrite(self->fd, self->w.buf + end, self->w.len - end,
			   r->at) != (ssize_t)(self->w.len - end))
			_exit(5);
		must_refuse(self->fd, log, false);
	}
}

TEST_F_TIMEOUT(process, every_lost_record, 240)
{
	try_damage(_metadata, self, lose_records);
}

static void double_records(struct _test_data_process *self, int log[2])
{
	size_t i;

	/* TAIL twice is an image, and something behind it. */
	for (i = 0; i < self->w.nr - 1; i++) {
		struct rec *r = &self->w.recs[i];
		size_t end = r->at + REC_SIZE(r->len);

		*self->at = r->at;
		if (pwrite(self->fd, self->w.buf, end, 0) != (ssize_t)end ||
		    pwrite(self->fd, self->w.buf + r->at, self->w.len - r->at,
			   end) != (ssize_t)(self->w.len - r->at))
			_exit(5);
		must_refuse(self->fd, log, false);
	}
}

TEST_F_TIMEOUT(process, every_doubled_record, 240)
{
	try_damage(_metadata, self, double_records);
}

TEST_HARNESS_MAIN
