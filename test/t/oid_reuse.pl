
# A database, a role or a table that gets the OID of one that was dropped has
# nothing of it, neither from memory nor from what outlived a restart.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', 'cachex.memory = 16MB');
my @caches = ('plain', 'snapshot', 'rows', 'default');
my $list = join(',', map { "'$_'" } @caches);
one($node, qq{
	SELECT cachex.create_cache('plain', consistency => 'ttl');
	SELECT cachex.create_cache('snapshot', consistency => 'ttl', persist => 'snapshot');
	SELECT cachex.create_cache('rows', consistency => 'ttl', persist => 'table');
	SELECT cachex.create_cache('exact', persist => 'snapshot');
	SELECT cachex.grant_cache(c, 'public', p)
	FROM unnest(ARRAY['plain', 'snapshot', 'rows', 'exact']) c,
		unnest(ARRAY['read', 'write']) p});

# The next object takes this OID, or the first free one after it. To be called
# before anything is cached: it changes what the control file says.
sub next_oid_is
{
	my ($oid) = @_;
	$node->stop;
	command_ok([ 'pg_resetwal', '-o', $oid, $node->data_dir ], "the next OID is $oid");
	$node->start;
	return;
}

# Rows of puts come with the commit, those of loaders a moment later.
sub wait_for_rows
{
	my ($n) = @_;
	$node->poll_query_until('postgres',
		"SELECT count(*) = $n FROM cachex.stored_entry") or die 'rows are not stored';
	return;
}

# Takes dead rows out of a catalog, once nobody has a snapshot of before, and from
# pages that somebody reads as well.
sub vacuum
{
	my ($catalog) = @_;
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)})
	  or die 'a transaction does not end';
	$node->safe_psql('postgres', "VACUUM (FREEZE) $catalog");
	return;
}

sub as
{
	my ($role, $sql) = @_;
	return one($node, "SET SESSION AUTHORIZATION $role; $sql");
}

# ---- roles ----

my $loader = q{'SELECT to_jsonb(''seen by '' || current_user) AS value'};
my $fill = qq{SELECT cachex.put(c, 'put', '"a secret"'), cachex.put(c, 'put', '"another"', scope => 's'),
		cachex.push(c, 'list', '1') FROM unnest(ARRAY[$list]) c;
	SELECT cachex.fetch(c, 'load', $loader) FROM unnest(ARRAY[$list]) c};
my $has = qq{SELECT c, cachex.get(c, 'put'), cachex.get(c, 'put', scope => 's'),
		cachex.get(c, 'list'), (cachex.lookup(c, 'put')).status,
		(cachex.lookup(c, 'load')).status
	FROM unnest(ARRAY[$list]) c};
my $fetches = qq{SELECT cachex.fetch(c, 'load', $loader) FROM unnest(ARRAY[$list]) c};

sub each_cache
{
	my ($what, @which) = @_;
	return join("\n", map { "$_|$what" } @which ? @which : @caches);
}
my $everything = '"a secret"|"another"|[1]|hit|hit';
my $nothing = '|||miss|miss';

foreach my $when ('at once', 'restart, DROP ROLE', 'DROP ROLE, restart')
{
	$node->safe_psql('postgres',
		'CREATE ROLE clerk; SELECT cachex.clear(); DELETE FROM cachex.stored_entry');
	my $oid = one($node, q{SELECT 'clerk'::regrole::oid});
	next_oid_is($oid);
	as('clerk', $fill);
	wait_for_rows(4);
	is(as('clerk', $has), each_cache($everything), "$when: a role has its own entries");
	if ($when eq 'restart, DROP ROLE')
	{
		$node->restart;
		# a new password or the like makes nobody another role
		$node->safe_psql('postgres', 'ALTER ROLE clerk CONNECTION LIMIT 5');
		is(as('clerk', "$has WHERE c <> 'snapshot'"),
			join("\n", each_cache($nothing, 'plain'), each_cache($everything, 'rows'),
				each_cache($nothing, 'default')),
			"$when: it has what the table kept");
		is(as('clerk', q{SELECT cachex.get('snapshot', 'put')}), '"a secret"',
			"$when: and what the snapshot kept");
	}
	$node->safe_psql('postgres', 'DROP ROLE clerk');
	$node->restart if $when eq 'DROP ROLE, restart';
	# an OID is free once not even a dead row has it
	vacuum('pg_authid');
	$node->safe_psql('postgres', 'CREATE ROLE guest');
	is(one($node, q{SELECT 'guest'::regrole::oid}), $oid, "$when: another role gets the OID");
	is(as('guest', $has), each_cache($nothing), "$when: and nothing else of the first one's");
	is(as('guest', $fetches), join("\n", ('"seen by guest"') x 4), "$when: its loaders run");
	is(as('guest', $has), each_cache('|||miss|hit'), "$when: what they return is kept");
	is_idle_and_consistent($node, $when);
	$node->safe_psql('postgres', 'DROP ROLE guest');
}

