
# Caches are rows: pg_dump takes them along, COPY brings them back, and the
# shared memory follows whatever is done to the rows.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', 'cachex.memory = 32MB');
my $dir = PostgreSQL::Test::Utils::tempdir;

sub copy_settings
{
	return one($node, q{SELECT name, owner, ttl, negative_ttl, max_entries,
		max_memory, consistency, enabled, version, loader
		FROM cachex.caches ORDER BY name}, $_[0]);
}

$node->safe_psql('postgres', 'CREATE ROLE someone; CREATE DATABASE source');
$node->safe_psql('source', q{
	CREATE EXTENSION cachex;
	GRANT CREATE ON DATABASE source TO someone;
	CREATE TABLE t (k text PRIMARY KEY, v int);
	INSERT INTO t VALUES ('a', 1), ('b', 2);
	CREATE FUNCTION load(key text) RETURNS int LANGUAGE sql STABLE
	AS 'SELECT v FROM public.t WHERE k = key';
	SELECT cachex.create_cache('c', ttl => '5 min', max_entries => 10,
		max_memory => '1MB', consistency => 'ttl', loader => 'load(text)');
	SET ROLE someone;
	SELECT cachex.create_cache('theirs', ttl => NULL, consistency => 'ttl');
	RESET ROLE;
	SELECT cachex.alter_cache('c', '{"version": 2}');
	SELECT cachex.alter_cache('default', '{"max_entries": 5}');
	SELECT cachex.put('c', 'k', '"source"'),
		cachex.put('default', 'k', '"source"')});
my $settings = copy_settings('source');

foreach my $format ('custom', 'plain', 'directory')
{
	my $file = "$dir/$format";
	my $target = "restored_$format";
	$node->safe_psql('postgres', "CREATE DATABASE $target");
	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file,
			'-d', $node->connstr('source') ], "$format: pg_dump");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file,
			'-d', $node->connstr($target) ]
		: [ 'pg_restore', '-e', ($format eq 'custom' ? '-1' : ()),
			'-d', $node->connstr($target), $file ],
		"$format: restored");
	is(copy_settings($target), $settings, "$format: caches and settings are the same");
	is(one($node, q{SELECT count(*) FROM cachex.entries()}, $target), '0',
		"$format: entries are not in the dump");
	is(one($node, q{SELECT cachex.fetch('c', 'a'), cachex.fetch('c', 'a'),
			cachex.put('theirs', 'k', '1')}, $target),
		'1|1|t', "$format: the restored caches work at once");
	is(one($node, q{SELECT hits, fills FROM cachex.stats WHERE cache = 'c'}, $target),
		'1|1', "$format: they keep what is loaded");
	one($node, q{SELECT count(cachex.put(c, 'k' || i, '1'))
		FROM unnest(ARRAY['c', 'default']) c, generate_series(1, 20) i}, $target);
	is(one($node, q{SELECT cache, entries FROM cachex.stats
			WHERE cache IN ('c', 'default') ORDER BY cache}, $target),
		"c|10\ndefault|5", "$format: their limits hold, the altered built-in one's too");
}
is(one($node, q{SELECT cachex.get('c', 'k'), cachex.get('default', 'k')}, 'source'),
	'"source"|"source"', 'the source has kept its entries');

# A session that is connected while the rows come in.
$node->safe_psql('postgres', 'CREATE DATABASE live');
$node->safe_psql('live', 'CREATE EXTENSION cachex');
my $session = session($node, 'live');
is($session->must(q{SELECT cachex.put('default', 'k', '1'),
		(SELECT count(*) FROM cachex.caches)}), 't|2', 'a session before the restore');
$node->command_ok([ 'pg_dump', '-F', 'c', '-a', '-t', 'cachex.cache_definition',
		'-f', "$dir/rows", '-d', $node->connstr('source') ],
	'the rows alone are dumped');
$node->command_ok([ 'pg_restore', '-e', '-a', '-d', $node->connstr('live'), "$dir/rows" ],
	'and restored into a database that is in use');
is($session->must(q{SELECT cachex.put('theirs', 'k', '1'),
		count(cachex.put('default', 'n' || i, '1')) FROM generate_series(1, 20) i;
		SELECT entries FROM cachex.stats WHERE cache = 'default'}),
	"t|20\n5", 'the session knows the restored rows');
$session->close;

$node->restart;
foreach my $db ('source', 'restored_custom', 'restored_plain', 'live')
{
	is(copy_settings($db), $settings, "$db: settings after a restart");
	one($node, q{SELECT count(cachex.put(c, 'k' || i, '1'))
		FROM unnest(ARRAY['c', 'default', 'theirs']) c, generate_series(1, 20) i}, $db);
	is(one($node, q{SELECT cache, entries FROM cachex.stats
			WHERE cache <> 'queries' ORDER BY cache}, $db),
		"c|10\ndefault|5\ntheirs|20", "$db: limits after a restart");
}

# ---- whatever is done to the rows ----

$node->safe_psql('postgres', 'CREATE DATABASE rows');
add_extension($node, 'rows');
my $user = session($node, 'rows');
my $admin = session($node, 'rows');

# Memory of 'rows' alone: the other databases stay as they are.
my $fixed = memory_used($node);
my $fill = q{SELECT count(cachex.put(c, 'big' || i, to_jsonb(repeat('x', 10000))))
	FROM unnest(ARRAY['c', 'd']) c, generate_series(1, 100) i};

sub is_freed
{
	my ($name) = @_;
	wait_for_memory($node, "used <= $fixed + 20000", "$name: the entries are freed");
	is_consistent($node, $name, 'rows');
	return;
}

my $insert = q{INSERT INTO cachex.cache_definition (name, owner, consistency)
	SELECT n, current_user::regrole, 'ttl' FROM unnest(ARRAY['c', 'd']) n};
