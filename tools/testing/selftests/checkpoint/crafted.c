// SPDX-License-Identifier: GPL-2.0
/*
 * Images that somebody made, with a checksum that is right: each is wrong in
 * one way, and restart(2) must find it, say where, and leave the caller alone.
 */
#include "ckpt_util.h"

FIXTURE(crafted)
{
	struct image img;
	int fd;
};

/*
 * @craft changes a good image, whose checksum is made right afterwards unless
 * @unsealed. The log must have @what in it, at the offset of @record.
 */
FIXTURE_VARIANT(crafted)
{
	void (*craft)(struct image *img);
	int record;
	const char *what;
	bool unsealed;
	int err;		/* EINVAL if 0 */
};

FIXTURE_SETUP(crafted)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	img_default(&self->img);
	/* It is good before: what is refused is the change. */
	self->fd = img_memfd(&self->img);
	ASSERT_LE(0, self->fd);
	EXPECT_RESTORED(try_restart(0, self->fd), RESTORED);
	close(self->fd);
	variant->craft(&self->img);
	if (!variant->unsealed)
		img_seal(&self->img);
}

FIXTURE_TEARDOWN(crafted)
{
}

static void check_crafted(struct __test_metadata *_metadata,
			  struct _test_data_crafted *self, int fd,
			  const struct _fixture_variant_crafted *variant)
{
	struct outcome o;
	char where[64];

	ASSERT_LE(0, fd);
	/* The record is looked for in a good image: its place is the same. */
	snprintf(where, sizeof(where), "image offset ");
	if (variant->record) {
		struct image *good = malloc(sizeof(*good));

		ASSERT_TRUE(!!good);
		img_default(good);
		snprintf(where, sizeof(where), "image offset %zu: ",
			 img_offset(good, variant->record));
		free(good);
	}
	o = try_restart(0, fd);
	EXPECT_RESTART_REFUSED(o, variant->err ?: EINVAL, where);
	EXPECT_RESTART_REFUSED(o, variant->err ?: EINVAL, variant->what);
	close(fd);
	/* Nobody who is refused has to wait for a writer to say more. */
	EXPECT_GE((long)self->img.len, log_offset(o.log));
}

TEST_F(crafted, refused_from_a_file)
{
	check_crafted(_metadata, self, img_memfd(&self->img), variant);
}

TEST_F(crafted, refused_from_a_pipe)
{
	check_crafted(_metadata, self, img_pipe(&self->img), variant);
}

/*
 * CRAFT() - one way to spoil an image: a variant, and the function, whose body
 * follows, that does it to @img.
 */
#define CRAFT(name, rec, text, ...) \
	static void craft_##name(struct image *img); \
	FIXTURE_VARIANT_ADD(crafted, name) { \
		.craft = craft_##name, .record = (rec), .what = (text), \
		##__VA_ARGS__ \
	}; \
	static void craft_##name(struct image *img)

/* CRAFT_ONE() - the same where @change, a statement, is all that there is to it. */
#define CRAFT_ONE(name, rec, text, change) \
	static void craft_##name(struct image *img) \
	{ \
		change; \
	} \
	FIXTURE_VARIANT_ADD(crafted, name) { \
		.craft = craft_##name, .record = (rec), .what = (text), \
	}

static struct cr_hdr *hdr(struct image *img, int type)
{
	return img_find(img, type);
}

/* Swaps a record with the one behind it. */
static void swap_with_next(struct image *img, int type)
{
	struct cr_hdr *h = img_find(img, type), copy = *h;
	__u8 payload[512], *behind;

	memcpy(payload, h + 1, copy.len);
	img_remove(img, type);
	/* The one that was next now stands where @type did. */
	behind = (__u8 *)h + REC_SIZE(h->len);
	if (behind == img->buf + img->len)
		img_put(img, copy.type, payload, copy.len);
	else
		img_insert(img, ((struct cr_hdr *)behind)->type, copy.type,
			   payload, copy.len);
}

static void twice(struct image *img, int type)
{
	struct cr_hdr *h = img_find(img, type);
	__u8 payload[512];
	size_t len = h->len;

	memcpy(payload, h + 1, len);
	img_insert(img, type, type, payload, len);
}

/* Which records, how many, in which order */

