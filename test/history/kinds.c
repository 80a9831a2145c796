/*
 * kinds.c
 *	  The workloads: what is read, what is written, what DDL there is.
 */
#include "history.h"

/* Three milliseconds or so, and nothing volatile. */
#define BURN " AND (SELECT count(*) FROM generate_series(1, 20000)) > 0"

/* ---- tables with plain changes ---- */

static const Query account_queries[] = {
	{"SELECT sum(balance) AS value FROM hist.account"},
	{"SELECT jsonb_agg(to_jsonb(a) ORDER BY id) AS value FROM hist.account a"
	" WHERE branch = $1::int - 1", 4},
	{"SELECT balance AS value FROM hist.account WHERE id = $1::int", 8},
	{"SELECT * FROM hist.account WHERE branch = $1::int - 1 ORDER BY id", 4,
	"hist.account"},
	{"SELECT branch, sum(balance) AS total FROM hist.account GROUP BY branch"
	" ORDER BY branch", 0, "(branch int, total numeric)"},
	{NULL}
};

static const char *const account_writes[] = {
	"UPDATE hist.account SET balance = balance + CASE id WHEN :a THEN -:n"
	" ELSE :n END WHERE id IN (:a, 20 + :b)",
	"UPDATE hist.account SET balance = balance - :n WHERE id = :a;"
	"UPDATE hist.account SET balance = balance + :n WHERE id = 20 + :b",
	"WITH taken AS (UPDATE hist.account SET balance = balance - :n"
	" WHERE id = :a RETURNING id)"
	" UPDATE hist.account SET balance = balance + :n"
	" WHERE id = 20 + :b AND EXISTS (SELECT FROM taken)",
	"MERGE INTO hist.account AS t USING (VALUES (:a, -:n), (20 + :b, :n))"
	" AS s (id, d) ON t.id = s.id"
	" WHEN MATCHED THEN UPDATE SET balance = balance + s.d",
	NULL
};

static const Query version_queries[] = {
	{"SELECT v AS value FROM hist.version WHERE id = $1::int", 6},
	{"SELECT sum(v) AS value FROM hist.version"},
	{"SELECT max(v) AS value FROM hist.version WHERE tag = 't' || $1", 4},
	{"SELECT id, v FROM hist.version ORDER BY id", 0, "(id int, v bigint)"},
	{"SELECT sum(v) + (SELECT max(v) FROM hist.slow) AS value"
	" FROM hist.version"},
	{NULL}
};

static const char *const version_writes[] = {
	"UPDATE hist.version SET v = v + 1 WHERE id = :a",
	"UPDATE hist.version SET v = v + 1 WHERE tag = 't:m'",
	"INSERT INTO hist.version VALUES (:a, 1, 't0') ON CONFLICT (id)"
	" DO UPDATE SET v = hist.version.v + 1",
	"WITH u AS (UPDATE hist.version SET v = v + 1 WHERE id = :a"
	" RETURNING v) SELECT max(v) FROM u",
	"UPDATE hist.version AS x SET v = x.v + 1 FROM hist.version AS y"
	" WHERE x.id = :a AND y.id = :b",
	"DO $$ BEGIN UPDATE hist.version SET v = v + 1 WHERE id = :a;"
	" UPDATE hist.slow SET v = v + 1 WHERE id = :b; END $$",
	NULL
};

static const Query slow_queries[] = {
	{"SELECT v AS value FROM hist.slow WHERE id = $1::int" BURN, 6, NULL,
	"SELECT v AS value FROM hist.slow WHERE id = $1::int"},
	{"SELECT sum(v) AS value FROM hist.slow WHERE id > 0" BURN, 0, NULL,
	"SELECT sum(v) AS value FROM hist.slow"},
	{"SELECT id, v FROM hist.slow WHERE id > 0" BURN " ORDER BY id", 0,
	"(id int, v bigint)", "SELECT id, v FROM hist.slow ORDER BY id"},
	{NULL}
};

static const char *const slow_writes[] = {
	"UPDATE hist.slow SET v = v + 1 WHERE id = :a",
	"UPDATE hist.slow SET v = v + 1 WHERE id = 1 + :a % 6",
	NULL
};

