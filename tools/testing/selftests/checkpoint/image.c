// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint(2) writes: every field of every record against what the
 * kernel says about the task by other ways.
 */
#include "proc.h"

#include <sched.h>

/*
 * Who is saved: a child that does what it is told to by a letter on its
 * descriptor 0, and answers when it is done.
 */
struct worker {
	pid_t pid;
	int in;
	int out;
};

FIXTURE(image)
{
	int fd;
	long id;
	struct worker worker;
	struct walk w;
};

/* Uses the processor for @ms, in user mode or mostly in the kernel. */
static void burn(unsigned int ms, bool kernel)
{
	__u64 end = cpu_ns() + ms * MSEC;
	static char page[65536];
	int fd = kernel ? open("/dev/zero", O_RDONLY) : -1;
	unsigned int i;

	while (cpu_ns() < end) {
		if (kernel) {
			if (read(fd, page, sizeof(page)) < 0)
				break;
		} else {
			for (i = 0; i < 100000; i++)
				asm volatile("" : : : "memory");
		}
	}
	if (fd >= 0)
		close(fd);
}

static void fault_256_pages(void)
{
	size_t size = 256 * getpagesize(), i;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		_exit(1);
	madvise(mem, size, MADV_NOHUGEPAGE);
	for (i = 0; i < size; i += getpagesize())
		mem[i] = 1;
	munmap(mem, size);
}

static void work(const char *comm)
{
	struct rusage usage;
	char c, name[17];
	int i;

	set_comm(comm);
	while (read(0, &c, 1) == 1) {
		switch (c) {
		case 'b':
			burn(300, false);
			break;
		case 'k':
			burn(400, true);
			break;
		case 's':
			for (i = 0; i < 20; i++)
				sleep_ms(1);
			break;
		case 'f':
			fault_256_pages();
			break;
		case 'n':
			if (read_all(0, name, 16) != 16)
				_exit(1);
			name[16] = '\0';
			set_comm(name);
			break;
		case 'r':
			getrusage(RUSAGE_SELF, &usage);
			if (!write_all(1, &usage, sizeof(usage)))
				_exit(1);
			continue;
		}
		if (!write_all(1, &c, 1))
			_exit(1);
	}
	_exit(0);
}