CRAFT_ONE(head_missing, CR_HDR_HEAD, "HEAD", img_remove(img, CR_HDR_HEAD));
CRAFT_ONE(task_missing, CR_HDR_TASK, "TASK", img_remove(img, CR_HDR_TASK));
CRAFT_ONE(comm_missing, CR_HDR_STRING, "STRING",
	  img_remove(img, CR_HDR_STRING));
CRAFT_ONE(stats_missing, CR_HDR_TASK_STATS, "TASK_STATS",
	  img_remove(img, CR_HDR_TASK_STATS));

CRAFT(tail_missing, CR_HDR_TAIL, "", .unsealed = true, .err = EPIPE)
{
	img_remove(img, CR_HDR_TAIL);
}

CRAFT_ONE(head_twice, CR_HDR_TASK, "HEAD", twice(img, CR_HDR_HEAD));
CRAFT_ONE(task_twice, CR_HDR_STRING, "TASK", twice(img, CR_HDR_TASK));
CRAFT_ONE(comm_twice, CR_HDR_TASK_STATS, "STRING", twice(img, CR_HDR_STRING));
CRAFT_ONE(stats_twice, CR_HDR_TAIL, "TASK_STATS",
	  twice(img, CR_HDR_TASK_STATS));
CRAFT_ONE(task_before_head, CR_HDR_HEAD, "TASK",
	  swap_with_next(img, CR_HDR_HEAD));
CRAFT_ONE(comm_before_task, CR_HDR_TASK, "STRING",
	  swap_with_next(img, CR_HDR_TASK));
CRAFT_ONE(stats_before_comm, CR_HDR_STRING, "TASK_STATS",
	  swap_with_next(img, CR_HDR_STRING));

CRAFT(tail_before_stats, CR_HDR_TASK_STATS, "TAIL", .unsealed = true)
{
	swap_with_next(img, CR_HDR_TASK_STATS);
	img_tail(img)->cksum = crc32c(img->buf, img_offset(img, CR_HDR_TAIL));
}

CRAFT(tail_first, CR_HDR_HEAD, "TAIL")
{
	struct cr_hdr_tail tail = { .magic = CHECKPOINT_MAGIC_TAIL };

	img_insert(img, CR_HDR_HEAD, CR_HDR_TAIL, &tail, sizeof(tail));
}

CRAFT(tail_after_head, CR_HDR_TASK, "TAIL")
{
	struct cr_hdr_tail tail = { .magic = CHECKPOINT_MAGIC_TAIL };

	tail.cksum = crc32c(img->buf, img_offset(img, CR_HDR_TASK));
	img_insert(img, CR_HDR_TASK, CR_HDR_TAIL, &tail, sizeof(tail));
}

CRAFT(two_tasks, CR_HDR_TAIL, "TASK")
{
	struct image more;

	img_default(&more);
	img_insert(img, CR_HDR_TAIL, CR_HDR_TASK, img_task(&more),
		   sizeof(struct cr_hdr_task));
	img_insert(img, CR_HDR_TAIL, CR_HDR_STRING, "second\0\0\0\0\0\0\0\0\0",
		   COMM_LEN);
	img_insert(img, CR_HDR_TAIL, CR_HDR_TASK_STATS, img_stats(&more),
		   sizeof(struct cr_hdr_task_stats));
}

/* Types */

CRAFT_ONE(type_zero, CR_HDR_TASK, "type", hdr(img, CR_HDR_TASK)->type = 0);
CRAFT_ONE(type_negative, CR_HDR_TASK, "-101",
	  hdr(img, CR_HDR_TASK)->type = -101);
CRAFT_ONE(type_unknown, CR_HDR_TASK_STATS, "4242",
	  hdr(img, CR_HDR_TASK_STATS)->type = 4242);
CRAFT_ONE(type_unknown_inserted, CR_HDR_TAIL, "4242",
	  img_insert(img, CR_HDR_TAIL, 4242, "12345678", 8));
CRAFT_ONE(type_largest, CR_HDR_TAIL, "32767",
	  hdr(img, CR_HDR_TAIL)->type = 32767);
CRAFT_ONE(thread_inserted, CR_HDR_TAIL, "THREAD",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_THREAD, "12345678", 8));
CRAFT_ONE(cpu_inserted, CR_HDR_TAIL, "CPU",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_CPU, "12345678", 8));
CRAFT_ONE(mm_inserted, CR_HDR_TAIL, "MM",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_MM, "12345678", 8));
CRAFT_ONE(vma_inserted, CR_HDR_TAIL, "VMA",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_VMA, "", 0));
CRAFT_ONE(mm_context_inserted, CR_HDR_TAIL, "MM_CONTEXT",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_MM_CONTEXT, "12345678", 8));

