// SPDX-License-Identifier: GPL-2.0
/*
 * What prctl(2), membarrier(2), setsid(2) and /proc/PID set for a process, each
 * looked at by the restored one; and that a restarter gets none of it that these
 * would not give.
 */
#include "restarter.h"
#include "subject.h"

#include <setjmp.h>
#include <sys/utsname.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#define PR_GET_IO_FLUSHER	58
#endif
#ifndef PR_SPEC_L1D_FLUSH
#define PR_SPEC_L1D_FLUSH	2
#endif
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED 2
#endif
#ifndef ARCH_GET_CPUID
#define ARCH_GET_CPUID		0x1011
#define ARCH_SET_CPUID		0x1012
#endif

/* The OOM killer */

SUBJECT_TEST(oom_score_adj)
{
	CHECK(write_proc("oom_score_adj", "321"));
	checkpoint_here();
	CHECK(read_proc("oom_score_adj") == 321);
}

SUBJECT_TEST(oom_score_adj_below_zero)
{
	CHECK(write_proc("oom_score_adj", "-321"));
	checkpoint_here();
	CHECK(read_proc("oom_score_adj") == -321);
}

/* Without the capability it may go down to where it was put with it. */
SUBJECT_TEST(oom_score_adj_min)
{
	CHECK(write_proc("oom_score_adj", "100"));
	drop_caps();
	CHECK(write_proc("oom_score_adj", "200"));
	checkpoint_here();
	CHECK(read_proc("oom_score_adj") == 200);
	errno = 0;
	CHECK(!write_proc("oom_score_adj", "99") && errno == EACCES);
	CHECK(write_proc("oom_score_adj", "100"));
}

RESTARTER_TEST(oom_score_adj_needs_a_capability, .before = drop_caps,
	       .err = EACCES, .what = "oom_score_adj")
{
	CHECK(write_proc("oom_score_adj", "-500"));
	drop_caps();
	checkpoint_here();
}

/* What it might have written itself takes none. */
RESTARTER_TEST(more_oom_score_adj_needs_none, .before = drop_caps)
{
	drop_caps();
	CHECK(write_proc("oom_score_adj", "1000"));
	checkpoint_here();
	CHECK(read_proc("oom_score_adj") == 1000);
}

static void low_min(struct walk *w)
{
	struct cr_hdr_task_attrs *attrs = walk_find(w, CR_HDR_TASK_ATTRS);

	attrs->oom_score_adj_min = -1000;
}

RESTARTER_TEST(oom_score_adj_min_needs_a_capability, .craft = low_min,
	       .before = drop_caps, .err = EACCES, .what = "oom_score_adj")
{
	drop_caps();
	checkpoint_here();
}

/* Signals and children */

SUBJECT_TEST(signal_of_the_parents_death)
{
	int sig = 0;

	CHECK(!prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
	checkpoint_here();
	CHECK(!prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0) && sig == SIGUSR2);
}

SUBJECT_TEST(child_subreaper)
{
	pid_t child, orphan, parent = 0;
	int on = 0, p[2];

	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	checkpoint_here();
	CHECK(!prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) && on == 1);

	/* And it gets an orphan of its. */
	CHECK(!pipe(p));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		child = getpid();
		if (fork())
			_exit(0);
		while (getppid() == child)
			sleep_ms(5);
		parent = getppid();
		_exit(write(p[1], &parent, sizeof(parent)) != sizeof(parent));
	}
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(read(p[0], &parent, sizeof(parent)) == sizeof(parent));
	CHECK(parent == getpid());
	orphan = waitpid(-1, NULL, 0);
	CHECK(orphan > 0 && orphan != child);
}

static void adorn(void)
{
	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	CHECK(!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
	CHECK(write_proc("oom_score_adj", "111"));
	personality(PER_LINUX | UNAME26);
}

RESTARTER_TEST(nothing_of_the_restarter, .before = adorn)
{
	int value, oom = read_proc("oom_score_adj");

	checkpoint_here();
	CHECK(!prctl(PR_GET_TSC, &value, 0, 0, 0) && value == PR_TSC_ENABLE);
	CHECK(!prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0) && !value);
	CHECK(!prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0) && !value);
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	CHECK(!prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	CHECK(read_proc("oom_score_adj") == oom);
	CHECK(personality(0xffffffff) == PER_LINUX);
}

