
# Caches of two databases have nothing to do with each other, and go with
# their database or extension.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main', 'cachex.memory = 16MB');

sub create_database
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	add_extension($node, $db);
	$node->safe_psql($db, q{SELECT cachex.create_cache('c', consistency => 'ttl')});
	return;
}
create_database($_) foreach 'one', 'two';

# ---- separate ----

foreach my $db ('one', 'two')
{
	$node->safe_psql($db, qq{
		SELECT cachex.put('c', 'k', '"$db"', tags => '{t}');
		SELECT cachex.put('default', 'k', '"$db"', scope => 's');
		SELECT cachex.fetch('c', 'f', 'SELECT current_database()::text AS value')});
}
foreach my $db ('one', 'two')
{
	is(one($node, q{SELECT cachex.get('c', 'k'), cachex.get('default', 'k', scope => 's'),
			cachex.fetch('c', 'f', 'SELECT current_database()::text AS value')}, $db),
		qq{"$db"|"$db"|"$db"}, "$db: its own values under the same names");
	is(one($node, q{SELECT count(*) FROM cachex.entries()}, $db), '3',
		"$db: lists its own entries");
	is(one($node, q{SELECT sum(entries) FROM cachex.stats}, $db), '3',
		"$db: counts its own entries");
}
is(one($node, q{SELECT cachex.get('default', 'k', scope => 's') IS NULL}), 't',
	'a third database sees neither');

# The same row, id and all, as a restored dump has it.
is(one($node, q{SELECT d.id = 7 FROM cachex.cache_definition d}, 'one'), 'f',
	'identifiers are random');
$node->safe_psql($_, q{INSERT INTO cachex.cache_definition (name, id, owner)
	VALUES ('same', 7, 'postgres')}) foreach 'one', 'two';
$node->safe_psql($_, qq{SELECT cachex.put('same', 'k', '"$_"')}) foreach 'one', 'two';
is(one($node, q{SELECT cachex.get('same', 'k')}, 'one'), '"one"',
	'the same identifier in two databases is two caches');

foreach my $how (q{cachex.clear()}, q{cachex.invalidate_tags('{t}')},
	q{cachex.invalidate_like('c', '%')}, q{cachex.invalidate('c', 'k')},
	q{cachex.reset_stats()}, q{cachex.purge()}, q{cachex.drop_cache('same')})
{
	my $before = one($node, q{SELECT cachex.get('c', 'k'), count(*) FROM cachex.entries()}, 'two');
	$node->safe_psql('one', "SELECT $how");
	is(one($node, q{SELECT cachex.get('c', 'k'), count(*) FROM cachex.entries()}, 'two'),
		$before, "$how in one database leaves the other alone");
}
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}, 'one'), 't', 'it was effective there');
is(one($node, q{SELECT cachex.get('same', 'k')}, 'two'), '"two"',
	'so was drop_cache');

# ---- DROP DATABASE ----

sub fill
{
	my ($db) = @_;
	one($node, q{SELECT count(cachex.put(c, 'big' || i, to_jsonb(repeat('x', 10000))))
		FROM unnest(ARRAY['c', 'default']) c, generate_series(1, 200) i}, $db);
	return;
}
fill('two');
my $used = memory_used($node);
fill('one');
cmp_ok(memory_used($node), '>', $used + 3_000_000, 'one has taken memory');

# A rolled back attempt, and one that fails, change nothing.
my $open = session($node, 'one');
$open->must('SELECT 1');
my ($status, $out, $err) = $node->psql('postgres', 'DROP DATABASE two, one');
isnt($status, 0, 'a DROP DATABASE that fails');
is(one($node, q{SELECT count(*) FROM cachex.entries()}, 'one'), '400',
	'has left the entries');
$open->close;
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'one'});

my $oid = one($node, q{SELECT oid FROM pg_database WHERE datname = 'one'});
$node->safe_psql('postgres', 'DROP DATABASE one');
wait_for_memory($node, "used < $used + 100000", 'DROP DATABASE frees its entries');
is(one($node, q{SELECT count(*) FROM cachex.entries('c')}, 'two'), '202',
	'and no others');
create_database('one');
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL, cachex.get('default', 'k', scope => 's') IS NULL,
		(SELECT count(*) FROM cachex.entries()), (SELECT sum(puts) FROM cachex.stats)}, 'one'),
	't|t|0|0', 'a database of the same name starts with nothing');

# Even one that gets the same OID: a template is copied with its rows, so the
# caches' identifiers are the same as well.
$node->safe_psql('one', q{SELECT cachex.put('c', 'k', '"old"')});
$node->safe_psql('postgres', q{CREATE DATABASE copy TEMPLATE one});
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}, 'copy'), 't',
	'a copy of a database has its caches but not its entries');
$node->safe_psql('copy', q{SELECT cachex.put('c', 'k', '"copy"')});
is(one($node, q{SELECT cachex.get('c', 'k')}, 'one'), '"old"', 'and they are separate');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
is(one($node, q{SELECT cachex.get('c', 'k')}, 'renamed'), '"copy"',
	'a renamed database keeps its entries');