CRAFT(pages_without_a_process, CR_HDR_TAIL, "PAGES")
{
	struct cr_hdr_pages pages = { 0 };

	img_insert(img, CR_HDR_TAIL, CR_HDR_PAGES, &pages, sizeof(pages));
}

CRAFT(data_without_an_object, CR_HDR_TAIL, "DATA")
{
	struct cr_hdr_data data = { .objref = 1 };

	img_insert(img, CR_HDR_TAIL, CR_HDR_DATA, &data, sizeof(data));
}

CRAFT_ONE(pad_before_tail, CR_HDR_TAIL, "PAD",
	  img_insert(img, CR_HDR_TAIL, CR_HDR_PAD, "\0\0\0\0\0\0\0", 8));

CRAFT(creds_and_no_more, 0, "TAIL: expected SECCOMP here")
{
	struct cr_hdr_creds creds = { 0 };

	img_insert(img, CR_HDR_TAIL, CR_HDR_CREDS, &creds, sizeof(creds));
}

CRAFT_ONE(mm_first, CR_HDR_HEAD, "MM",
	  img_insert(img, CR_HDR_HEAD, CR_HDR_MM, "12345678", 8));

/* Lengths */

CRAFT_ONE(head_len_negative, CR_HDR_HEAD, "len",
	  hdr(img, CR_HDR_HEAD)->len = -1);
CRAFT_ONE(task_len_negative, CR_HDR_TASK, "len",
	  hdr(img, CR_HDR_TASK)->len = -1);
CRAFT_ONE(comm_len_negative, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = -16);
CRAFT_ONE(comm_len_most_negative, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = -32768);
CRAFT_ONE(stats_len_negative, CR_HDR_TASK_STATS, "len",
	  hdr(img, CR_HDR_TASK_STATS)->len = -1);
CRAFT_ONE(tail_len_negative, CR_HDR_TAIL, "len",
	  hdr(img, CR_HDR_TAIL)->len = -1);
CRAFT_ONE(head_len_zero, CR_HDR_HEAD, "len", hdr(img, CR_HDR_HEAD)->len = 0);
CRAFT_ONE(task_len_zero, CR_HDR_TASK, "len", hdr(img, CR_HDR_TASK)->len = 0);
CRAFT_ONE(comm_len_zero, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = 0);
CRAFT_ONE(stats_len_zero, CR_HDR_TASK_STATS, "len",
	  hdr(img, CR_HDR_TASK_STATS)->len = 0);
CRAFT_ONE(tail_len_zero, CR_HDR_TAIL, "len", hdr(img, CR_HDR_TAIL)->len = 0);
CRAFT_ONE(head_len_too_small, CR_HDR_HEAD, "len",
	  hdr(img, CR_HDR_HEAD)->len -= 8);

/* v9's record, without what came after it. */
CRAFT(head_of_v9, CR_HDR_HEAD, "len")
{
	struct cr_hdr_head head = *img_head(img);

	img_remove(img, CR_HDR_HEAD);
	img_insert(img, CR_HDR_TASK, CR_HDR_HEAD, &head, sizeof(head) - 8);
}

CRAFT_ONE(head_len_too_large, CR_HDR_HEAD, "len",
	  hdr(img, CR_HDR_HEAD)->len += 8);
CRAFT_ONE(head_len_largest, CR_HDR_HEAD, "len",
	  hdr(img, CR_HDR_HEAD)->len = 32767);
CRAFT_ONE(task_len_too_small, CR_HDR_TASK, "len",
	  hdr(img, CR_HDR_TASK)->len = 20);
CRAFT_ONE(task_len_too_large, CR_HDR_TASK, "len",
	  hdr(img, CR_HDR_TASK)->len = 65);

CRAFT(task_longer, CR_HDR_TASK, "len")
{
	struct {
		struct cr_hdr_task task;
		__u64 more;
	} longer = { .task = *img_task(img) };

	img_remove(img, CR_HDR_TASK);
	img_insert(img, CR_HDR_STRING, CR_HDR_TASK, &longer, sizeof(longer));
}