/* @exit_signal as for clone(2). */
static bool worker_start(struct worker *wk, int exit_signal)
{
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	wk->pid = syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
	if (!wk->pid) {
		settle(in[0], out[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		work("imaged");
	}
	close(in[0]);
	close(out[1]);
	wk->in = in[1];
	wk->out = out[0];
	return wk->pid > 0 && proc_wait_comm(wk->pid, "imaged") &&
	       proc_wait_asleep(wk->pid);
}

static bool worker_does(struct worker *wk, char what)
{
	return write(wk->in, &what, 1) == 1 && read_byte(wk->out) == what &&
	       proc_wait_asleep(wk->pid);
}

static void worker_stop(struct worker *wk)
{
	close(wk->in);
	close(wk->out);
	kill(wk->pid, SIGKILL);
	waitpid(wk->pid, NULL, __WALL);
}

FIXTURE_SETUP(image)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->fd = tmp_memfd();
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(worker_start(&self->worker, SIGCHLD));
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(image)
{
	worker_stop(&self->worker);
	walk_free(&self->w);
	close(self->fd);
}

/* The worker's image, fresh; false if there is none. */
static bool take_flags(struct _test_data_image *self, unsigned long flags)
{
	int logfd = tmp_memfd();

	walk_free(&self->w);
	if (ftruncate(self->fd, 0) || lseek(self->fd, 0, SEEK_SET))
		return false;
	self->id = sys_checkpoint(self->worker.pid, self->fd, flags, logfd);
	close(logfd);
	if (self->id <= 0)
		return false;
	self->w = walk_file(self->fd);
	return !self->w.wrong;
}

static bool take(struct _test_data_image *self)
{
	return take_flags(self, 0);
}

static struct cr_hdr_head *head_of(struct _test_data_image *self)
{
	return walk_find(&self->w, CR_HDR_HEAD);
}

static struct cr_hdr_task *task_of(struct _test_data_image *self)
{
	return walk_find(&self->w, CR_HDR_TASK);
}

static struct cr_hdr_task_stats *stats_of(struct _test_data_image *self)
{
	return walk_find(&self->w, CR_HDR_TASK_STATS);
}

TEST_F(image, layout_of_the_abi)
{
	EXPECT_EQ(8UL, sizeof(struct cr_hdr));
	EXPECT_EQ(240UL, sizeof(struct cr_hdr_head));
	EXPECT_EQ(72UL, sizeof(struct cr_hdr_task));
	EXPECT_EQ(104UL, sizeof(struct cr_hdr_task_stats));
	EXPECT_EQ(144UL, sizeof(struct cr_hdr_thread));
	EXPECT_EQ(30 * 8UL, sizeof(struct cr_hdr_cpu));
	EXPECT_EQ(16UL, sizeof(struct cr_hdr_process));
	EXPECT_EQ(24UL, sizeof(struct cr_hdr_signals));
	EXPECT_EQ(136UL, sizeof(struct cr_hdr_siginfo));
	EXPECT_EQ(64UL, sizeof(struct cr_hdr_file));
	EXPECT_EQ(56UL, sizeof(struct cr_hdr_vma));
	EXPECT_EQ(16UL, sizeof(struct cr_extent));
	EXPECT_EQ(16UL, sizeof(struct cr_hdr_tail));
	EXPECT_EQ(488UL, IMG_SIZE);
	EXPECT_EQ(1, CR_HDR_HEAD);
	EXPECT_EQ(2, CR_HDR_STRING);
	EXPECT_EQ(101, CR_HDR_TASK);
	EXPECT_EQ(104, CR_HDR_TASK_STATS);
	EXPECT_EQ(201, CR_HDR_MM);
	EXPECT_EQ(5001, CR_HDR_TAIL);
}

TEST_F(image, records_and_checksum)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(NULL, walk_wrong(&self->w, self->id, "imaged"))
		TH_LOG("wrong %s", walk_wrong(&self->w, self->id, "imaged"));
	EXPECT_EQ(1UL, walk_count(&self->w, CR_HDR_TASK));
	EXPECT_EQ(1UL, walk_count(&self->w, CR_HDR_TAIL));
}

/* Nothing behind TAIL, and every announced number is kept. */
TEST_F(image, numbers_of_records)
{
	struct cr_hdr_process *process;
	struct cr_hdr_signals *signals;
	struct cr_hdr_thread *thread;
	struct cr_hdr_files *files;
	struct cr_hdr_mm *mm;
	struct rec *last;

	ASSERT_TRUE(take(self));
	last = &self->w.recs[self->w.nr - 1];
	EXPECT_EQ((size_t)file_size(self->fd), last->at + REC_SIZE(last->len));
	mm = walk_find(&self->w, CR_HDR_MM);
	files = walk_find(&self->w, CR_HDR_FILES);
	process = walk_find(&self->w, CR_HDR_PROCESS);
	signals = walk_find(&self->w, CR_HDR_SIGNALS);
	thread = walk_find(&self->w, CR_HDR_THREAD);
	ASSERT_TRUE(mm && files && process && signals && thread);
	EXPECT_EQ(mm->nr_vmas, walk_count(&self->w, CR_HDR_VMA));
	EXPECT_EQ(3U, files->count);
	EXPECT_EQ(files->count, walk_count(&self->w, CR_HDR_FD));
	EXPECT_EQ(process->nr_actions, walk_count(&self->w, CR_HDR_SIGACTION));
	EXPECT_EQ(process->nr_pending + signals->nr_pending,
		  walk_count(&self->w, CR_HDR_SIGINFO));
	EXPECT_EQ(thread->xstate_len, walk_nth(&self->w, CR_HDR_XSTATE, 0)->len);
	EXPECT_EQ(mm->auxv_len, walk_nth(&self->w, CR_HDR_AUXV, 0)->len);
}

/* Objects are numbered from 1 on, without a gap, and come before their use. */
TEST_F(image, objects_are_numbered)
{
	__u32 next = 1, objref;
	struct rec *r;
	size_t i;

	ASSERT_TRUE(take(self));
	for (i = 0; i < self->w.nr; i++) {
		r = &self->w.recs[i];
		switch (r->type) {
		case CR_HDR_FILE:
		case CR_HDR_PIPE:
		case CR_HDR_SHM:
			memcpy(&objref, walk_payload(&self->w, r), 4);
			EXPECT_EQ(next++, objref);
			break;
		case CR_HDR_FD:
			objref = ((struct cr_hdr_fd *)walk_payload(&self->w, r))->objref;
			EXPECT_TRUE(objref > 0 && objref < next);
			break;
		case CR_HDR_VMA:
			objref = ((struct cr_hdr_vma *)walk_payload(&self->w, r))->objref;
			EXPECT_GT(next, objref);
			break;
		}
	}
	EXPECT_LT(1U, next);
}

/* Extents ascend, are in one mapping each, and add up. */
TEST_F(image, extents_ascend)
{
	__u64 last = 0;
	size_t i, e;

	ASSERT_TRUE(take(self));
	ASSERT_LT(0UL, walk_count(&self->w, CR_HDR_PAGES));
	for (i = 0; i < self->w.nr; i++) {
		struct cr_hdr_pages *pages;
		struct cr_extent *ext;
		__u64 sum = 0;

		if (self->w.recs[i].type != CR_HDR_PAGES)
			continue;
		pages = walk_payload(&self->w, &self->w.recs[i]);
		ext = walk_payload(&self->w, &self->w.recs[i + 1]);
		EXPECT_EQ(1U, pages->task);
		EXPECT_EQ(0UL, self->w.recs[i].bulk % getpagesize());
		EXPECT_GE((__u32)CR_EXTENTS_MAX, pages->nr_extents);
		EXPECT_GE((__u32)CR_PAGES_MAX, pages->nr_pages);
		for (e = 0; e < pages->nr_extents; e++) {
			EXPECT_LE(last, ext[e].start);
			EXPECT_EQ(0ULL, ext[e].start % getpagesize());
			EXPECT_LT(0U, ext[e].nr_pages);
			last = ext[e].start + (__u64)ext[e].nr_pages * getpagesize();
			sum += ext[e].nr_pages;
		}
		EXPECT_EQ(sum, pages->nr_pages);
	}
}

TEST_F(image, head_magic_and_rev)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0x00feed0cc0a2d200ULL, head_of(self)->magic);
	EXPECT_EQ(2, head_of(self)->rev);
	EXPECT_EQ(CR_VERSION, head_of(self)->rev);
	EXPECT_EQ(1U, head_of(self)->nr_tasks);
}

