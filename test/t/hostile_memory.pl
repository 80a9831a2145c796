
# A role that has what everybody has fills the memory as fast as it can, through
# the caches that are everybody's.  An application that stays within the limits
# of its own caches keeps every entry, and its hits stay about as fast as beside
# others who are as busy.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = run_seconds(20);
my $rounds = 3;
my $nkeys = 5000;				# in each of two caches

# Nanoseconds that a process was ready to run and had no processor: on a machine
# with other things to do, most of what the slowest hits take.
my $queued = -r '/proc/self/schedstat' ? q{split_part(pg_read_file('/proc/self/schedstat'), ' ', 2)::bigint} : 0;

my $node = start_server('memory', 'cachex.memory = 64MB', 'max_connections = 30',
	'synchronous_commit = off', 'max_prepared_transactions = 4');
$node->safe_psql('postgres', qq{
	CREATE ROLE victim LOGIN IN ROLE pg_read_server_files;
	CREATE ROLE hostile LOGIN;
	GRANT EXECUTE ON FUNCTION pg_read_file(text) TO victim;
	GRANT CREATE ON DATABASE postgres TO victim;
	GRANT CREATE ON SCHEMA public TO victim;
	SET SESSION AUTHORIZATION victim;
	-- Hits of random keys for some seconds, as the time of one in nanoseconds,
	-- measured over ten, without what the process was waiting for a processor.
	CREATE FUNCTION hits(seconds float) RETURNS SETOF float LANGUAGE plpgsql AS \$\$
	DECLARE
		ends timestamptz := clock_timestamp() + seconds * interval '1 s';
		start timestamptz;
		queued bigint;
		first int;
	BEGIN
		LOOP
			first := random() * ($nkeys - 10);
			queued := $queued;
			start := clock_timestamp();
			EXIT WHEN start > ends;
			PERFORM cachex.get('own_a', 'k' || first + i) FROM generate_series(1, 5) i;
			PERFORM cachex.fetch('own_b', 'k' || first + i, 'SELECT v FROM t WHERE id = \$1::int',
				ARRAY[(first + i)::text]) FROM generate_series(1, 5) i;
			RETURN NEXT greatest(extract(epoch FROM clock_timestamp() - start) * 1e9 - ($queued - queued), 0) / 10;
		END LOOP;
	END \$\$;
	CREATE TABLE t (id int PRIMARY KEY, v text);
	INSERT INTO t SELECT i, repeat('v', 700) || i FROM generate_series(1, $nkeys) i;
	CREATE TABLE accounts (aid int PRIMARY KEY, balance int);
	INSERT INTO accounts SELECT i, 0 FROM generate_series(1, 10000) i;
	SELECT cachex.watch('t');
	SELECT cachex.create_cache('own_a', consistency => 'ttl', ttl => NULL, max_memory => '12MB');
	SELECT cachex.create_cache('own_b', ttl => NULL, max_memory => '12MB');
	SELECT count(cachex.put('own_a', 'k' || i, to_jsonb(repeat('a', 1000)), tags => ARRAY['t' || i % 10]))
		FROM generate_series(1, $nkeys) i;
	SELECT count(cachex.fetch('own_b', 'k' || i, 'SELECT v FROM t WHERE id = \$1::int',
		ARRAY[i::text])) FROM generate_series(1, $nkeys) i});

is(one($node, q{SELECT sum(max_memory) < (SELECT available / 2 FROM cachex.memory())
		FROM cachex.caches WHERE name LIKE 'own%'}), 't',
	'the caches of the application take less than half of the memory');

# ---- loads, of two sessions each ----

my $pick = q{
\set n random(1, 100000000)
\set size int(least(1000000, 10 + exp(random(0, 11512) / 1000.0) * random(1, 10)))
\set c random(1, 2)
};
my $cache = q{(ARRAY['default', 'queries'])[:c]};
# with as much memory that is written to, so that processors forget as much
my @harmless = (
	[ 20, "\\set aid random(1, 10000)\nSELECT balance FROM accounts WHERE aid = :aid;\n" ],
	[ 20, $pick . "SELECT length(to_jsonb(repeat('x', :size))::text);\n" ],
	[ 10, "SELECT length((SELECT jsonb_object_agg(i, repeat('y', 1000)) FROM generate_series(1, 1000) i)::text);\n" ],
	[ 2, "SELECT length(repeat('z', 1000000));\n" ],
);
my @hostile = (
	# what is worth most
	[ 20, $pick . "SELECT cachex.put($cache, 'k' || :n, to_jsonb(repeat('x', :size)), ttl => '100 years',"
		  . " cost => '1000 hours', tags => ARRAY['t1', 'u' || :n]);\n" ],
	[ 20, $pick . "SELECT cachex.put($cache, 'k' || :n || '.' || i, '1', cost => '1 hour')"
		  . " FROM generate_series(1, 1000) i;\n" ],
	[ 5, $pick . "SELECT cachex.put_many($cache, (SELECT jsonb_object_agg(:n || '.' || i,"
		  . " repeat('y', 1000)) FROM generate_series(1, 1000) i));\n" ],
	[ 5, $pick . "SELECT count(*) FROM cachex.fetch_many($cache, (SELECT array_agg(:n || '.' || i)"
		  . " FROM generate_series(1, 2000) i), 'SELECT k AS key, repeat(k, 20) AS value FROM unnest(\$1) k');\n" ],
	[ 10, $pick . "SELECT * FROM cachex.query('SELECT ' || :n || ', generate_series(1, 10000)') AS (a int, b int);\n" ],
	[ 5, $pick . "SELECT length(cachex.fetch($cache, 'b' || :n, 'SELECT repeat(\$1, 1000000) AS value', ARRAY['z'])::text);\n" ],
	# what makes others forget
	[ 2, $pick . "SELECT count(cachex.invalidate($cache, 'i' || :n || '.' || i)) FROM generate_series(1, 100000) i;\n" ],
	[ 2, $pick . "SELECT count(cachex.clear($cache, 'i' || :n || '.' || i)) FROM generate_series(1, 20000) i;\n" ],
	[ 2, $pick . "BEGIN;\nSELECT count(cachex.put($cache, 's' || :n || '.' || i, to_jsonb(repeat('x', 1000)))),"
		  . " count(cachex.invalidate($cache, 's' || i)) FROM generate_series(1, 20000) i;\nROLLBACK;\n" ],
	[ 2, $pick . "SELECT cachex.invalidate_like($cache, '%7%' || :n % 100);\n" ],
	[ 1, "BEGIN;\nSELECT count(cachex.invalidate('default', 'p:client_id.' || i)) FROM generate_series(1, 50000) i;\n"
		  . "PREPARE TRANSACTION 'p:client_id';\nCOMMIT PREPARED 'p:client_id';\n" ],
);

