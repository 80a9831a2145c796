/*
 * cx_shmem.c
 *	  Divides cachex.memory among the modules, at server start.
 *
 * What is not needed for books goes to the arena.  The number of entries that
 * the books are made for is that of the smallest entries that fit.
 *
 * Locking: AddinShmemInitLock while the memory is laid out.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "cx_arena.h"
#include "cx_boot.h"
#include "cx_counters.h"
#include "cx_deps.h"
#include "cx_flight.h"
#include "cx_guc.h"
#include "cx_key.h"
#include "cx_launcher.h"
#include "cx_notes.h"
#include "cx_policy.h"
#include "cx_preload.h"
#include "cx_registry.h"
#include "cx_rels.h"
#include "cx_requests.h"
#include "cx_shmem.h"
#include "cx_snapshot.h"
#include "cx_table.h"
#include "cx_tier_queue.h"
#include "cx_wake.h"

/* Bytes of the smallest entry: one chunk and its slot. */
#define SMALLEST (CX_CHUNK_SIZE + CX_SLOT_SIZE)

typedef struct Plan
{
	Size		budget;
	int			ncaches;
	uint32		npages;
	uint32		max_entries;
	uint32		nbuckets;
} Plan;

typedef struct Module
{
	Size		(*size) (const Plan *plan);
	void		(*init) (const Plan *plan, void *memory);
} Module;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static const struct
{
	const char *name;
	int			n;
}			tranches[] =

{
	{"cachex_table", 128},
	{"cachex_deps", 64},
	{"cachex_boot", 1},
	{"cachex_policy", 1},
	{"cachex_arena", 1},
	{"cachex_registry", 1},
	{"cachex_launcher", 1},
	{"cachex_requests", 1},
	{"cachex_waits", 1},
	{"cachex_tier", 1},
};

static Size
wake_size(const Plan *plan)
{
	return cx_wake_size();
}

static void
wake_init(const Plan *plan, void *memory)
{
	cx_wake_init(memory);
}

static Size
flight_size(const Plan *plan)
{
	return cx_flight_size();
}

static void
flight_init(const Plan *plan, void *memory)
{
	cx_flight_init(memory);
}

static Size
launcher_size(const Plan *plan)
{
	return cx_launcher_size();
}

static void
launcher_init(const Plan *plan, void *memory)
{
	cx_launcher_init(memory);
}

static Size
requests_size(const Plan *plan)
{
	return cx_requests_size(plan->budget);
}

static void
requests_init(const Plan *plan, void *memory)
{
	cx_requests_init(memory, plan->budget);
}

static Size
tier_size(const Plan *plan)
{
	return cx_tier_queue_size();
}

static void
tier_init(const Plan *plan, void *memory)
{
	cx_tier_queue_init(memory);
}

static Size
registry_size(const Plan *plan)
{
	return cx_registry_size(plan->ncaches);
}

static void
registry_init(const Plan *plan, void *memory)
{
	cx_registry_init(memory, plan->ncaches);
}

static Size
counters_size(const Plan *plan)
{
	return cx_counters_size(plan->ncaches);
}

static void
counters_init(const Plan *plan, void *memory)
{
	cx_counters_init(memory, plan->ncaches);
}

static Size
policy_size(const Plan *plan)
{
	return cx_policy_size(plan->ncaches, plan->max_entries);
}

static void
policy_init(const Plan *plan, void *memory)
{
	cx_policy_init(memory, plan->ncaches, plan->max_entries,
				   GetCurrentTimestamp());
}

static Size
deps_size(const Plan *plan)
{
	return cx_deps_size(plan->budget);
}

static void
deps_init(const Plan *plan, void *memory)
{
	cx_deps_init(memory, plan->budget);
}

static Size
rels_size(const Plan *plan)
{
	return cx_rels_size(plan->budget);
}

static void
rels_init(const Plan *plan, void *memory)
{
	cx_rels_init(memory, plan->budget);
}

