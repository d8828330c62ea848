/*
 * Hosts, in a list: a backend talks to one or two.
 */
#include "postgres.h"

#include "call/host.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

typedef struct HostEntry
{
	slist_node	node;
	SmrtHost	host;
	size_t		len;
	char		authority[FLEXIBLE_ARRAY_MEMBER];
} HostEntry;

static slist_head hosts = SLIST_STATIC_INIT(hosts);

SmrtHost *
smrt_host_get(SmrtSpan authority)
{
	slist_iter	iter;
	HostEntry  *entry;

	slist_foreach(iter, &hosts)
	{
		entry = slist_container(HostEntry, node, iter.cur);
		if (smrt_span_equal(authority,
							smrt_span_of(entry->authority, entry->len)))
			return &entry->host;
	}
	entry = MemoryContextAllocZero(TopMemoryContext,
								   offsetof(HostEntry, authority) +
								   authority.len);
	entry->len = authority.len;
	memcpy(entry->authority, authority.data, authority.len);
	slist_push_head(&hosts, &entry->node);
	return &entry->host;
}
