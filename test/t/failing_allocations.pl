
# An error anywhere leaves all as it should be: every call of the server that
# allocates, looks into a catalog, takes a lock or can be cancelled fails once,
# in every function, and after each failure the session works, the store is
# sound, nobody is in doubt, no lock is left, and what is cached is what the
# tables say. None of these calls is made under one of the library's locks, or
# where a transaction ends and nothing may fail.
# The library is built for this: see ../fail/fail.h. CACHEX_TEST_ONLY is a
# pattern for the names of what is to be tried.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

# How many calls of a series fail one after the other, and how many of the rest.
my ($each, $rest) = (80, 20);
my $chunk = 20;

my @stage = variant('CX_FAIL=1', 'COPT=-O0 -Wno-cpp');
plan skip_all => 'this server loads extensions from its own directories only' unless @stage;

# ---- the server ----

my $node = new_server('main', 'cachex.memory = 16MB', 'max_prepared_transactions = 10',
	'max_connections = 20', @stage);
$node->start;
add_extension($node);
my $library = one($node, q{SELECT probin FROM pg_proc WHERE proname = 'check_store'});
$node->safe_psql('postgres', qq{
	CREATE FUNCTION cx_fail_at(bigint) RETURNS void LANGUAGE c AS '$library';
	CREATE FUNCTION cx_fail_passed() RETURNS text LANGUAGE c AS '$library'});