static Size
notes_size(const Plan *plan)
{
	return cx_notes_size();
}

static void
notes_init(const Plan *plan, void *memory)
{
	cx_notes_init(memory);
}

static Size
boot_size(const Plan *plan)
{
	return cx_boot_size();
}

static void
boot_init(const Plan *plan, void *memory)
{
	cx_boot_init(memory);
}

static Size
gens_size(const Plan *plan)
{
	return cx_gens_size(plan->max_entries);
}

static void
gens_init(const Plan *plan, void *memory)
{
	cx_gens_init(memory, plan->max_entries);
}

static Size
store_size(const Plan *plan)
{
	return cx_table_size(plan->nbuckets);
}

static void
store_init(const Plan *plan, void *memory)
{
	cx_table_init(memory, plan->nbuckets);
}

static Size
arena_size(const Plan *plan)
{
	return cx_arena_size(plan->npages);
}

static void
arena_init(const Plan *plan, void *memory)
{
	cx_arena_init(memory, plan->npages);
}

static const Module modules[] =
{
	{wake_size, wake_init},
	{flight_size, flight_init},
	{launcher_size, launcher_init},
	{requests_size, requests_init},
	{tier_size, tier_init},
	{registry_size, registry_init},
	{counters_size, counters_init},
	{policy_size, policy_init},
	{gens_size, gens_init},
	{rels_size, rels_init},
	{boot_size, boot_init},
	{notes_size, notes_init},
	{deps_size, deps_init},
	{store_size, store_init},
	{arena_size, arena_init},
};

static Size
total_size(const Plan *plan)
{
	Size		size = 0;

	for (int i = 0; i < (int) lengthof(modules); i++)
		size = add_size(size, CACHELINEALIGN(modules[i].size(plan)));
	return add_size(size, PG_CACHE_LINE_SIZE);
}

/* The plan with the most pages that fits the budget, its locks included. */
static Plan
make_plan(void)
{
	Plan		plan;
	Size		locks = 0;

	for (int i = 0; i < (int) lengthof(tranches); i++)
		locks += tranches[i].n * sizeof(LWLockPadded);
	plan.budget = (Size) cx_guc_memory * 1024 * 1024 - locks;
	plan.ncaches = cx_registry_count(plan.budget);
	plan.npages = (uint32) (plan.budget / CX_PAGE_SIZE);
	do
	{
		plan.npages -= Max(plan.npages / 512, 1);
		plan.max_entries = (uint32) ((Size) plan.npages * CX_PAGE_SIZE /
									 SMALLEST);
		plan.nbuckets = cx_table_count_buckets(plan.max_entries);
	} while (total_size(&plan) > plan.budget);
	return plan;
}

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(make_plan().budget);
	for (int i = 0; i < (int) lengthof(tranches); i++)
		RequestNamedLWLockTranche(tranches[i].name, tranches[i].n);
}

/* All modules as new, and a new seed. */
static void
lay_out(const Plan *plan, char *memory)
{
	if (!pg_strong_random(&cx_key_seed, sizeof(cx_key_seed)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random seed")));
	for (int i = 0; i < (int) lengthof(modules); i++)
	{
		modules[i].init(plan, memory);
		memory += CACHELINEALIGN(modules[i].size(plan));
	}
}

static void
shmem_startup(void)
{
	Plan		plan = make_plan();
	bool		found;
	char	   *memory;

	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("cachex", plan.budget, &found);
	Assert(!found);
	memory = (char *) CACHELINEALIGN(memory);
	lay_out(&plan, memory);
	LWLockRelease(AddinShmemInitLock);
	cx_preloaded = true;
	/* what was restored before the file turned out to be damaged goes */
	if (!cx_snapshot_load())
		lay_out(&plan, memory);
}

/* Called from _PG_init while shared_preload_libraries are loaded. */
void
cx_shmem_install_hooks(void)
{
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}