TEST_F(image, head_kernel_version)
{
	struct cr_hdr_head here = this_kernel();

	ASSERT_TRUE(take(self));
	EXPECT_EQ(here.major, head_of(self)->major);
	EXPECT_EQ(here.minor, head_of(self)->minor);
	EXPECT_EQ(here.patch, head_of(self)->patch);
}

/* All 64 bytes: what is behind the text must not be kernel memory. */
TEST_F(image, head_utsname)
{
	struct cr_hdr_head here = this_kernel(), *head;

	ASSERT_TRUE(take(self));
	head = head_of(self);
	EXPECT_EQ(0, memcmp(here.release, head->release, CR_UTS_LEN));
	EXPECT_EQ(0, memcmp(here.version, head->version, CR_UTS_LEN));
	EXPECT_EQ(0, memcmp(here.machine, head->machine, CR_UTS_LEN));
}

TEST_F(image, head_time_is_now)
{
	__u64 before = now_ns(CLOCK_REALTIME_COARSE) / SEC, after;

	ASSERT_TRUE(take(self));
	after = now_ns(CLOCK_REALTIME) / SEC;
	EXPECT_LE(before, head_of(self)->time);
	EXPECT_GE(after, head_of(self)->time);
}

TEST_F(image, head_flags_are_those_of_the_call)
{
	ASSERT_TRUE(take_flags(self, 0));
	EXPECT_EQ(0ULL, head_of(self)->flags);
	ASSERT_TRUE(take_flags(self, CHECKPOINT_LOG));
	EXPECT_EQ((__u64)CHECKPOINT_LOG, head_of(self)->flags);
	ASSERT_TRUE(take_flags(self, CHECKPOINT_STOP));
	EXPECT_EQ((__u64)CHECKPOINT_STOP, head_of(self)->flags);
	ASSERT_TRUE(take_flags(self, CHECKPOINT_KILL));
	EXPECT_EQ((__u64)CHECKPOINT_KILL, head_of(self)->flags);
}

