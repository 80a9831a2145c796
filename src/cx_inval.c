/*
 * cx_inval.c
 *	  Which definitions has the transaction changed?
 *
 * The server tells other sessions of changed catalogs by messages, and before
 * a commit the messages of the transaction can be looked at.  A message on a
 * relation is a change of that relation's shape; one on a function, a type
 * or the like counts as a change of the database's catalogs, one on a role as
 * a change of the cluster.  These changes take effect when the messages are
 * out, which is after the commit can be seen: the writes are "late".
 *
 * What no message tells: that a new relation hides another by its name, and
 * that a type is new or has changed, or the columns of a table, which its row
 * type consists of: any new table makes the same noise.  Hooks (cx_ddl) report
 * these here.
 *
 * Locking: none of cachex's.  Reads the catalogs; may raise errors.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/proc.h"
#include "storage/sinval.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "access/xact.h"

#include "cx_compat.h"
#include "cx_inval.h"
#include "cx_lineage.h"
#include "cx_names.h"
#include "cx_writes.h"

/* More relations than this in one transaction are no longer told apart. */
#define MAX_RELATIONS 256

static void
add(Oid db, Oid rel, Oid cause, CxAspect aspect, char command, bool late)
{
	CxWrite		write = {0};

	write.db = db;
	write.rel = rel;
	write.cause = cause;
	write.aspect = aspect;
	write.command = command;
	write.late = late;
	(void) cx_writes_add(&write);
}

/* Notes that this transaction changes what names and functions mean. */
void
cx_inval_catalogs(void)
{
	add(MyDatabaseId, CX_CATALOGS, InvalidOid, CX_SHAPE, CX_COMMAND_DDL, true);
}

/* Notes that it changes who is who in the cluster. */
void
cx_inval_cluster(void)
{
	add(CX_CLUSTER, CX_CATALOGS, InvalidOid, CX_SHAPE, CX_COMMAND_DDL, true);
}

/*
 * Notes a change of a table: CX_ROWS or CX_SHAPE.  Those above it have
 * changed below.
 */
void
cx_inval_table(Oid rel, CxAspect aspect, char command, bool late)
{
	CxAspect	below = aspect == CX_ROWS ? CX_ROWS_BELOW : CX_SHAPE_BELOW;
	const Oid  *above;
	int			n;

	add(MyDatabaseId, rel, rel, aspect, command, late);
	n = cx_lineage_above(rel, &above);
	for (int i = 0; i < n; i++)
		add(MyDatabaseId, above[i], rel, below, command, late);
}

/* Whether a relation is temporary whose tuple nobody can see yet. */
static bool
is_new_temporary(Oid rel)
{
	Relation	relation = RelationIdGetRelation(rel);
	bool		result;

	if (relation == NULL)
		return false;
	result = relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
	RelationClose(relation);
	return result;
}

/* Notes that a relation was created, whose tuple nobody can see yet. */
void
cx_inval_created(Oid rel)
{
	CxWrite		write = {0};

	if (cx_writes_count() > MAX_RELATIONS)
	{
		if (!is_new_temporary(rel))
			cx_inval_catalogs();
		return;
	}
	write.db = MyDatabaseId;
	write.rel = write.cause = rel;
	write.aspect = CX_SHAPE;
	write.command = CX_COMMAND_DDL;
	write.late = true;
	cx_writes_add(&write)->created = true;
}

/* ---- names ---- */

/*
 * Whether a relation can hide another one, or a type: then what a query means
 * may be different when it comes or goes.
 */
static bool
hides_another(Oid rel)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rel));
	Form_pg_class form;
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relpersistence != RELPERSISTENCE_TEMP &&
		form->relkind != RELKIND_INDEX &&
		form->relkind != RELKIND_PARTITIONED_INDEX &&
		form->relkind != RELKIND_TOASTVALUE)
		result = cx_names_count(RELNAMENSP, NameStr(form->relname)) > 1 ||
			cx_names_count(TYPENAMENSP, NameStr(form->relname)) > 1;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Notes that a relation, or a column, comes, goes or changes: its row type may
 * be used where the relation is not read, and its name is free for others.
 */
