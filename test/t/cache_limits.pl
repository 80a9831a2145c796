
# max_entries, max_memory and max_entries_per_scope hold at every moment, whoever
# puts.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $seconds = run_seconds(6);
my $node = start_server('limits', 'cachex.memory = 32MB', 'max_connections = 30',
	'synchronous_commit = off');
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('few', max_entries => 100, consistency => 'ttl');
	SELECT cachex.create_cache('small', max_memory => '256kB', consistency => 'ttl');
	SELECT cachex.create_cache('both', max_entries => 50, max_memory => '64kB',
		consistency => 'ttl');
	SELECT cachex.create_cache('one', max_entries => 1, consistency => 'ttl');
	SELECT cachex.create_cache('none', max_entries => 0, consistency => 'ttl');
	SELECT cachex.create_cache('scoped', max_entries_per_scope => 20, consistency => 'ttl');
	SELECT cachex.create_cache('tenants', max_entries_per_scope => 5, max_entries => 200,
		consistency => 'ttl', ttl => '2 s');
	SELECT cachex.create_cache('fleeting', consistency => 'ttl');
	SELECT cachex.create_cache('unlimited', consistency => 'ttl')});

my $pick = join("\n", '\set n random(1, 3000)', '\set size random(1, 4000)',
	'\set c random(1, 5)', '');
my $cache = q{(ARRAY['few', 'small', 'both', 'one', 'none'])[:c]};
my $put = "SELECT cachex.put($cache, 'k' || :n, to_jsonb(repeat('x', :size)));\n";
my $scoped = q{(ARRAY['scoped', 'tenants', 'fleeting'])[least(:c, 3)]};
my $scope = "scope => 's' || :n % 50 * :n % 7";

# Staged entries count as well.
my $run = pgbench_start($node, clients => 8, seconds => $seconds, scripts => [
		[ 5, $pick . $put ],
		[ 2, $pick . "BEGIN;\n$put" . ($pick . $put) x 5 . "END;\n" ],
		[ 1, $pick . "BEGIN;\nSELECT count(cachex.put($cache, 's' || i, '1'))"
			  . " FROM generate_series(:n, :n + 200) i;\nROLLBACK;\n" ],
		[ 3, $pick . "SELECT length(cachex.fetch($cache, 'f' || :n,"
			  . " 'SELECT repeat(''y'', \$1::int) AS value', ARRAY[(:size)::text])::text);\n" ],
		[ 1, $pick . "SELECT cachex.incr($cache, 'i' || :n),"
			  . " cachex.push($cache, 'p' || :n, '1', max_length => 5);\n" ],
		[ 10, $pick . "SELECT cachex.put($scoped, 'k' || :n, '1', $scope);\n" ],
		[ 5, $pick . "SELECT cachex.put($scoped, 'k' || :n, to_jsonb(repeat('x', :size)),"
			  . " scope => 'many' || :n);\n" ],
		[ 5, $pick . "SELECT cachex.get($scoped, 'k' || :n, $scope);\n" ],
		[ 2, $pick . "SELECT cachex.fetch($scoped, 'f' || :n, 'SELECT 1', $scope);\n" ],
		[ 2, $pick . "BEGIN;\nSELECT count(cachex.put($scoped, 's' || i, '1', $scope))"
			  . " FROM generate_series(:n, :n + 50) i;\nEND;\n" ],
		[ 1, $pick . "BEGIN;\nSELECT count(cachex.put($scoped, 's' || i, '1', $scope))"
			  . " FROM generate_series(:n, :n + 50) i;\nROLLBACK;\n" ],
		[ 1, $pick . "SELECT cachex.clear($scoped, $scope);\n" ],
		[ 1, $pick . "SELECT cachex.take($scoped, 'k' || :n, $scope),"
			  . " cachex.invalidate($scoped, 'k' || :n);\n" ],
		[ 1, $pick . "SELECT cachex.put('unlimited', 'k' || :n, '1');\n" ] ]);

# Samples, as fast as a session can take them; the counters of one row are
# read together.
my $session = session($node);
my $alter = session($node);
my ($samples, $bad) = (0, '');
while (pgbench_running($run))
{
	# the limit of one cache comes and goes, and with it all that it has
	my $limit = (3, 10, 'null')[ $samples / 2000 % 3 ];
	$alter->must(qq{SELECT cachex.alter_cache('fleeting',
			'{"max_entries_per_scope": $limit}')}) if $samples % 2000 == 0;
	$bad .= $session->must(q{
		SELECT cache, entries, bytes, bytes_limit
		FROM generate_series(1, 200) i, LATERAL
			(SELECT i, * FROM cachex.stats_of_caches()) s
			JOIN cachex.caches c ON c.name = s.cache
		WHERE entries > max_entries OR bytes > bytes_limit});
	$samples += 200;
}
pgbench_wait($run);
is($run->{status}, 0, 'no put is an error');
is($bad, '', 'no limit was exceeded at any moment');
cmp_ok($samples, '>', 1000 * $seconds, "in $samples samples");