TEST_F(image, head_crid_is_the_returned_id)
{
	long last;

	ASSERT_TRUE(take(self));
	EXPECT_EQ(self->id, head_of(self)->crid);
	last = self->id;
	ASSERT_TRUE(take(self));
	EXPECT_EQ(self->id, head_of(self)->crid);
	EXPECT_NE(last, self->id);
}

TEST_F(image, head_page_size)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ((__u32)getpagesize(), head_of(self)->page_size);
}

TEST_F(image, task_is_running)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0U, task_of(self)->state);
	EXPECT_EQ(0U, task_of(self)->exit_state);
	EXPECT_EQ(0, task_of(self)->exit_code);
}

TEST_F(image, task_pids)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(self->worker.pid, head_of(self)->pid);
	EXPECT_EQ(self->worker.pid, task_of(self)->pid);
	EXPECT_EQ(self->worker.pid, task_of(self)->tgid);
	/* Its parent is no task of the image. */
	EXPECT_EQ(0, task_of(self)->ppid);
	EXPECT_EQ(getpgid(self->worker.pid), task_of(self)->pgid);
	EXPECT_EQ(getsid(self->worker.pid), task_of(self)->sid);
}

/* What it has is its own, as there is no task before it. */
TEST_F(image, task_shares_nothing)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(0U, task_of(self)->flags);
	EXPECT_EQ(0U, task_of(self)->mm);
	EXPECT_EQ(0U, task_of(self)->files);
	EXPECT_EQ(0U, task_of(self)->fs);
	EXPECT_EQ(0U, task_of(self)->sighand);
	EXPECT_EQ(0, task_of(self)->vfork);
}

TEST_F(image, task_exit_signal_of_fork)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(SIGCHLD, task_of(self)->exit_signal);
}

TEST_F(image, task_exit_signal_of_clone)
{
	signal(SIGUSR2, SIG_IGN);
	worker_stop(&self->worker);
	ASSERT_TRUE(worker_start(&self->worker, SIGUSR2));
	ASSERT_TRUE(take(self));
	EXPECT_EQ(SIGUSR2, task_of(self)->exit_signal);
}

TEST_F(image, creds)
{
	struct cr_hdr_creds *creds;

	ASSERT_TRUE(take(self));
	creds = walk_find(&self->w, CR_HDR_CREDS);
	ASSERT_TRUE(!!creds);
	EXPECT_EQ(getuid(), creds->uid);
	EXPECT_EQ(geteuid(), creds->euid);
	EXPECT_EQ(geteuid(), creds->fsuid);
	EXPECT_EQ(getgid(), creds->gid);
	EXPECT_EQ(getegid(), creds->egid);
	EXPECT_EQ(getegid(), creds->fsgid);
	EXPECT_EQ((__u32)getgroups(0, NULL), creds->ngroups);
	EXPECT_EQ((__u32)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
		  creds->no_new_privs);
	EXPECT_EQ(0U, creds->reserved);
}

