// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts of io_setup(2), for checkpoint(2) and restart(2).
 *
 * This is a part of fs/aio.c, which includes it: whatever a context is made of
 * is private to that file.
 *
 * A context has a ring of events, which the program has mapped: the address is
 * its name. What is in the ring is saved as pages of that mapping. What the
 * kernel knows besides is how many requests the context was made for, where the
 * next event goes, and how many slots are free: all but those of events that
 * wait, as there is no request under way.
 *
 * Locking: a context that is found has a reference on its users, so that it stays
 * when io_destroy(2) takes it away. ring_lock keeps its pages in place, and
 * completion_lock keeps requests from completing, in this order.
 */
#ifdef AIO_RING_MAGIC
#include <linux/checkpoint.h>

/**
 * checkpoint_is_aio_ring() - Tell whether a mapping is the ring of a context.
 * @vma: the mapping
 */
bool checkpoint_is_aio_ring(struct vm_area_struct *vma)
{
	return vma->vm_ops == &aio_ring_vm_ops;
}

/* Returns the context at @slot or the first behind it, and sets @slot to its place. */
static struct kioctx *next_context(struct mm_struct *mm, unsigned int *slot)
{
	struct kioctx_table *table;
	struct kioctx *ctx = NULL;

	rcu_read_lock();
	table = rcu_dereference(mm->ioctx_table);
	for (; table && *slot < table->nr; (*slot)++) {
		ctx = rcu_dereference(table->table[*slot]);
		if (ctx && percpu_ref_tryget_live(&ctx->users))
			break;
		ctx = NULL;
	}
	rcu_read_unlock();
	return ctx;
}

/* Whether a request is under way. The lock for completions is held. */
static bool is_busy(struct kioctx *ctx)
{
	/* Slots are free, or of events that nobody has noticed to be fetched. */
	unsigned int idle = atomic_read(&ctx->reqs_available) + ctx->completed_events;
	int cpu;

	for_each_possible_cpu(cpu)
		idle += READ_ONCE(per_cpu_ptr(ctx->cpu, cpu)->reqs_available);
	return idle < ctx->nr_events - 1;
}

/**
 * checkpoint_aio_find() - Describe a context.
 * @mm: the address space, on which the caller has a reference
 * @slot: where in its table to begin; set to the slot behind what is found
 * @found: filled in if there is one
 * @size: set to the bytes of its ring, as it was mapped
 *
 * Return: 1 if there is one, 0 if there is none, -EBUSY if there is one with a
 * request under way.
 */
int checkpoint_aio_find(struct mm_struct *mm, unsigned int *slot,
			struct cr_hdr_aio *found, unsigned long *size)
{
	struct kioctx *ctx = next_context(mm, slot);
	struct aio_ring *ring;
	bool busy;

	memset(found, 0, sizeof(*found));
	*size = 0;
	if (!ctx)
		return 0;
	(*slot)++;

	mutex_lock(&ctx->ring_lock);
	spin_lock_irq(&ctx->completion_lock);
	ring = folio_address(ctx->ring_folios[0]);
	found->id = ctx->user_id;
	found->nr_events = ctx->max_reqs;
	/* The program may have written anything there. */
	found->head = READ_ONCE(ring->head) % ctx->nr_events;
	found->tail = ctx->tail;
	*size = ctx->mmap_size;
	busy = is_busy(ctx);
	spin_unlock_irq(&ctx->completion_lock);
	mutex_unlock(&ctx->ring_lock);

	percpu_ref_put(&ctx->users);
	return busy ? -EBUSY : 1;
}

/**
 * checkpoint_aio_create() - Make a context, as io_setup(2), at a given address.
 * @aio: what it shall be
 * @size: bytes that its ring must have
 *
 * Return: 0, -EINVAL also if the ring would have another size here, or another
 * error of io_setup(2).
 */
int checkpoint_aio_create(const struct cr_hdr_aio *aio, unsigned long size)
{
	struct kioctx *ctx;
	int ret = 0;

	if (!aio->id || !aio->nr_events)
		return -EINVAL;
	ctx = ioctx_alloc(aio->nr_events, aio->id);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	/* It depends on how many processors there are, for one. */
	if (ctx->mmap_size != size) {
		kill_ioctx(current->mm, ctx, NULL);
		ret = -EINVAL;
	}
	percpu_ref_put(&ctx->users);
	return ret;
}

/**
 * checkpoint_aio_finish() - Let a context go on where that of the image was.
 * @aio: what it shall be
 *
 * The pages of its ring are those of the image already.
 *
 * Return: 0, or -EINVAL if that is not possible.
 */
int checkpoint_aio_finish(const struct cr_hdr_aio *aio)
{
	struct kioctx *ctx;
	struct aio_ring *ring;
	unsigned int slot = 0, waiting;
	int ret = -EINVAL;

	while ((ctx = next_context(current->mm, &slot))) {
		if (ctx->user_id == aio->id)
			break;
		percpu_ref_put(&ctx->users);
		slot++;
	}
	if (!ctx)
		return ret;

	mutex_lock(&ctx->ring_lock);
	spin_lock_irq(&ctx->completion_lock);
	if (aio->head >= ctx->nr_events || aio->tail >= ctx->nr_events)
		goto out;
	waiting = aio->tail >= aio->head ? aio->tail - aio->head :
					   aio->tail + ctx->nr_events - aio->head;
	ctx->tail = aio->tail;
	/* None of them was ever submitted here: nobody else counts them. */
	ctx->completed_events = waiting;
	atomic_set(&ctx->reqs_available, ctx->nr_events - 1 - waiting);

	ring = folio_address(ctx->ring_folios[0]);
	ring->id = ctx->id;
	ring->head = aio->head;
	ring->tail = aio->tail;
	ret = 0;
out:
	spin_unlock_irq(&ctx->completion_lock);
	mutex_unlock(&ctx->ring_lock);
	percpu_ref_put(&ctx->users);
	return ret;
}
#endif /* AIO_RING_MAGIC */
