// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>

/* Every page has an address where checkpoint(2) is: on 64 bits. */
__rust_helper void *rust_helper_checkpoint_page_address(struct page *page)
{
	return page_address(page);
}