$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET statement_timeout = '8s';
	CREATE ROLE other;
	GRANT USAGE ON SCHEMA cachex TO other;
	CREATE TABLE t (id int PRIMARY KEY, v int);
	CREATE TABLE w (id int PRIMARY KEY, grp text, v int);
	CREATE TABLE p (id int PRIMARY KEY, v int);
	CREATE TABLE tree (k int, v int) PARTITION BY LIST (k);
	CREATE TABLE leaf PARTITION OF tree FOR VALUES IN (1);
	CREATE TABLE fresh (id int);
	CREATE TABLE witness (n int);
	INSERT INTO t SELECT i, i FROM generate_series(1, 5) i;
	INSERT INTO w SELECT i, 'g' || i % 2, i FROM generate_series(1, 5) i;
	INSERT INTO p SELECT i, i FROM generate_series(1, 5) i;
	INSERT INTO tree VALUES (1, 1);
	INSERT INTO witness VALUES (0);
	GRANT SELECT ON t, w, tree TO other;
	CREATE FUNCTION total(key text) RETURNS bigint LANGUAGE sql STABLE
		AS $$ SELECT sum(v) FROM t WHERE id <= length(key) $$;
	CREATE FUNCTION nested() RETURNS jsonb LANGUAGE plpgsql STABLE
		AS $$ BEGIN RETURN cachex.fetch('x', 'inner', 'SELECT sum(v) FROM t'); END $$;
	SELECT cachex.create_cache('x'),
		cachex.create_cache('sh', shared => true, loader => 'total(text)'),
		cachex.create_cache('c', consistency => 'ttl'),
		cachex.create_cache('s', consistency => 'ttl', max_entries_per_scope => 3),
		cachex.create_cache('st', consistency => 'ttl', stale_for => '1 hour', loader => 'total(text)'),
		cachex.create_cache('pt', consistency => 'ttl', persist => 'table'),
		cachex.create_cache('px', persist => 'table'),
		cachex.create_cache('pw', consistency => 'ttl', persist => 'table');
	SELECT cachex.grant_cache(c, 'other', 'read'), cachex.grant_cache(c, 'other', 'write')
	FROM unnest('{x,sh,c,pt}'::text[]) c;
	SELECT cachex.watch('t'), cachex.watch('tree'),
		cachex.watch('w', 'c', keys => '{w:<id>}', tags => '{g:<grp>}'),
		cachex.watch('p', 'c', keys => '{p:<id>}', action => 'put'),
		cachex.watch('p', 'pw', keys => '{p:<id>}');

	-- what is cached under the key is what the query says
	CREATE FUNCTION differs(cache text, key text, query text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		cached text := cachex.fetch(cache, key, query)::text;
		direct text;
	BEGIN
		EXECUTE query INTO direct;
		RETURN CASE WHEN cached IS DISTINCT FROM direct
			THEN format('%s %s: %s instead of %s;', cache, key, cached, direct) ELSE '' END;
	END $$;
	-- a value is absent or what the row says
	CREATE FUNCTION differs_row(cache text, prefix text, rel regclass) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		wrong text;
	BEGIN
		EXECUTE format('SELECT string_agg(%1$L || id || '' is '' || got.v || '' not '' || r.v, '', '')
			FROM %2$s r, LATERAL (SELECT coalesce(x ->> ''v'', x #>> ''{}'') FROM cachex.get(%3$L, %1$L || id) x) got(v)
			WHERE got.v <> r.v::text', prefix, rel, cache) INTO wrong;
		RETURN coalesce(wrong, '');
	END $$;
	CREATE FUNCTION wrong() RETURNS text LANGUAGE sql AS $$
		SELECT differs('x', 'sum', 'SELECT sum(v) FROM t')
			|| differs('x', 'tree', 'SELECT sum(v) FROM tree')
			|| differs('px', 'sum', 'SELECT sum(v) FROM t')
			|| differs('queries', 'sum', 'SELECT count(*) FROM t')
			|| differs_row('c', 'w:', 'w') || differs_row('c', 'p:', 'p') || differs_row('pw', 'p:', 'p')
	$$;
	CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
		SELECT concat_ws(', ', check_store(), nullif(in_doubt, 0) || ' in doubt',
			(SELECT nullif(count(*), 0) || ' pending' FROM cachex.entries() WHERE status = 'pending'))
		FROM cachex.memory()
	$$;
	CREATE FUNCTION locks() RETURNS text LANGUAGE sql AS $$
		SELECT string_agg(locktype || ' ' || mode, ', ') FROM pg_locks
		WHERE pid = pg_backend_pid() AND locktype IN ('advisory', 'object')
	$$;
	-- what it was before, or after a transaction that has committed
	CREATE FUNCTION is_one_of(value jsonb, before jsonb, after jsonb) RETURNS text LANGUAGE sql AS $$
		SELECT CASE WHEN value IS NOT DISTINCT FROM CASE n WHEN 1 THEN after ELSE before END THEN ''
			ELSE format('%s with witness %s', value, n) END FROM witness
	$$;
	-- what an error has left behind in this session
	CREATE FUNCTION held(OUT contexts bigint, OUT bytes bigint) LANGUAGE sql AS $$
		SELECT count(*) FILTER (WHERE name LIKE 'cachex%' AND name <> 'cachex plan'), sum(total_bytes)
		FROM pg_backend_memory_contexts
	$$});

# ---- statements ----

# name, what they are, and (before) what is done before each time, (check) an
# expression that is '' when all is well; new: a session of its own each time;
# fetch: errors of the cache itself should not be the caller's; makes: what it
# makes and then uses may not be there; each: instead of the above.
my @series;

sub series
{
	my ($name, $sql, %more) = @_;
	push @series, { name => $name, sql => $sql, %more };
	return;
}

my $sum = q{'SELECT sum(v) FROM t'};
my $read = q{cachex.put('c', 'k', '1', tags => '{a}')};
my $in = 'BEGIN; UPDATE witness SET n = 1';
my $old = 'UPDATE witness SET n = 0; ';
my %k = (before => $old . q{SELECT cachex.put('c', 'k', '1', tags => '{a}')});

# reading
series('get', q{SELECT cachex.get('c', 'k')}, before => "SELECT $read");
series('get, new session', q{SELECT cachex.get('c', 'k')}, before => "SELECT $read", new => 1);
series('get_as', q{SELECT cachex.get_as('c', 'k', NULL::jsonb)}, before => "SELECT $read");
series('lookup', q{SELECT * FROM cachex.lookup('c', 'k')}, before => "SELECT $read");
series('hit', "SELECT cachex.fetch('x', 'sum', $sum)", fetch => 1);
series('fill', "SELECT cachex.fetch('x', 'sum', $sum)", fetch => 1,
	before => q{SELECT cachex.invalidate('x', 'sum')});
series('fill, new session', "SELECT cachex.fetch('x', 'sum', $sum)", fetch => 1, new => 1,
	before => q{SELECT cachex.invalidate('x', 'sum')});
series('fill of ttl with all', q{SELECT cachex.fetch('c', 'f', 'SELECT $1::int + v AS value, ''{t1}''::text[] AS tags FROM t WHERE id = 1',
	ARRAY['3'], ttl => '1 min', tags => '{a,b}', scope => 'me')}, fetch => 1, before => q{SELECT cachex.clear('c', 'me')});
series('fill with scope limit', "SELECT cachex.fetch('s', 'f' || i, $sum, scope => 'me') FROM generate_series(1, 5) i",
	fetch => 1, before => q{SELECT cachex.clear('s', 'me')});
series('large value', q{SELECT length(cachex.fetch('x', 'large', 'SELECT repeat(''x'', 30000 + v) FROM t WHERE id = 1')::text)},
	fetch => 1, before => q{SELECT cachex.invalidate('x', 'large')});
series('nested', q{SELECT cachex.fetch('x', 'outer', 'SELECT nested()')}, fetch => 1,
	before => q{SELECT cachex.clear('x')});
series('shared fill', q{SELECT cachex.fetch('sh', 'kk')}, fetch => 1, before => q{SELECT cachex.clear('sh')});
series('shared hit', q{SET ROLE other; SELECT cachex.fetch('x', 'sum', } . "$sum), cachex.fetch('sh', 'kk'); RESET ROLE",
	fetch => 1, before => q{RESET ROLE; UPDATE t SET v = v + 1 WHERE id = 5; SELECT cachex.fetch('sh', 'kk')}, after => 'RESET ROLE');
series('stale', q{SELECT cachex.fetch('st', 'kk')}, fetch => 1,
	before => q{SELECT cachex.fetch('st', 'kk'); SELECT cachex.invalidate('st', 'kk')});
series('synchronous', q{BEGIN; SET LOCAL cachex.synchronous = on; SELECT cachex.fetch('st', 'kk'); COMMIT}, fetch => 1,
	before => q{SELECT cachex.fetch('st', 'kk'); SELECT cachex.invalidate('st', 'kk')});
series('synchronous, staged', q{BEGIN; SET LOCAL cachex.synchronous = on; UPDATE t SET v = v + 1 WHERE id = 2;
	SELECT cachex.refresh('st', 'kk'), cachex.fetch('st', 'kk'); COMMIT}, before => q{SELECT cachex.fetch('st', 'kk')});
series('own writes', "BEGIN; UPDATE t SET v = v + 1 WHERE id = 1; SELECT cachex.fetch('x', 'sum', $sum); COMMIT", fetch => 1);
series('refused', q{SELECT cachex.fetch('x', 'r', 'SELECT random() < 2')}, fetch => 1);
series('fetch_as', "SELECT cachex.fetch_as('x', 'sum as', 0::bigint, $sum)", fetch => 1,
	before => q{SELECT cachex.invalidate('x', 'sum as')});
series('fetch_many', q{SELECT * FROM cachex.fetch_many('x', '{1,2,3}', 'SELECT id::text AS key, v AS value FROM t WHERE id::text = ANY ($1)')},
	fetch => 1, before => q{SELECT cachex.invalidate('x', '2')});
series('query', q{SELECT * FROM cachex.query('SELECT id, v FROM t ORDER BY id') AS r(id int, v int)}, fetch => 1,
	before => q{SELECT cachex.clear('queries')});
series('query, hit', q{SELECT * FROM cachex.query('SELECT id, v FROM t ORDER BY id') AS r(id int, v int)}, fetch => 1);
series('query, new session', q{SELECT * FROM cachex.query('SELECT id, v FROM t ORDER BY id') AS r(id int, v int)},
	fetch => 1, new => 1, before => q{SELECT cachex.clear('queries')});
series('query_as', q{SELECT * FROM cachex.query_as(NULL::t, 'SELECT * FROM t WHERE id > $1', ARRAY['2'])}, fetch => 1,
	before => q{SELECT cachex.clear('queries')});

# writing
my $is_k = q{is_one_of(cachex.get('c', 'k'), '1', '2')};
my $is_gone = q{is_one_of(cachex.get('c', 'k'), '1', NULL)};
my $is_pt = q{is_one_of(cachex.get('pt', 'k'), '1', '2')};
my %pt = (before => $old . q{SELECT cachex.put('pt', 'k', '1')}, check => $is_pt);
series('put', "$in; " . q{SELECT cachex.put('c', 'k', '2', ttl => '1 h', tags => '{a,b}', metadata => '{"m": 1}'); COMMIT}, %k, check => $is_k);
series('put, bare', q{SELECT cachex.put('c', 'bare', '2')});
series('put, conditions', "$in; " . q{SELECT cachex.put('c', 'k', '2', only_if => 'present'); COMMIT}, %k, check => $is_k);
series('put, large', q{SELECT cachex.put('c', 'l', to_jsonb(repeat('x', 30000)))});
series('put, limited scope', q{SELECT cachex.put('s', 'p' || i, '1', scope => 'p') FROM generate_series(1, 5) i});
series('put_many', "$in; " . q{SELECT cachex.put_many('c', '{"k": 2, "k2": 2}', tags => '{a}', scope => NULL); COMMIT}, %k, check => $is_k);
series('update', "$in; " . q{SELECT cachex.update('c', 'k', '($1::int + 1)::text::jsonb'); COMMIT}, %k, check => $is_k);
series('incr', "$in; " . q{SELECT cachex.incr('c', 'k'); COMMIT}, %k, check => $is_k);
series('push', q{SELECT cachex.push('c', 'list', '1', max_length => 3)});
series('take', "$in; " . q{SELECT cachex.take('c', 'k'); COMMIT}, %k, check => $is_gone);
series('touch', "$in; " . q{SELECT cachex.touch('c', 'k', '1 h'); COMMIT}, %k, check => q{is_one_of(cachex.get('c', 'k'), '1', '1')});
series('savepoints', "$in; " . q{SAVEPOINT a; SELECT cachex.put('c', 'k', '3'); SAVEPOINT b; SELECT cachex.put('c', 'k', '4');
	ROLLBACK TO b; RELEASE a; SAVEPOINT c; SELECT cachex.invalidate_tags('{b}'); ROLLBACK TO c; SELECT cachex.put('c', 'k', '2'); COMMIT}, %k, check => $is_k);
series('caught', q{DO $$ BEGIN BEGIN PERFORM cachex.put('c', 'k', '2'), cachex.fetch('x', 'sum', 'SELECT sum(v) FROM t');
	EXCEPTION WHEN OTHERS THEN NULL; END; PERFORM cachex.invalidate('c', 'j'); END $$}, %k);
series('rolled back', "$in; " . q{SELECT cachex.put('c', 'k', '2'), cachex.invalidate_tags('{a}'); ROLLBACK}, %k, check => $is_k);

series('many changes', q{SELECT cachex.put('c', 'k', '2'), cachex.invalidate('c', 'j' || i) FROM generate_series(1, 10) i; ROLLBACK TO a; COMMIT}, each => 1000,
	before => $k{before} . '; BEGIN; SAVEPOINT a; ' . q{SELECT cachex.invalidate('c', 'i' || i), cachex.put('c', 'o' || i, '1')
		FROM generate_series(1, 2), generate_series(1, 56) i});

# invalidating
series('invalidate', "$in; " . q{SELECT cachex.invalidate('c', 'k'), cachex.invalidate('c', 'k', scope => 'me'); COMMIT}, %k,
	check => $is_gone);
series('invalidate_tags', "$in; " . q{SELECT cachex.invalidate_tags('{a,b,c}'); COMMIT}, %k, check => $is_gone);
series('invalidate_like', "$in; " . q{SELECT cachex.invalidate_like('c', 'k%'); COMMIT}, %k, check => $is_gone);
series('invalidate_table', q{SELECT cachex.invalidate_table('t')});
series('clear', "$in; " . q{SELECT cachex.clear('c'); COMMIT}, %k, check => $is_gone);
series('clear a scope, all', q{SELECT cachex.clear('s', 'me'); SELECT cachex.clear()});
series('purge', q{SELECT cachex.purge(), cachex.purge('c')}, before => q{SELECT cachex.put('c', 'fleeting', '1', ttl => '1 ms')});
series('prepared', "$in; " . q{UPDATE t SET v = v + 1 WHERE id = 3; SELECT cachex.invalidate_tags('{a}'), cachex.invalidate('c', 'k'), cachex.invalidate_like('pt', 'k%');
	PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'}, %k, check => $is_gone);
series('prepared, rolled back', q{BEGIN; UPDATE t SET v = v + 1 WHERE id = 3; SELECT cachex.invalidate('c', 'k'); ALTER TABLE fresh ADD x int;
	PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'});

# tables
my $w = q{SELECT cachex.put_many('c', '{"w:1": 1, "w:2": 2}', tags => '{g:g0}'); UPDATE w SET v = id; SELECT cachex.fetch('c', 'w:1', 'SELECT v FROM w WHERE id = 1')};
series('write, bare', 'UPDATE t SET v = v + 1 WHERE id = 1');
series('write, new session', 'UPDATE t SET v = v + 1 WHERE id = 1', new => 1);
series('write, keys and tags', 'UPDATE w SET v = v + 1 WHERE id < 3', before => $w);
series('write, put', 'UPDATE p SET v = v + 1 WHERE id < 3', before => q{SELECT cachex.put('pw', 'p:1', to_jsonb(v)) FROM p WHERE id = 1});
series('write, transaction', q{BEGIN; UPDATE w SET v = v + 1 WHERE id = 1; SAVEPOINT a; INSERT INTO w VALUES (9, 'g0', 9); DELETE FROM t WHERE id = 5;
	ROLLBACK TO a; UPDATE p SET v = v + 1 WHERE id = 1; COMMIT}, before => $w);
series('truncate', 'BEGIN; TRUNCATE w; ROLLBACK; TRUNCATE fresh');
series('COPY', q{COPY t FROM PROGRAM 'true'});
series('partitions', q{BEGIN; CREATE TABLE leaf2 PARTITION OF tree FOR VALUES IN (2); INSERT INTO tree VALUES (2, 2); COMMIT;
	BEGIN; ALTER TABLE tree DETACH PARTITION leaf2; DROP TABLE leaf2; COMMIT}, after => 'DROP TABLE IF EXISTS leaf2', makes => 1);
series('definitions', q{ALTER TABLE t ADD COLUMN extra int DEFAULT 7; ALTER TABLE t DROP COLUMN extra},
	after => 'ALTER TABLE t DROP COLUMN IF EXISTS extra', makes => 1);
series('functions', q{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'; DROP FUNCTION f()},
	after => 'DROP FUNCTION IF EXISTS f()', makes => 1);
series('temporary tables', 'BEGIN; CREATE TEMP TABLE tt (a int) ON COMMIT DROP; INSERT INTO tt VALUES (1); COMMIT');
series('watch', q{SELECT cachex.watch('fresh'), cachex.watch('fresh', 'c', keys => '{f:<id>}', scope => 'me')}, after => q{SELECT cachex.unwatch('fresh')});
series('unwatch', q{SELECT cachex.unwatch('fresh')}, before => q{SELECT cachex.watch('fresh'), cachex.watch('fresh', 'c', tags => '{f:<id>}')},
	after => q{SELECT cachex.unwatch('fresh')});
series('watch, refresh', 'UPDATE fresh SET id = id', before => q{SELECT cachex.unwatch('fresh'), cachex.watch('fresh', 'st', keys => '{kk}', action => 'refresh')},
	after => q{SELECT cachex.unwatch('fresh')});

# entries in tables
series('stored put', "$in; " . q{SELECT cachex.put('pt', 'k', '2', tags => '{a}', scope => NULL); COMMIT}, %pt);
series('stored put, rolled back to a savepoint', "$in; " . q{SELECT cachex.put('pt', 'k', '2'); SAVEPOINT a; SELECT cachex.put('pt', 'k', '3'); ROLLBACK TO a; COMMIT}, %pt);
series('stored incr', "$in; " . q{SELECT cachex.incr('pt', 'k'); COMMIT}, %pt);
series('stored invalidations', "$in; " . q{SELECT cachex.invalidate('pt', 'k'), cachex.invalidate_tags('{a}'), cachex.invalidate_like('pt', 'k%'); COMMIT},
	%pt, check => q{is_one_of(cachex.get('pt', 'k'), '1', NULL)});
series('stored fill', "SELECT cachex.fetch('px', 'sum', $sum)", fetch => 1, before => q{SELECT cachex.invalidate('px', 'sum')});
series('stored clear', q{SELECT cachex.clear('pt'), cachex.clear('px')});

# definitions of caches
series('create and drop', q{SELECT cachex.create_cache('new', max_entries_per_scope => 2);
	SELECT cachex.put('new', 'k', '1', scope => 'a'); SELECT cachex.drop_cache('new')}, after => q{SELECT cachex.drop_cache('new', true)}, makes => 1);
series('create and drop, stored', q{BEGIN; SELECT cachex.create_cache('new', consistency => 'ttl', persist => 'table'), cachex.put('new', 'k', '1'); COMMIT;
	SELECT cachex.drop_cache('new')}, after => q{SELECT cachex.drop_cache('new', true)}, makes => 1);
series('alter', q{SELECT cachex.alter_cache('s', '{"max_entries_per_scope": 2, "ttl": "1 h"}'); SELECT cachex.alter_cache('s', '{"max_entries_per_scope": null}')},
	before => q{SELECT cachex.alter_cache('s', '{"max_entries_per_scope": 3}'), cachex.put('s', 'k', '1', scope => 'me')});
series('grant and revoke', q{SELECT cachex.grant_cache('s', 'other', 'read'); SELECT cachex.revoke_cache('s', 'other', 'read')});
series('warmers', q{SELECT cachex.create_warmer('c', 'wa', 'SELECT id::text AS key, v AS value FROM public.t'); SELECT cachex.warm('c', '{wa}'); SELECT cachex.drop_warmer('c', 'wa')},
	after => q{SELECT cachex.drop_warmer('c', 'wa')}, makes => 1);
series('refresh', q{SELECT cachex.refresh('st', 'kk'); SELECT cachex.refresh('st', 'q', query => 'SELECT 1')});

# looking
series('views', q{SELECT count(*) FROM cachex.dependencies; SELECT * FROM cachex.memory(); SELECT count(*) FROM cachex.caches; SELECT count(*) FROM cachex.jobs;
	SELECT count(*) FROM cachex.warmers; SELECT cachex.reset_stats('c')});
series('entries', q{SELECT count(*) FROM cachex.entries('c', 'k%')}, before => "SELECT $read");
series('stats', q{SELECT count(*) FROM cachex.stats});
series('function_use', q{SELECT * FROM cachex.function_use('total(text)')});

# ---- failing ----

my @faults;
my (%of_caller, %swallowed);
my $nfailed = 0;

# Messages that follow from a failure.
my $follows = qr/^current\ transaction\ is\ aborted|^savepoint\ ".*"\ does\ not\ exist
	|^prepared\ transaction\ with\ identifier\ .*\ does\ not\ exist
	|^(ROLLBACK\ TO|RELEASE)?\ ?SAVEPOINT\ can\ only/x;

# Marks that were left are looked at while a writer is in doubt.
my $another = q{BEGIN; SELECT cachex.invalidate('c', 'another'); PREPARE TRANSACTION 'another';};

# One time; the lines that begin with = are for parse().
sub script
{
	my ($s, $n) = @_;
	return join("\n", $s->{new} ? '\c -' : '', "\\echo =time $n", "\\warn =time $n", ($s->{before} // 'SELECT 1') . ';',
		"SELECT cx_fail_at($n);", "$s->{sql};", 'ROLLBACK;', q{SELECT '=passed ' || cx_fail_passed();},
		q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \gexec}, ($s->{after} // 'SELECT 1') . ';',
		$another, q{SELECT '=wrong ' || wrong(), } . ($s->{check} // q{''}) . q{;},
		q{SELECT '=hit ' || status FROM cachex.lookup('x', 'sum');}, q{ROLLBACK PREPARED 'another';},
		q{SELECT '=state ' || state();},
		q{SELECT '=locks ' || locks();}, '');
}

# What is to be said of one time; returns whether the failure has come.
sub judge
{
	my ($s, $n, $out, $err) = @_;
	my $where = "$s->{name}, $n";
	my $is_failed = $out !~ /^=passed \d+ none$/m;
	my ($what) = $err =~ /ERROR:  failed on purpose: (.*)/;
	$what //= '';
	foreach my $line (split /\n/, $err)
	{
		my ($message) = $line =~ /(?:ERROR|WARNING|FATAL|PANIC):  (.*)/ or next;
		next if $message =~ /^there is no transaction in progress|^failed on purpose/;
		push @faults, "$where: $line ($what)" unless $what && $message =~ $follows
		  || $what && $s->{makes} && $message =~ /does not exist$/;
	}
	push @faults, "$where: $1 ($what)" if $out =~ /^=wrong ((?!\|$).*)$/m && $1 ne '|';
	push @faults, "$where: cannot be checked ($what)" if $out !~ /^=wrong /m || $out !~ /^=state /m;
	push @faults, "$where: not kept ($what)" if $out !~ /^=hit hit$/m;
	push @faults, "$where: locks $1 ($what)" if $out =~ /^=locks (.*)$/m;
	$s->{unsound} //= "$1, first in $where ($what)" if $out =~ /^=state (.+)$/m;
	if ($is_failed)
	{
		$nfailed++;
		$s->{failed}++;
		my ($place) = $what =~ /(\w+ at \S+)/;
		$swallowed{ $s->{name} }++ if !$what;
		$of_caller{$place}++ if $what && $s->{fetch};
	}
	return $is_failed;
}

# Several times; returns whether the last one has failed.
sub run_times
{
	my ($session, $s, @n) = @_;
	my $is_failed = 0;
	my $out = $session->query(join('', map { script($s, $_) } @n));
	my %err = $session->error =~ /^=time (\d+)\n(.*?)(?=^=time|\z)/gms;
	my %out = $out =~ /^=time (\d+)\n(.*?)(?=^=time|\z)/gms;
	foreach my $n (@n)
	{
		die "$s->{name}, $n: no answer: $out " . $session->error unless defined $out{$n};
		$is_failed = judge($s, $n, $out{$n}, $err{$n} // '');
	}
	return $is_failed;
}

# What is unsound for a moment, a worker has done.
sub is_sound
{
	my ($session) = @_;
	for (1 .. 100)
	{
		return 1 if $session->must('SELECT state()') eq '';
		usleep(50_000);
	}
	return 0;
}

# The memory of a session stays what it is after the first times.
sub check_memory
{
	my ($session, $s, $held) = @_;
	my @now = split /\|/, $session->must('SELECT * FROM held()');
	push @faults, "$s->{name}: memory grows from @$held to @now (contexts, bytes)"
	  if $held && ($now[0] > $held->[0] + 5 || $now[1] > $held->[1] + 1_000_000);
	return $held // \@now;
}

sub run_series
{
	my ($s) = @_;
	my $session = session($node);
	my $begun = time;
	my ($n, $step) = (1, 1);
	my $held;
	for (my $more = 1; $more;)
	{
		my @n;
		for (1 .. $chunk)
		{
			push @n, $n;
			$step = 1 + int($n / $rest) if $n >= ($s->{each} // $each);
			$n += $step;
		}
		$more = run_times($session, $s, @n);
		if ($s->{unsound} && !is_sound($session))
		{
			push @faults, "$s->{name}: unsound: $s->{unsound}";
			last;
		}
		$s->{unsound} = undef;
		$held = check_memory($session, $s, $held) if !$s->{new};
	}
	push @faults, "$s->{name}: never failed" if !$s->{failed};
	$session->close;
	note(sprintf '%s: %d failures, %.1f s', $s->{name}, $s->{failed} // 0, time - $begun);
	is(join("\n", @faults), '', $s->{name});
	@faults = ();
	return;
}

foreach my $s (@series)
{
	next if $ENV{CACHEX_TEST_ONLY} && $s->{name} !~ /$ENV{CACHEX_TEST_ONLY}/;
	run_series($s);
}
note("$nfailed failures");
# what is not the loader's, and becomes an error of fetch's caller all the same
note('raised by fetch: ', join(', ', map { "$_ ($of_caller{$_})" } sort keys %of_caller));
note('caught: ', join(', ', map { "$_ ($swallowed{$_})" } sort keys %swallowed));

# ---- afterwards ----

$node->safe_psql('postgres', 'SELECT cachex.clear()');
wait_for_memory($node, 'entries = 0', 'nothing holds what is gone');
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
my $log = slurp_file($node->logfile);
my %seen = map { $_ => 1 } $log =~ /(cachex fault: .*)/g;
is(join("\n", sort keys %seen), '', 'nothing that may fail where nothing may');
my @leaked = $log =~ /WARNING:.*(?:leak|still referenced|not closed).*/g;
is("@leaked", '', 'no reference is leaked');
$node->stop;

done_testing();