static const Query item_queries[] = {
	{"SELECT count(*) AS value FROM hist.item WHERE cat = $1::int - 1", 4},
	{"SELECT body AS value FROM hist.item WHERE id = $1::int", 10},
	{"SELECT jsonb_agg(id ORDER BY id) AS value FROM hist.item"
	" WHERE cat = $1::int - 1", 4},
	{"SELECT EXISTS (SELECT FROM hist.item WHERE id = $1::int) AS value", 10},
	{"SELECT * FROM hist.item ORDER BY id", 0, "hist.item"},
	{NULL}
};

static const char *const item_writes[] = {
	"INSERT INTO hist.item VALUES (:a, :m, 'one :s') ON CONFLICT DO NOTHING",
	"DELETE FROM hist.item WHERE id = :a",
	"DELETE FROM hist.item WHERE id = :a;"
	"INSERT INTO hist.item VALUES (:a, :m, 'again :s')",
	"INSERT INTO hist.item SELECT i, :m, 'many :s'"
	" FROM generate_series(:a, :a + 2) AS i ON CONFLICT DO NOTHING",
	"DELETE FROM hist.item WHERE cat = :m",
	"UPDATE hist.item SET cat = (cat + 1) % 4 WHERE id = :a",
	"COPY hist.item FROM STDIN\n:a\t:m\tcopied :s\n",
	NULL
};

/* ---- trees of tables ---- */

static const Query part_queries[] = {
	{"SELECT jsonb_build_array(count(*), sum(v), sum(k)) AS value"
	" FROM hist.part"},
	{"SELECT sum(v) AS value FROM hist.part WHERE k = $1::int * 50 - 50", 6},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.part_a"},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.part_c"},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.part_c1"},
	{"SELECT tableoid::regclass::text AS t, sum(v) AS v FROM hist.part"
	" GROUP BY 1 ORDER BY 1", 0, "(t text, v numeric)"},
	{NULL}
};

static const char *const part_writes[] = {
	"INSERT INTO hist.part VALUES (:n % 300, :n)",
	"INSERT INTO hist.part_a VALUES (:n % 100, :n)",
	"INSERT INTO hist.part_c1 VALUES (200 + :n % 50, :n)",
	"INSERT INTO hist.part_c VALUES (200 + :n % 100, :n)",
	"UPDATE hist.part SET k = (k + 100) % 300 WHERE k = (:n * 5) % 300",
	"UPDATE hist.part_c SET k = 200 + (k + 50) % 100 WHERE k = 200 + :a * 5",
	"UPDATE hist.part_a SET v = v + 1 WHERE k = 5 * :a - 5",
	"UPDATE hist.part SET v = v + 1 WHERE k = (:a - 1) * 10",
	"DELETE FROM hist.part WHERE ctid IN (SELECT ctid FROM hist.part_b"
	" LIMIT 2) AND tableoid = 'hist.part_b'::regclass",
	"DELETE FROM hist.part_a WHERE k % 20 = :a - 1",
	"COPY hist.part FROM STDIN\n5\t:n\n105\t:n\n205\t:n\n",
	NULL
};

static const Query swap_queries[] = {
	{"SELECT jsonb_build_array(count(*), sum(v), sum(k)) AS value"
	" FROM hist.swap"},
	{"SELECT sum(v) AS value FROM hist.swap WHERE k = $1::int * 50 - 50", 5},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.swap_x"},
	{NULL}
};

static const char *const swap_writes[] = {
	"INSERT INTO hist.swap VALUES (:a * 10, :n)",
	"INSERT INTO hist.swap_x VALUES (100 + :a, :n)",
	"UPDATE hist.swap SET v = v + 1 WHERE k = :a * 10",
	"UPDATE hist.swap_x SET v = v + 1 WHERE k = 100 + :a",
	"DELETE FROM hist.swap WHERE k % 20 = :a",
	NULL
};

static const char *const swap_ddls[] = {
	"ALTER TABLE hist.swap DETACH PARTITION hist.swap_x",
	"ALTER TABLE hist.swap ATTACH PARTITION hist.swap_x"
	" FOR VALUES FROM (100) TO (200)",
	"ALTER TABLE hist.swap ATTACH PARTITION hist.swap_x"
	" FOR VALUES FROM (100) TO (200)",
	"ALTER TABLE hist.swap DETACH PARTITION hist.swap_x;"
	"UPDATE hist.swap_x SET v = v + 1;"
	"ALTER TABLE hist.swap ATTACH PARTITION hist.swap_x"
	" FOR VALUES FROM (100) TO (200)",
	"CREATE TABLE hist.swap_n PARTITION OF hist.swap"
	" FOR VALUES FROM (200) TO (300); SELECT hist.watch('hist.swap_n')",
	"CREATE TABLE hist.swap_n (k int, v bigint);"
	"INSERT INTO hist.swap_n VALUES (200, :n);"
	"SELECT hist.watch('hist.swap_n');"
	"ALTER TABLE hist.swap ATTACH PARTITION hist.swap_n"
	" FOR VALUES FROM (200) TO (300)",
	"DROP TABLE hist.swap_n",
	"TRUNCATE hist.swap_x",
	NULL
};