/* Ascending by descriptor, with the flags that they have. */
TEST_F(image, descriptors)
{
	int i;

	ASSERT_TRUE(take(self));
	for (i = 0; i < 3; i++) {
		struct rec *r = walk_nth(&self->w, CR_HDR_FD, i);
		struct cr_hdr_fd *fd;

		ASSERT_TRUE(!!r);
		fd = walk_payload(&self->w, r);
		EXPECT_EQ(i, fd->fd);
		EXPECT_EQ(0U, fd->flags);
		EXPECT_EQ(0U, fd->reserved);
	}
}

TEST_F(image, mappings_ascend)
{
	__u64 last = 0;
	struct rec *r;
	int i;

	ASSERT_TRUE(take(self));
	for (i = 0; (r = walk_nth(&self->w, CR_HDR_VMA, i)); i++) {
		struct cr_hdr_vma *vma = walk_payload(&self->w, r);

		EXPECT_LE(last, vma->start);
		EXPECT_LT(vma->start, vma->end);
		EXPECT_EQ(0ULL, vma->start % getpagesize());
		EXPECT_EQ(0ULL, vma->end % getpagesize());
		last = vma->end;
	}
}

TEST_F(image, task_comm_len)
{
	ASSERT_TRUE(take(self));
	EXPECT_EQ(COMM_LEN, task_of(self)->task_comm_len);
}

/* All 16 bytes, also where a longer name was before. */
TEST_F(image, comm_is_padded_with_zeros)
{
	static const char names[][17] = {
		"fifteen letters", "", "x", "a b", "\xff\x80\x01", "new\nline",
		"sixteen letters!",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(1, write(self->worker.in, "n", 1));
		ASSERT_EQ(16, write(self->worker.in, names[i], 16));
		ASSERT_EQ('n', read_byte(self->worker.out));
		ASSERT_TRUE(take(self));
		EXPECT_EQ(NULL, walk_wrong(&self->w, self->id, names[i]))
			TH_LOG("comm '%s'", names[i]);
	}
}

TEST_F(image, tail_magic_and_checksum)
{
	struct cr_hdr_tail *tail;

	ASSERT_TRUE(take(self));
	tail = walk_find(&self->w, CR_HDR_TAIL);
	EXPECT_EQ(0x002d2a0cc0deef00ULL, tail->magic);
	EXPECT_EQ(0ULL, tail->cksum >> 32);
	/* The well-known check value: it is that CRC, and not another. */
	EXPECT_EQ(0xe3069283U, crc32c("123456789", 9));
}