void
cx_inval_row_type(Oid rel)
{
	char		kind = get_rel_relkind(rel);

	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX ||
		kind == RELKIND_TOASTVALUE || kind == RELKIND_SEQUENCE ||
		get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
		return;
	for (int i = 0; i < cx_writes_count(); i++)
	{
		if (cx_writes_get(i)->created && cx_writes_get(i)->rel == rel)
			return;
	}
	cx_inval_catalogs();
}

/* ---- temporary relations that are gone ---- */

static HTAB *gone = NULL;		/* their OIDs; in the transaction's memory */
static LocalTransactionId gone_in = InvalidLocalTransactionId;

/*
 * Notes that a relation is about to be dropped; before the commit nothing
 * tells any more that it was temporary, and nobody else's business.
 */
void
cx_inval_dropped(Oid rel)
{
	HASHCTL		ctl;

	if (get_rel_persistence(rel) != RELPERSISTENCE_TEMP)
		return;
	if (gone_in != cx_compat_my_lxid())
	{
		ctl.keysize = ctl.entrysize = sizeof(Oid);
		ctl.hcxt = TopTransactionContext;
		gone = hash_create("cachex temporary relations", 64, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		gone_in = cx_compat_my_lxid();
	}
	(void) hash_search(gone, &rel, HASH_ENTER, NULL);
}

static bool
was_temporary(Oid rel)
{
	return gone_in == cx_compat_my_lxid() &&
		hash_search(gone, &rel, HASH_FIND, NULL) != NULL;
}

static void
gather_names(void)
{
	for (int i = 0; i < cx_writes_count(); i++)
	{
		if (cx_writes_get(i)->created && hides_another(cx_writes_get(i)->rel))
		{
			cx_inval_catalogs();
			return;
		}
	}
}

/* ---- messages ---- */

/*
 * Whether what is in a system cache can change a result in ways that no
 * message on a relation tells of.
 */
static bool
is_semantic(int cache)
{
	switch (cache)
	{
			/* a message on the relation comes with it, or a hook tells */
		case ATTNAME:
		case ATTNUM:
		case RELOID:
		case RELNAMENSP:
		case TYPEOID:
		case TYPENAMENSP:
		case INDEXRELID:
		case PARTRELID:
		case RULERELNAME:
		case CONSTROID:
		case SEQRELID:
			/* changes plans, not results */
		case STATRELATTINH:
		case STATEXTOID:
		case STATEXTNAMENSP:
		case STATEXTDATASTXOID:
			/* has to do with foreign tables, which exact caches do not read */
		case FOREIGNTABLEREL:
		case FOREIGNSERVEROID:
		case FOREIGNSERVERNAME:
		case FOREIGNDATAWRAPPEROID:
		case FOREIGNDATAWRAPPERNAME:
		case USERMAPPINGOID:
		case USERMAPPINGUSERSERVER:
			/* is not read by queries */
		case PUBLICATIONOID:
		case PUBLICATIONNAME:
		case PUBLICATIONREL:
		case PUBLICATIONRELMAP:
		case PUBLICATIONNAMESPACE:
		case PUBLICATIONNAMESPACEMAP:
		case REPLORIGIDENT:
		case REPLORIGNAME:
		case SUBSCRIPTIONOID:
		case SUBSCRIPTIONNAME:
		case EVENTTRIGGEROID:
		case EVENTTRIGGERNAME:
		case DEFACLROLENSPOBJ:
		case PARAMETERACLOID:
		case PARAMETERACLNAME:
		case TABLESPACEOID:
		case DATABASEOID:		/* owner and name: see cx_ddl */
			return false;
		default:
			return true;
	}
}

/*
 * Whether what is in a system cache says where the rows of foreign tables are,
 * and who may see them there.  A message on a foreign table itself is one on a
 * relation.
 */
static bool
is_foreign(int cache)
{
	return cache == FOREIGNSERVEROID || cache == FOREIGNDATAWRAPPEROID ||
		cache == USERMAPPINGOID;
}

/*
 * A change that even what was read by ttl caches does not outlive: of so many
 * tables that they are not told apart, of who may call functions, or of
 * servers that foreign tables are on.
 */
static void
add_mass(void)
{
	add(MyDatabaseId, CX_CATALOGS, InvalidOid, CX_SHAPE_BELOW, CX_COMMAND_DDL,
		true);
}

/* Whether a message is that a temporary schema of this session is new. */
static bool
is_own_schema(const SharedInvalCatcacheMsg *message)
{
	Oid			schema[2];

	if (message->id != NAMESPACEOID && message->id != NAMESPACENAME)
		return false;
	GetTempNamespaceState(&schema[0], &schema[1]);
	for (int i = 0; i < 2 && OidIsValid(schema[i]); i++)
	{
		const char *name = get_namespace_name(schema[i]);
		Datum		key = message->id == NAMESPACEOID
		? ObjectIdGetDatum(schema[i]) : CStringGetDatum(name);

		if (name &&
			message->hashValue == GetSysCacheHashValue1(message->id, key))
			return true;
	}
	return false;
}

static void
take_catcache(const SharedInvalCatcacheMsg *message)
{
	if (is_foreign(message->id))
		add_mass();
	if (!is_semantic(message->id) || is_own_schema(message))
		return;
	if (OidIsValid(message->dbId))
		cx_inval_catalogs();
	else
		cx_inval_cluster();
}

/* Whether a relation is one that results are made of, or gone. */
static bool
counts(Oid rel)
{
	HeapTuple	tuple;
	Form_pg_class form;
	bool		result;

	if (rel < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rel));
	if (!HeapTupleIsValid(tuple))
		return !was_temporary(rel);
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relpersistence != RELPERSISTENCE_TEMP &&
		(form->relkind == RELKIND_RELATION ||
		 form->relkind == RELKIND_PARTITIONED_TABLE ||
		 form->relkind == RELKIND_VIEW ||
		 form->relkind == RELKIND_MATVIEW ||
		 form->relkind == RELKIND_FOREIGN_TABLE ||
		 form->relkind == RELKIND_SEQUENCE);
	ReleaseSysCache(tuple);
	return result;
}