# Percentiles of each round: median, 99, 99.9; and hit_us_p99.
my @shares = (0.5, 0.99, 0.999);
my %times = (harmless => [], hostile => []);
my $reader = CachexTest::Session->new($node->connstr('postgres') . ' user=victim');
my $idle = CachexTest::Session->new($node->connstr('postgres') . ' user=hostile');

# Both loads in turns; what else goes on in the machine hits both.
sub measure
{
	my ($name, $scripts, $role) = @_;
	my $for = $seconds / $rounds / 2;
	my $run = pgbench_start($node, clients => 2, seconds => 10 * $for + 60, scripts => $scripts,
		options => [ '-U', $role, '-P', 1 ]);
	$reader->must('SELECT count(*) FROM hits(0.5); SELECT cachex.reset_stats()');
	push @{ $times{$name} }, [ split(/,/, $reader->must('SELECT array_to_string('
				. "percentile_cont('{" . join(',', @shares) . "}'::float[]) WITHIN GROUP (ORDER BY h), ',') FROM hits($for) AS h")) ];
	my ($lost, $p99) = split(/ /, one($node, q{SELECT sum(evicted + misses + refused_doubt + invalidated + expired),
			' ', max(hit_us_p99) FROM cachex.stats WHERE cache LIKE 'own%'}) =~ s/\|//gr);
	is($lost, 0, "$name: nothing of the application was evicted, nothing missed");
	push @{ $times{$name}[-1] }, $p99;
	ok(pgbench_running($run), "$name: the others are busy");
	$run->{harness}->kill_kill;
	unlike($run->{err}, qr/ERROR|FATAL|aborted/, "$name: without errors");
	note("$name: $1 transactions of the others in a second") if $run->{err} =~ /([\d.]+) tps[^\n]*\n\z/;
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
		WHERE application_name = 'pgbench'}) or die 'pgbench is still there';
	# of one that was killed before its COMMIT PREPARED
	$node->safe_psql('postgres', q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \gexec});
	return;
}

foreach my $round (1 .. $rounds)
{
	measure('harmless', \@harmless, 'victim');
	# a transaction that stays open all the time, with all that it has staged
	$idle->must(q{BEGIN; SELECT count(cachex.invalidate(c, 'o' || i)), count(cachex.put(c, 'o' || i, '1'))
		FROM generate_series(1, 100000) i, unnest(ARRAY['default', 'queries']) c});
	measure('hostile', \@hostile, 'hostile');
	$idle->must($round % 2 ? 'COMMIT' : 'ROLLBACK');
}

# The n-th percentile of the middle one of the rounds.
sub percentile
{
	my ($n, @rounds) = @_;
	return (sort { $a <=> $b } map { $_->[$n] } @rounds)[ $#rounds / 2 ];
}

# ---- what is left ----

note(one($node, q{SELECT cache, entries, bytes, bytes_limit, hits, misses, puts, fills, evicted, invalidated,
	refused_doubt, hit_us_p99 FROM cachex.stats ORDER BY cache}));
note(one($node, q{SELECT * FROM cachex.memory()}));
is(one($node, q{SELECT sum(entries) FROM cachex.stats WHERE cache LIKE 'own%'}), 2 * $nkeys,
	'its entries are all there');
is(one($node, q{SELECT bool_and(bytes_peak <= bytes_limit) FROM cachex.stats WHERE cache IN ('default', 'queries')}),
	't', 'what is everybody\'s stays within its limits');
is(one($node, q{SELECT bool_and(evicted > 100 AND bytes_peak > 0.9 * bytes_limit) FROM cachex.stats
		WHERE cache IN ('default', 'queries')}), 't', 'and was full');

foreach my $name (sort keys %times)
{
	note(sprintf('%s: a hit in ns: median %.0f, p99 %.0f, p99.9 %.0f; hit_us_p99 %s', $name,
			map { percentile($_, @{ $times{$name} }) } 0 .. @shares));
}
foreach my $n (0, 1)
{
	my ($before, $after) = map { percentile($n, @{ $times{$_} }) } qw(harmless hostile);
	cmp_ok($after, '<', 3 * $before,
		sprintf('percentile %g of a hit grows from %.0f to %.0f ns', 100 * $shares[$n], $before, $after));
}
my ($before, $after) = map { percentile(scalar @shares, @{ $times{$_} }) } qw(harmless hostile);
cmp_ok($after, '<', 3 * $before + 1, 'so does hit_us_p99');

$_->close foreach $reader, $idle;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