CRAFT(stats_shorter, CR_HDR_TASK_STATS, "len")
{
	struct cr_hdr_task_stats stats = *img_stats(img);

	img_remove(img, CR_HDR_TASK_STATS);
	img_insert(img, CR_HDR_TAIL, CR_HDR_TASK_STATS, &stats,
		   sizeof(stats) - 8);
}

CRAFT_ONE(tail_len_too_large, CR_HDR_TAIL, "len",
	  hdr(img, CR_HDR_TAIL)->len = 24);

/* v9's: a magic number and no checksum. */
CRAFT(tail_of_v9, CR_HDR_TAIL, "len", .unsealed = true)
{
	hdr(img, CR_HDR_TAIL)->len = 8;
	img->len -= 8;
}

/* Parents: no record belongs to an object here */

CRAFT_ONE(head_parent, CR_HDR_HEAD, "parent",
	  hdr(img, CR_HDR_HEAD)->parent = 1);
CRAFT_ONE(task_parent, CR_HDR_TASK, "parent",
	  hdr(img, CR_HDR_TASK)->parent = 1);
CRAFT_ONE(comm_parent, CR_HDR_STRING, "parent",
	  hdr(img, CR_HDR_STRING)->parent = 1);
CRAFT_ONE(stats_parent, CR_HDR_TASK_STATS, "parent",
	  hdr(img, CR_HDR_TASK_STATS)->parent = ~0U);
CRAFT_ONE(tail_parent, CR_HDR_TAIL, "parent",
	  hdr(img, CR_HDR_TAIL)->parent = 0x80000000);

/* Values of HEAD */

CRAFT_ONE(magic, CR_HDR_HEAD, "magic", img_head(img)->magic++);
CRAFT_ONE(magic_of_tail, CR_HDR_HEAD, "magic",
	  img_head(img)->magic = CHECKPOINT_MAGIC_TAIL);
CRAFT_ONE(major, CR_HDR_HEAD, "major", img_head(img)->major++);
CRAFT_ONE(minor, CR_HDR_HEAD, "minor", img_head(img)->minor--);
CRAFT_ONE(patch, CR_HDR_HEAD, "patch", img_head(img)->patch++);
CRAFT_ONE(rev_of_v9, CR_HDR_HEAD, "rev", img_head(img)->rev = 1);
CRAFT_ONE(rev_of_the_future, CR_HDR_HEAD, "rev", img_head(img)->rev = 3);
CRAFT_ONE(flags_unknown, CR_HDR_HEAD, "flags",
	  img_head(img)->flags = RESTART_RELAXED_FILES);
CRAFT_ONE(flags_high, CR_HDR_HEAD, "flags", img_head(img)->flags = 1ULL << 63);
CRAFT_ONE(flags_beside_known, CR_HDR_HEAD, "flags",
	  img_head(img)->flags = CHECKPOINT_LOG | 1ULL << 32);
CRAFT_ONE(release, CR_HDR_HEAD, "release", img_head(img)->release[0] ^= 1);
CRAFT_ONE(release_empty, CR_HDR_HEAD, "release",
	  memset(img_head(img)->release, 0, CR_UTS_LEN));

CRAFT(release_longer, CR_HDR_HEAD, "release")
{
	char *release = img_head(img)->release;

	release[strnlen(release, CR_UTS_LEN - 1)] = '+';
}

CRAFT(release_prefix, CR_HDR_HEAD, "release")
{
	char *release = img_head(img)->release;

	release[strnlen(release, CR_UTS_LEN) - 1] = 0;
}

CRAFT_ONE(release_behind_nul, CR_HDR_HEAD, "release",
	  img_head(img)->release[CR_UTS_LEN - 1] = 'x');
CRAFT_ONE(release_full, CR_HDR_HEAD, "release",
	  memset(img_head(img)->release, 'r', CR_UTS_LEN));

/* What is printed of it must not become a line, or more, of its own. */
CRAFT(release_with_newlines, CR_HDR_HEAD, "release")
{
	static const char hostile[] = "\nrestart: ok\n\r\033[2J\177\xff%s%n";

	memcpy(img_head(img)->release, hostile, sizeof(hostile));
}

CRAFT_ONE(version, CR_HDR_HEAD, "version", img_head(img)->version[1] ^= 1);
CRAFT_ONE(version_behind_nul, CR_HDR_HEAD, "version",
	  img_head(img)->version[CR_UTS_LEN - 1] ^= 'x');
