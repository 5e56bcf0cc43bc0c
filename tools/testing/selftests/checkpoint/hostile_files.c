// SPDX-License-Identifier: GPL-2.0
/*
 * Images of a process with epoll instances, inotify instances and their like,
 * in which somebody changed something, with checksums that fit. The restart
 * fails, says why, and leaves its caller what it was.
 */
#include "caller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Instances of epoll, each of which waits for one eventfd. */
#define NR_EPOLL	7

static void many_files(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = eventfd(1, 0), in = inotify_init1(0), plain, i, p[2];
	sigset_t set;

	CHECK(fd >= 0 && in >= 0 && !pipe(p));
	for (i = 0; i < NR_EPOLL; i++) {
		int ep = epoll_create1(0);

		CHECK(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	}
	/* The last one waits for something else, too. */
	CHECK(!epoll_ctl(fd + 3 + NR_EPOLL, EPOLL_CTL_ADD, p[0], &event));
	CHECK(make_file("a", "x", 1) && make_file("b", "x", 1));
	plain = open(in_dir("a"), O_RDONLY);
	CHECK(plain >= 0);
	CHECK(inotify_add_watch(in, in_dir("a"), IN_MODIFY) == 1);
	CHECK(inotify_add_watch(in, in_dir("b"), IN_MODIFY) == 2);
	CHECK(inotify_add_watch(in, subject_dir, IN_CREATE) == 3);
	CHECK(make_file("c", "x", 1) && make_file("d", "x", 1));
	sigemptyset(&set);
	CHECK(signalfd(-1, &set, 0) >= 0);
	CHECK(syscall(SYS_pidfd_open, getpid(), 0) >= 0);
	checkpoint_here();
}

FIXTURE(hostile)
{
	struct subject s;
	struct walk w;
};

/* @craft changes the image; the restart fails with @err and says @what. */
FIXTURE_VARIANT(hostile)
{
	void (*craft)(struct walk *w);
	int err;
	const char *what;
};

FIXTURE_SETUP(hostile)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	ASSERT_TRUE(subject_start(&self->s, many_files, LEFT));
	ASSERT_TRUE(subject_checkpoint(&self->s, LEFT, 0));
	self->w = walk_file(self->s.image);
	ASSERT_EQ(NULL, self->w.wrong);
}

FIXTURE_TEARDOWN(hostile)
{
	/* Whatever becomes of its image is nothing to it. */
	subject_finish(&self->s, "the one that went on");
	subject_close(&self->s);
	walk_free(&self->w);
	remove_dir();
}

struct verdict {
	char text[1024];
	char log[1024];
};

/* The child: what it sees of itself is the same before and afterwards. */
static void call_and_compare(struct verdict *v, int fd, int err, const char *what)
{
	static struct snapshot before, after;
	int logfd = tmp_memfd(), got;
	long ret;

	decorate();
	/* Twice: what the first one touches is there for the second. */
	take_snapshot(&before);
	take_snapshot(&before);
	ret = sys_restart(0, fd, CHECKPOINT_LOG, logfd);
	got = errno;
	if (pread(logfd, v->log, sizeof(v->log) - 1, 0) < 0)
		_exit(3);
	take_snapshot(&after);
	if (ret != -1)
		put_text(v->text, "it was not refused");
	else if (got != err)
		snprintf(v->text, sizeof(v->text), "errno %d (%s)", got,
			 strerror(got));
	else if (strncmp(v->log, "restart: ", 9) || !one_printable_line(v->log))
		put_text(v->text, "the log is not one line");
	else if (!strstr(v->log, what))
		snprintf(v->text, sizeof(v->text), "'%s' is not in the log", what);
	else if (same_snapshots(&before, &after, v->text, sizeof(v->text)))
		_exit(0);
	_exit(4);
}

TEST_F(hostile, refused)
{
	struct verdict *v = shared(sizeof(*v));
	int status, fd = tmp_memfd();
	pid_t pid;

	ASSERT_TRUE(!!v);
	variant->craft(&self->w);
	walk_seal(&self->w);
	ASSERT_TRUE(write_all(fd, self->w.buf, self->w.len));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Who becomes the subject by mistake comes to the end. */
		settle(-1, -1, -1);
		call_and_compare(v, fd, variant->err, variant->what);
	}
	status = wait_ms(pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status))
		TH_LOG("status %#x: %s; log '%s'", status, v->text, v->log);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fd);
	munmap(v, sizeof(*v));
}