/* A failure that comes last leaves what the restarter has. */
static void spoil_the_end(struct walk *w)
{
	struct rec *tail = walk_nth(w, CR_HDR_TAIL, 0);

	w->buf[tail->at + sizeof(struct cr_hdr)] ^= 1;
}

RESTARTER_TEST(bad_image_leaves_everything, .before = adorn, .craft = spoil_the_end,
	       .err = EINVAL, .what = "magic")
{
	CHECK(write_proc("oom_score_adj", "222"));
	checkpoint_here();
}

/* Memory that fails, and memory for those who make it free */

SUBJECT_TEST(mce_kill_early)
{
	CHECK(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
}

SUBJECT_TEST(mce_kill_late)
{
	CHECK(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE);
}

SUBJECT_TEST(io_flusher)
{
	CHECK(!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == 1);
}

RESTARTER_TEST(io_flusher_needs_a_capability, .before = drop_caps, .err = EPERM,
	       .what = "prctl(PR_SET_IO_FLUSHER)")
{
	CHECK(!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	drop_caps();
	checkpoint_here();
}

static void flush(void)
{
	CHECK(!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	drop_caps();
}

/* Nor does it get rid of that without. */
RESTARTER_TEST(no_io_flusher_needs_a_capability, .before = flush, .err = EPERM,
	       .what = "prctl(PR_SET_IO_FLUSHER)")
{
	drop_caps();
	checkpoint_here();
}

/* Instructions and speculation */

static sigjmp_buf refused;

static void on_segv(int sig __maybe_unused)
{
	siglongjmp(refused, 1);
}

SUBJECT_TEST(time_stamp_counter_refused)
{
	bool faulted;
	int mode = 0;

	signal(SIGSEGV, on_segv);
	CHECK(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
	checkpoint_here();
	CHECK(!prctl(PR_GET_TSC, &mode, 0, 0, 0) && mode == PR_TSC_SIGSEGV);
	faulted = sigsetjmp(refused, 1);
	if (!faulted)
		__builtin_ia32_rdtsc();
	CHECK(faulted);
	CHECK(!prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0));
	__builtin_ia32_rdtsc();
}

static bool cpuid_can_fault(void)
{
	bool can = !syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);

	if (can)
		syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
	return can;
}

static void without_cpuid(void)
{
	CHECK(!syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0));
	checkpoint_here();
	CHECK(!syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
}

TEST_F_TIMEOUT(subject, cpuid_refused, 120)
{
	if (!cpuid_can_fault())
		SKIP(return, "the processor cannot let CPUID fault");
	run_subject(_metadata, without_cpuid, variant->how);
}

static void claim_cpuid(struct walk *w)
{
	struct cr_hdr_task_attrs *attrs = walk_find(w, CR_HDR_TASK_ATTRS);

	attrs->flags |= CR_ATTR_NO_CPUID;
}

static void plain(void)
{
	checkpoint_here();
}

TEST_F_TIMEOUT(restarter, cpuid_cannot_be_refused, 120)
{
	static const struct restarter how = {
		.craft = claim_cpuid, .err = ENODEV,
		.what = "arch_prctl(ARCH_SET_CPUID)",
	};

	if (cpuid_can_fault())
		SKIP(return, "the processor can let CPUID fault");
	run_restarter(_metadata, plain, &how);
}

static int spec(int which)
{
	return prctl(PR_GET_SPECULATION_CTRL, which, 0, 0, 0);
}

/* Whatever of it is up to a program on this machine. */
static void set_spec(int setting)
{
	int which;

	for (which = PR_SPEC_STORE_BYPASS; which <= PR_SPEC_L1D_FLUSH; which++)
		if (spec(which) > 0 && spec(which) & PR_SPEC_PRCTL)
			prctl(PR_SET_SPECULATION_CTRL, which, setting, 0, 0);
}

static void keeps_spec(int setting)
{
	int which, was[3];

	set_spec(setting);
	for (which = 0; which < 3; which++)
		was[which] = spec(which);
	checkpoint_here();
	for (which = 0; which < 3; which++)
		CHECK(spec(which) == was[which]);
}

SUBJECT_TEST(speculation_disabled)
{
	keeps_spec(PR_SPEC_DISABLE);
}

SUBJECT_TEST(speculation_disabled_for_good)
{
	keeps_spec(PR_SPEC_FORCE_DISABLE);
}

SUBJECT_TEST(speculation_disabled_until_exec)
{
	keeps_spec(PR_SPEC_DISABLE_NOEXEC);
}

SUBJECT_TEST(level_one_cache_flushed)
{
	keeps_spec(PR_SPEC_ENABLE);
}

static void two_settings(struct walk *w)
{
	struct cr_hdr_task_attrs *attrs = walk_find(w, CR_HDR_TASK_ATTRS);

	attrs->spec_store_bypass = PR_SPEC_PRCTL | PR_SPEC_ENABLE | PR_SPEC_DISABLE;
}

RESTARTER_TEST(speculation_both_ways, .craft = two_settings, .err = EINVAL,
	       .what = "PR_SPEC_STORE_BYPASS")
{
	checkpoint_here();
}

static void no_flush_for_good(struct walk *w)
{
	struct cr_hdr_task_attrs *attrs = walk_find(w, CR_HDR_TASK_ATTRS);

	attrs->spec_l1d_flush = PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE;
}

RESTARTER_TEST(speculation_of_no_task, .craft = no_flush_for_good, .err = EINVAL,
	       .what = "PR_SPEC_L1D_FLUSH")
{
	checkpoint_here();
}

/* Personality */

static void keeps_personality(unsigned long persona)
{
	CHECK(personality(persona) != -1);
	checkpoint_here();
	CHECK(personality(0xffffffff) == (int)persona);
}

SUBJECT_TEST(personality_without_randomness)
{
	keeps_personality(PER_LINUX | ADDR_NO_RANDOMIZE | MMAP_PAGE_ZERO |
			  STICKY_TIMEOUTS | WHOLE_SECONDS | SHORT_INODE);
}

SUBJECT_TEST(personality_of_an_old_kernel)
{
	struct utsname uts;

	keeps_personality(PER_LINUX | UNAME26);
	CHECK(!uname(&uts) && !strncmp(uts.release, "2.6.", 4));
}

SUBJECT_TEST(personality_of_32_bits)
{
	struct utsname uts;

	keeps_personality(PER_LINUX32);
	CHECK(!uname(&uts) && !strcmp(uts.machine, "i686"));
}

/* What can be read can be executed, what comes later as well. */
SUBJECT_TEST(personality_that_implies_exec)
{
	unsigned char *code, *data;

	data = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(data != MAP_FAILED);
	keeps_personality(PER_LINUX | READ_IMPLIES_EXEC);

	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(code != MAP_FAILED);
	code[0] = 0xc3;
	((void (*)(void))code)();

	/* What is older is not: it is as it was. */
	signal(SIGSEGV, on_segv);
	data[0] = 0xc3;
	if (!sigsetjmp(refused, 1)) {
		((void (*)(void))data)();
		CHECK(!"executed");
	}
}

/* membarrier(2) */

static int membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0);
}

