# What an exact cache has in the table of stored entries is served as stale
# only, after a restart and after a crash, to those who allow it; one refresh
# follows.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('stored');
$node->safe_psql('postgres', q{
	CREATE TABLE n (i int);
	INSERT INTO n VALUES (1);
	SELECT cachex.watch('n');
	SELECT cachex.create_cache('exact', '1 h', stale_for => '1 h',
		persist => 'table');
	SELECT cachex.create_cache('short', '3 s', stale_for => '1 h',
		persist => 'table', consistency => 'ttl')});

my $fetch = q{SELECT cachex.fetch('%s', 'k', 'SELECT i FROM n'%s)};

sub wait_until
{
	my ($what, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT $what"), $name);
	return;
}

sub fetch
{
	my ($cache, $more) = @_;
	return one($node, sprintf($fetch, $cache, $more // ''));
}

sub stored
{
	my ($cache, $value) = @_;
	wait_until(qq{(SELECT max(e.created) FROM cachex.stored_entry e
		JOIN cachex.cache_definition c ON c.id = e.cache WHERE c.name = '$cache')
		>= (cachex.lookup('$cache', 'k')).created_at}, "$cache: $value is stored");
	return;
}

for my $how ('fast', 'immediate')
{
	my $old = one($node, 'SELECT i FROM n');
	for my $cache ('exact', 'short')
	{
		is(fetch($cache, ", stale_for => '0'"), $old, "$cache: loaded");
		stored($cache, $old);
	}
	# long enough for the last copy to be the one that counts
	wait_until(q{NOT EXISTS (SELECT FROM pg_stat_activity
		WHERE backend_type = 'cachex worker')}, 'the worker has gone');
	$node->stop($how);
	$node->start;
	# nothing in memory remembers this; an exact answer would be the new row
	$node->safe_psql('postgres', 'UPDATE n SET i = i + 1');

	is(one($node, q{SELECT (cachex.lookup('exact', 'k')).status}), 'stale',
		"$how: lookup says stale");
	is(fetch('exact', ", mode => 'cached'"), $old, "$how: one who allows it gets the old value");
	is(fetch('exact', ", stale_for => '0'"), $old + 1, "$how: a strict one does not");
	# a ttl cache serves it as it is until its expiry
	wait_until(q{(cachex.lookup('short', 'k')).status = 'stale'}, "$how: expired");
	is(one($node, q{SELECT (cachex.lookup('short', 'k')).value}), $old,
		"$how: a ttl cache after the expiry, too");
	is(fetch('short'), $old, "$how: and fetch");
	wait_until(q{(cachex.lookup('short', 'k')).value = to_jsonb((SELECT i FROM n))},
		"$how: which has it refreshed");
}

# Nobody is given what he allows no staleness for.
$node->safe_psql('postgres', q{SELECT cachex.alter_cache('exact', '{"stale_for": "0"}')});
$node->restart;
is(one($node, q{SELECT (cachex.lookup('exact', 'k')).status}), 'miss',
	'without stale_for an exact cache has nothing');

never_crashed($node);
$node->stop;
done_testing();
