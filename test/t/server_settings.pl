
# Servers of all sizes: connections, memory, the largest value.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

# A value of n bytes as it is stored, in jsonb: a string has 8 more.
my $value = q{CREATE FUNCTION val(n bigint) RETURNS jsonb LANGUAGE sql
	AS 'SELECT to_jsonb(repeat(''x'', n::int - 8))'};
my $node;

sub works
{
	my ($name) = @_;
	is(one($node, q{SELECT cachex.put('default', 'k', '1');
			SELECT cachex.get('default', 'k');
			SELECT cachex.fetch('default', 'f', 'SELECT 2 AS value')}),
		"t\n1\n2", "$name: the cache works");
	return;
}

sub restart_with
{
	my ($name, @settings) = @_;
	$node->append_conf('postgresql.conf', join("\n", @settings) . "\n");
	$node->restart;
	works($name);
	return;
}

# ---- connections ----

$node = start_server('sizes', 'max_connections = 10', 'shared_buffers = 16MB',
	'max_wal_senders = 0');
$node->safe_psql('postgres', $value);
works('10 connections');
is_idle_and_consistent($node, '10 connections');

restart_with('500 connections', 'max_connections = 500');
my $run = pgbench($node, clients => 100, transactions => 30, scripts => [
		[ 1, "\\set n random(1, 50)\n"
			  . "SELECT cachex.fetch('default', 'k' || :n, 'SELECT \$1::int AS value', ARRAY[(:n)::text]);\n"
			  . "SELECT cachex.put('default', 'p' || :n, '1');\n"
			  . "SELECT cachex.incr('default', 'i' || :n % 5);\n"
			  . "SELECT cachex.invalidate('default', 'p' || :n);\n" ] ]);
is($run->{status}, 0, 'a hundred clients at once');
is($run->{transactions}, 3000, 'all of their transactions are done');
is(one($node, q{SELECT sum(value::int) FROM (SELECT cachex.get('default', 'i' || i)::text AS value
		FROM generate_series(0, 4) i) s}), '3000', 'and counted');
is_idle_and_consistent($node, 'a hundred clients');

# ---- memory ----

foreach my $memory ('8MB', '1GB')
{
	my ($megabytes) = $memory eq '8MB' ? 8 : 1024;
	restart_with("cachex.memory = $memory", "cachex.memory = $memory");
	is(one($node, q{SHOW cachex.memory}), $memory, "$memory: is what was asked for");
	is(one($node, qq{SELECT available < $megabytes * 1048576,
			available > $megabytes * 1048576 * 0.75 FROM cachex.memory()}),
		't|t', "$memory: most of it is for entries");
	is(one($node, qq{SELECT abs(sum(allocated_size) / 1048576.0 - $megabytes) < 1
			FROM pg_shmem_allocations WHERE name = 'cachex'}),
		't', "$memory: that is the shared memory which is taken");
	one($node, q{SELECT count(cachex.put('default', 'k' || i, val(1000)))
		FROM generate_series(1, 50000) i});
	is(one($node, q{SELECT used <= available FROM cachex.memory()}),
		't', "$memory: no more is used");
	is_idle_and_consistent($node, $memory);
}
is(one($node, q{SELECT count(*) FROM cachex.entries('default', 'k_%')}),
	'50000', '1GB: 50000 entries of 1 kB are kept');

# ---- the largest value ----

# Puts a value of so many bytes; says whether it is kept, whether it can be
# read, and how many were too large since the last call.
my $before = 0;

sub put_of
{
	my ($bytes) = @_;
	my $kept = one($node, "SELECT cachex.put('default', 'large', val($bytes))");
	my $read = one($node, "SELECT cachex.get('default', 'large') IS NOT DISTINCT FROM val($bytes)");
	my $now = one($node, q{SELECT too_large FROM cachex.stats WHERE cache = 'default'});
	my $new = $now - $before;
	$before = $now;
	return "kept $kept, read $read, too large $new";
}

restart_with('defaults', 'cachex.memory = 64MB');
$before = 0;
is(one($node, q{SHOW cachex.max_value_size}), '1MB', 'the default largest value');
is(put_of(1048576), 'kept t, read t, too large 0', 'a value of just 1MB is kept');
is(put_of(1048577), 'kept f, read f, too large 1', 'one of a byte more is too large');
is(one($node, q{SELECT cachex.get('default', 'large') IS NULL}), 't',
	'the value that it was to replace is gone');
is(one($node, q{SELECT length(cachex.fetch('default', 'large', 'SELECT val(2000000) AS value')::text),
		(SELECT count(*) FROM cachex.entries('default', 'large'))}),
	'1999994|0', 'a fetch answers with one that is too large, and does not keep it');
is(one($node, q{SELECT too_large FROM cachex.stats WHERE cache = 'default'}), '2',
	'and counts it');

is(one($node, q{SELECT cachex.put('default', repeat('k', 1024), val(1048576),
		scope => repeat('s', 255), tags => (SELECT array_agg(rpad(i::text, 255, 't'))
		FROM generate_series(1, 64) i), metadata => '{"a": 1}')}), 't',
	'with the longest key and scope and the most tags as well')
  || diag(one($node, q{SELECT too_large, refused_full FROM cachex.stats WHERE cache = 'default'}));

restart_with('1kB', "cachex.max_value_size = '1kB'");
$before = 0;
is(put_of(1024), 'kept t, read t, too large 0', '1kB: a value of just that size is kept');
is(put_of(1025), 'kept f, read f, too large 1', '1kB: one of a byte more is not');

restart_with('8000kB', "cachex.max_value_size = '8000kB'");
$before = 0;
is(put_of(8000 * 1024), 'kept t, read t, too large 0', '8000kB: the largest value there can be');
is(put_of(8000 * 1024 + 1), 'kept f, read f, too large 1', '8000kB: one of a byte more is not kept');
restart_with('largest value in least memory', "cachex.memory = 8MB");
is(one($node, q{SELECT cachex.put('default', 'small' || i, val(100)) FROM generate_series(1, 3) i}),
	"t\nt\nt", 'small values are kept beside it');
one($node, q{SELECT cachex.put('default', 'large', val(8192000))});
is(one($node, q{SELECT length(cachex.fetch('default', 'f', 'SELECT val(8192000) AS value')::text)}),
	8192000 - 6, 'a value larger than the memory is no error');
is_idle_and_consistent($node, 'largest value in least memory');

# What cannot be is not taken over.
$node->append_conf('postgresql.conf', join("\n", 'cachex.memory = 7MB',
	'cachex.max_value_size = 8001kB', 'cachex.nonsense = 1') . "\n");
$node->restart;
is(one($node, q{SELECT current_setting('cachex.memory'),
		current_setting('cachex.max_value_size'),
		current_setting('cachex.nonsense', true)}),
	'128MB|1MB|', 'settings out of range are not taken over');
like(slurp_file($node->logfile), qr/"cachex.memory" \(8 MB? .. 262144|outside the valid range/,
	'and the log says so');
works('settings out of range');
never_crashed($node);
$node->stop;

done_testing();
