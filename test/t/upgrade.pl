
# pg_dump and pg_upgrade take along caches with all of their settings, grants,
# warmers, watches and jobs, and what was granted on the extension's functions.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = start_server('old', 'cachex.memory = 32MB', "cachex.databases = ''");
my $dir = PostgreSQL::Test::Utils::tempdir;

$old->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE ROLE "Odd ""role""";
	CREATE ROLE owner;
	CREATE ROLE gone;
	CREATE DATABASE source});
$old->safe_psql('source', q{
	CREATE EXTENSION cachex;
	GRANT CREATE ON DATABASE source TO owner;
	CREATE TABLE t (id int PRIMARY KEY, who text, v text);
	INSERT INTO t VALUES (1, 'a', 'one');
	GRANT ALL ON t TO owner, reader;
	CREATE FUNCTION load(key text) RETURNS text LANGUAGE sql STABLE AS 'SELECT v FROM public.t WHERE id = key::int';
	SET ROLE owner;
	SELECT cachex.create_cache('plain', ttl => NULL, loader => 'load(text)'),
		cachex.create_cache('shared', consistency => 'ttl', shared => true, persist => 'snapshot', stale_for => '1 min'),
		cachex.create_cache('scoped', consistency => 'ttl', max_entries_per_scope => 3, persist => 'table',
			options => '{"scoped_by": "app.who", "beta": 1, "jitter": 0.5, "validate": "$1 IS NOT NULL"}');
	SELECT cachex.grant_cache('shared', 'reader', 'read'), cachex.grant_cache('shared', 'Odd "role"', 'write'),
		cachex.grant_cache('scoped', 'public', 'read'), cachex.grant_cache('scoped', 'gone', 'read');
	SELECT cachex.create_warmer('shared', 'all', 'SELECT id::text AS key, v AS value FROM public.t', every => '1 hour', required => true);
	RESET ROLE;
	SELECT cachex.revoke_cache('default', 'public', 'write'), cachex.alter_cache('queries', '{"ttl": "3 min"}');
	GRANT EXECUTE ON FUNCTION cachex.invalidate_tags(text[]) TO reader;
	REVOKE EXECUTE ON FUNCTION cachex.entries(text, text) FROM PUBLIC;
	SELECT cachex.watch('t', 'shared', keys => '{<id>}', action => 'put'),
		cachex.watch('t', 'scoped', keys => '{<id>,list}', scope => '<who>'),
		cachex.watch('t', tags => '{t:<id>}');
	SELECT cachex.put('shared', 'k', '1'), cachex.refresh('plain', '1')});
$old->safe_psql('postgres', 'DROP ROLE gone');

# All that is to be the same, less the identifiers that are new in each.
my $definitions = q{
	SELECT to_jsonb(c) FROM cachex.caches c ORDER BY name;
	SELECT cache, name, query, every, required, replace FROM cachex.warmers ORDER BY 1, 2;
	SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
	WHERE tgrelid = 't'::regclass ORDER BY tgname;
	SELECT proname, (aclexplode(proacl)).grantee::regrole, (aclexplode(proacl)).privilege_type
	FROM pg_proc WHERE pronamespace = 'cachex'::regnamespace AND proname IN ('invalidate_tags', 'entries', 'new_cache_id')
	ORDER BY 1, 2, 3};

# A restored or upgraded database does what it says.
sub works
{
	my ($node, $db, $name) = @_;
	my $s = session($node, $db);

	$s->must('SET ROLE reader');
	is($s->must(q{SELECT cachex.get('shared', 'k') IS NULL}), 't', "$name: no entry came along");
	$s->query(q{SELECT cachex.put('shared', 'k', '1')});
	like($s->error, qr/permission denied for cache/, "$name: who may only read does not write");
	$s->query(q{SELECT cachex.put('default', 'k', '1')});
	like($s->error, qr/permission denied for cache/, "$name: what was revoked is");
	is($s->must(q{SELECT cachex.invalidate_tags('{t:1}') IS NOT NULL}), 't', "$name: what was granted is");
	$s->must(q{UPDATE t SET v = 'two' WHERE id = 1});
	is($s->must(q{SELECT cachex.get('shared', '1') ->> 'v'}), 'two', "$name: a watch puts");
	$s->must('RESET ROLE');
	$s->must(q{SET app.who = 'a'; SELECT cachex.put('scoped', k, '1') FROM unnest('{list,x,y,z}'::text[]) k});
	is($s->must(q{SELECT count(*) FROM cachex.entries('scoped') WHERE status = 'hit'}), '3', "$name: a scope has its limit");
	$s->must(q{SELECT cachex.put('scoped', 'list', '1'); UPDATE t SET v = 'three'});
	is($s->must(q{SELECT cachex.get('scoped', 'list') IS NULL}), 't', "$name: a watch invalidates in a scope");
	$s->close;
	return;
}

my $expected = one($old, $definitions, 'source');
like($expected, qr/"readers": \["[0-9]+", "public"\]/, 'a role that was dropped is a number');

$old->safe_psql('postgres', 'CREATE DATABASE restored');
$old->command_ok([ 'pg_dump', '-F', 'c', '-f', "$dir/dump", '-d', $old->connstr('source') ], 'pg_dump');
$old->command_ok([ 'pg_restore', '-e', '-1', '-d', $old->connstr('restored'), "$dir/dump" ], 'pg_restore');
is(one($old, $definitions, 'restored'), $expected, 'restored: all definitions are the same');
works($old, 'restored', 'restored');
$old->safe_psql('postgres', 'DROP DATABASE restored');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding', 'UTF8' ]);
$new->append_conf('postgresql.conf', "cachex.memory = 32MB\ncachex.databases = ''");
my @upgrade = (
	'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
	'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
	'-s', $new->host, '-p', $old->port, '-P', $new->port);
chdir $dir or die;
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');
$new->start;
is(one($new, $definitions, 'source'), $expected, 'upgraded: all definitions are the same');
works($new, 'source', 'upgraded');
$new->stop;
done_testing();