static const Query heir_queries[] = {
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.heir"},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM ONLY hist.heir"},
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value"
	" FROM hist.heir_child"},
	{"SELECT sum(v) AS value FROM hist.heir WHERE id = $1::int", 20},
	{NULL}
};

static const char *const heir_writes[] = {
	"UPDATE hist.heir SET v = v + 1 WHERE id = :a",
	"UPDATE hist.heir SET v = v + 1 WHERE id = 20 + :a",
	"UPDATE ONLY hist.heir SET v = v + 1 WHERE id = :a",
	"UPDATE hist.heir_child SET v = v + 1 WHERE id = 10 + :a",
	"INSERT INTO hist.heir_child VALUES (30 + :a, 1, :n)",
	"INSERT INTO hist.heir VALUES (60 + :a, 1)",
	"DELETE FROM hist.heir WHERE id = 30 + :a",
	"DELETE FROM hist.heir WHERE id = 60 + :a",
	NULL
};

static const Query fk_queries[] = {
	{"SELECT count(*) AS value FROM hist.owned WHERE owner = $1::int", 8},
	{"SELECT jsonb_build_array(count(*), sum(owner), sum(v)) AS value"
	" FROM hist.owned"},
	{"SELECT jsonb_agg(owner ORDER BY id) AS value FROM hist.lent"},
	{"SELECT o.id, count(d.id) AS n FROM hist.owner o LEFT JOIN hist.owned d"
	" ON d.owner = o.id GROUP BY o.id ORDER BY o.id", 0, "(id int, n bigint)"},
	{NULL}
};

static const char *const fk_writes[] = {
	"DELETE FROM hist.owner WHERE id = :a",
	"INSERT INTO hist.owner VALUES (:a) ON CONFLICT DO NOTHING;"
	"INSERT INTO hist.owned VALUES (2 * :a, 1, :a), (2 * :a - 1, 1, :a)"
	" ON CONFLICT DO NOTHING; UPDATE hist.lent SET owner = :a WHERE id = :a",
	"INSERT INTO hist.owner VALUES (:a) ON CONFLICT DO NOTHING;"
	"INSERT INTO hist.owned VALUES (:b, 1, :a) ON CONFLICT (id)"
	" DO UPDATE SET owner = :a",
	"UPDATE hist.owner SET id = 100 + :a WHERE id = :a",
	"UPDATE hist.owner SET id = :a WHERE id = 100 + :a",
	"DELETE FROM hist.owner WHERE id > 100",
	NULL
};

/* ---- things that DDL changes ---- */

static const Query shed_queries[] = {
	{"SELECT jsonb_build_array(count(*), sum(v)) AS value FROM hist.shed"},
	{"SELECT max(id) AS value FROM hist.shed"},
	{"SELECT v AS value FROM hist.shed ORDER BY id LIMIT 1"},
	{"SELECT count(*) AS value FROM hist.shed WHERE v % 4 = $1::int - 1", 4},
	{NULL}
};

static const char *const shed_writes[] = {
	"INSERT INTO hist.shed (v) SELECT :n + i FROM generate_series(1, 5) AS i",
	"UPDATE hist.shed SET v = v + 1 WHERE v % 20 = :a",
	"DELETE FROM hist.shed WHERE v % 20 = :a",
	NULL
};

static const char *const shed_ddls[] = {
	"TRUNCATE hist.shed",
	"TRUNCATE hist.shed; INSERT INTO hist.shed (v) VALUES (:n), (:a)",
	"INSERT INTO hist.shed (v) VALUES (:n); TRUNCATE hist.shed RESTART IDENTITY",
	NULL
};

static const Query view_queries[] = {
	{"SELECT jsonb_build_array(sum(v), max(number)) AS value FROM hist.shown"},
	{"SELECT v AS value FROM hist.shown_again WHERE id = $1::int", 6},
	{"SELECT jsonb_agg(to_jsonb(b) ORDER BY id) AS value FROM hist.base b"},
	{"SELECT id, v FROM hist.shown_again ORDER BY id", 0, "(id int, v bigint)"},
	{NULL}
};

