
# Changes that look at what is there are atomic, however many make them, and
# cost one transaction neither the lock table nor the memory.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('atomic', 'cachex.memory = 32MB', 'max_connections = 30',
	'synchronous_commit = off');
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl');
	CREATE TABLE won (k int, client int)});

# ---- eight sessions, one key ----

my $each = $ENV{CACHEX_TEST_INCREMENTS} || 10_000;
my $writers = pgbench_start($node, clients => 8, transactions => $each,
	options => ['-M', 'prepared'],
	scripts => [ [ 1, "SELECT cachex.incr('c', 'counter');\n" ] ]);

# What a reader sees never goes back; it may be a miss.
my $reader = session($node);
my ($last, $reads, $misses, $back) = (0, 0, 0, 0);
while (pgbench_running($writers))
{
	my $now = $reader->must(q{SELECT cachex.get('c', 'counter')});
	$reads++;
	$misses++ if $now eq '';
	next if $now eq '';
	$back++ if $now < $last;
	$last = $now;
}
pgbench_wait($writers);
$reader->close;
note("$misses of $reads reads were misses");
is($writers->{status}, 0, 'all increments were made');
is(one($node, q{SELECT cachex.get('c', 'counter')}), 8 * $each,
	"8 sessions that increment a key $each times each give the sum");
is($back, 0, 'a reader never saw it go back');
cmp_ok($reads - $misses, '>', 100, 'there was a reader');
is(one($node, q{SELECT update_conflicts FROM cachex.stats WHERE cache = 'c'}),
	'0', 'no increment was in conflict');

# The other ones: as many elements as pushes, as many takes as puts.
my $run = pgbench($node, clients => 8, transactions => 300, scripts => [
		[ 1, "SELECT cachex.push('c', 'list', to_jsonb(:client_id));\n" ],
		[ 1, "BEGIN;\nSELECT cachex.push('c', 'list', '\"never\"');\nROLLBACK;\n"
			  . "SELECT cachex.update('c', 'sum', 'to_jsonb(\$1::int + 1)',"
			  . " initial => '0');\n" ] ]);
is($run->{status}, 0, 'pushes and updates were made');
is(one($node, q{SELECT jsonb_array_length(cachex.get('c', 'list'))
			+ cachex.get('c', 'sum')::int,
		cachex.get('c', 'list') ? 'never'}),
	'2400|f', 'no push and no update is lost, none that was rolled back is there');

# ---- the first one wins ----

$run = pgbench($node, clients => 2, transactions => 1000,
	scripts => [ [ 1, "BEGIN;\nINSERT INTO won SELECT k, :client_id"
			  . " FROM nextval('s' || :client_id) AS k"
			  . " WHERE cachex.put('c', 'once' || k, to_jsonb(:client_id),"
			  . " only_if => 'absent');\nEND;\n" ] ])
  if one($node, q{CREATE SEQUENCE s0; CREATE SEQUENCE s1}) eq '';
is($run->{status}, 0, 'two sessions put the same 1000 keys if absent');
is(one($node, q{SELECT count(*), count(DISTINCT k), min(k), max(k) FROM won}),
	'1000|1000|1|1000', 'exactly one wins each key');
is(one($node, q{SELECT count(*) FROM won
		WHERE cachex.get('c', 'once' || k)::int <> client}),
	'0', 'and it is the winner whose value is kept');

# The second one waits for the first; when that one gives up, it wins.
my ($first, $second) = (session($node), session($node));
$first->must(q{BEGIN; SELECT cachex.put('c', 'x', '1', only_if => 'absent')});
my $pid = $second->pid;
$second->send(q{SELECT cachex.put('c', 'x', '2', only_if => 'absent')});
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity
	WHERE pid = $pid AND wait_event_type = 'Lock'"), 'the second one waits');
is(one($node, q{SELECT cachex.put('c', 'x', '3');
		SELECT cachex.invalidate('c', 'x')}),
	"t\n", 'plain puts and invalidations do not wait');
$first->must('ROLLBACK');
is($second->receive, 't', 'after a rollback the second one wins');
is(one($node, q{SELECT cachex.get('c', 'x')}), '2', 'and its value is there');

# Two that meet the wrong way round: one of them gets a deadlock, no more.
$first->must(q{BEGIN; SELECT cachex.incr('c', 'a')});
$second->must(q{BEGIN; SELECT cachex.incr('c', 'b')});
$first->send(q{SELECT cachex.incr('c', 'b')});
$second->query(q{SELECT cachex.incr('c', 'a')});
my $errors = $second->error;
$first->receive;
$errors .= $first->error;
is(() = $errors =~ /ERROR: +deadlock detected/g, 1,
	'a deadlock is detected, and costs one of the two');
$_->query('COMMIT') foreach $first, $second;
$_->close foreach $first, $second;
is(one($node, q{SELECT cachex.get('c', 'a')::int + cachex.get('c', 'b')::int}),
	'2', 'the other one has incremented both');
is_idle_and_consistent($node, 'after the waits');

# ---- many keys in one transaction ----

is(one($node, q{SHOW max_locks_per_transaction}), '64',
	'the lock table has its default size');
my $session = session($node);
$session->must('BEGIN');
is($session->must(q{SELECT count(*), min(v), max(v) FROM
		(SELECT cachex.incr('c', 'many' || i) AS v
		 FROM generate_series(1, 100000) i) s}),
	'100000|1|1', 'one transaction updates 100000 keys');
cmp_ok(one($node, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
	'<', 100, 'and takes few locks');
$session->must('COMMIT');
$session->must('BEGIN');
is($session->must(q{SELECT count(cachex.update('c', 'many' || i,
		'to_jsonb($1::int + 1)', initial => '0')) FROM generate_series(1, 20000) i}),
	'20000', 'so does one that evaluates expressions');
$session->must('ROLLBACK');
is(one($node, q{SELECT count(*) FROM generate_series(1, 100000) i
		WHERE cachex.get('c', 'many' || i, '1') <> '1'}),
	'0', 'a rollback leaves no trace of them');

# Resident memory of a backend, its own: without what is shared.
sub own_memory
{
	my ($kb) = slurp_file("/proc/$_[0]/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb / 1024;
}

SKIP:
{
	my $n = $ENV{CACHEX_TEST_PUTS} || 1_000_000;
	my $backend = $session->pid;
	my $before = -r "/proc/$backend/status" ? own_memory($backend) : undef;
	$session->must('BEGIN');
	is($session->must("SELECT count(cachex.put('c', 'put' || i, to_jsonb(i)))
			FROM generate_series(1, $n) i"),
		$n, "one transaction puts $n entries");
	is(one($node, q{SELECT used <= available, used > available * 0.9
			FROM cachex.memory()}),
		't|t', 'they fill the memory and do not exceed it');
	my $after = $before ? own_memory($backend) : undef;
	is($session->must("SELECT cachex.get('c', 'put$n')"), $n,
		'the transaction reads what it has put last');
	is(one($node, "SELECT cachex.get('c', 'put$n') IS NULL"), 't',
		'nobody else does');
	$session->must('COMMIT');
	is(one($node, "SELECT cachex.get('c', 'put$n')"), $n,
		'after the commit everybody does');
	skip 'no /proc', 1 if !defined $before;
	note(sprintf('%d puts took %.0f MB of the backend', $n, $after - $before));
	cmp_ok($after - $before, '<', $n * 256 / 1e6 + 50,
		'the backend remembers them in bounded memory');
}
$session->close;

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