/* Notes a change of who may call functions, and find them. */
void
cx_inval_callers(void)
{
	add_mass();
}

/* Notes a change of what functions tell of privileges. */
void
cx_inval_privileges(void)
{
	add(MyDatabaseId, CX_PRIVILEGES, InvalidOid, CX_SHAPE, CX_COMMAND_DDL,
		true);
}

/* Notes that this transaction may change any definition there is. */
void
cx_inval_everything(void)
{
	add_mass();
	cx_inval_catalogs();
	cx_inval_cluster();
}

static void
take_relcache(const SharedInvalRelcacheMsg *message)
{
	if (message->dbId != MyDatabaseId)
		return;
	if (!OidIsValid(message->relId))
		add_mass();
	else if (!counts(message->relId))
		return;
	else if (cx_writes_count() > MAX_RELATIONS)
		add_mass();
	else
		cx_inval_table(message->relId, CX_SHAPE, CX_COMMAND_DDL, true);
}

/*
 * Before a commit or PREPARE of a transaction that has an xid: adds what it
 * has changed but for rows to the list of its writes.
 */
void
cx_inval_gather(void)
{
	SharedInvalidationMessage *messages;
	bool		init_file;
	int			n;

	/* statistics and dead rows only */
	if (AmAutoVacuumWorkerProcess())
		return;
	n = xactGetCommittedInvalidationMessages(&messages, &init_file);
	for (int i = 0; i < n; i++)
	{
		if (messages[i].id >= 0)
			take_catcache(&messages[i].cc);
		else if (messages[i].id == SHAREDINVALRELCACHE_ID)
			take_relcache(&messages[i].rc);
	}
	if (n > 0)
		gather_names();
}