CRAFT_ONE(machine, CR_HDR_HEAD, "machine",
	  img_uts(img_head(img)->machine, "pdp11"));
CRAFT_ONE(machine_behind_nul, CR_HDR_HEAD, "machine",
	  img_head(img)->machine[CR_UTS_LEN - 1] = 'x');
CRAFT_ONE(crid_zero, CR_HDR_HEAD, "crid", img_head(img)->crid = 0);
CRAFT_ONE(crid_negative, CR_HDR_HEAD, "crid", img_head(img)->crid = -1);
CRAFT_ONE(crid_minimum, CR_HDR_HEAD, "crid", img_head(img)->crid = INT_MIN);
CRAFT_ONE(page_size_zero, CR_HDR_HEAD, "page_size",
	  img_head(img)->page_size = 0);
CRAFT_ONE(page_size_other, CR_HDR_HEAD, "page_size",
	  img_head(img)->page_size *= 4);
CRAFT_ONE(page_size_odd, CR_HDR_HEAD, "page_size", img_head(img)->page_size++);

/* Values of TASK */

CRAFT_ONE(exit_state_zombie, CR_HDR_TASK, "exit_state",
	  img_task(img)->exit_state = 32);
CRAFT_ONE(exit_state_high, CR_HDR_TASK, "exit_state",
	  img_task(img)->exit_state = 0x80000000);

/* Nobody is to be made of a task that has ended, or whose threads do not come. */
CRAFT(exit_state_outlived, CR_HDR_TASK, "threads live on")
{
	img_task(img)->exit_state = CR_EXIT_ZOMBIE;
	img_task(img)->flags = CR_TASK_OUTLIVED;
}

CRAFT_ONE(exit_code_of_a_live_task, CR_HDR_TASK, "exit_code",
	  img_task(img)->exit_code = 1);
CRAFT_ONE(head_nr_tasks_zero, CR_HDR_HEAD, "nr_tasks",
	  img_head(img)->nr_tasks = 0);
CRAFT_ONE(head_nr_tasks_over_limit, CR_HDR_HEAD, "over the limit of 65536",
	  img_head(img)->nr_tasks = CR_TASKS_MAX + 1);
CRAFT_ONE(head_nr_tasks_largest, CR_HDR_HEAD, "nr_tasks",
	  img_head(img)->nr_tasks = ~0U);

/* One that is not alone has a process. */
CRAFT_ONE(head_nr_tasks_two, CR_HDR_TAIL, "TAIL: expected CREDS here",
	  img_head(img)->nr_tasks = 2);
CRAFT_ONE(head_pid_zero, CR_HDR_HEAD, "pid", img_head(img)->pid = 0);
CRAFT_ONE(head_pid_negative, CR_HDR_HEAD, "pid", img_head(img)->pid = -1);
CRAFT_ONE(task_pid_zero, CR_HDR_TASK, "pid", img_task(img)->pid = 0);
CRAFT_ONE(task_pid_negative, CR_HDR_TASK, "pid", img_task(img)->pid = INT_MIN);
CRAFT_ONE(task_pgid_negative, CR_HDR_TASK, "pgid", img_task(img)->pgid = -1);
CRAFT_ONE(task_sid_negative, CR_HDR_TASK, "sid", img_task(img)->sid = -1);
CRAFT_ONE(task_state, CR_HDR_TASK, "state", img_task(img)->state = 1);
CRAFT_ONE(task_tgid_zero, CR_HDR_TASK, "tgid", img_task(img)->tgid = 0);

/* A thread, and no leader before it. */
CRAFT(task_tgid_of_another, CR_HDR_TASK, "tgid is ")
{
	img_task(img)->tgid = img_head(img)->pid + 1;
	img_task(img)->exit_signal = -1;
}

CRAFT_ONE(task_ppid, CR_HDR_TASK, "ppid", img_task(img)->ppid = getppid());
CRAFT_ONE(task_ppid_negative, CR_HDR_TASK, "ppid", img_task(img)->ppid = -1);
CRAFT_ONE(task_flags_of_a_live_task, CR_HDR_TASK, "flags",
	  img_task(img)->flags = CR_TASK_OUTLIVED);
CRAFT_ONE(task_flags_unknown, CR_HDR_TASK, "flags",
	  img_task(img)->flags = 0x80000000);

