
# What a restart keeps: the caches and their settings; not the entries.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main');
my $settings = q{SELECT name, owner, ttl, negative_ttl, max_entries,
	max_memory, consistency, enabled, version, loader
	FROM cachex.caches ORDER BY name};
my $counters = q{SELECT sum(hits), sum(misses), sum(puts), sum(fills),
	sum(loads), sum(entries), sum(bytes), sum(bytes_peak) FROM cachex.stats};

$node->safe_psql('postgres', q{
	CREATE ROLE someone;
	GRANT CREATE ON DATABASE postgres TO someone;
	CREATE FUNCTION load(key text) RETURNS text LANGUAGE sql AS 'SELECT key';
	SET ROLE someone;
	SELECT cachex.create_cache('c', ttl => '5 min', max_entries => 10,
		max_memory => '1MB', negative_ttl => '3 s', consistency => 'ttl',
		loader => 'load(text)');
	RESET ROLE;
	SELECT cachex.create_cache('gone');
	SELECT cachex.alter_cache('default', '{"max_entries": 7, "ttl": null}');
	SELECT cachex.alter_cache('queries', '{"enabled": false}');
	SELECT cachex.alter_cache('c', '{"version": 3}');
	SELECT cachex.drop_cache('gone')});
my $before = one($node, $settings);
like($before, qr/^c\|someone\|00:05:00\|00:00:03\|10\|1048576\|ttl\|t\|3\|public.load$/m,
	'a cache has the settings that it was given');

my $fill = q{
	SELECT cachex.put('default', 'k' || i, to_jsonb(i)) FROM generate_series(1, 9) i;
	SELECT cachex.put('c', 'k', '"c"');
	SELECT cachex.fetch('c', 'loaded');
	SELECT cachex.get('c', 'k'), cachex.get('c', 'none'), cachex.get('default', 'k9')};
$node->safe_psql('postgres', $fill);
is(one($node, q{SELECT count(*) FROM cachex.entries('default')}),
	'7', 'the altered built-in cache obeys its new limit');
isnt(one($node, $counters), '0|0|0|0|0|0|0|0', 'something was counted');

foreach my $mode ('fast', 'immediate')
{
	my $reset = one($node, q{SELECT min(stats_reset) FROM cachex.stats});
	$node->stop($mode);
	$node->start;
	is(one($node, $counters), '0|0|0|0|0|0|0|0',
		"$mode: entries are gone and counters start at 0");
	is(one($node, $settings), $before, "$mode: caches and settings are kept");
	is(one($node, "SELECT bool_and(stats_reset > '$reset') FROM cachex.stats"),
		't', "$mode: stats_reset is new");
	is(one($node, q{SELECT used, entries FROM cachex.memory()}),
		'0|0', "$mode: no memory is used");
	is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}), 't',
		"$mode: a get misses");
	$node->safe_psql('postgres', $fill);
	is(one($node, q{SELECT cachex.get('c', 'k'), cachex.fetch('c', 'loaded'),
			(SELECT count(*) FROM cachex.entries('default'))}),
		'"c"|"loaded"|7', "$mode: the caches work, limits and loader hold");
	is_idle_and_consistent($node, $mode);
}

# Transactions that had not ended when the server went leave nothing.
my $session = session($node);
$session->must(q{BEGIN; SELECT cachex.create_cache('never');
	SELECT cachex.put('c', 'pending', '1')});
$node->stop('immediate');
$session->close;
$node->start;
is(one($node, q{SELECT count(*) FROM cachex.caches WHERE name = 'never'}),
	'0', 'a cache that was not committed is not there');
is(one($node, q{SELECT cachex.get('c', 'pending') IS NULL}), 't',
	'nor is the entry');
never_crashed($node);
$node->stop;

done_testing();