static const char *const view_writes[] = {
	"UPDATE hist.base SET v = v + 1 WHERE id = :a",
	"UPDATE hist.shown SET v = v + 1 WHERE id = :a",
	NULL
};

static const char *const view_ddls[] = {
	"CREATE OR REPLACE VIEW hist.shown AS"
	" SELECT id, v, :s::bigint AS number FROM hist.base",
	"CREATE OR REPLACE VIEW hist.shown_again AS"
	" SELECT id, v + number + :s AS v FROM hist.shown",
	"DROP VIEW hist.shown_again; CREATE VIEW hist.shown_again AS"
	" SELECT id, v + :s AS v FROM hist.base",
	"ALTER TABLE hist.base ADD COLUMN IF NOT EXISTS extra int DEFAULT :s",
	"ALTER TABLE hist.base DROP COLUMN IF EXISTS extra",
	"ALTER TABLE hist.base ALTER COLUMN w TYPE text USING 'w' || w",
	"ALTER TABLE hist.base ALTER COLUMN w TYPE bigint USING :s",
	"ALTER TABLE hist.base RENAME COLUMN w TO z",
	"ALTER TABLE hist.base RENAME COLUMN z TO w",
	"UPDATE hist.base SET v = v + 1 WHERE id = :w; CREATE OR REPLACE VIEW"
	" hist.shown AS SELECT id, v, :s::bigint AS number FROM hist.base",
	NULL
};

static const Query func_queries[] = {
	{"SELECT hist.total() AS value"},
	{"SELECT hist.scaled($1::int) AS value", 6},
	{"SELECT hist.number() + hist.fixed() AS value"},
	{"SELECT sum(v) + hist.fixed() AS value FROM hist.fact"},
	{NULL}
};

static const char *const func_writes[] = {
	"UPDATE hist.fact SET v = v + 1 WHERE id = :a",
	"UPDATE hist.fact SET v = v + 1 WHERE id IN (:a, :b)",
	NULL
};

static const char *const func_ddls[] = {
	"CREATE OR REPLACE FUNCTION hist.number() RETURNS bigint STABLE"
	" LANGUAGE sql AS 'SELECT :s::bigint'",
	"CREATE OR REPLACE FUNCTION hist.fixed() RETURNS bigint IMMUTABLE"
	" LANGUAGE sql AS 'SELECT :s::bigint'",
	"CREATE OR REPLACE FUNCTION hist.scaled(i int) RETURNS bigint STABLE"
	" LANGUAGE sql AS 'SELECT v + :s FROM hist.fact WHERE id = i'",
	"CREATE OR REPLACE FUNCTION hist.total() RETURNS numeric STABLE"
	" LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(v) + :s FROM hist.fact)"
	" + hist.number(); END'",
	"DROP FUNCTION hist.number(); CREATE FUNCTION hist.number()"
	" RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN :s; END'",
	"UPDATE hist.fact SET v = v + 1 WHERE id = :w; CREATE OR REPLACE FUNCTION"
	" hist.fixed() RETURNS bigint IMMUTABLE LANGUAGE sql"
	" AS 'SELECT :s::bigint'",
	NULL
};

static const Query matview_queries[] = {
	{"SELECT sum(v) AS value FROM hist.mat"},
	{"SELECT v AS value FROM hist.mat WHERE id = $1::int", 6},
	{"SELECT sum(s.v - m.v) AS value FROM hist.mat m JOIN hist.source s"
	" USING (id)"},
	{"SELECT sum(v) AS value FROM hist.source"},
	{NULL}
};

static const char *const matview_writes[] = {
	"UPDATE hist.source SET v = v + 1 WHERE id = :a",
	"UPDATE hist.source SET v = v + 1 WHERE id = :a",
	"REFRESH MATERIALIZED VIEW CONCURRENTLY hist.mat",
	NULL
};

static const char *const matview_ddls[] = {
	"REFRESH MATERIALIZED VIEW hist.mat",
	"UPDATE hist.source SET v = v + 1 WHERE id = :w;"
	"REFRESH MATERIALIZED VIEW hist.mat",
	NULL
};

/* ---- the cache asked from inside ---- */