/* There is no task before it, not even itself. */
CRAFT_ONE(task_mm_of_another, CR_HDR_TASK, "mm 1 is over the limit of 0",
	  img_task(img)->mm = 1);
CRAFT_ONE(task_files_of_another, CR_HDR_TASK, "files 1 is over the limit of 0",
	  img_task(img)->files = 1);
CRAFT_ONE(task_fs_of_another, CR_HDR_TASK, "fs 1 is over the limit of 0",
	  img_task(img)->fs = 1);
CRAFT_ONE(task_sighand_of_another, CR_HDR_TASK, "sighand 1 is over the limit of 0",
	  img_task(img)->sighand = 1);
CRAFT_ONE(task_sighand_largest, CR_HDR_TASK, "sighand",
	  img_task(img)->sighand = ~0U);
CRAFT_ONE(task_vfork, CR_HDR_TASK, "vfork", img_task(img)->vfork = 1);
CRAFT_ONE(task_comm_len_zero, CR_HDR_TASK, "task_comm_len",
	  img_task(img)->task_comm_len = 0);
CRAFT_ONE(task_comm_len_zero_and_no_text, CR_HDR_TASK, "task_comm_len",
	  img_build(img, "", 0));
CRAFT_ONE(task_comm_len_negative, CR_HDR_TASK, "task_comm_len",
	  img_task(img)->task_comm_len = -1);
CRAFT_ONE(task_comm_len_minimum, CR_HDR_TASK, "task_comm_len",
	  img_task(img)->task_comm_len = INT_MIN);
CRAFT_ONE(task_comm_len_over_limit, CR_HDR_TASK, "over the limit of 4096",
	  img_task(img)->task_comm_len = 4097);
CRAFT_ONE(task_comm_len_of_16_bits, CR_HDR_TASK, "task_comm_len",
	  img_task(img)->task_comm_len = 65536 + 16);
CRAFT_ONE(task_comm_len_maximum, CR_HDR_TASK, "task_comm_len",
	  img_task(img)->task_comm_len = INT_MAX);
CRAFT_ONE(task_comm_len_above_text, CR_HDR_STRING, "len",
	  img_task(img)->task_comm_len = 17);
CRAFT_ONE(task_comm_len_below_text, CR_HDR_STRING, "len",
	  img_task(img)->task_comm_len = 15);
CRAFT_ONE(text_below_task_comm_len, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = 15);
CRAFT_ONE(text_above_task_comm_len, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = 4096);
CRAFT_ONE(text_largest, CR_HDR_STRING, "len",
	  hdr(img, CR_HDR_STRING)->len = 32767);

/* Padding */

CRAFT(padding_first_byte, CR_HDR_STRING, "padding")
{
	img_build(img, "13 bytes here", 13);
	((char *)img_payload(img, CR_HDR_STRING))[13] = 1;
}

CRAFT(padding_last_byte, CR_HDR_STRING, "padding")
{
	img_build(img, "9 bytes !", 9);
	((char *)img_payload(img, CR_HDR_STRING))[15] = 0x80;
}

/* Without any, what follows is not where it must be. */
CRAFT(padding_missing, 0, "image offset")
{
	__u8 *end = img->buf + img->len;
	__u8 *at;

	img_build(img, "9 bytes !", 9);
	end = img->buf + img->len;
	at = (__u8 *)img_find(img, CR_HDR_TASK_STATS);
	memmove(at - 7, at, end - at);
	img->len -= 7;
}

/* TAIL */

CRAFT_ONE(tail_magic, CR_HDR_TAIL, "magic", img_tail(img)->magic ^= 1);
CRAFT_ONE(tail_magic_of_head, CR_HDR_TAIL, "magic",
	  img_tail(img)->magic = CHECKPOINT_MAGIC_HEAD);

CRAFT(cksum_wrong, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum ^= 1;
}

CRAFT(cksum_zero, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum = 0;
}

CRAFT(cksum_high_bits, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum |= 1ULL << 32;
}

CRAFT(cksum_highest_bit, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum |= 1ULL << 63;
}

CRAFT(cksum_inverted, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum ^= 0xffffffff;
}

/* The same numbers, over all of the image with its TAIL. */
CRAFT(cksum_of_everything, CR_HDR_TAIL, "cksum", .unsealed = true)
{
	img_tail(img)->cksum = 0;
	img_tail(img)->cksum = crc32c(img->buf, img->len);
}

TEST_HARNESS_MAIN
