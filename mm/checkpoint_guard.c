// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard regions, for checkpoint(2) and restart(2).
 *
 * madvise(MADV_GUARD_INSTALL) leaves a marker in each page table entry, and a
 * flag in the mapping that says that there may be some. A walk skips mappings
 * without the flag, and what has no page table.
 *
 * Locking: mmap_lock for reading, and page table locks under it. Installing is
 * up to madvise(2), which takes its own.
 */
#include <linux/checkpoint.h>
#include <linux/leafops.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagewalk.h>
#include <linux/sched/signal.h>

struct guard_walk {
	struct cr_hdr_guard *found;
	/* The mapping that it is in; a region does not go beyond it. */
	struct vm_area_struct *vma;
};

/* Why the walk ended early: the region is whole. */
#define WALK_DONE	1

/* Adds a page to the region. Returns false if it does not belong to it. */
static bool extend(struct guard_walk *state, struct vm_area_struct *vma, unsigned long addr)
{
	struct cr_hdr_guard *found = state->found;

	if (!state->vma) {
		state->vma = vma;
		found->start = addr;
	} else if (state->vma != vma || found->end != addr) {
		return false;
	}
	found->end = addr + PAGE_SIZE;
	return true;
}

static int guard_pmd(pmd_t *pmd, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	struct guard_walk *state = walk->private;
	pte_t *start, *pte;
	spinlock_t *ptl;
	int ret = 0;

	/* A huge page has no markers. One that is just split is looked at again. */
	if (pmd_trans_huge(pmdp_get_lockless(pmd)))
		return 0;
	start = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	pte = start;
	if (!pte) {
		walk->action = ACTION_AGAIN;
		return 0;
	}
	for (; !ret && addr != next; pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);

		if (pte_none(entry) || pte_present(entry) ||
		    !softleaf_is_guard_marker(softleaf_from_pte(entry))) {
			if (state->vma)
				ret = WALK_DONE;
		} else if (!extend(state, walk->vma, addr)) {
			ret = WALK_DONE;
		}
	}
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return ret;
}

static int guard_test(unsigned long start, unsigned long end, struct mm_walk *walk)
{
	return !(walk->vma->vm_flags & VM_MAYBE_GUARD) || is_vm_hugetlb_page(walk->vma);
}

static const struct mm_walk_ops guard_ops = {
	.pmd_entry = guard_pmd,
	.test_walk = guard_test,
	.walk_lock = PGWALK_RDLOCK,
};

/**
 * checkpoint_guard_find() - Find the first guard region at or above an address.
 * @mm: the address space, on which the caller has a reference
 * @addr: the address, a multiple of the page size
 * @found: filled in if there is one: all of it that is in one mapping
 *
 * Return: 1 if there is one, 0 if there is none, -EINTR on a fatal signal.
 */
int checkpoint_guard_find(struct mm_struct *mm, unsigned long addr,
			  struct cr_hdr_guard *found)
{
	struct guard_walk state = { .found = found };

	memset(found, 0, sizeof(*found));
	if (addr >= TASK_SIZE_MAX)
		return 0;
	if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
		return -EINTR;
	walk_page_range(mm, addr, TASK_SIZE_MAX, &guard_ops, &state);
	mmap_read_unlock(mm);
	return !!state.vma;
}

/**
 * checkpoint_guard_install() - Install a guard region, as madvise(2).
 * @guard: where
 *
 * Return: 0, or the error of that call.
 */
int checkpoint_guard_install(const struct cr_hdr_guard *guard)
{
	int ret;

	do {
		ret = do_madvise(current->mm, guard->start, guard->end - guard->start,
				 MADV_GUARD_INSTALL);
		/* A page came in between: the system call would be restarted. */
	} while (ret == -ERESTARTNOINTR && !fatal_signal_pending(current));
	return ret == -ERESTARTNOINTR ? -EINTR : ret;
}
