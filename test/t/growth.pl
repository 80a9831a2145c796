
# A session, the sweeper and the launcher do not grow: the memory of their own is
# after a million operations what it was after the first hundred thousand, and
# the shared memory of an emptied store is all free again.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'memory is looked up in /proc' unless -r "/proc/$$/status";

my $node = start_server('growth', 'cachex.memory = 16MB', 'fsync = off', 'synchronous_commit = off',
	'max_prepared_transactions = 2');
$node->safe_psql('postgres', q{
	CREATE TABLE t (id int PRIMARY KEY, v text);
	INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) AS i;
	CREATE FUNCTION load(key text) RETURNS jsonb STABLE LANGUAGE sql AS 'SELECT to_jsonb(v) FROM t WHERE id = key::int';
	CREATE ROLE reader;
	GRANT SELECT ON t TO reader;
	SELECT cachex.watch('t');
	SELECT cachex.create_cache('plain', consistency => 'ttl', max_entries_per_scope => 50);
	SELECT cachex.create_cache('exact');
	SELECT cachex.create_cache('shared', shared => true);
	SELECT cachex.create_cache('brief', consistency => 'ttl', ttl => '1 ms', stale_for => '1 h');
	SELECT cachex.create_cache('loading', consistency => 'ttl', loader => 'load(text)');
	SELECT cachex.grant_cache('shared', 'reader', p) FROM unnest('{read,write}'::text[]) AS p;
});

# A thousand operations and some, of every kind.
my $round = q{
	SELECT count(cachex.put('plain', 'k' || i % 300, to_jsonb(repeat('x', i)), tags => ARRAY['t' || i % 9], scope => 's' || i % 7))
		FROM generate_series(1, 200) AS i;
	SELECT count(cachex.get('plain', 'k' || i, scope => 's1')) FROM generate_series(1, 200) AS i;
	SELECT count(cachex.fetch('exact', 'k' || i, 'SELECT v FROM t WHERE id = $1::int', ARRAY[i::text])) FROM generate_series(1, 200) AS i;
	SET ROLE reader;
	SELECT count(cachex.fetch('shared', 'k' || i, 'SELECT v FROM t WHERE id = $1::int', ARRAY[i::text])) FROM generate_series(1, 100) AS i;
	RESET ROLE;
	SELECT count(cachex.fetch('shared', 'k' || i, 'SELECT v FROM t WHERE id = $1::int', ARRAY[i::text])) FROM generate_series(1, 100) AS i;
	BEGIN;
	SELECT count(cachex.invalidate('plain', 'k' || i)), count(cachex.incr('plain', 'n' || i)), count(cachex.push('plain', 'l', '1', max_length => 5))
		FROM generate_series(1, 20) AS i;
	SAVEPOINT a;
	SELECT count(cachex.put('plain', 'k' || i, '1')) FROM generate_series(1, 50) AS i;
	ROLLBACK TO a;
	UPDATE t SET v = v || '!' WHERE id = 7;
	COMMIT;
	UPDATE t SET v = 'v7' WHERE id = 7;
	SELECT count(*) FROM cachex.fetch_many('plain', (SELECT array_agg('m' || i) FROM generate_series(1, 50) AS i),
		'SELECT k AS key, 1 AS value FROM unnest($1) AS k');
	SELECT count(*) FROM cachex.query('SELECT id, v FROM t ORDER BY id LIMIT 20') AS r(id int, v text);
	SELECT count(cachex.fetch('brief', 'b' || i, 'SELECT 1')), count(cachex.fetch('loading', i::text)) FROM generate_series(1, 20) AS i;
	SELECT cachex.invalidate_like('plain', 'k1%'), cachex.invalidate_tags('{t1}'), cachex.clear('plain', scope => 's2'),
		(SELECT count(*) FROM cachex.entries()), (SELECT count(*) FROM cachex.stats);
	SELECT cachex.fetch('plain', 'bad', 'SELECT 1/0');
	BEGIN;
	SELECT cachex.invalidate('plain', 'p');
	PREPARE TRANSACTION 'p';
	ROLLBACK PREPARED 'p';
};
my $operations = 1000;

# The anonymous memory of a process, in kB.
sub own_memory
{
	my ($pid) = @_;
	return read_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die "no RssAnon of $pid";
}

my $s = session($node);
my %pid = (session => $s->pid, map { $_ => workers($node, $_) } 'cachex sweeper', 'cachex launcher');
is(keys %pid, 3, 'all of them are there');

sub operate
{
	my ($n) = @_;
	for (my $done = 0; $done < $n; $done += $operations)
	{
		$s->query($round);
		# the one error that is meant
		my @errors = grep { /ERROR|FATAL/ && !/division by zero/ } split /\n/, $s->error;
		die "@errors" if @errors;
	}
	return;
}

operate(100_000);
my %first = map { $_ => own_memory($pid{$_}) } keys %pid;
operate(900_000);
foreach my $who (sort keys %pid)
{
	my $last = own_memory($pid{$who});
	note("$who: $first{$who} kB, then $last kB");
	cmp_ok($last, '<=', $first{$who} + 300, "$who: a million operations take no more memory than a tenth of them");
}
is($s->pid, $pid{session}, 'it is the same session');

# what a worker still refreshes does not stay
$s->must($_) foreach q{SELECT cachex.alter_cache('brief', '{"stale_for": "0"}')},
  'SELECT cachex.clear()', 'SELECT cachex.purge()';
$s->close;
wait_for_memory($node, 'entries = 0', 'all that was cleared is freed');
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
