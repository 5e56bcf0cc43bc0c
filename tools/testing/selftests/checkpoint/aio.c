// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts of io_setup(2): they keep their ids, the events that wait in them, and
 * their place in the books of the system.
 */
#include "subject.h"
#include "memory.h"
#include "craft.h"

#include <linux/aio_abi.h>

#define AIO_NR "/proc/sys/fs/aio-nr"
#define AIO_MAX_NR "/proc/sys/fs/aio-max-nr"

#ifndef IOCB_CMD_POLL
#define IOCB_CMD_POLL 5
#endif

static aio_context_t setup(unsigned int events)
{
	aio_context_t ctx = 0;

	CHECK(!syscall(SYS_io_setup, events, &ctx));
	CHECK(ctx);
	return ctx;
}

static long get_events(aio_context_t ctx, long min, long nr, struct io_event *to)
{
	struct timespec limit = { .tv_sec = 10 };

	return syscall(SYS_io_getevents, ctx, min, nr, to, &limit);
}

static int make_numbers(void)
{
	int fd = open(in_dir("numbers"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE];

	fill(page, PAGE, 1);
	CHECK(fd >= 0 && write(fd, page, PAGE) == (ssize_t)PAGE);
	return fd;
}

/* Reads @len bytes into @to, which is over at once but for the event. */
static void submit(aio_context_t ctx, int fd, __u64 data, void *to, size_t len)
{
	struct iocb iocb = {
		.aio_data = data, .aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = fd, .aio_buf = (uintptr_t)to, .aio_nbytes = len,
	}, *list = &iocb;

	CHECK(syscall(SYS_io_submit, ctx, 1, &list) == 1);
}

SUBJECT_TEST(events_that_wait)
{
	aio_context_t ctx = setup(64);
	int fd = make_numbers(), i;
	struct io_event events[8];
	char page[PAGE] = { 0 };

	for (i = 0; i < 3; i++)
		submit(ctx, fd, 100 + i, page, 10 + i);
	checkpoint_and_compare();
	CHECK(get_events(ctx, 3, 8, events) == 3);
	for (i = 0; i < 3; i++) {
		CHECK(events[i].data == 100ULL + i);
		CHECK(events[i].res == 10 + i && !events[i].res2);
	}
	/* It takes others, by the id that it had. */
	memset(page, 0, PAGE);
	submit(ctx, fd, 7, page, PAGE);
	CHECK(get_events(ctx, 1, 8, events) == 1);
	CHECK(events[0].data == 7 && events[0].res == (long)PAGE);
	CHECK(filled(page, PAGE, 1));
	CHECK(!syscall(SYS_io_destroy, ctx));
	CHECK(get_events(ctx, 0, 8, events) == -1 && errno == EINVAL);
}

/* As many as fit, with a tail that has come to the begin again; then all slots. */
SUBJECT_TEST(ring_that_came_round)
{
	aio_context_t ctx = setup(1);
	/* Behind the header, the kernel's own copy of which nobody sees. */
	unsigned int nr = ((unsigned int *)ctx)[1], i;
	struct io_event events[4];
	int fd = make_numbers();
	char c;

	for (i = 0; i < nr - 5; i++) {
		submit(ctx, fd, i, &c, 1);
		CHECK(get_events(ctx, 1, 4, events) == 1 && events[0].data == i);
	}
	for (i = 0; i < 20; i++)
		submit(ctx, fd, 1000 + i, &c, 1);
	checkpoint_and_compare();
	for (i = 0; i < 20; i++) {
		CHECK(get_events(ctx, 1, 1, events) == 1);
		CHECK(events[0].data == 1000ULL + i && events[0].res == 1);
	}
	/* More than once around: no slot was lost. */
	for (i = 0; i < 3 * nr; i++) {
		submit(ctx, fd, i, &c, 1);
		CHECK(get_events(ctx, 1, 4, events) == 1 && events[0].data == i);
	}
}

SUBJECT_TEST(several_contexts)
{
	aio_context_t a = setup(8), b = setup(500), c = setup(8);
	struct io_event events[2];
	int fd = make_numbers();
	char byte;

	submit(b, fd, 2, &byte, 1);
	submit(c, fd, 3, &byte, 1);
	/* The kernel's table has a gap, and comes back without. */
	CHECK(!syscall(SYS_io_destroy, a));
	checkpoint_and_compare();
	CHECK(get_events(c, 1, 2, events) == 1 && events[0].data == 3);
	CHECK(get_events(b, 1, 2, events) == 1 && events[0].data == 2);
	a = setup(8);
	submit(a, fd, 4, &byte, 1);
	CHECK(get_events(a, 1, 2, events) == 1 && events[0].data == 4);
	CHECK(!syscall(SYS_io_destroy, b) && !syscall(SYS_io_destroy, c));
}

SUBJECT_TEST(ring_that_is_protected)
{
	aio_context_t ctx = setup(8);
	struct io_event events[2];
	int fd = make_numbers();
	char byte;

	submit(ctx, fd, 2, &byte, 1);
	CHECK(!mprotect((void *)ctx, PAGE, PROT_READ));
	checkpoint_and_compare();
	CHECK(get_events(ctx, 1, 2, events) == 1 && events[0].data == 2);
}

static void waits_subject(void)
{
	aio_context_t ctx = setup(8);
	struct io_event event;

	/* Nothing ever comes; it is in that call again. */
	say(SAY_READY);
	CHECK(syscall(SYS_io_getevents, ctx, 1, 1, &event,
		      &(struct timespec) { .tv_sec = 5 }) == 0);
	wait_go();
}

TEST_F_TIMEOUT(subject, waits_for_an_event, 120)
{
	if (variant->how == ITSELF)
		return;
	run_subject(_metadata, waits_subject, variant->how);
}

/* The system's books: what it has is counted as long as it lives. */
static void counted_subject(void)
{
	aio_context_t ctx = setup(777);
	long nr = read_number(AIO_NR);

	CHECK(nr >= 777);
	checkpoint_here();
	CHECK(read_number(AIO_NR) == nr);
	CHECK(!syscall(SYS_io_destroy, ctx));
	CHECK(read_number(AIO_NR) == nr - 777);
}

TEST_F_TIMEOUT(subject, is_counted, 120)
{
	long nr = read_number(AIO_NR);

	run_subject(_metadata, counted_subject, variant->how);
	EXPECT_EQ(nr, read_number(AIO_NR));
}

/* Refused by name, and nobody notices */

static void must_refuse(struct __test_metadata *_metadata, void (*fn)(void), int err,
			const char *what)
{
	struct subject s = { .metadata = _metadata };
	char text[1024] = { 0 };
	long ret;
	int got;

	ASSERT_TRUE(subject_start(&s, fn, LEFT));
	s.ready = read_byte(s.out);
	ASSERT_EQ(SAY_READY[0], s.ready);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	errno = 0;
	ret = sys_checkpoint(s.pid, s.image, CHECKPOINT_LOG | CHECKPOINT_KILL, s.logfd);
	got = errno;
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(err, got);
	ASSERT_LE(0, pread(s.logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, what) && one_printable_line(text))
		TH_LOG("log '%s', wanted '%s'", text, what);
	if (subject_finish(&s, "who could not be saved"))
		subject_close(&s);
}

static void busy_subject(void)
{
	aio_context_t ctx = setup(8);
	struct io_event event;
	int ends[2];
	struct iocb iocb = {
		.aio_data = 5, .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN,
	}, *list = &iocb;

	CHECK(!pipe(ends));
	iocb.aio_fildes = ends[0];
	CHECK(syscall(SYS_io_submit, ctx, 1, &list) == 1);
	checkpoint_here();
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(get_events(ctx, 1, 1, &event) == 1 && event.data == 5);
}

TEST_F(subject, request_under_way)
{
	if (variant->how == KILLED)
		must_refuse(_metadata, busy_subject, EBUSY,
			    "asynchronous I/O is under way");
}

static void unmapped_subject(void)
{
	aio_context_t ctx = setup(8);

	CHECK(!munmap((void *)ctx, PAGE));
	checkpoint_here();
}

static void split_subject(void)
{
	aio_context_t ctx = setup(1000);

	CHECK(!mprotect((char *)ctx + PAGE, PAGE, PROT_READ));
	checkpoint_here();
	CHECK(!syscall(SYS_io_destroy, ctx));
}

TEST_F(subject, ring_that_was_changed)
{
	if (variant->how != KILLED)
		return;
	must_refuse(_metadata, unmapped_subject, EOPNOTSUPP,
		    "a ring of io_setup(2) that was unmapped or split");
	must_refuse(_metadata, split_subject, EOPNOTSUPP,
		    "a ring of io_setup(2) that was unmapped or split");
}

/* Limits, and images that are wrong */

static void with_context(void)
{
	aio_context_t ctx = setup(1000);
	int fd = make_numbers();
	char byte;

	submit(ctx, fd, 1, &byte, 1);
	close(fd);
	checkpoint_here();
}

static long max_nr;

static void lower_limit(struct walk *w)
{
	(void)w;
	max_nr = swap_number(AIO_MAX_NR, read_number(AIO_NR) + 999);
}

static void raise_limit(void)
{
	swap_number(AIO_MAX_NR, max_nr);
}

static struct cr_hdr_aio *aio_of(struct walk *w)
{
	return craft_nth(w, CR_HDR_AIO, 0);
}

static void head_beyond(struct walk *w)
{
	aio_of(w)->head = 1U << 20;
}

static void tail_beyond(struct walk *w)
{
	aio_of(w)->tail = ~0U;
}

static void context_elsewhere(struct walk *w)
{
	aio_of(w)->id += 4096;
}

static void context_of_nothing(struct walk *w)
{
	aio_of(w)->nr_events = 0;
}

static void context_of_too_much(struct walk *w)
{
	aio_of(w)->nr_events = ~0U;
}

/* The ring that this takes has fewer pages than the mapping. */
static void context_that_is_smaller(struct walk *w)
{
	aio_of(w)->nr_events = 8;
}

/* Its mapping is ordinary memory then. */
static void context_without_a_ring(struct walk *w)
{
	size_t i, nr = walk_count(w, CR_HDR_VMA);

	for (i = 0; i < nr; i++) {
		struct cr_hdr_vma *vma = craft_nth(w, CR_HDR_VMA, i);

		if (vma->kind == CR_MAPPING_AIO) {
			vma->kind = CR_MAPPING_ANON;
			vma->flags &= ~(__u64)CR_VMA_SHARED;
		}
	}
}

TEST_F(subject, bad_contexts)
{
	long nr = read_number(AIO_NR);

	if (variant->how != KILLED)
		return;
	restart_fails(_metadata, with_context, lower_limit, raise_limit, EAGAIN,
		      "more than fs.aio-max-nr allows");
	restart_fails(_metadata, with_context, head_beyond, NULL, EINVAL,
		      "is not in its ring");
	restart_fails(_metadata, with_context, tail_beyond, NULL, EINVAL,
		      "is not in its ring");
	restart_fails(_metadata, with_context, context_elsewhere, NULL, EINVAL,
		      "there is no ring");
	restart_fails(_metadata, with_context, context_of_nothing, NULL, EINVAL,
		      "AIO: nr_events");
	restart_fails(_metadata, with_context, context_of_too_much, NULL, EINVAL,
		      "context ");
	restart_fails(_metadata, with_context, context_that_is_smaller, NULL, EINVAL,
		      "cannot be there");
	restart_fails(_metadata, with_context, context_without_a_ring, NULL, EINVAL,
		      "io_setup(2)");
	EXPECT_EQ(nr, read_number(AIO_NR));
}

TEST_HARNESS_MAIN