static const Query nested_queries[] = {
	{"SELECT hist.nested($1::int) AS value", 4, NULL,
		"SELECT 100000 * i.v + o.v AS value FROM hist.inner_part i"
	" JOIN hist.outer_part o USING (id) WHERE id = $1::int"},
	{"SELECT sum(hist.nested(i)) AS value FROM generate_series(1, 4) AS i", 0,
		NULL, "SELECT sum(100000 * i.v + o.v) AS value FROM hist.inner_part i"
	" JOIN hist.outer_part o USING (id) WHERE id <= 4"},
	{NULL}
};

static const char *const nested_writes[] = {
	"UPDATE hist.inner_part SET v = v + 1 WHERE id = 1 + :m",
	"UPDATE hist.outer_part SET v = v + 1 WHERE id = 1 + :m",
	"UPDATE hist.inner_part SET v = v + 1 WHERE id = 1 + :m;"
	"UPDATE hist.outer_part SET v = v + 1 WHERE id = 1 + :m",
	NULL
};

static const Query self_queries[] = {
	{"SELECT sum(x) AS value FROM hist.counter"},
	{"SELECT sum(x) AS value FROM hist.counter"},
	{"SELECT max(x) AS value FROM hist.counter WHERE id = $1::int", 6},
	{NULL}
};

static const char *const self_writes[] = {
	"UPDATE hist.counter SET x = hist.self_volatile(x) + 1 WHERE id <= 20",
	"UPDATE hist.counter SET x = hist.self_volatile(x) + 1"
	" WHERE id IN (:a, :b, :w)",
	"UPDATE hist.counter SET x = hist.self_stable(x) + 1"
	" WHERE id IN (:a, :b, :w)",
	"INSERT INTO hist.counter SELECT 100 + i, hist.self_volatile(:n)"
	" FROM generate_series(1, 3) AS i",
	"DELETE FROM hist.counter WHERE id > 100 AND hist.self_volatile(x) >= 0",
	"WITH u AS (UPDATE hist.counter SET x = x + 1 WHERE id = :a RETURNING id)"
	" SELECT hist.self_stable(1), count(*) FROM u",
	"UPDATE hist.counter SET x = x + 1 WHERE id = :a",
	NULL
};

#define BY_ONE(table, column) \
	"UPDATE hist." table " SET " column " = " column " + 1 WHERE id = :w"

const Kind	kinds[] = {
	{"account", false, false, account_queries,
		"UPDATE hist.account SET balance = balance + CASE id WHEN :w THEN -1"
	" ELSE 1 END WHERE id IN (:w, 20 + :w)", account_writes},
	{"version", false, false, version_queries, BY_ONE("version", "v"),
	version_writes},
	{"slow", false, false, slow_queries, BY_ONE("slow", "v"), slow_writes},
	{"item", false, false, item_queries,
		"INSERT INTO hist.item VALUES (:w + 20, :m, 'own') ON CONFLICT (id)"
	" DO UPDATE SET cat = (hist.item.cat + 1) % 4", item_writes},
	{"part", false, false, part_queries,
	"INSERT INTO hist.part VALUES (:n % 300, :w)", part_writes},
	{"swap", true, true, swap_queries,
	"INSERT INTO hist.swap VALUES (:n % 100, :w)", swap_writes, swap_ddls},
	{"heir", false, false, heir_queries, BY_ONE("heir", "v"), heir_writes},
	{"fk", false, false, fk_queries,
		"INSERT INTO hist.owner VALUES (200 + :w) ON CONFLICT DO NOTHING;"
		"INSERT INTO hist.owned VALUES (200 + :w, 0, 200 + :w) ON CONFLICT (id)"
	" DO UPDATE SET v = hist.owned.v + 1", fk_writes},
	{"shed", true, false, shed_queries,
	"INSERT INTO hist.shed (v) VALUES (:w)", shed_writes, shed_ddls},
	{"view", true, false, view_queries, BY_ONE("base", "v"), view_writes,
	view_ddls},
	{"func", true, true, func_queries, BY_ONE("fact", "v"), func_writes,
	func_ddls},
	{"matview", true, false, matview_queries, BY_ONE("source", "v"),
	matview_writes, matview_ddls},
	{"nested", false, false, nested_queries, BY_ONE("inner_part", "v"),
	nested_writes},
	{"self", false, false, self_queries, BY_ONE("counter", "x"), self_writes}
};

int			nkinds = sizeof(kinds) / sizeof(kinds[0]);
