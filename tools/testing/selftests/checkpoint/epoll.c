// SPDX-License-Identifier: GPL-2.0
/*
 * epoll(7): what an instance waits for, what is ready, and in which order.
 */
#include "subject.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int new_epoll(void)
{
	int ep = epoll_create1(0);

	CHECK(ep >= 0);
	return ep;
}

static int new_eventfd(__u64 count)
{
	int fd = eventfd(count, EFD_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

static void add(int ep, int fd, __u32 events, __u64 data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
}

static void modify(int ep, int fd, __u32 events, __u64 data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
}

static void put(int fd, __u64 count)
{
	CHECK(write(fd, &count, sizeof(count)) == sizeof(count));
}

static void take(int fd)
{
	__u64 count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
}

/* Exactly these are reported now, in this order: their data, up to a 0. */
static bool reported(int ep, const __u64 *data, __u32 events)
{
	struct epoll_event event[64];
	int i, n = epoll_wait(ep, event, 64, 0);

	for (i = 0; i < n; i++)
		if (event[i].data.u64 != data[i] || event[i].events != events)
			return false;
	return n >= 0 && !data[i];
}

#define IN(ep, ...) reported(ep, (const __u64 []) { __VA_ARGS__, 0 }, EPOLLIN)
#define NOTHING(ep) reported(ep, (const __u64 []) { 0 }, 0)

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What /proc shows of an instance: descriptors, events, data, sorted. */
struct items {
	int nr;
	char line[700][64];
};

static void list_items(int ep, struct items *items)
{
	char path[64], text[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep);
	f = fopen(path, "r");
	CHECK(!!f);
	memset(items, 0, sizeof(*items));
	while (fgets(text, sizeof(text), f)) {
		if (strncmp(text, "tfd:", 4))
			continue;
		CHECK(items->nr < 700);
		/* Position and inode are of no interest. */
		*strstr(text, " pos:") = '\0';
		snprintf(items->line[items->nr++], 64, "%.63s", text);
	}
	fclose(f);
	qsort(items->line, items->nr, sizeof(items->line[0]), by_text);
}

static struct items items_before, items_after;

static void checkpoint_and_compare(int ep)
{
	list_items(ep, &items_before);
	checkpoint_here();
	list_items(ep, &items_after);
	CHECK(!memcmp(&items_before, &items_after, sizeof(items_before)));
}

SUBJECT_TEST(no_items)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = new_eventfd(1);

	CHECK(ep >= 0);
	checkpoint_here();
	CHECK(fcntl(ep, F_GETFD) == FD_CLOEXEC && fcntl(ep, F_GETFL) == O_RDWR);
	CHECK(NOTHING(ep));
	add(ep, fd, EPOLLIN, 3);
	CHECK(IN(ep, 3));
}

SUBJECT_TEST(level)
{
	int ep = new_epoll(), full = new_eventfd(1), empty = new_eventfd(0);

	add(ep, full, EPOLLIN, 0x123456789abcdef0);
	add(ep, empty, EPOLLIN, ~0ULL);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 0x123456789abcdef0));
	CHECK(IN(ep, 0x123456789abcdef0));
	take(full);
	CHECK(NOTHING(ep));
	put(empty, 1);
	CHECK(IN(ep, ~0ULL));
	put(full, 1);
	take(empty);
	CHECK(IN(ep, 0x123456789abcdef0));
}

SUBJECT_TEST(edge_not_yet_reported)
{
	int ep = new_epoll(), fd = new_eventfd(1);

	add(ep, fd, EPOLLIN | EPOLLET, 5);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 5));
	CHECK(NOTHING(ep));
	put(fd, 1);
	CHECK(IN(ep, 5) && NOTHING(ep));
}

SUBJECT_TEST(edge_reported)
{
	int ep = new_epoll(), fd = new_eventfd(1);

	add(ep, fd, EPOLLIN | EPOLLET, 5);
	CHECK(IN(ep, 5));
	checkpoint_and_compare(ep);
	CHECK(NOTHING(ep));
	put(fd, 1);
	CHECK(IN(ep, 5) && NOTHING(ep));
	take(fd);
	CHECK(NOTHING(ep));
}