# What was rolled back has evicted others, so fill them again; with other keys,
# since an entry that is replaced at the commit has evicted one before.
one($node, q{SELECT count(cachex.put(c, 'n' || i, to_jsonb(repeat('x', 1000))))
	FROM unnest(ARRAY['few', 'small', 'both', 'one', 'none']) c,
		generate_series(1, 300) i;
	SELECT count(cachex.put('scoped', 'n' || i, '1', scope => 's1')) FROM generate_series(1, 50) i});
is(one($node, q{SELECT cache, entries FROM cachex.stats
		WHERE cache IN ('few', 'one', 'none') ORDER BY cache}),
	"few|100\nnone|0\none|1", 'the limits of entries are used in full');
is(one($node, q{SELECT bool_and(bytes_peak <= bytes_limit), bool_and(bytes > bytes_limit * 0.8)
		FROM cachex.stats WHERE cache = 'small'}),
	't|t', 'so is a limit of memory, and its peak stayed below');
is(one($node, q{SELECT bool_and(entries <= 50 AND bytes_peak <= bytes_limit)
		FROM cachex.stats WHERE cache = 'both'}),
	't', 'a cache with both limits obeys both');
cmp_ok(one($node, q{SELECT evicted FROM cachex.stats WHERE cache = 'few'}), '>', 1000,
	'they were kept by eviction');
is(one($node, q{SELECT evicted FROM cachex.stats WHERE cache = 'unlimited'}), '0',
	'within the cache: another one loses nothing');
is(one($node, q{SELECT refused_limit > 0 FROM cachex.stats WHERE cache = 'none'}), 't',
	'a cache of no entries refuses, and counts');

# Scopes: walks over the entries are no picture of one moment, so they are
# counted when nobody puts.
is(one($node, q{SELECT cache, scope, count(*) FROM cachex.entries() WHERE scope IS NOT NULL
		GROUP BY 1, 2 HAVING count(*) > CASE cache WHEN 'scoped' THEN 20 WHEN 'tenants' THEN 5 END}),
	'', 'no scope has more than its limit');
is(one($node, q{SELECT max(n) FROM (SELECT count(*) n FROM cachex.entries('scoped')
		GROUP BY scope) s}), '20', 'which is used in full');
cmp_ok(one($node, q{SELECT evicted FROM cachex.stats WHERE cache = 'scoped'}), '>', 1000,
	'they were kept by eviction');
$node->safe_psql('postgres', q{SELECT cachex.alter_cache('fleeting', '{"max_entries_per_scope": 3}');
	SELECT count(cachex.put('fleeting', 'k' || i, '1', scope => 's' || i % 10))
	FROM generate_series(1, 200) i});
is(one($node, q{SELECT DISTINCT count(*) FROM cachex.entries('fleeting')
		WHERE status <> 'dead' GROUP BY scope HAVING count(*) > 1}), '3', 'a limit that came and went holds now that it is there');

# A lower limit holds from its commit on.
$alter->must(q{BEGIN; SELECT cachex.alter_cache('few', '{"max_entries": 10}')});
is(one($node, q{SELECT entries FROM cachex.stats WHERE cache = 'few'}), '100',
	'a new limit does not hold before its commit');
$alter->must('COMMIT');
is(one($node, q{SELECT entries FROM cachex.stats WHERE cache = 'few'}), '10',
	'it does from then on');
is($session->must(q{SELECT count(cachex.put('few', 'n' || i, '1'))
		FROM generate_series(1, 50) i;
		SELECT entries FROM cachex.stats WHERE cache = 'few'}),
	"50\n10", 'in every session');

# Staged entries of one transaction beyond the limit.
$session->must(q{BEGIN; SELECT count(cachex.put('few', 'staged' || i, '1'))
	FROM generate_series(1, 1000) i});
is(one($node, q{SELECT entries FROM cachex.stats WHERE cache = 'few'}), '10',
	'staged entries are limited like others');
is($session->must(q{SELECT count(*) FROM generate_series(1, 1000) i
		WHERE cachex.get('few', 'staged' || i) IS NOT NULL}), '10',
	'the transaction reads those that are left');
$session->must('COMMIT');
is(one($node, q{SELECT entries, cachex.get('few', 'staged1000') FROM cachex.stats
		WHERE cache = 'few'}), '10|1', 'after the commit they are the same');
$_->close foreach $session, $alter;

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