#define HOSTILE(name, number, text) \
	static void craft_##name(struct walk *w); \
	FIXTURE_VARIANT_ADD(hostile, name) { \
		.craft = craft_##name, .err = (number), .what = (text), \
	}; \
	static void craft_##name(struct walk *w)

/* The number of the first open file of a kind. */
static __u32 file_of_kind(struct walk *w, __u32 kind)
{
	struct rec *r;
	int i;

	for (i = 0; (r = walk_nth(w, CR_HDR_FILE, i)); i++) {
		struct cr_hdr_file *file = walk_payload(w, r);

		if (file->kind == kind)
			return file->objref;
	}
	return 0;
}

static struct cr_hdr_epoll_item *item(struct walk *w, int nth)
{
	return walk_payload(w, walk_nth(w, CR_HDR_EPOLL_ITEM, nth));
}

static struct cr_hdr_watch *watch(struct walk *w, int nth)
{
	return walk_payload(w, walk_nth(w, CR_HDR_WATCH, nth));
}

/* The data of an object, and its announcement. */
static void *data_of(struct walk *w, __u32 objref, struct cr_hdr_data **data,
		     size_t *len)
{
	struct rec *r;
	int i;

	for (i = 0; (r = walk_nth(w, CR_HDR_DATA, i)); i++) {
		*data = walk_payload(w, r);
		*len = r->bulk_len;
		if ((*data)->objref == objref)
			return w->buf + r->bulk;
	}
	return NULL;
}

/* Changes one event of the queue, and makes its checksum right. */
static void change_event(struct walk *w, size_t at, const struct inotify_event *change)
{
	struct cr_hdr_data *data;
	struct inotify_event event;
	size_t len;
	__u8 *bytes = data_of(w, file_of_kind(w, CR_FILE_INOTIFY), &data, &len);

	if (!bytes || at + sizeof(event) > len)
		return;
	memcpy(bytes + at, change, sizeof(event));
	data->crc = crc32c(bytes, len);
}

/* epoll */

HOSTILE(item_to_itself, EINVAL, "it cannot be added")
{
	item(w, 0)->target = item(w, 0)->objref;
}

HOSTILE(items_in_a_circle, ELOOP, "in a circle")
{
	item(w, 0)->target = item(w, 3)->objref;
	item(w, 3)->target = item(w, 5)->objref;
	item(w, 5)->target = item(w, 0)->objref;
}

HOSTILE(items_too_deep, ELOOP, "too deep")
{
	int i;

	for (i = 0; i < NR_EPOLL - 1; i++)
		item(w, i)->target = item(w, i + 1)->objref;
}

/* And the other way round, where each link is below those that are there. */
HOSTILE(items_too_deep_from_below, ELOOP, "too deep")
{
	int i;

	for (i = 1; i < NR_EPOLL; i++)
		item(w, i)->target = item(w, i - 1)->objref;
}

HOSTILE(item_twice, EEXIST, "it is there twice")
{
	item(w, NR_EPOLL)->target = item(w, NR_EPOLL - 1)->target;
	item(w, NR_EPOLL)->fd = item(w, NR_EPOLL - 1)->fd;
}

HOSTILE(item_of_a_plain_file, EPERM, "it cannot be polled")
{
	item(w, 2)->target = file_of_kind(w, CR_FILE_REG);
}

HOSTILE(item_of_no_file, EINVAL, "epoll item: object")
{
	item(w, 2)->target = ((struct cr_hdr_pipe *)walk_find(w, CR_HDR_PIPE))->objref;
}

HOSTILE(item_of_nothing, EINVAL, "target")
{
	item(w, 2)->target = 100000;
}

HOSTILE(item_of_no_instance, EINVAL, "epoll item: object")
{
	item(w, 0)->objref = file_of_kind(w, CR_FILE_EVENTFD);
}

HOSTILE(item_with_a_negative_descriptor, EINVAL, "fd")
{
	item(w, 1)->fd = -1;
}

HOSTILE(item_with_unknown_flags, EINVAL, "flags")
{
	item(w, 1)->flags |= 0x80;
}