/* What is put into a pipe by the restart is no event. */
SUBJECT_TEST(edge_reported_of_a_pipe)
{
	int ep = new_epoll(), full[2], halted[2], pending[2];
	char buf[8];

	CHECK(!pipe(full) && !pipe(halted) && !pipe(pending));
	add(ep, full[0], EPOLLIN | EPOLLET, 1);
	add(ep, halted[0], EPOLLIN | EPOLLET, 2);
	add(ep, full[1], EPOLLOUT | EPOLLET, 3);
	CHECK(reported(ep, (const __u64 []) { 3, 0 }, EPOLLOUT));
	CHECK(write(full[1], "abc", 3) == 3);
	CHECK(IN(ep, 1));
	/* Nobody writes to it any more, which is reported before, too. */
	CHECK(write(halted[1], "abc", 3) == 3);
	close(halted[1]);
	CHECK(reported(ep, (const __u64 []) { 2, 0 }, EPOLLIN | EPOLLHUP));
	add(ep, pending[0], EPOLLIN | EPOLLET, 4);
	CHECK(write(pending[1], "abc", 3) == 3);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 4));
	CHECK(NOTHING(ep));
	CHECK(write(full[1], "d", 1) == 1);
	CHECK(IN(ep, 1));
	CHECK(read(full[0], buf, sizeof(buf)) == 4 && !memcmp(buf, "abcd", 4));
	CHECK(read(halted[0], buf, sizeof(buf)) == 3 && !memcmp(buf, "abc", 3));
	CHECK(!read(halted[0], buf, sizeof(buf)));
}

SUBJECT_TEST(oneshot)
{
	int ep = new_epoll(), armed = new_eventfd(1), used = new_eventfd(1);
	int idle = new_eventfd(0);

	add(ep, used, EPOLLIN | EPOLLONESHOT, 1);
	CHECK(IN(ep, 1) && NOTHING(ep));
	add(ep, armed, EPOLLIN | EPOLLONESHOT, 2);
	add(ep, idle, EPOLLIN | EPOLLONESHOT | EPOLLET, 3);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 2) && NOTHING(ep));
	put(armed, 1);
	put(used, 1);
	CHECK(NOTHING(ep));
	put(idle, 1);
	CHECK(IN(ep, 3) && NOTHING(ep));
	modify(ep, used, EPOLLIN | EPOLLONESHOT, 7);
	CHECK(IN(ep, 7) && NOTHING(ep));
}

/* One that is disabled is not even told of an end. */
SUBJECT_TEST(oneshot_and_hangup)
{
	int ep = new_epoll(), p[2];

	CHECK(!pipe(p));
	add(ep, p[0], EPOLLIN | EPOLLONESHOT, 1);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(IN(ep, 1));
	checkpoint_and_compare(ep);
	close(p[1]);
	CHECK(NOTHING(ep));
	modify(ep, p[0], 0, 2);
	CHECK(reported(ep, (const __u64 []) { 2, 0 }, EPOLLHUP));
}

SUBJECT_TEST(order_in_which_they_became_ready)
{
	int ep = new_epoll(), fd[5], i;

	for (i = 0; i < 5; i++) {
		fd[i] = new_eventfd(0);
		add(ep, fd[i], EPOLLIN, i + 1);
	}
	put(fd[3], 1);
	put(fd[0], 1);
	put(fd[4], 1);
	put(fd[2], 1);
	checkpoint_and_compare(ep);
	put(fd[1], 1);
	CHECK(IN(ep, 4, 1, 5, 3, 2));
}

/* Who takes one at a time gets each in its turn. */
SUBJECT_TEST(order_after_some_were_reported)
{
	int ep = new_epoll(), i;
	struct epoll_event event;

	for (i = 0; i < 4; i++)
		add(ep, new_eventfd(1), EPOLLIN, i + 1);
	for (i = 0; i < 2; i++) {
		CHECK(epoll_wait(ep, &event, 1, 0) == 1);
		CHECK(event.data.u64 == i + 1ULL);
	}
	checkpoint_and_compare(ep);
	for (i = 0; i < 4; i++) {
		CHECK(epoll_wait(ep, &event, 1, 0) == 1);
		CHECK(event.data.u64 == (i + 2) % 4 + 1ULL);
	}
}

SUBJECT_TEST(exclusive)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = new_epoll(), fd = new_eventfd(0);

	add(ep, fd, EPOLLIN | EPOLLEXCLUSIVE, 1);
	checkpoint_and_compare(ep);
	/* It is one still: it cannot be changed. */
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == -1 && errno == EINVAL);
	put(fd, 1);
	CHECK(IN(ep, 1));
}

/* The kernel may leave the bit out; then it is out afterwards, too. */
SUBJECT_TEST(wakeup)
{
	int ep = new_epoll(), ready = new_eventfd(1), told = new_eventfd(1);

	add(ep, told, EPOLLIN | EPOLLET | EPOLLWAKEUP, 1);
	CHECK(IN(ep, 1));
	add(ep, ready, EPOLLIN | EPOLLWAKEUP, 2);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 2));
}