/* A task of another pid namespace is known by the pid that it has there. */
TEST_F(image, pid_namespace)
{
	int p[2], status;
	struct walk w;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces: %s", strerror(errno));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		settle(-1, p[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		errno = 0;
		if (getpid() != 1 || sys_checkpoint(2, 1, 0, 0) != -1 ||
		    errno != ESRCH)
			_exit(2);
		_exit(sys_checkpoint(1, 1, 0, 0) > 0 ? 0 : 1);
	}
	close(p[1]);
	w = walk_fd(p[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(NULL, w.wrong);
	EXPECT_EQ(1, ((struct cr_hdr_head *)walk_find(&w, CR_HDR_HEAD))->pid);
	EXPECT_EQ(1, ((struct cr_hdr_task *)walk_find(&w, CR_HDR_TASK))->pid);
	walk_free(&w);
	close(p[0]);
}

/* TASK_STATS against /proc, getrusage and the clocks */

struct proc_stat {
	unsigned long long min_flt, maj_flt, utime, stime, start, gtime;
	unsigned long long nvcsw, nivcsw;
};

static bool read_stat(pid_t pid, struct proc_stat *st)
{
	char path[64], text[4096] = { 0 }, *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	p = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	/* From field 3, state, on. */
	if (!p || sscanf(p + 2,
			 "%*c %*d %*d %*d %*d %*d %*u %llu %*u %llu %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
			 &st->min_flt, &st->maj_flt, &st->utime, &st->stime,
			 &st->start) != 5)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (fgets(text, sizeof(text), f)) {
		if (!strncmp(text, "voluntary_ctxt_switches:", 24))
			st->nvcsw = strtoull(text + 24, NULL, 10);
		if (!strncmp(text, "nonvoluntary_ctxt_switches:", 27))
			st->nivcsw = strtoull(text + 27, NULL, 10);
	}
	fclose(f);
	return true;
}

static __u64 tv_ns(struct timeval tv)
{
	return tv.tv_sec * SEC + tv.tv_usec * 1000ULL;
}

TEST_F(image, stats_faults)
{
	struct cr_hdr_task_stats first;
	struct proc_stat a, b;

	ASSERT_TRUE(read_stat(self->worker.pid, &a));
	ASSERT_TRUE(take(self));
	ASSERT_TRUE(read_stat(self->worker.pid, &b));
	first = *stats_of(self);
	EXPECT_LE(a.min_flt, first.min_flt);
	EXPECT_GE(b.min_flt, first.min_flt);
	EXPECT_LE(a.maj_flt, first.maj_flt);
	EXPECT_GE(b.maj_flt, first.maj_flt);

	ASSERT_TRUE(worker_does(&self->worker, 'f'));
	ASSERT_TRUE(take(self));
	EXPECT_LE(first.min_flt + 256, stats_of(self)->min_flt);
}

TEST_F(image, stats_context_switches)
{
	struct cr_hdr_task_stats first;
	struct proc_stat a, b;

	ASSERT_TRUE(read_stat(self->worker.pid, &a));
	ASSERT_TRUE(take(self));
	ASSERT_TRUE(read_stat(self->worker.pid, &b));
	first = *stats_of(self);
	EXPECT_LE(a.nvcsw, first.nvcsw);
	EXPECT_GE(b.nvcsw, first.nvcsw);
	EXPECT_LE(a.nivcsw, first.nivcsw);
	EXPECT_GE(b.nivcsw, first.nivcsw);

	ASSERT_TRUE(worker_does(&self->worker, 's'));
	ASSERT_TRUE(take(self));
	EXPECT_LE(first.nvcsw + 20, stats_of(self)->nvcsw);
}

TEST_F(image, stats_user_time_grows_with_work)
{
	struct cr_hdr_task_stats first, *now;

	ASSERT_TRUE(take(self));
	first = *stats_of(self);
	ASSERT_TRUE(worker_does(&self->worker, 'b'));
	ASSERT_TRUE(take(self));
	now = stats_of(self);
	/* Ticks are a sample: most of the time, not all of it. */
	EXPECT_LE(first.utime + 100 * MSEC, now->utime);
	EXPECT_LE(first.stime, now->stime);
	EXPECT_GE(first.utime + 3 * SEC, now->utime);
}

TEST_F(image, stats_system_time_grows_with_work)
{
	struct cr_hdr_task_stats first, *now;

	ASSERT_TRUE(take(self));
	first = *stats_of(self);
	ASSERT_TRUE(worker_does(&self->worker, 'k'));
	ASSERT_TRUE(take(self));
	now = stats_of(self);
	EXPECT_LE(first.stime + 50 * MSEC, now->stime);
	EXPECT_LE(first.utime, now->utime);
	EXPECT_GE(first.stime + 3 * SEC, now->stime);
}

static bool worker_usage(struct _test_data_image *self, struct rusage *usage)
{
	return write(self->worker.in, "r", 1) == 1 &&
	       read_all(self->worker.out, usage, sizeof(*usage)) ==
	       sizeof(*usage) && proc_wait_asleep(self->worker.pid);
}

TEST_F(image, stats_times_against_getrusage)
{
	struct cr_hdr_task_stats *st;
	struct rusage a, b;
	__u64 raw, seen;

	ASSERT_TRUE(worker_does(&self->worker, 'b'));
	ASSERT_TRUE(worker_usage(self, &a));
	ASSERT_TRUE(take(self));
	ASSERT_TRUE(worker_usage(self, &b));
	st = stats_of(self);
	/*
	 * Not less than getrusage() has reported, in microseconds, nor more than it
	 * does then: of the process, which splits its time between the two by its
	 * own account.
	 */
	EXPECT_LE(tv_ns(a.ru_utime) + tv_ns(a.ru_stime),
		  st->prev_utime + st->prev_stime + 1998);
	EXPECT_GE(tv_ns(b.ru_utime) + tv_ns(b.ru_stime) + 1998,
		  st->prev_utime + st->prev_stime);
	/* What was counted differs from what is reported, but not wildly. */
	raw = st->utime + st->stime;
	seen = tv_ns(a.ru_utime) + tv_ns(a.ru_stime);
	EXPECT_LE(seen / 3, raw);
	EXPECT_GE(seen * 3 + 100 * MSEC, raw);
}

TEST_F(image, stats_scaled_and_guest_times)
{
	struct cr_hdr_task_stats *st;

	ASSERT_TRUE(worker_does(&self->worker, 'b'));
	ASSERT_TRUE(take(self));
	st = stats_of(self);
	EXPECT_EQ(0ULL, st->gtime);
	/* Only powerpc and s390 scale. */
	if (!strncmp(head_of(self)->machine, "x86", 3) ||
	    !strncmp(head_of(self)->machine, "aarch64", 7)) {
		EXPECT_EQ(st->utime, st->utimescaled);
		EXPECT_EQ(st->stime, st->stimescaled);
	}
}

TEST_F(image, stats_start_times)
{
	long hz = sysconf(_SC_CLK_TCK);
	__u64 mono[2], boot[2];
	struct proc_stat st;

	worker_stop(&self->worker);
	mono[0] = now_ns(CLOCK_MONOTONIC);
	boot[0] = now_ns(CLOCK_BOOTTIME);
	ASSERT_TRUE(worker_start(&self->worker, SIGCHLD));
	mono[1] = now_ns(CLOCK_MONOTONIC);
	boot[1] = now_ns(CLOCK_BOOTTIME);
	ASSERT_TRUE(read_stat(self->worker.pid, &st));
	ASSERT_TRUE(take(self));
	EXPECT_LE(mono[0], stats_of(self)->start_time);
	EXPECT_GE(mono[1], stats_of(self)->start_time);
	EXPECT_LE(boot[0], stats_of(self)->start_boottime);
	EXPECT_GE(boot[1], stats_of(self)->start_boottime);
	EXPECT_EQ(st.start, stats_of(self)->start_boottime / (SEC / hz));
}

/* The start does not move, and times never run backwards. */
TEST_F(image, stats_are_monotonic)
{
	struct cr_hdr_task_stats last, *now;
	int i;

	ASSERT_TRUE(take(self));
	last = *stats_of(self);
	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(take(self));
		now = stats_of(self);
		EXPECT_LE(last.utime, now->utime);
		EXPECT_LE(last.stime, now->stime);
		EXPECT_LE(last.prev_utime, now->prev_utime);
		EXPECT_LE(last.prev_stime, now->prev_stime);
		EXPECT_LE(last.nvcsw, now->nvcsw);
		EXPECT_LE(last.nivcsw, now->nivcsw);
		EXPECT_LE(last.min_flt, now->min_flt);
		EXPECT_LE(last.maj_flt, now->maj_flt);
		EXPECT_EQ(last.start_time, now->start_time);
		EXPECT_EQ(last.start_boottime, now->start_boottime);
		last = *now;
	}
}

TEST_HARNESS_MAIN