static void keeps_registration(int cmds)
{
	int bit;

	for (bit = 0; bit < 16; bit++)
		if (cmds & 1 << bit)
			CHECK(!membarrier(1 << bit));
	cmds = membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS);
	CHECK(cmds > 0);
	checkpoint_here();
	CHECK(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS) == cmds);
}

SUBJECT_TEST(membarrier_private)
{
	keeps_registration(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	CHECK(!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	errno = 0;
	CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) == -1 &&
	      errno == EPERM);
}

SUBJECT_TEST(membarrier_all)
{
	keeps_registration(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
			   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
			   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |
			   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
	CHECK(!membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED));
	CHECK(!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	CHECK(!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE));
	CHECK(!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ));
}

static void register_barriers(void)
{
	CHECK(!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
}

RESTARTER_TEST(membarrier_is_not_the_restarters, .before = register_barriers)
{
	checkpoint_here();
	CHECK(!membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS));
	errno = 0;
	CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == -1 && errno == EPERM);
}

/* Huge pages for those who ask */

SUBJECT_TEST(thp_except_advised)
{
	CHECK(!prctl(PR_SET_THP_DISABLE, 1, PR_THP_DISABLE_EXCEPT_ADVISED, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) ==
	      (1 | PR_THP_DISABLE_EXCEPT_ADVISED));
}