/* Bits that no file reports. */
SUBJECT_TEST(any_bits)
{
	int ep = new_epoll();

	add(ep, new_eventfd(0), 0, 1);
	add(ep, new_eventfd(0), 0x0fffffff, 2);
	add(ep, new_eventfd(0), EPOLLRDHUP | EPOLLPRI | EPOLLMSG, 3);
	checkpoint_and_compare(ep);
	CHECK(reported(ep, (const __u64 []) { 2, 0 }, EPOLLOUT));
}

/* An item is of the open file, and stays when the descriptor is closed. */
SUBJECT_TEST(descriptor_that_was_closed)
{
	int ep = new_epoll(), fd = new_eventfd(0), again = dup(fd);

	CHECK(again >= 0);
	add(ep, fd, EPOLLIN, 1);
	close(fd);
	checkpoint_and_compare(ep);
	CHECK(fcntl(fd, F_GETFD) == -1);
	put(again, 1);
	CHECK(IN(ep, 1));
	close(again);
	CHECK(NOTHING(ep));
}

/* Its number may be another file's, which is waited for as well. */
SUBJECT_TEST(descriptor_that_is_used_again)
{
	int ep = new_epoll(), fd = new_eventfd(0), again = dup(fd), other;

	CHECK(again >= 0);
	add(ep, fd, EPOLLIN, 1);
	add(ep, again, EPOLLIN | EPOLLET, 2);
	close(fd);
	other = new_eventfd(0);
	CHECK(other == fd);
	add(ep, other, EPOLLIN, 3);
	checkpoint_and_compare(ep);
	put(other, 1);
	CHECK(IN(ep, 3));
	take(other);
	put(again, 1);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, other, NULL) == 0);
	list_items(ep, &items_after);
	CHECK(items_after.nr == 2);
}

/* Instances in instances */

SUBJECT_TEST(nested)
{
	int ep[4], fd = new_eventfd(0), i;

	for (i = 0; i < 4; i++)
		ep[i] = new_epoll();
	for (i = 0; i < 3; i++)
		add(ep[i], ep[i + 1], EPOLLIN, i + 1);
	add(ep[3], fd, EPOLLIN, 4);
	checkpoint_and_compare(ep[0]);
	for (i = 0; i < 4; i++)
		CHECK(NOTHING(ep[i]));
	put(fd, 1);
	for (i = 0; i < 4; i++)
		CHECK(IN(ep[i], i + 1));
	take(fd);
	for (i = 0; i < 4; i++)
		CHECK(NOTHING(ep[i]));
}

/* The one that is waited for may be the older one, too. */
SUBJECT_TEST(nested_and_ready)
{
	int inner = new_epoll(), outer = new_epoll(), outermost = new_epoll();
	int fd = new_eventfd(1), other = new_eventfd(0);

	add(inner, fd, EPOLLIN, 1);
	add(outer, other, EPOLLIN, 2);
	add(outer, inner, EPOLLIN | EPOLLET, 3);
	add(outermost, outer, EPOLLIN | EPOLLET, 4);
	CHECK(IN(outermost, 4));
	checkpoint_and_compare(outer);
	/* This has been reported, and that has not. */
	CHECK(NOTHING(outermost));
	CHECK(IN(outer, 3) && NOTHING(outer));
	CHECK(IN(inner, 1));
	put(other, 1);
	CHECK(IN(outermost, 4) && IN(outer, 2));
}

SUBJECT_TEST(nested_and_reported)
{
	int inner = new_epoll(), outer = new_epoll(), fd = new_eventfd(1);

	add(outer, inner, EPOLLIN | EPOLLET, 1);
	add(inner, fd, EPOLLIN | EPOLLET, 2);
	CHECK(IN(outer, 1) && IN(inner, 2));
	checkpoint_and_compare(inner);
	CHECK(NOTHING(outer) && NOTHING(inner));
	put(fd, 1);
	CHECK(IN(outer, 1) && IN(inner, 2));
}

SUBJECT_TEST(one_file_in_two_instances)
{
	int a = new_epoll(), b = new_epoll(), fd = new_eventfd(1);

	add(a, fd, EPOLLIN | EPOLLET, 1);
	add(b, fd, EPOLLIN | EPOLLET, 2);
	CHECK(IN(a, 1));
	checkpoint_and_compare(a);
	CHECK(NOTHING(a) && IN(b, 2));
}

/* Other kinds of files */

SUBJECT_TEST(signals)
{
	int ep = new_epoll(), waits, reported_before;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	waits = signalfd(-1, &set, 0);
	reported_before = signalfd(-1, &set, 0);
	CHECK(waits >= 0 && reported_before >= 0);
	add(ep, reported_before, EPOLLIN | EPOLLET, 1);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(IN(ep, 1));
	add(ep, waits, EPOLLIN, 2);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 2));
	CHECK(!kill(getpid(), SIGUSR2));
	CHECK(IN(ep, 2, 1));
}

