
# Without the library in shared_preload_libraries every function says so.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('plain');
my ($preload) = reverse(slurp_file($node->data_dir . '/postgresql.conf') =~
	  /^(shared_preload_libraries .*)$/mg);
# the last setting of a name wins
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
add_extension($node);
pass('the extension can be created without the library preloaded');

# A call with NULLs of the right types, in the FROM clause where that is
# needed for its result; polymorphic arguments need an example.
my @calls = split(/\n/, one($node, q{
	SELECT format('SELECT * FROM cachex.%I(%s)%s', p.proname,
		(SELECT string_agg('NULL::' || CASE t WHEN 'anyelement'::regtype
			THEN 'text' ELSE format_type(t, NULL) END, ', ' ORDER BY n)
		 FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n)),
		CASE WHEN p.prorettype = 'record'::regtype AND p.proargmodes IS NULL
			THEN ' AS r (x text)' ELSE '' END)
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE pronamespace = 'cachex'::regnamespace AND lanname = 'c'
		AND prorettype <> 'trigger'::regtype AND proname <> 'public_memory'
	ORDER BY p.oid}));
cmp_ok(scalar(@calls), '>', 20, 'there are functions to call');

my @usual = (
	q{SELECT cachex.create_cache('c')},
	q{SELECT cachex.alter_cache('default', '{"ttl": "1 min"}')},
	q{SELECT cachex.drop_cache('c', if_exists => true)},
	q{SELECT cachex.put('default', 'k', '1')},
	q{SELECT cachex.put('default', 'k', '1', only_if => 'absent')},
	q{SELECT cachex.put_many('default', '{"a": 1}')},
	q{SELECT cachex.get('default', 'k')},
	q{SELECT cachex.get_as('default', 'k', 1)},
	q{SELECT cachex.lookup('default', 'k')},
	q{SELECT cachex.fetch('default', 'k', 'SELECT 1')},
	q{SELECT cachex.fetch('default', 'k', 'SELECT 1', mode => 'bypass')},
	q{SELECT cachex.fetch_as('default', 'k', 1, 'SELECT 1')},
	q{SELECT * FROM cachex.fetch_many('default', '{a}', 'SELECT ''a'' AS key')},
	q{SELECT cachex.update('default', 'k', '$1')},
	q{SELECT cachex.push('default', 'k', '1')},
	q{SELECT cachex.incr('default', 'k')},
	q{SELECT cachex.take('default', 'k')},
	q{SELECT cachex.touch('default', 'k')},
	q{SELECT cachex.invalidate('default', 'k')},
	q{SELECT cachex.invalidate_tags('{t}')},
	q{SELECT cachex.invalidate_like('default', '%')},
	q{SELECT cachex.clear()},
	q{SELECT cachex.purge()},
	q{SELECT * FROM cachex.stats},
	q{SELECT * FROM cachex.entries()},
	q{SELECT cachex.reset_stats()},
	q{SELECT * FROM cachex.memory()},
	q{SELECT check_store()},
	# triggers: rows and TRUNCATE
	q{INSERT INTO cachex.cache_definition (name, owner)
	  VALUES ('c', current_user::regrole)},
	q{TRUNCATE cachex.cache_definition});

foreach my $call (@calls, @usual)
{
	my ($status, $out, $err) = $node->psql('postgres', $call);
	like($err,
		qr/ERROR: +cachex must be loaded via shared_preload_libraries.*HINT: .*shared_preload_libraries/s,
		"without the library: $call");
}
is(one($node, q{SELECT count(*) FROM cachex.caches}),
	'2', 'the view caches needs no library');
$node->safe_psql('postgres', 'DROP EXTENSION cachex; CREATE EXTENSION cachex');
pass('the extension can be dropped and created without the library');
never_crashed($node);

my ($status, $out, $err) = $node->psql('postgres',
	q{SELECT cachex.definition_changed()});
like($err, qr/ERROR/, 'a trigger function called by hand is an error');

$node->append_conf('postgresql.conf', $preload);
$node->restart;
is(one($node, q{SELECT cachex.put('default', 'k', '1');
		SELECT cachex.get('default', 'k')}),
	"t\n1", 'it works after a restart with the library preloaded');
is(one($node, q{SELECT cachex.fetch('default', 'f', 'SELECT 2 AS value');
		SELECT count(*) FROM cachex.entries()}),
	"2\n2", 'so does a fetch');
is_idle_and_consistent($node, 'after the restart');
never_crashed($node);
$node->stop;

# Preloaded, but not created.
$node = new_server('bare');
$node->start;
is(one($node, q{SHOW cachex.memory}), '128MB', 'preloaded: settings are there');
is(one($node, q{SELECT count(*) FROM pg_class WHERE relname = 'cache_definition'}),
	'0', 'preloaded and not created: the server works');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'CREATE TABLE t (); DROP TABLE t; DROP DATABASE other');
pass('DDL works in databases without the extension');
never_crashed($node);
$node->stop;

done_testing();
