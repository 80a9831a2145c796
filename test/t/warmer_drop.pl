# DROP DATABASE, DROP EXTENSION and others work while a warmer runs.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drop');
$node->init;
$node->append_conf('postgresql.conf', "cachex.warmer_timeout = '1h'");
$node->start;

my $slow = q{SELECT cachex.create_warmer('c', 'slow', every => '1 s',
	query => 'SELECT ''k'' AS key, 1 AS value FROM pg_sleep(600)')};

# A database with a warmer that is at it.
sub start_warmer
{
	my ($db) = @_;
	$node->safe_psql($db, qq{CREATE EXTENSION cachex;
		SELECT cachex.create_cache('c', consistency => 'ttl');
		$slow});
	ok($node->poll_query_until($db,
			"SELECT running FROM cachex.warmers WHERE name = 'slow'"),
		"$db: a warmer runs");
}

sub no_worker_in
{
	my ($db) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'cachex worker' AND datname = '$db'");
}

sub succeeds
{
	my ($command) = @_;
	my ($status, $out, $err) = $node->psql('postgres',
		"SET statement_timeout = '30s';\n$command");
	is($status, 0, $command) or diag($err);
}

$node->safe_psql('postgres', 'CREATE DATABASE d1');
start_warmer('d1');
succeeds('CREATE DATABASE copy TEMPLATE d1');
ok($node->poll_query_until('d1', "SELECT running FROM cachex.warmers"),
	'd1: it runs again');
succeeds('ALTER DATABASE d1 RENAME TO d2');
ok($node->poll_query_until('d2', "SELECT running FROM cachex.warmers"),
	'd2: it runs again');
# (two databases are visited at a time, no more)
ok($node->poll_query_until('copy', "SELECT running FROM cachex.warmers"),
	'copy: the copied warmer runs, too');
succeeds('DROP DATABASE copy');
succeeds('DROP DATABASE d2');
is(no_worker_in('d2'), '0', 'nobody is there');

# An attempt that fails does not stop the warmers for ever.
$node->safe_psql('postgres', 'CREATE DATABASE d3');
start_warmer('d3');
my ($status, $out, $err) = $node->psql('d3', 'DROP DATABASE d3');
isnt($status, 0, 'a database is not dropped from within');
ok($node->poll_query_until('d3',
		"SELECT running AND runs > 0 FROM cachex.warmers"),
	'd3: it runs again');

# The extension, in a transaction too.
succeeds('CREATE DATABASE d4');
start_warmer('d4');
$node->safe_psql('d4', 'BEGIN; DROP EXTENSION cachex; ROLLBACK');
ok($node->poll_query_until('d4', "SELECT running FROM cachex.warmers"),
	'd4: it runs again');
$node->safe_psql('d4', 'DROP EXTENSION cachex');
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'cachex worker' AND datname = 'd4'"),
	'd4: nobody is there');
start_warmer('d4');
succeeds('DROP DATABASE d4 WITH (FORCE)');
succeeds('DROP DATABASE d3');

# To be moved, a database must not be in use.
my $spc = PostgreSQL::Test::Utils::tempdir;
succeeds("CREATE TABLESPACE spc LOCATION '$spc'");
succeeds('CREATE DATABASE d5');
start_warmer('d5');
succeeds('ALTER DATABASE d5 SET TABLESPACE spc');
ok($node->poll_query_until('d5', 'SELECT running FROM cachex.warmers'),
	'd5: it runs again');
succeeds('ALTER DATABASE d5 SET TABLESPACE pg_default');
succeeds('DROP TABLESPACE spc');
ok($node->poll_query_until('d5', 'SELECT running FROM cachex.warmers'),
	'd5: and again');

# Others wait for an answer of every process, ours included, also when these
# sleep and when one is busy with a warmer (PROCSIGNAL_BARRIER_SMGRRELEASE).
succeeds('CREATE DATABASE d6');
$node->safe_psql('d6', 'CREATE TABLE t AS SELECT 1 AS a');
succeeds('DROP DATABASE d6');

# A new name may be one that cachex.databases has.
$node->append_conf('postgresql.conf', "cachex.databases = 'd7'");
$node->reload;
ok($node->poll_query_until('postgres',
		"SELECT current_setting('cachex.databases') = 'd7'"), 'only d7 is served');
succeeds('ALTER DATABASE d5 RENAME TO d8');
is(no_worker_in('d8'), '0', 'd8 is not served');
succeeds('ALTER DATABASE d8 RENAME TO d7');
ok($node->poll_query_until('d7', 'SELECT running FROM cachex.warmers'),
	'd7: it runs again');
succeeds('DROP DATABASE d7');
$node->append_conf('postgresql.conf', "cachex.databases = '*'");
$node->reload;

# A server with a warmer at work stops fast.
start_warmer('copy2') if $node->safe_psql('postgres',
	'CREATE DATABASE copy2') eq '';
$node->stop('fast');
ok(!-e $node->data_dir . '/postmaster.pid', 'the server has stopped');

done_testing();
