# Nobody reads through the cache what he could not read without it: every way to
# be somebody, and every loader, verb and kind of cache, against each other and
# against the answer without a cache; then again after each change of privileges.
# What is asked, by whom, and what changes is in test/private.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PrivateTest;
use Test::More;
use Time::HiRes qw(time);

my $begun = time;
my $node = private_server("cachex.memory = '16MB'");
my ($s, $t) = (session($node), session($node));
$_->must(q{SET client_min_messages = error; SET app.user_id = ''}) foreach ($s, $t);

# ---- who, what, how ----

sub forget
{
	$s->must('SELECT cachex.clear(); SELECT cachex.purge()');
	return;
}

part_begin();
foreach my $loader (names($s, 'loader'))
{
	check($s, 'states(' . quoted($loader) . ')');
	forget();
}
part_end('each role gets its own answer, with each verb, in each kind of cache, whoever filled it');

part_begin();
my @stale = ('table', 'column a', 'hidden schema', 'RLS on', 'RLS by setting', 'RLS to roles', 'view with session_user',
	'plpgsql, RLS', 'folded plpgsql', 'current_user', 'setting of the application', 'pg_has_role');
foreach my $loader (@stale)
{
	check($s, 'states(' . quoted($loader) . ", '_stale')");
}
part_end('stale values, refreshed by workers');
# in caches of their own, since workers may still be busy with those
$s->must('SET cachex.synchronous = on');
part_begin();
foreach my $loader (@stale)
{
	check($s, 'states(' . quoted($loader) . ", '_sync_stale')");
}
part_end('stale values, refreshed at once');
$s->must('SET cachex.synchronous = off');
is($s->must(q{SELECT bool_and(stale_hits > 0 AND refreshes > 0) FROM cachex.stats WHERE cache ~ '_stale$'}),
	't', 'stale values were served and refreshed');
forget();

part_begin();
check($s, $_) foreach ('puts()', 'updates()', 'loads()');
part_end('puts, changes, and caches with a loader');

# ---- rows that a watch puts ----