# A role that is created and not the heir of anybody costs nobody anything.
as('postgres', $fill);
$node->safe_psql('postgres', 'CREATE ROLE heir; DROP ROLE heir');
is(as('postgres', q{SELECT c, cachex.get(c, 'put') FROM unnest(ARRAY['plain', 'snapshot', 'rows', 'default']) c}),
	each_cache('"a secret"'), 'what was put outlives other roles');

# ---- tables ----

foreach my $when ('at once', 'restart, DROP TABLE', 'DROP TABLE, restart')
{
	my @reads = ('plain', 'snapshot', 'rows', 'exact');
	my $read = join(', ', map { "cachex.fetch('$_', 'sum', 'SELECT sum(v) FROM t')" } @reads);
	my $gets = join(', ', map { "cachex.get('$_', 'sum')" } @reads);

	$node->safe_psql('postgres', q{
		SELECT cachex.clear(); DELETE FROM cachex.stored_entry;
		CREATE TABLE t (v int); INSERT INTO t VALUES (1), (2)});
	my $oid = one($node, q{SELECT 't'::regclass::oid});
	# the first one watched needs none, it calls a function that is there
	$node->safe_psql('postgres', q{SELECT cachex.watch('t')});
	next_oid_is($oid);
	is(one($node, "SELECT $read"), '3|3|3|3', "$when: results of a table");
	wait_for_rows(1);
	$node->restart if $when eq 'restart, DROP TABLE';
	is(one($node, "SELECT $gets"),
		$when eq 'restart, DROP TABLE' ? '|3|3|3' : '3|3|3|3', "$when: are kept");
	$node->safe_psql('postgres', 'DROP TABLE t');
	$node->restart if $when eq 'DROP TABLE, restart';
	# the file of a dropped table goes with a checkpoint
	$node->safe_psql('postgres', 'CHECKPOINT');
	vacuum('pg_class');
	$node->safe_psql('postgres', 'CREATE TABLE t (v int)');
	is(one($node, q{SELECT 't'::regclass::oid}), $oid, "$when: another table gets the OID");
	is(one($node, "SELECT $gets"), '|||', "$when: nothing is kept of the first one");
	is(one($node, "SELECT $read"), '|||', "$when: what is fetched is the new one's");
	is_idle_and_consistent($node, $when);
	$node->safe_psql('postgres', 'DROP TABLE t');
}

# ---- databases ----

# A copy has the identifiers of the caches too.
$node->safe_psql('postgres', 'CREATE DATABASE original');
add_extension($node, 'original');
$node->safe_psql('original', q{SELECT cachex.create_cache('s', consistency => 'ttl', persist => 'snapshot'),
	cachex.create_cache('r', consistency => 'ttl', persist => 'table')});
my $create = 'CREATE DATABASE heir TEMPLATE original OID = 99999';
foreach my $when ('at once', 'restart, DROP DATABASE', 'DROP DATABASE, restart')
{
	my $get = q{SELECT c, cachex.get(c, 'k') FROM unnest(ARRAY['s', 'r', 'default']) c};
	$node->safe_psql('postgres', $create);
	$node->safe_psql('heir', q{SELECT cachex.put(c, 'k', '1') FROM unnest(ARRAY['s', 'r', 'default']) c});
	$node->restart if $when eq 'restart, DROP DATABASE';
	is(one($node, $get, 'heir'),
		$when eq 'restart, DROP DATABASE' ? "s|1\nr|1\ndefault|" : "s|1\nr|1\ndefault|1",
		"$when: a database has its own entries");
	$node->safe_psql('postgres', 'DROP DATABASE heir');
	$node->restart if $when eq 'DROP DATABASE, restart';
	$node->safe_psql('postgres', $create);
	is(one($node, $get, 'heir'), "s|\nr|\ndefault|", "$when: the next with its OID has none of them");
	$node->safe_psql('postgres', 'DROP DATABASE heir');
}
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