SUBJECT_TEST(timers)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	int ep = new_epoll(), told = timerfd_create(CLOCK_MONOTONIC, 0);
	int waits = timerfd_create(CLOCK_MONOTONIC, 0);

	CHECK(told >= 0 && waits >= 0);
	add(ep, told, EPOLLIN | EPOLLET, 1);
	CHECK(!timerfd_settime(told, 0, &soon, NULL));
	sleep_ms(20);
	CHECK(IN(ep, 1));
	add(ep, waits, EPOLLIN | EPOLLET, 2);
	CHECK(!timerfd_settime(waits, 0, &soon, NULL));
	sleep_ms(20);
	checkpoint_and_compare(ep);
	CHECK(IN(ep, 2) && NOTHING(ep));
	CHECK(!timerfd_settime(told, 0, &soon, NULL));
	sleep_ms(20);
	CHECK(IN(ep, 1) && NOTHING(ep));
}

SUBJECT_TEST(notifications)
{
	int ep = new_epoll(), in = inotify_init1(IN_NONBLOCK);
	char buf[4096];

	CHECK(in >= 0 && inotify_add_watch(in, subject_dir, IN_CREATE) == 1);
	add(ep, in, EPOLLIN | EPOLLET, 1);
	CHECK(make_file("before", "x", 1));
	CHECK(IN(ep, 1));
	checkpoint_and_compare(ep);
	CHECK(NOTHING(ep));
	CHECK(make_file("after", "x", 1));
	CHECK(IN(ep, 1));
	CHECK(read(in, buf, sizeof(buf)) == 64);
	CHECK(!unlink(in_dir("after")));
	unlink(in_dir("before"));
}

/* The restarter's descriptor is waited for; and the wait goes on. */
SUBJECT_TEST(waits_for_a_standard_stream)
{
	int ep = new_epoll(), other = new_eventfd(0);
	struct epoll_event event;

	add(ep, 0, EPOLLIN, 1);
	add(ep, other, EPOLLIN, 2);
	if (subject_how == ITSELF)
		CHECK(sys_checkpoint(0, 2, CHECKPOINT_LOG, 1) >= 0);
	else
		say(SAY_READY);
	CHECK(epoll_wait(ep, &event, 1, -1) == 1);
	CHECK(event.data.u64 == 1 && event.events & EPOLLIN);
	wait_go();
}

/* And by edges: new input is news, though it has been reported before. */
SUBJECT_TEST(waits_for_a_standard_stream_by_edges)
{
	int ep = new_epoll();
	struct epoll_event event;

	add(ep, 0, EPOLLIN | EPOLLET, 1);
	if (subject_how == ITSELF)
		CHECK(sys_checkpoint(0, 2, CHECKPOINT_LOG, 1) >= 0);
	else
		say(SAY_READY);
	CHECK(epoll_wait(ep, &event, 1, PATIENCE) == 1);
	CHECK(event.data.u64 == 1);
	wait_go();
}

/* What is left of a time limit is waited for, no more and no less. */
SUBJECT_TEST(wait_with_a_time_limit)
{
	int ep = new_epoll(), fd = new_eventfd(0);
	struct epoll_event event;
	__u64 begin;

	add(ep, fd, EPOLLIN, 1);
	if (subject_how == ITSELF) {
		checkpoint_here();
		CHECK(!epoll_wait(ep, &event, 1, 10));
		return;
	}
	begin = now_ns(CLOCK_MONOTONIC);
	say(SAY_READY);
	CHECK(!epoll_wait(ep, &event, 1, 2000));
	CHECK(now_ns(CLOCK_MONOTONIC) - begin >= 2000000000);
	wait_go();
}

SUBJECT_TEST(many_items)
{
	static int fd[300], p[300];
	int ep = new_epoll(), i, n = 0;
	struct epoll_event event[700];

	for (i = 0; i < 300; i++) {
		int ends[2];

		fd[i] = new_eventfd(i % 2);
		CHECK(!pipe(ends));
		p[i] = ends[0];
		close(ends[1]);
		add(ep, fd[i], EPOLLIN | EPOLLET, i);
		add(ep, p[i], EPOLLIN, 1000 + i);
	}
	checkpoint_and_compare(ep);
	CHECK(epoll_wait(ep, event, 700, 0) == 450);
	for (i = 0; i < 450; i++)
		n += event[i].data.u64 < 1000;
	CHECK(n == 150);
	CHECK(epoll_wait(ep, event, 700, 0) == 300);
	for (i = 0; i < 300; i++)
		CHECK(event[i].events == EPOLLHUP);
}

TEST_HARNESS_MAIN
