# What a warmer's query may do: what the cache's owner may, and less.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub as
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) =
	  $node->psql('postgres', "SET SESSION AUTHORIZATION $role; $sql");
	return $status == 0 ? $out : $err;
}

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
}

# Creates a warmer of alice's cache and returns the error of its run.
my $n = 0;

sub error_of
{
	my ($value) = @_;
	my $name = 'w' . ++$n;
	is(as('alice', "SELECT cachex.create_warmer('c', '$name',
			\$\$SELECT 'k$n' AS key, $value AS value\$\$);
			SELECT cachex.warm('c', '{$name}')"),
		"\n$name", "asked for $value");
	wait_for("SELECT runs = 1 FROM cachex.warmers WHERE name = '$name'",
		'it ran');
	return sql("SELECT coalesce(last_error, 'none') FROM cachex.warmers
		WHERE name = '$name'");
}

sql(q{CREATE EXTENSION cachex;
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE dba LOGIN;
	GRANT CREATE ON DATABASE postgres TO alice;
	ALTER DATABASE postgres OWNER TO dba;
	CREATE TABLE secret AS SELECT 1 AS n;
	CREATE TABLE target (who text);
	GRANT ALL ON target TO alice;
	CREATE SCHEMA alice AUTHORIZATION alice});
as('alice', q{SELECT cachex.create_cache('c', consistency => 'ttl');
	CREATE FUNCTION alice.insert() RETURNS int LANGUAGE sql
		AS 'INSERT INTO public.target VALUES (current_user) RETURNING 1';
	CREATE FUNCTION alice.create_temp() RETURNS int LANGUAGE plpgsql
		AS 'BEGIN CREATE TEMP TABLE x (i int); RETURN 1; END';
	CREATE FUNCTION alice.read_write() RETURNS int LANGUAGE plpgsql
		AS 'BEGIN SET transaction_read_only = off; RETURN 1; END';
	CREATE FUNCTION alice.advisory() RETURNS int LANGUAGE plpgsql
		AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END';
	CREATE TABLE alice.own AS SELECT 5 AS n});

# ---- who runs ----

is(error_of('current_user'), 'none', 'no error');
is(as('alice', "SELECT cachex.get('c', 'k$n')"), '"alice"',
	'it runs as the owner, who finds the entry');
is(sql("SELECT cachex.get('c', 'k$n')"), '', 'nobody else does');
is(error_of('(SELECT n FROM alice.own)'), 'none', 'it reads what is hers');
like(error_of('(SELECT n FROM public.secret)'),
	qr/permission denied for table secret/, 'and nothing else');

# ---- what it cannot ----

like(error_of("set_config('role', 'bob', false)"),
	qr/within security-/, 'SET ROLE');
like(error_of("set_config('session_authorization', 'postgres', false)"),
	qr/within security-/,
	'SET SESSION AUTHORIZATION');
like(error_of('alice.insert()'), qr/read-only transaction/, 'write');
like(error_of('alice.read_write()'), qr/read-write mode/,
	'leave the read-only mode');
like(error_of('alice.create_temp()'), qr/temporary table|read-only/,
	'create a temporary table');
like(error_of("cachex.put('c', 'x', '1')"), qr/read-only transaction/,
	'put');
is(sql('SELECT count(*) FROM target'), '0', 'nothing was written');

# ---- what it leaves behind ----

is(error_of("set_config('work_mem', '77MB', false)"), 'none', 'a setting');
is(error_of("set_config('search_path', 'alice', false)"), 'none',
	'a search_path');
is(error_of('alice.advisory()'), 'none', 'an advisory lock');
wait_for("SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'",
	'which is released');
as('alice', "SELECT cachex.warm('c')");
is(error_of("current_setting('work_mem') || current_setting('search_path')"),
	'none', 'another warmer of the same worker');
# what read settings answers under these settings only
is(as('alice', "SELECT cachex.get('c', 'k$n')"), '', 'read settings');
is(as('alice', "SET search_path = pg_catalog, pg_temp;
	SELECT cachex.get('c', 'k$n')"),
	'"4MBpg_catalog, pg_temp"', 'finds none of them');

# ---- who may name a query ----

my $create = "SELECT cachex.create_warmer('%s', 'x', 'SELECT ''k'' AS key, 1 AS value')";
like(as('bob', sprintf($create, 'c')), qr/must be owner of cache "c"/,
	'not everybody');
like(as('dba', sprintf($create, 'c')), qr/must be owner of cache "c"/,
	'not the owner of the database, who has less rights than some');
like(as('dba', sprintf($create, 'default')),
	qr/must be owner of cache "default"/, 'who has less than a superuser');
like(as('bob', "SELECT cachex.drop_warmer('c', 'w1')"),
	qr/must be owner of cache "c"/, 'nor drop it');
like(as('bob', "SELECT cachex.warm('c')"), qr/must be owner of cache "c"/,
	'nor run it');
is(as('bob', 'SELECT cachex.warm()'), '', 'who owns none runs none');
is(as('bob', 'SELECT count(*) FROM cachex.warmers'), '0', 'and sees none');
like(as('bob', 'SELECT * FROM cachex.warmer_definition'),
	qr/permission denied/, 'nor the tables');
like(as('alice', 'UPDATE cachex.warmer_definition SET query = $$SELECT 1$$'),
	qr/permission denied/, 'which not even an owner writes to');

# ---- an owner who is gone ----

sql("CREATE ROLE gone LOGIN; GRANT CREATE ON DATABASE postgres TO gone");
as('gone', "SELECT cachex.create_cache('g', consistency => 'ttl');
	SELECT cachex.create_warmer('g', 'orphan', 'SELECT ''k'' AS key, 1 AS value')");
sql("REVOKE ALL ON DATABASE postgres FROM gone; DROP ROLE gone");
sql("SELECT cachex.warm('g')");
wait_for("SELECT last_error LIKE '%does not exist any more' FROM cachex.warmers
	WHERE name = 'orphan'", 'nobody to run as: an error');

$node->stop;
done_testing();