SKIP:
{
	my ($st) = $node->psql('postgres', q{
		SET allow_system_table_mods = on;
		CREATE DATABASE sameoid TEMPLATE one OID = 99999});
	skip 'no OID can be chosen', 1 if $st != 0;
	$node->safe_psql('sameoid', q{SELECT cachex.put('c', 'k', '"first"'),
		cachex.put('default', 'k', '"first"')});
	$node->safe_psql('postgres', q{DROP DATABASE sameoid});
	$node->safe_psql('postgres', q{SET allow_system_table_mods = on;
		CREATE DATABASE sameoid TEMPLATE one OID = 99999});
	is(one($node, q{SELECT cachex.get('c', 'k') IS NULL, cachex.get('default', 'k') IS NULL}, 'sameoid'),
		't|t', 'a database with the OID of a dropped one sees nothing of it');
	$node->safe_psql('postgres', q{DROP DATABASE sameoid});
}
$node->safe_psql('postgres', 'DROP DATABASE renamed');
# what is compared below are the bytes of those that are left
my $left = 0;
$left += one($node, 'SELECT count(*) FROM cachex.entries()', $_) foreach 'postgres', 'one', 'two';
wait_for_memory($node, "entries = $left", 'nothing is left of dropped databases');

# ---- DROP EXTENSION ----

fill('one');
my $session = session($node, 'one');
is($session->must(q{SELECT cachex.get('c', 'k')}), '"old"', 'a session that is there');
my $before = memory_used($node);
$node->safe_psql('one', 'BEGIN; DROP EXTENSION cachex; ROLLBACK');
is($session->must(q{SELECT cachex.get('c', 'k')}), '"old"',
	'a DROP EXTENSION that is rolled back drops nothing');
is(memory_used($node), $before, 'and frees nothing');
$node->safe_psql('one', 'DROP EXTENSION cachex');
wait_for_memory($node, "used < $before - 3000000", 'DROP EXTENSION frees the entries');
$session->query(q{SELECT cachex.get('c', 'k')});
like($session->error, qr/ERROR/, 'the session gets an error');
$node->safe_psql('one', 'CREATE EXTENSION cachex');
is($session->must(q{SELECT count(*) FROM cachex.entries()}), '0',
	'CREATE EXTENSION starts empty');
is($session->must(q{SELECT count(*) FROM cachex.caches}), '2',
	'with the built-in caches alone');
is($session->must(q{SELECT cachex.get('default', 'k', scope => 's') IS NULL,
		cachex.put('default', 'k', '1'), (SELECT sum(puts) FROM cachex.stats)}),
	't|t|0', 'no old value, no old counter');
is(one($node, q{SELECT cachex.get('default', 'k')}, 'one'), '1', 'and works');
$session->query(q{SELECT cachex.get('c', 'k')});
like($session->error, qr/cache "c" does not exist.*create_cache/s,
	'an old name is an error with a hint');
$session->must(q{SELECT cachex.create_cache('c', consistency => 'ttl')});
is($session->must(q{SELECT cachex.get('c', 'k') IS NULL}), 't',
	'a cache with the name of an old one is empty');

# In one transaction.
$session->must(q{SELECT cachex.put('c', 'k', '1'), cachex.put('default', 'k', '1')});
$session->must(q{BEGIN; DROP EXTENSION cachex; CREATE EXTENSION cachex;
	SELECT cachex.create_cache('c', consistency => 'ttl'); COMMIT});
is($session->must(q{SELECT cachex.get('c', 'k') IS NULL, cachex.get('default', 'k') IS NULL,
		cachex.put('c', 'k', '2')}),
	't|t|t', 'dropped and created in one transaction: empty, and works');
is($session->must(q{SELECT cachex.get('c', 'k')}), '2', 'it keeps what is put then');
$session->close;

$node->safe_psql('postgres', "DROP DATABASE $_") foreach 'one', 'two';
$node->safe_psql('postgres', 'SELECT cachex.clear()');
wait_for_memory($node, 'used = 0 AND entries = 0',
	'at the end all of the memory is free');

# Numbers of caches are given back: many databases, one after the other.
foreach my $i (1 .. 3)
{
	$node->safe_psql('postgres', 'CREATE DATABASE many');
	$node->safe_psql('many', q{CREATE EXTENSION cachex;
		SELECT cachex.create_cache('c' || i, consistency => 'ttl') FROM generate_series(1, 40) i});
	is(one($node, q{SELECT count(*) FILTER (WHERE cachex.put('c' || i, 'k', '1'))
			FROM generate_series(1, 40) i}, 'many'),
		'40', "database $i with 40 caches: all of them keep values");
	$node->safe_psql('postgres', 'DROP DATABASE many');
	wait_for_memory($node, 'used = 0', "database $i: dropped and reclaimed");
}
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
