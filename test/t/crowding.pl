# One role cannot have all: jobs, the worker's time, places for requests of
# readers; and what it has run is not shown to others.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

# the smallest memory has the fewest places for requests
my $node = start_server('main', 'cachex.memory = 8MB', 'cachex.max_jobs = 5',
	"cachex.retry_pause = '50ms'");
my $s = session($node);
my $alice = session($node);
my $bob = session($node);
my $gate = session($node);

$s->must($_) foreach (
	q{CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE monitor IN ROLE pg_monitor},
	q{SELECT cachex.create_cache('c', consistency => 'ttl', stale_for => '1 day')},
	q{SELECT cachex.grant_cache('c', r, p)
	  FROM unnest('{alice, bob}'::text[]) AS r, unnest('{read, write}'::text[]) AS p},
	q{CREATE TABLE client (pid int); GRANT ALL ON client TO PUBLIC},
	# waits in a worker only
	q{CREATE FUNCTION gated(x text) RETURNS text STABLE LANGUAGE plpgsql AS $$
	  BEGIN
		IF NOT EXISTS (SELECT FROM client WHERE pid = pg_backend_pid()) THEN
			PERFORM pg_advisory_xact_lock_shared(1);
		END IF;
		RETURN x;
	  END $$});
$_->must('INSERT INTO client VALUES (pg_backend_pid())') foreach $alice, $bob;
$alice->must('SET ROLE alice');
$bob->must('SET ROLE bob');

sub ask
{
	my ($session, $key, $query) = @_;
	$query //= "SELECT gated('$key')";
	return $session->must("SELECT cachex.refresh('c', '$key', query => \$q\$$query\$q\$)");
}

# ---- jobs ----

$gate->must('SELECT pg_advisory_lock(1)');
my $first = ask($alice, 'a0');
until_true($s, "(SELECT status FROM cachex.jobs WHERE id = $first) = 'running'");
ask($alice, "a$_") foreach 1 .. 5;
$alice->query(q{SELECT cachex.refresh('c', 'a6', query => 'SELECT 1')});
like($alice->error, qr/too many jobs of role "alice" wait to be run.*A role can have 5\..*cachex\.max_jobs/s,
	'a role has as many jobs waiting as it may');
like(ask($alice, 'a3'), qr/^\d+$/, 'what it has asked for it may ask for again');
$alice->query(q{\set VERBOSITY verbose
	SELECT cachex.refresh('c', 'a6', query => 'SELECT 1')});
like($alice->error, qr/ERROR:  54000/, 'SQLSTATE');
$alice->must('\set VERBOSITY default');
my $job = ask($bob, 'b0');
like($job, qr/^\d+$/, 'another role may');
is($s->must(q{SELECT count(*) FROM cachex.jobs WHERE role::text = 'alice'}), '6',
	'one runs, five wait');

# ---- who looks ----

my $activity = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cachex worker' AND query LIKE '%gated%'};
is($s->must($activity), '1', 'a superuser sees what a worker runs');
is($bob->must($activity), '0', 'another role does not');
is($alice->must($activity), '0', 'nor does the one that it is run as, whose session it is not');
is($s->must("SET ROLE monitor; $activity; RESET ROLE"), '1', 'who may read all statistics does');
is($bob->must(q{SELECT string_agg(DISTINCT role::text, ' ') FROM cachex.jobs}), 'bob',
	'a role sees its own jobs');

# ---- the worker's time ----

# the next worker knows whose turn it is, though its first job is not the first
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cachex worker'};
my $killed = $s->must($worker);
$s->must("SELECT pg_terminate_backend($killed)");
until_true($s, "EXISTS (SELECT FROM cachex.jobs WHERE status = 'running' AND attempts = 1 AND id <> $first)");
isnt($s->must($worker), $killed, 'another worker');
$gate->must('SELECT pg_advisory_unlock(1)');
until_true($s, q{NOT EXISTS (SELECT FROM cachex.jobs WHERE status IN ('pending', 'running'))});
is($s->must(q{SELECT status, count(*) FROM cachex.jobs GROUP BY status}), 'done|7', 'all are run');
is($s->must("SELECT count(*) FROM cachex.jobs WHERE role::text = 'alice'
	AND started < (SELECT started FROM cachex.jobs WHERE id = $job)"),
	'0', 'roles take turns');
is($s->must('SELECT count(*) FROM cachex.job WHERE num_nonnulls(query, params, settings) > 0'), '0',
	'nothing is left of what ended ones have run');

# ---- long ones ----

$alice->query(q{SELECT cachex.refresh('c', 'long', query => 'SELECT length($1)',
	params => ARRAY[repeat('x', 1048576)])});
like($alice->error, qr/query, parameters and settings are too long for a job/, 'a job has up to a megabyte');
ok(ask($alice, 'short', q{SELECT '} . ('x' x 500000) . q{'}), 'less is run');
until_true($s, q{NOT EXISTS (SELECT FROM cachex.jobs WHERE status IN ('pending', 'running'))});

# ---- places for requests of readers ----

my $fetch = sub { return "cachex.fetch('c', '$_[0]', 'SELECT gated(pg_backend_pid()::text)')"; };
$alice->must('SELECT ' . $fetch->("r$_")) foreach 1 .. 60;
$bob->must('SELECT ' . $fetch->('own'));
my $pid = $bob->must('SELECT pg_backend_pid()');
my $hers = $alice->must('SELECT pg_backend_pid()');
$s->must(q{SELECT cachex.invalidate_like('c', '%'); SELECT cachex.reset_stats('c')});
$gate->must('SELECT pg_advisory_lock(1)');
# a worker hangs in the first; there are 32 places, and whoever gets none loads
# for himself
$alice->must('SELECT ' . $fetch->("r$_")) foreach 1 .. 60;
my $loads = $s->must(q{SELECT loads FROM cachex.stats WHERE cache = 'c'});
cmp_ok($loads, '>', 40, 'most of the requests of a role find no place');
cmp_ok($loads, '<', 60, 'some do');
$bob->must('SELECT ' . $fetch->('own'));
is($s->must(q{SELECT loads FROM cachex.stats WHERE cache = 'c'}), $loads, 'one of another role finds one');
$gate->must('SELECT pg_advisory_unlock(1)');
until_true($bob, $fetch->('own') . " <> to_jsonb('$pid'::text)");
pass('and is served');

$_->close foreach $s, $alice, $bob, $gate;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;
done_testing();
