# warm() that waits: what it returns, when it gives up, what is seen meanwhile.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = start_server('wait', 'max_worker_processes = 5',
	'max_logical_replication_workers = 0');
my $s = session($node);
my $waiter = session($node);
my $holder = session($node);
my $idle = q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker')};

$s->must("CREATE TABLE gate AS SELECT 1 AS n");
$s->must("SELECT cachex.create_cache('c', consistency => 'ttl')");
$s->must(q{SELECT cachex.create_warmer('c', 'a', 'SELECT ''a'' AS key, 1 AS value')});
$s->must(q{SELECT cachex.create_warmer('c', 'b', 'SELECT ''b'' AS key, 1 / n AS value
	FROM public.gate')});

is($s->must("SELECT cachex.warm('c', wait => true)"), "a\nb", 'both have run');
is($s->must("SELECT string_agg(name || runs, ' ' ORDER BY name) FROM cachex.warmers"),
	'a1 b1', 'as the view says at once');
is($s->must("SELECT cachex.get('c', 'a'), cachex.get('c', 'b')"), '1|1',
	'and entries are there');
is($s->must("SELECT cachex.warm('c', '{b}', true)"), 'b', 'one of them');
is($s->must("SELECT cachex.warm('c', '{}', true)"), '', 'none of them');

# An error is a warning, and the others run.
$s->must("UPDATE gate SET n = 0");
is($s->query("SELECT cachex.warm('c', '{b,a}', wait => true)"), 'a',
	'one that fails is not returned');
like($s->error, qr/WARNING:  warmer "b" of cache "c" failed: division by zero/,
	'but told of');
$s->must("UPDATE gate SET n = 1");

# In a transaction: of what it has not committed the worker knows nothing.
$s->must("BEGIN");
$s->must(q{SELECT cachex.create_warmer('c', 'new', 'SELECT ''n'' AS key, 1 AS value')});
$s->query("SELECT cachex.warm('c', '{new}', true)");
like($s->error, qr/ERROR:  warmer "new" of cache "c" cannot be run yet/,
	'not before it is committed');
$s->must("ROLLBACK");

# Others that are waiting are served by the same run; who asks during a run
# gets the next one.
until_true($s, $idle);
my $runs = $s->must("SELECT runs FROM cachex.warmers WHERE name = 'b'");
$holder->must("BEGIN; LOCK TABLE gate");
$waiter->send("SELECT cachex.warm('c', '{b}', true)");
until_true($s, "running FROM cachex.warmers WHERE name = 'b'");
my $second = session($node);
$second->send("SELECT cachex.warm('c', '{b}', true)");
until_true($s, "count(*) = 2 FROM pg_stat_activity WHERE state = 'active'
	AND query LIKE 'SELECT cachex.warm%' AND wait_event = 'Extension'");
$holder->must("COMMIT");
is($waiter->receive, 'b', 'the first one');
is($second->receive, 'b', 'the second one');
is($s->must("SELECT runs FROM cachex.warmers WHERE name = 'b'"), $runs + 2,
	'has had a run of its own');
$second->close;

# Progress
$s->must(q{SELECT cachex.create_warmer('c', 'rows', 'SELECT i::text AS key, i AS value
	FROM generate_series(1, 1000) i WHERE i <= 300 OR EXISTS (SELECT FROM public.gate)')});
until_true($s, $idle);
$holder->must("BEGIN; LOCK TABLE gate");
$waiter->send("SELECT cachex.warm('c', '{rows}', true)");
$holder->must('COMMIT');
is($waiter->receive, 'rows', 'a run with rows');
$s->must(q{SELECT cachex.create_warmer('c', 'slow', $$
	SELECT i::text AS key, i AS value FROM generate_series(1, 11) i
	CROSS JOIN LATERAL (SELECT CASE WHEN i > 10 THEN pg_sleep(600) END) x(y)
	WHERE y::text IS NULL$$)});
$waiter->send("SELECT cachex.warm('c', '{slow}', true)");
until_true($s, "running AND rows_so_far = 10 AND running_since < now()
	FROM cachex.warmers WHERE name = 'slow'");
is($s->must("SELECT count(running_since), count(rows_so_far) FROM cachex.warmers"),
	'1|1', 'the view shows how far it is');

# Cancel, statement_timeout, termination of the worker.
my $pid = $s->must("SELECT pid FROM pg_stat_activity
	WHERE query LIKE 'SELECT cachex.warm(%slow%' AND pid <> pg_backend_pid()");
$s->must("SELECT pg_cancel_backend($pid)");
$waiter->receive;
like($waiter->error, qr/ERROR:  canceling statement due to user request/, 'cancelled');
$waiter->query("SET statement_timeout = '200ms'");
$waiter->query("SELECT cachex.warm('c', '{slow}', true)");
like($waiter->error, qr/ERROR:  canceling statement due to statement timeout/,
	'statement_timeout');
$waiter->must("RESET statement_timeout");
ok($s->must("SELECT running FROM cachex.warmers WHERE name = 'slow'") eq 't',
	'the run goes on');
# the ticket of this one counts for the next run
$waiter->send("SELECT cachex.warm('c', '{slow}', true)");
until_true($s, "count(*) = 1 FROM pg_stat_activity WHERE state = 'active'
	AND query LIKE 'SELECT cachex.warm%' AND wait_event = 'Extension'");
$s->must("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'cachex worker'");
until_true($s, "failures = 1 AND running FROM cachex.warmers WHERE name = 'slow'");
ok($waiter->is_waiting, 'it waits for its own run');
$s->must("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'cachex worker'");
is($waiter->receive, '', 'the worker is terminated');
like($waiter->error, qr/WARNING:  warmer "slow".*the worker ended before the query did/,
	'and the session told');
$s->must("SELECT cachex.drop_warmer('c', 'slow')");
until_true($s, $idle);

# A lock that the session itself holds.
$node->append_conf('postgresql.conf', "cachex.warmer_timeout = '500ms'");
$node->reload;
until_true($s, "current_setting('cachex.warmer_timeout') = '500ms'");
$s->must("BEGIN; LOCK TABLE gate");
is($s->query("SELECT cachex.warm('c', '{b}', true)"), '', 'a lock of its own');
like($s->error, qr/warmer "b" of cache "c" failed: canceling statement due to statement timeout/,
	'ends with the time limit');
$s->must('COMMIT');
# on the warmers' own tables: the worker does not even come to the query
$s->must("BEGIN; LOCK TABLE cachex.warmer_run");
my $start = time;
$s->query("SELECT cachex.warm('c', '{b}', true)");
like($s->error, qr/ERROR:  gave up waiting for warmer "b" of cache "c"/,
	'nor does it wait for ever');
cmp_ok(time - $start, '<', 60, 'but for about ten seconds');
$s->must('ROLLBACK');
$node->append_conf('postgresql.conf', "cachex.warmer_timeout = '1min'");
$node->reload;
until_true($s, "current_setting('cachex.warmer_timeout') = '1min'");
# a worker keeps the time limit that it has begun with
until_true($s, $idle);
is($s->must("SELECT cachex.warm('c', '{b}', true)"), 'b', 'then it works again');

# All tickets come back.
my $hasty = session($node);
for (1 .. 5)
{
	$hasty->query("SET statement_timeout = 1; SELECT cachex.warm('c', '{a}', true)
		FROM generate_series(1, 20)");
}
$hasty->close;
for (1 .. 80)
{
	$s->must("SELECT cachex.warm('c', '{a}', true)");
}
pass('80 waits');

# Not served; no launcher; no worker.
$node->append_conf('postgresql.conf', "cachex.databases = 'other'");
$node->reload;
until_true($s, "current_setting('cachex.databases') = 'other'");
$s->query("SELECT cachex.warm('c', '{a}', true)");
like($s->error, qr/ERROR:  warmers do not run in this database/, 'not served');
$node->append_conf('postgresql.conf', "cachex.databases = '*'");
$_->close foreach ($s, $waiter, $holder);
# launcher, sweeper, and nobody else
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
$s = session($node);
$s->query("SELECT cachex.warm('c', '{a}', true)");
like($s->error, qr/ERROR:  no background worker is free for cachex warmers\nHINT:.*max_worker_processes/,
	'no worker');
$s->close;
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
$s = session($node);
$s->query("SELECT cachex.warm('c', '{a}', true)");
like($s->error, qr/ERROR:  the cachex launcher is not running\nHINT:.*max_worker_processes/,
	'no launcher');
$s->close;

never_crashed($node);
$node->stop;
done_testing();