part_begin();
my $id = 0;
foreach my $table ('mx.put_plain', 'mx.put_rls')
{
	foreach my $writer ('m_owner', 'm_writer', 'm_alice', 'm_columns')
	{
		$id++;
		$s->must("SET ROLE $writer; INSERT INTO $table (id, v) VALUES ($id, 'v'); RESET ROLE");
		my $row = quoted("SELECT to_jsonb(t) FROM $table AS t WHERE id = $id");
		my $own = quoted({ m_owner => 'owner', m_alice => 'alice' }->{$writer} // 'nobody');
		$own = quoted('nobody') if $table eq 'mx.put_rls';
		check($s, "told('watch', '{private_ttl,private_exact}', '$id', $row, $own, '{get,lookup,cached}')");
		$own = quoted($table eq 'mx.put_rls' ? 'nobody' : 'reader');
		check($s, "told('watch', '{shared_ttl,shared_exact}', '$id', $row, $own, '{get,lookup,cached}')");
		check($s, "told('watch', '{private_ttl,private_exact,shared_ttl,shared_exact}', '$id', $row)");
	}
}
foreach my $change (
	[ 'REVOKE SELECT ON mx.put_plain FROM m_reader', 'GRANT SELECT ON mx.put_plain TO m_reader' ],
	[ 'REVOKE SELECT ON mx.put_plain FROM m_owner', 'GRANT SELECT ON mx.put_plain TO m_owner' ],
	[ 'ALTER TABLE mx.put_plain OWNER TO m_second', 'ALTER TABLE mx.put_plain OWNER TO m_owner' ],
	[ 'ALTER TABLE mx.put_plain ENABLE ROW LEVEL SECURITY', 'ALTER TABLE mx.put_plain DISABLE ROW LEVEL SECURITY' ],
	[ 'GRANT m_reader TO m_extra', 'REVOKE m_reader FROM m_extra' ])
{
	$id++;
	my $row = quoted("SELECT to_jsonb(t) FROM mx.put_plain AS t WHERE id = $id");
	$s->must("SET ROLE m_owner; INSERT INTO mx.put_plain (id, v) VALUES ($id, 'v'); RESET ROLE");
	foreach my $sql (undef, @$change)
	{
		$t->must($sql) if $sql;
		check($s, 'told(' . quoted('watch, ' . ($sql // 'before'))
			. ", '{private_ttl,private_exact,shared_ttl,shared_exact}', '$id', $row, NULL, '{get,lookup}')");
	}
}
part_end('rows that a watch puts');

# ---- workers ----

part_begin();
my %session_of = (
	superuser => '',
	reader => 'SET ROLE m_reader',
	alice => 'SET SESSION AUTHORIZATION m_alice',
	poor => 'SET SESSION AUTHORIZATION m_poor',
	member => 'SET ROLE m_member',
	bypassrls => 'SET ROLE m_bypass',
	'noinherit, set role' => 'SET SESSION AUTHORIZATION m_noinherit; SET ROLE m_group',
	'pool, user 1' => q{SET ROLE m_pool; SET app.user_id = '1'},
	'pool, user 2' => q{SET ROLE m_pool; SET app.user_id = '2'});
foreach my $loader ('table', 'RLS on', 'RLS by setting', 'RLS to roles', 'hidden schema', 'folded plpgsql', 'current_user')
{
	my $query = $s->must('SELECT query FROM drv.loader WHERE name = ' . quoted($loader));
	foreach my $way (sort keys %session_of)
	{
		my $key = quoted("refreshed $loader $way");
		foreach my $cache (qw(private_ttl private_exact shared_ttl shared_exact))
		{
			# who may not read it has an error for his answer
			$s->query("SET app.user_id = ''; $session_of{$way}; SELECT cachex.refresh('$cache', $key, query => \$q\$$query\$q\$, wait => true);
				RESET ROLE; RESET SESSION AUTHORIZATION; RESET app.user_id");
		}
		check($s, 'told(' . quoted("refreshed by $way, $loader")
			. ", '{private_ttl,private_exact,shared_ttl,shared_exact}', $key, \$q\$$query\$q\$, " . quoted($way) . ')');
	}
}
part_end('what workers compute when they are asked');
forget();

# ---- caches that not everybody may use ----

my @all_ways = ('superuser', 'reader', 'poor, definer reader');

sub granted
{
	my ($session, $moment, $reads, $writes) = @_;
	foreach my $verbs ('{fetch,query,fetch_as,get,lookup,cached}', '{get,update,take,put}')
	{
		check($session, 'granted(' . join(', ', quoted($moment),
			(map { quoted('{' . join(',', map { qq("$_") } @all_ways, @$_) . '}') } $reads, $writes), quoted($verbs)) . ')');
	}
	return;
}

sub on_some
{
	my ($function, $role, $privilege) = @_;
	return "SELECT cachex.${function}_cache(format('%s_%s_some', c, k), '$role', '$privilege')"
	  . q{ FROM unnest('{private,shared}'::text[]) c, unnest('{ttl,exact}'::text[]) k};
}

part_begin();
my @reads = ('alice', 'group', 'member');
# since 16 it is the membership that inherits
my $inherits = $s->must('SHOW server_version_num') < 160000
  ? [ 'ALTER ROLE m_noinherit INHERIT', 'ALTER ROLE m_noinherit NOINHERIT' ]
  : [ map { "GRANT m_group TO m_noinherit WITH INHERIT $_" } 'TRUE', 'FALSE' ];
check($s, 'granted_use()');
granted($s, 'as granted', \@reads, ['bob']);
foreach my $c (
	[ on_some('grant', 'm_poor', 'read'), on_some('revoke', 'm_poor', 'read'), [ @reads, 'poor' ], ['bob'] ],
	[ on_some('revoke', 'm_alice', 'read'), on_some('grant', 'm_alice', 'read'), [ 'group', 'member' ], ['bob'] ],
	[ on_some('revoke', 'm_bob', 'write'), on_some('grant', 'm_bob', 'write'), \@reads, [] ],
	[ 'REVOKE m_group FROM m_member', 'GRANT m_group TO m_member', [ 'alice', 'group' ], ['bob'] ],
	[ @$inherits, [ @reads, 'noinherit' ], ['bob'] ],
	[ 'GRANT m_bob TO m_extra', 'REVOKE m_bob FROM m_extra', \@reads, [ 'bob', 'extra' ] ],
	[ 'ALTER ROLE m_extra SUPERUSER', 'ALTER ROLE m_extra NOSUPERUSER', [ @reads, 'extra' ], [ 'bob', 'extra' ] ],
	# who may create and drop caches of others is not who may read them
	[ 'ALTER DATABASE postgres OWNER TO m_extra', 'ALTER DATABASE postgres OWNER TO SESSION_USER', [ @reads, 'extra' ], ['bob'] ])
{
	my ($make, $undo, $reads, $writes) = @$c;
	granted($s, 'before', \@reads, ['bob']);
	$t->must($make);
	granted($s, "$make elsewhere", $reads, $writes);
	$t->must($undo);
	granted($s, "$undo elsewhere", \@reads, ['bob']);
	$s->must("BEGIN; $make");
	granted($s, "$make in a transaction", $reads, $writes);
	$s->must('ROLLBACK');
	granted($s, "$make rolled back", \@reads, ['bob']);
	$s->must("BEGIN; SAVEPOINT a; $make; ROLLBACK TO a");
	granted($s, "$make rolled back to a savepoint", \@reads, ['bob']);
	$s->must('COMMIT');
}
part_end('caches that not everybody may use');
forget();

# ---- what changes ----

my @some = ('query', 'get', 'lookup', 'cached', 'fetch', 'fetch_many');

# The verbs that are asked first take turns: what one has been told, others know.
sub verbs
{
	push @some, shift @some;
	return quoted('{' . join(',', @some) . '}');
}

sub check_change
{
	my ($name, $moment, @more) = @_;
	check($s, 'check(' . join(', ', quoted($name), quoted($moment), @more) . ')');
	return;
}

sub prime
{
	my ($name, @more) = @_;
	$s->must('SELECT drv.prime(' . join(', ', quoted($name), @more) . ')');
	return;
}

# Makes a change in the other session, unless that has to wait for this one.
sub make_elsewhere
{
	my $sql = shift;
	$t->query("BEGIN; $sql; COMMIT");
	return 1 if $t->error !~ /ERROR/;
	die $t->error if $t->error !~ /lock timeout/;
	return 0;
}

my @changes = map { [ split /\x01/ ] } split /\x02\n?/, $s->must(
	q{SELECT name || e'\x01' || before || e'\x01' || make || e'\x01' || undo || e'\x02' FROM drv.change ORDER BY n});

sub here_and_rolled_back
{
	my ($name, $make, $undo) = @_;
	prime($name, 'false');
	check_change($name, 'before', verbs(), q{''}, 'true');
	$s->must($make);
	check_change($name, 'made', verbs());
	prime($name, 'false');
	check_change($name, 'made and filled', verbs(), q{''}, 'true');
	$s->must($undo);
	check_change($name, 'undone', verbs());
	# and with what those who may less have filled first
	prime($name, 'true');
	check_change($name, 'filled again', verbs(), q{''}, 'true');
	$s->must($make);
	check_change($name, 'made again', verbs());
	$s->must($undo);
	prime($name, 'true');
	$s->must("BEGIN; $make");
	check_change($name, 'in the transaction', verbs());
	$s->must('ROLLBACK');
	check_change($name, 'rolled back', verbs());
	$s->must("BEGIN; SAVEPOINT a; $make");
	check_change($name, 'under a savepoint', verbs());
	$s->must('ROLLBACK TO a');
	check_change($name, 'rolled back to a savepoint', verbs());
	$s->must('COMMIT');
	check_change($name, 'committed without it', verbs());
	return;
}

sub elsewhere
{
	my ($name, $make, $undo) = @_;
	prime($name, 'false');
	foreach my $end ('ROLLBACK', 'COMMIT')
	{
		$t->must("BEGIN; $make");
		check_change($name, 'not yet committed elsewhere', verbs());
		$t->must($end);
		check_change($name, "$end elsewhere", verbs());
	}
	foreach my $level ('READ COMMITTED', 'REPEATABLE READ')
	{
		foreach my $step ([ $undo, 'undone' ], [ $make, 'made' ])
		{
			my ($sql, $moment) = @$step;
			prime($name, 'false');
			$s->must("BEGIN ISOLATION LEVEL $level; SELECT drv.ask_as(o, 'fetch', 'private_exact', 'n', 'SELECT to_jsonb(1)')"
				. q{ FROM drv.way AS o WHERE name = 'reader'});
			$t->must($sql);
			check_change($name, "$moment elsewhere during $level", verbs());
			$s->must('COMMIT');
		}
		# the same with locks on all that is read
		prime($name, 'false');
		$s->must("BEGIN ISOLATION LEVEL $level");
		check_change($name, "begun $level", verbs());
		if (make_elsewhere($undo))
		{
			check_change($name, "undone elsewhere while read in $level", verbs());
			my $waits = !make_elsewhere($make);
			check_change($name, "made elsewhere while read in $level", verbs());
			$s->must('COMMIT');
			$t->must($make) if $waits;
		}
		$s->must('COMMIT');
	}
	$t->must($undo);
	check_change($name, 'undone elsewhere', verbs());
	return;
}

$s->must(q{SET lock_timeout = '1ms'});
$t->must(q{SET lock_timeout = '20ms'});
part_begin();
foreach my $change (@changes)
{
	my ($name, $before, $make, $undo) = @$change;
	$s->must($before) if $before ne '';
	here_and_rolled_back($name, $make, $undo);
}
part_end('changes, here and rolled back');

part_begin();
foreach my $change (@changes)
{
	my ($name, $before, $make, $undo) = @$change;
	$s->must($before) if $before ne '';
	elsewhere($name, $make, $undo);
}
part_end('changes elsewhere, during a transaction');

part_begin();
$s->must('SET cachex.synchronous = on; SELECT cachex.reset_stats()');
foreach my $change (@changes)
{
	my ($name, $before, $make, $undo) = @$change;
	$s->must($before) if $before ne '';
	# rows may be stale, what a policy reads as well
	next if $name eq 'rows of a policy';
	prime($name, 'true', q{'_sync_stale'});
	foreach my $step ([ '', 'before' ], [ $make, 'made' ], [ $undo, 'undone' ])
	{
		$t->must($step->[0]);
		check_change($name, $step->[1], q{'{get,lookup,cached,fetch}'}, q{'_sync_stale'});
	}
}
$s->must('SET cachex.synchronous = off');
part_end('changes, and values that may be stale');
is($s->must(q{SELECT bool_and(stale_hits > 0 AND refreshes > 0) FROM cachex.stats WHERE cache ~ '_sync_stale$'}),
	't', 'which were served and refreshed');
forget();

# ---- what others have published: Pgpool-II's tests of its query cache ----

my @sessions = ($s, $t);
my @rls = ('RLS on', 'changing, RLS', 'current_user', 'plpgsql, RLS');
my @change = ('changing', 'changing, view');

part_begin();
scenario(\@sessions, 'alter_role', \@rls, '1?', '1?', '1 ALTER ROLE m_alice BYPASSRLS', '1 SET ROLE m_alice', '1?',
	'1 RESET ROLE', '1?', '1 ALTER ROLE m_alice NOBYPASSRLS', '1 SET ROLE m_alice', '1?', '1 RESET ROLE', '1?');
scenario(\@sessions, 'alter_table1', [ @change, 'new column' ], '1?', '1 ALTER TABLE mx.changing ADD COLUMN j int DEFAULT 1', '1?',
	'1 BEGIN', '1 ALTER TABLE mx.changing DROP COLUMN j', '1?', '1 END', '1?',
	'1 ALTER TABLE mx.changing ADD COLUMN j int DEFAULT 2', '1?', '1?', '1 ALTER TABLE mx.changing DROP COLUMN j', '1?');
scenario(\@sessions, 'alter_table2 and 3', [ @change, 'new column' ], '1?', '2?', '1?', '1 ALTER TABLE mx.changing ADD COLUMN j int DEFAULT 1', '2?',
	'1 ALTER TABLE mx.changing DROP COLUMN j', '2?', '1?');
scenario(\@sessions, 'alter_database1', \@rls, '1?', '1 ALTER DATABASE postgres RESET ALL', '1?', '1 BEGIN', '1 ALTER DATABASE postgres RESET ALL',
	'1?', '1 END', '1?', '1?');
scenario(\@sessions, 'alter_database2 and 3', \@rls, '1?', '2 SET ROLE m_alice', '2?', '1 ALTER DATABASE postgres RESET ALL', '2?', '2 RESET ROLE', '2?');
scenario(\@sessions, 'revoke1', \@change, '1?', '1 SET ROLE m_reader', '1?', '1 RESET ROLE', '1 REVOKE SELECT ON mx.changing FROM m_reader',
	'1 SET ROLE m_reader', '1?', '1 RESET ROLE', '1 GRANT SELECT ON mx.changing TO m_reader',
	'1 BEGIN', '1 REVOKE SELECT ON mx.changing FROM m_reader', '1 SET ROLE m_reader', '1?', '1! TABLE mx.changing', '1 END', '1 SET ROLE m_reader', '1?', '1 RESET ROLE');
scenario(\@sessions, 'revoke2 and 3', \@change, '2 SET ROLE m_reader', '2?', '1 SET ROLE m_reader', '1?', '1 RESET ROLE', '1 REVOKE SELECT ON mx.changing FROM m_reader', '2?',
	'1 GRANT SELECT ON mx.changing TO m_reader', '2?', '2 RESET ROLE');
scenario(\@sessions, 'row_security', \@rls, '1?', '1 SET ROLE m_alice', '1?', '1 RESET ROLE', '1 SET ROLE m_bob', '1?', '1 SET row_security TO off',
	'1!TABLE mx.rls_on', '1 RESET row_security', '1?', '1 RESET ROLE', '1?');
scenario(\@sessions, 'session_authorization', \@change, '1?', '1 SET SESSION AUTHORIZATION m_poor', '1?', '1 RESET SESSION AUTHORIZATION', '1?',
	'1 SET SESSION AUTHORIZATION m_reader', '1?', '1 SET ROLE NONE', '1?', '1 RESET SESSION AUTHORIZATION');
scenario(\@sessions, 'set_role1', \@change, '1?', '1 SET ROLE m_poor', '1?', '1 RESET ROLE', '1?');
scenario(\@sessions, 'set_role2', \@change, '1=', '1 SET ROLE m_owner', '1=', q{1 UPDATE mx.changing SET a = a || '!' WHERE id = 1}, '1=', '1 RESET ROLE', '1=',
	q{1 UPDATE mx.changing SET a = 'a1' WHERE id = 1}, '1=');
foreach my $end ('END', 'ABORT')
{
	scenario(\@sessions, $end eq 'END' ? 'set_role3' : 'set_role4', \@change, '1=', '1 SET ROLE m_owner', '1 BEGIN', '1=',
		q{1 INSERT INTO mx.changing VALUES (9, 'a9')}, '1=', "1 $end", '1=', '1 RESET ROLE', '1=',
		'1 DELETE FROM mx.changing WHERE id = 9', '1=');
}
part_end('Pgpool-II: alter_role, alter_table, alter_database, revoke, row_security, session_authorization, set_role');

# ---- CVE-2024-10978 and its kind: who one is after a rollback, in a function, behind a pooler ----

$s->must(q{
	CREATE FUNCTION mx.here_as_alice(text, text[]) RETURNS drv.result LANGUAGE sql SECURITY DEFINER AS 'SELECT drv.here($1, $2)';
	ALTER FUNCTION mx.here_as_alice OWNER TO m_alice;
	CREATE FUNCTION mx.fails_as_alice() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		PERFORM drv.here('fails', '{RLS on}');
		RETURN 1 / 0;
	END $$;
	ALTER FUNCTION mx.fails_as_alice OWNER TO m_alice;
	CREATE FUNCTION mx.set_role(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('role', $1, false); END$$;
	CREATE FUNCTION mx.as_bob() RETURNS text LANGUAGE sql SET role = 'm_bob'
		AS $$SELECT cachex.fetch('shared_exact', 'h RLS on', 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on')::text$$;
	CREATE FUNCTION mx.user_2() RETURNS text LANGUAGE sql SET app.user_id = '2'
		AS $$SELECT cachex.fetch('shared_exact', 'h RLS by setting', 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_setting')::text$$});
my @who = ('RLS on', 'RLS by setting', 'current_user', 'session_user', 'changing', 'plpgsql privileges', 'setting role');
part_begin();
scenario(\@sessions, 'rollback of SET ROLE', \@who, '1 BEGIN', '1 SET ROLE m_alice', '1?', '1 ROLLBACK', '1?', '1 BEGIN', '1 SET LOCAL ROLE m_bob', '1?', '1 COMMIT', '1?',
	'1 BEGIN', '1 SAVEPOINT a', '1 SET LOCAL ROLE m_poor', '1?', '1 ROLLBACK TO a', '1?', '1 COMMIT', '1?');
scenario(\@sessions, 'rollback of SET SESSION AUTHORIZATION', \@who, '1 SET ROLE m_reader', '1?', '1 BEGIN', '1 SET SESSION AUTHORIZATION m_alice', '1?', '1 ROLLBACK', '1?',
	'1 BEGIN', '1 SAVEPOINT a', '1 SET SESSION AUTHORIZATION m_bob', '1?', '1 ROLLBACK TO a', '1?', '1 COMMIT', '1?', '1 RESET ROLE', '1?');
scenario(\@sessions, 'rollback after an error', \@who, '1 BEGIN', '1 SAVEPOINT a', '1 SET ROLE m_alice', '1?', '1! SELECT 1 / 0', '1 ROLLBACK TO a', '1?', '1 ROLLBACK', '1?');
scenario(\@sessions, 'SECURITY DEFINER', \@who, '1?', q{1 DO $$BEGIN ASSERT cardinality((mx.here_as_alice('inside', '{RLS on,current_user,session_user,changing}')).differences) = 0; END$$}, '1?', '1 SET ROLE m_poor', '1?',
	q{1 DO $$BEGIN ASSERT cardinality((mx.here_as_alice('inside', '{RLS on,current_user,session_user,changing}')).differences) = 0; END$$}, '1?', '1! SELECT mx.fails_as_alice()', '1?', '1 RESET ROLE', '1?');
scenario(\@sessions, 'set_config in a function', \@who, q{1 SELECT mx.set_role('m_alice')}, '1?', q{1 SELECT mx.set_role('m_bob')}, '1?', q{1 SELECT mx.set_role('none')}, '1?');
scenario(\@sessions, 'a pooled connection', \@who, map { ("1 SET ROLE $_->[0]; SET app.user_id = '$_->[1]'", '1?', '1 BEGIN', '1?', '1 COMMIT', '1 DISCARD ALL', '1 SET client_min_messages = error', '1?') }
	([ 'm_alice', 1 ], [ 'm_bob', 2 ], [ 'm_pool', 1 ], [ 'm_pool', 2 ], [ 'm_pool', '' ]));
my @unset = ('RLS by a setting that may not be there');
scenario(\@sessions, 'a setting that is set and reset', \@unset, '1 SET ROLE m_pool', '1?', '2 SET ROLE m_pool', '2?', q{2 SET app.z = '1'}, '2?', '1?',
	'2 RESET app.z', '2?', '1?', '2?', q{1 SET app.z = ''}, '1?', '2?', '1 RESET ROLE', '2 RESET ROLE');
scenario(\@sessions, 'prepared statements', \@who, q{1 PREPARE p AS SELECT 1 / (1 - cardinality((drv.here('prepared', '{RLS on,current_user,changing}')).differences))},
	map { ("1 SET ROLE $_", '1 EXECUTE p', '1?') } qw(m_alice m_bob m_alice m_poor m_reader none));
is($s->must('SELECT mx.as_bob()'), '["a2"]', 'a function with SET role');
is($s->must(q{SET ROLE m_pool; SET app.user_id = '1'; SELECT mx.user_2()}), '["a2"]', 'a function with a setting');
$s->must('RESET ROLE; RESET app.user_id');
my $fetch_as_alice = q{SELECT cachex.fetch('shared_exact', 'h RLS on', 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on')};
$s->must("PREPARE q AS $fetch_as_alice");
is($s->must("SET ROLE $_->[0]; EXECUTE q"), $_->[1], "a prepared fetch as $_->[0]")
  foreach ([ 'm_alice', '["a1"]' ], [ 'm_bob', '["a2"]' ], [ 'm_alice', '["a1"]' ], [ 'm_reader', '' ], [ 'm_bypass', '["a1", "a2", "a3", "a4"]' ], [ 'm_alice', '["a1"]' ]);
$s->must('RESET ROLE');
part_end('who one is after a rollback, in a function, behind a pooler');

# ---- two roles at once: who waits for another one's load is not served it ----

my $slow = q{SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on, pg_sleep(0.5) WHERE id > 0};
$t->send("SET ROLE m_alice; SELECT cachex.fetch('shared_ttl', 'slow', \$q\$$slow\$q\$)");
until_true($s, q{EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 5)});
is($s->must("SET ROLE m_bob; SELECT cachex.fetch('shared_ttl', 'slow', \$q\$$slow\$q\$)"), '["a2"]', 'who waits has his own answer');
is($t->receive, '["a1"]', 'who loads as well');
$_->must('RESET ROLE') foreach @sessions;

# ---- after a restart ----

part_begin();
my @kept = ('table', 'column a', 'hidden schema', 'RLS on', 'RLS by setting', 'folded plpgsql', 'current_user', 'SQL definer');
my @fillers = ('superuser', 'reader', 'alice', 'pool, user 1');
my @kept_changes = ('REVOKE SELECT', 'ALTER ROLE BYPASSRLS', 'REVOKE EXECUTE, folded', 'REVOKE USAGE', 'GRANT of a role', 'ALTER POLICY USING',
	'ALTER ROLE RENAME', 'DROP OWNED');
my %kinds = (snapshot => "'{private_ttl_snapshot,private_exact_snapshot,shared_ttl_snapshot,shared_exact_snapshot}'",
	table => "'{private_ttl_table,private_exact_table}'");

foreach my $kind (sort keys %kinds)
{
	$s->must("SELECT drv.ask_as(w, 'fetch', c, 'kept ' || l.name || w.name, l.query)
		FROM drv.way AS w, drv.loader AS l, unnest($kinds{$kind}::text[]) AS c
		WHERE w.name = ANY ('{" . join(',', map { qq("$_") } @fillers) . "}') AND l.name = ANY ('{" . join(',', map { qq("$_") } @kept) . "}')");
	prime($_, 'false', "'_$kind'") foreach @kept_changes;
}
$node->poll_query_until('postgres', q{SELECT bool_and(tier_stored > 0 AND tier_stored + tier_dropped >= fills) FROM cachex.stats WHERE cache ~ '_table$'})
  or die 'rows were not stored';
$_->close foreach @sessions;
$node->restart;
@sessions = ($s, $t) = (session($node), session($node));
$_->must(q{SET client_min_messages = error; SET app.user_id = ''}) foreach @sessions;
cmp_ok($s->must('SELECT restored FROM cachex.memory()'), '>', 0, 'entries outlive a restart');
foreach my $loader (@kept)
{
	my $query = $s->must('SELECT query FROM drv.loader WHERE name = ' . quoted($loader));
	foreach my $filler (@fillers)
	{
		foreach my $kind (sort keys %kinds)
		{
			check($s, 'told(' . quoted("after a restart, filled by $filler, $loader")
				. ", $kinds{$kind}, " . quoted("kept $loader$filler") . ", \$q\$$query\$q\$, "
				. ($kind eq 'snapshot' ? quoted($filler) : 'NULL') . q{, '{get,lookup,cached}')});
			check($s, 'told(' . quoted("after a restart, filled by $filler, $loader")
				. ", $kinds{$kind}, " . quoted("kept $loader$filler") . ", \$q\$$query\$q\$, NULL, '{fetch}')");
		}
	}
}
foreach my $name (@kept_changes)
{
	my ($change) = grep { $_->[0] eq $name } @changes;
	$s->must($change->[1]) if $change->[1] ne '';
	foreach my $step ([ '', 'before' ], [ $change->[2], 'made' ], [ $change->[3], 'undone' ])
	{
		$t->must($step->[0]);
		check_change($name, "after a restart, $step->[1]", verbs(), "'_$_'") foreach sort keys %kinds;
	}
}
part_end('after a restart, from a snapshot and from a table');
cmp_ok($s->must(q{SELECT sum(tier_hits) FROM cachex.stats}), '>', 0, 'rows were read from the table');

note(sprintf('%d cells in %.0f s', total_cells(), time - $begun));
$_->close foreach @sessions;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;
done_testing();