HOSTILE(exclusive_instance, EINVAL, "it cannot be added")
{
	item(w, 0)->events |= 1U << 28;
	item(w, 0)->target = item(w, 1)->objref;
}

HOSTILE(fewer_items_than_announced, EINVAL, "EPOLL_ITEM")
{
	((struct cr_hdr_files *)walk_find(w, CR_HDR_FILES))->nr_epoll_items++;
}

/* inotify */

HOSTILE(watch_descriptor_0, EINVAL, "wd")
{
	watch(w, 0)->wd = 0;
}

HOSTILE(watch_descriptors_that_descend, EINVAL, "wd")
{
	watch(w, 1)->wd = 1;
}

HOSTILE(watch_with_unknown_mask, EINVAL, "mask")
{
	watch(w, 0)->mask |= 0x01000000;
}

HOSTILE(watch_of_the_same_twice, EEXIST, "it is watched already")
{
	watch(w, 1)->target = watch(w, 0)->target;
}

HOSTILE(watch_of_no_path, EINVAL, "no path")
{
	watch(w, 0)->target = file_of_kind(w, CR_FILE_EVENTFD);
}

HOSTILE(watch_of_no_instance, EINVAL, "no instance")
{
	watch(w, 0)->objref = file_of_kind(w, CR_FILE_EVENTFD);
}

HOSTILE(last_watch_descriptor_negative, EINVAL, "last_wd")
{
	((struct cr_hdr_inotify *)walk_find(w, CR_HDR_INOTIFY))->last_wd = -1;
}

/* One event has 16 bytes and a name of 16. */
HOSTILE(event_longer_than_all, EINVAL, "")
{
	change_event(w, 32, &(struct inotify_event) {
		.wd = 3, .mask = IN_CREATE, .len = 32,
	});
}

HOSTILE(event_of_no_end, EINVAL, "")
{
	change_event(w, 0, &(struct inotify_event) {
		.wd = 3, .mask = IN_CREATE, .len = 0xfffffff0,
	});
}

HOSTILE(event_with_bytes_that_are_no_name, EINVAL, "")
{
	change_event(w, 0, &(struct inotify_event) {
		.wd = 3, .mask = IN_CREATE, .len = 15,
	});
}

HOSTILE(event_with_unknown_mask, EINVAL, "")
{
	change_event(w, 0, &(struct inotify_event) {
		.wd = 3, .mask = IN_ONESHOT, .len = 16,
	});
}

HOSTILE(overflow_of_a_watch, EINVAL, "")
{
	change_event(w, 0, &(struct inotify_event) {
		.wd = 3, .mask = IN_Q_OVERFLOW, .len = 16,
	});
}

HOSTILE(fewer_events_than_announced, EINVAL, "2 inotify events instead of 3")
{
	((struct cr_hdr_inotify *)walk_find(w, CR_HDR_INOTIFY))->nr_events = 3;
}

HOSTILE(more_events_than_announced, EINVAL, "")
{
	((struct cr_hdr_inotify *)walk_find(w, CR_HDR_INOTIFY))->nr_events = 1;
}

HOSTILE(events_that_do_not_begin_at_0, EINVAL, "")
{
	struct cr_hdr_data *data;
	size_t len;

	if (data_of(w, file_of_kind(w, CR_FILE_INOTIFY), &data, &len))
		data->offset = 32;
}

/* The others */

HOSTILE(eventfd_with_unknown_flags, EINVAL, "flags")
{
	((struct cr_hdr_eventfd *)walk_find(w, CR_HDR_EVENTFD))->flags = 2;
}

HOSTILE(signalfd_of_kill, EINVAL, "mask")
{
	((struct cr_hdr_signalfd *)walk_find(w, CR_HDR_SIGNALFD))->mask = 1 << (SIGKILL - 1);
}

/* It is there, but began at another time: its pid was another process' then. */
HOSTILE(pidfd_of_another, ESRCH, "that process is gone")
{
	((struct cr_hdr_pidfd *)walk_find(w, CR_HDR_PIDFD))->pid = 1;
	((struct cr_hdr_pidfd *)walk_find(w, CR_HDR_PIDFD))->start_boottime = 4711;
}

HOSTILE(pidfd_of_nobody, EINVAL, "pid")
{
	((struct cr_hdr_pidfd *)walk_find(w, CR_HDR_PIDFD))->pid = 0;
}

TEST_HARNESS_MAIN