/* Job control: the subject leads its session, as all of them do. */

RESTARTER_TEST(leads_a_session_again)
{
	CHECK(getsid(0) == getpid() && getpgrp() == getpid());
	checkpoint_here();
	CHECK(getsid(0) == getpid() && getpgrp() == getpid());
}

/* The image of one that does not: the others look for the restored one. */
static void in_another_session(struct walk *w)
{
	struct cr_hdr_task *task = walk_find(w, CR_HDR_TASK);

	task->sid = 1;
}

static void in_another_group(struct walk *w)
{
	struct cr_hdr_task *task = walk_find(w, CR_HDR_TASK);

	task->sid = 1;
	task->pgid = 1;
}

static void check_job_control(struct __test_metadata *_metadata,
			      void (*craft)(struct walk *w), bool group)
{
	const struct restarter how = { .craft = craft };
	struct subject s;

	if (!save_subject(_metadata, &s, plain))
		return;
	if (restart_by(&s, &how)) {
		EXPECT_EQ(getsid(0), getsid(s.pid));
		EXPECT_EQ(group ? s.pid : getpgrp(), getpgid(s.pid));
		subject_finish(&s, "the restored one");
	}
	subject_close(&s);
}

TEST_F_TIMEOUT(restarter, leads_a_group_again, 120)
{
	check_job_control(_metadata, in_another_session, true);
}

TEST_F_TIMEOUT(restarter, stays_where_it_is, 120)
{
	check_job_control(_metadata, in_another_group, false);
}

/* A leader of a group, such as a job of a shell, is where it was put. */
static void lead_group(void)
{
	CHECK(!setpgid(0, 0));
}

TEST_F_TIMEOUT(restarter, group_leader_gets_no_session, 120)
{
	static const struct restarter how = { .before = lead_group };
	struct subject s;

	if (!save_subject(_metadata, &s, plain))
		return;
	if (restart_by(&s, &how)) {
		EXPECT_EQ(getsid(0), getsid(s.pid));
		EXPECT_EQ(s.pid, getpgid(s.pid));
		subject_finish(&s, "the restored one");
	}
	subject_close(&s);
}

/*
 * A caller with a controlling terminal, which has to be one of a session that is
 * made for that, stays in the foreground.
 */
static int become_job(struct subject *s)
{
	char name[64];
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, fg = 0;
	int in[2], out[2], status = -1;
	pid_t pid;

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, name, sizeof(name)) || setsid() < 0)
		return 1;
	slave = open(name, O_RDWR);
	if (slave < 0 || tcgetpgrp(slave) != getpid())
		return 2;
	if (pipe(in) || pipe(out) || lseek(s->image, 0, SEEK_SET))
		return 3;
	pid = fork();
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(open("/dev/null", O_RDWR), 2);
		set_comm("restarter");
		keep_only(s->image, s->logfd);
		sys_restart(0, s->image, CHECKPOINT_LOG, s->logfd);
		_exit(100 + errno);
	}
	close(in[0]);
	close(out[1]);
	if (pid < 0 || !proc_wait_comm(pid, "subject"))
		return 4;
	if (getsid(pid) != getpid() || getpgid(pid) != getpgrp())
		fg = 5;
	if (write(in[1], "g", 1) != 1 || waitpid(pid, &status, 0) != pid || status)
		return 6;
	return fg;
}

TEST_F_TIMEOUT(restarter, terminal_stays_in_the_foreground, 120)
{
	struct subject s;
	int status;
	pid_t pid;

	if (!save_subject(_metadata, &s, plain))
		return;
	pid = fork();
	if (!pid)
		_exit(become_job(&s));
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(0, status);
	show_log(_metadata, s.logfd);
	subject_close(&s);
}

TEST_HARNESS_MAIN