my %ways = (
	'DELETE' => q{DELETE FROM cachex.cache_definition},
	'TRUNCATE' => q{TRUNCATE cachex.cache_definition},
	'drop_cache' => q{SELECT cachex.drop_cache(name)
		FROM (SELECT name FROM cachex.cache_definition OFFSET 0) s});
foreach my $way ('DELETE', 'drop_cache', 'TRUNCATE')
{
	$admin->must($insert);
	is($user->must("SELECT cachex.put('c', 'k', '1'); SELECT cachex.get('c', 'k')"),
		"t\n1", "$way: rows of a plain INSERT are caches");
	is($user->must($fill), '200', "$way: they hold entries");
	$admin->must("BEGIN; $ways{$way}");
	is($user->must(q{SELECT cachex.get('c', 'k')}), '1', "$way: not before its commit")
	  if $way ne 'TRUNCATE';
	$admin->must('ROLLBACK');
	is($user->must(q{SELECT cachex.get('c', 'k')}), '1', "$way: a rollback drops nothing");
	$admin->must($ways{$way});
	$user->query(q{SELECT cachex.get('c', 'k')});
	like($user->error, qr/cache "c" does not exist/, "$way: the caches are gone");
	is_freed($way);
	$admin->must($insert);
	is($user->must(q{SELECT cachex.get('c', 'k') IS NULL, count(*) FROM cachex.entries()}),
		't|0', "$way: the same names start empty");
	$admin->must($ways{$way});
}

# The built-in ones, with a row and without.
my $default = q{SELECT cachex.put('default', 'k', '1'); SELECT cachex.get('default', 'k')};
is($user->must($default), "t\n1", 'the built-in cache');
$admin->must(q{BEGIN; SELECT cachex.alter_cache('default', '{"max_entries": 3}'); ROLLBACK});
is($user->must(q{SELECT cachex.get('default', 'k')}), '1',
	'a change of a built-in cache that is rolled back loses nothing');
is($user->must($default), "t\n1", 'and the cache still works in other sessions');
is($admin->must($default), "t\n1", 'and in that one');
$admin->must(q{BEGIN; SAVEPOINT a; SELECT cachex.alter_cache('default', '{"ttl": "1 min"}');
	ROLLBACK TO a; COMMIT});
is($user->must($default), "t\n1", 'nor does one of a savepoint');
$admin->must(q{SELECT cachex.alter_cache('default', '{"max_entries": 3}')});
is($user->must(q{SELECT cachex.get('default', 'k')}), '1',
	'one that commits keeps the entries');
is($user->must(q{SELECT count(cachex.put('default', 'k' || i, '1')) FROM generate_series(1, 9) i;
		SELECT entries FROM cachex.stats WHERE cache = 'default'}), "9\n3",
	'and its limit holds');
$admin->must(q{DELETE FROM cachex.cache_definition WHERE name = 'default'});
is($user->must(q{SELECT count(cachex.put('default', 'k' || i, '1')) FROM generate_series(1, 9) i;
		SELECT entries FROM cachex.stats WHERE cache = 'default'}), "9\n9",
	'without its row a built-in cache has its own settings again');
is($user->must(q{SELECT cachex.get('default', 'k9')}), '1', 'and works');
$admin->must(q{SELECT cachex.clear('default')});

# Deleted and inserted again, identifier and all, in one transaction: what
# pg_restore --clean does.
$admin->must($insert);
$user->must(q{SELECT cachex.put('c', 'k', '1')});
$admin->must(q{BEGIN; CREATE TEMP TABLE saved AS TABLE cachex.cache_definition;
	DELETE FROM cachex.cache_definition;
	INSERT INTO cachex.cache_definition SELECT * FROM saved; COMMIT});
is($user->must(q{SELECT cachex.get('c', 'k') IS NULL, cachex.put('c', 'k', '2')}), 't|t',
	'deleted and inserted again in one transaction: empty, and works');
is($user->must(q{SELECT cachex.get('c', 'k')}), '2', 'it keeps values');
is($admin->must(q{SELECT cachex.get('c', 'k')}), '2', 'in every session');

# Another name, another identifier.
$admin->must(q{UPDATE cachex.cache_definition SET name = 'renamed' WHERE name = 'c'});
is($user->must(q{SELECT cachex.get('renamed', 'k') IS NULL}), 't', 'a renamed cache starts empty');
is(one($node, q{SELECT string_agg(cache, ',' ORDER BY cache) FROM cachex.stats}, 'rows'),
	'd,default,queries,renamed', 'and has its new name in the statistics');
$user->must($fill =~ s/'c', 'd'/'renamed', 'd'/r);
$admin->must(q{UPDATE cachex.cache_definition SET id = id # 5 WHERE name = 'renamed'});
is($user->must(q{SELECT cachex.get('renamed', 'k') IS NULL}), 't',
	'with another identifier it is another cache');
$admin->must(q{DELETE FROM cachex.cache_definition});
is_freed('another identifier');

# Rows that cannot be.
foreach my $row (q{'', 1, '1 s', 'ttl'}, q{repeat('x', 64), 1, '1 s', 'ttl'},
	q{'e', -1, '1 s', 'ttl'}, q{'e', 1, '-1 s', 'ttl'}, q{'e', 1, '1 s', 'other'})
{
	$admin->query("INSERT INTO cachex.cache_definition
		(name, max_entries, ttl, consistency, owner) SELECT $row, 'postgres'");
	like($admin->error, qr/violates check constraint/, "a row ($row) is refused");
}
$_->close foreach $user, $admin;

is_idle_and_consistent($node, 'at the end', 'rows');
never_crashed($node);
$node->stop;

done_testing();
