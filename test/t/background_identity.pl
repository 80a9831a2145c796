
# Who is somebody in a worker: the user of the session that asked is the
# session's user there, and a process is for one user and role only, so nothing
# that sessions keep passes from one to another.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('identity', 'cachex.memory = 16MB', 'max_connections = 20', "cachex.retry_pause = '10ms'");
$node->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE other LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE alice LOGIN;
	CREATE ROLE crew;
	GRANT crew TO alice, bob;
	GRANT CREATE ON DATABASE postgres TO owner, other;
	CREATE TABLE by_session (who name, v text);
	INSERT INTO by_session VALUES ('alice', 'secret of alice'), ('bob', 'of bob');
	ALTER TABLE by_session ENABLE ROW LEVEL SECURITY;
	CREATE POLICY p ON by_session USING (who = session_user OR pg_has_role(session_user, who, 'MEMBER'));
	GRANT SELECT ON by_session TO PUBLIC;
	CREATE FUNCTION for_superusers() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
	BEGIN
		IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) OR current_setting('is_superuser') = 'off' THEN
			RAISE 'only for superusers';
		END IF;
		RETURN 'secret of superusers';
	END $$;
	SELECT cachex.create_cache('c', consistency => 'ttl');
	SELECT cachex.grant_cache('c', 'public', p) FROM unnest('{read,write}'::text[]) AS p});
my ($bob, $alice) = map { CachexTest::Session->new($node->connstr('postgres') . " user=$_") } qw(bob alice);

sub error_of
{
	my ($session, $sql) = @_;
	$session->query($sql);
	return $session->error;
}

# ---- the session's user ----

my $secrets = q{SELECT string_agg(v, '; ' ORDER BY v)::int FROM by_session};
is($bob->must('SELECT string_agg(v, $$; $$) FROM by_session'), 'of bob', 'what he may read');
like(error_of($bob, "SELECT cachex.refresh('c', 'k', wait => true, query => '" . ($secrets =~ s/'/''/gr) . "')"),
	qr/invalid input syntax for type integer: "of bob"/, 'a worker reads no more for him');
like(error_of($bob, q{SELECT cachex.refresh('c', 'k', wait => true, query => 'SELECT for_superusers()')}),
	qr/only for superusers/, 'nor does a function believe more of him');

$bob->must("SELECT cachex.refresh('c', 'job', max_attempts => 1, query => '" . ($secrets =~ s/'/''/gr) . "')");
until_true($bob, q{bool_and(status = 'failed') FROM cachex.jobs});
is($bob->must('SELECT last_error FROM cachex.jobs'), 'invalid input syntax for type integer: "of bob"', 'the same in a job');

# who asks as another role is still himself
$alice->must(q{SET ROLE crew});
my $who = q{SELECT jsonb_build_array(current_user, session_user) AS value};
$alice->must("SELECT cachex.refresh('c', 'who', wait => true, query => '$who')");
is($alice->must("SELECT cachex.fetch('c', 'who', '$who')"), '["crew", "alice"]', 'who asks is the user of the session');
is(one($node, q{SELECT hits FROM cachex.stats WHERE cache = 'c'}), '1', 'what a worker has computed for him is found');

# an error of his is not shown to others of that role
$alice->must("SELECT cachex.refresh('c', 'hers', max_attempts => 1, query => '" . ($secrets =~ s/'/''/gr) . "')");
until_true($alice, q{bool_and(status = 'failed') FROM cachex.jobs WHERE key = 'hers'});
is($alice->must(q{SELECT last_error FROM cachex.jobs WHERE key = 'hers'}),
	'invalid input syntax for type integer: "secret of alice"', 'she sees her error');
is($bob->must(q{SELECT key, last_error FROM cachex.jobs WHERE key = 'hers'}), 'hers|', 'others of the role see that there was one');

# ---- a process each ----

# Each asks for the number of the process that runs his job, all at once.
$_->must('RESET ROLE') foreach $bob, $alice;
my $super = session($node);
my %asks = (bob => $bob, alice => $alice, super => $super);
foreach my $round (1 .. 3)
{
	foreach my $name (sort keys %asks)
	{
		$asks{$name}->must("SELECT cachex.refresh('c', '$name $round', query => 'SELECT pg_backend_pid()')");
	}
}
until_true($super, q{bool_and(status = 'done') FROM cachex.jobs WHERE key ~ '[0-9]'});
my %pids;
foreach my $name (sort keys %asks)
{
	$pids{$name} = $asks{$name}->must(
		qq{SELECT array_agg(DISTINCT cachex.get('c', '$name ' || i)::int) FROM generate_series(1, 3) AS i});
}
is($super->must(qq{SELECT '$pids{bob}'::int[] && '$pids{alice}' OR '$pids{bob}'::int[] && '$pids{super}' OR '$pids{alice}'::int[] && '$pids{super}'}),
	'f', "no process for two of them: $pids{bob} $pids{alice} $pids{super}");

# the same for warmers
my %owners = map { $_ => CachexTest::Session->new($node->connstr('postgres') . " user=$_") } qw(owner other);
foreach my $name (sort keys %owners)
{
	$owners{$name}->must(qq{SELECT cachex.create_cache('of $name', consistency => 'ttl');
		SELECT cachex.create_warmer('of $name', 'w', 'SELECT ''pid'' AS key, to_jsonb(pg_backend_pid()) AS value UNION ALL
			SELECT ''who'', jsonb_build_array(current_user, session_user, current_setting(''is_superuser''))')});
	$owners{$name}->must(q{SELECT cachex.warm()});
}
until_true($super, q{bool_and(runs > 0) FROM cachex.warmers});
is($owners{owner}->must(q{SELECT cachex.get('of owner', 'who')}), '["owner", "owner", "off"]', 'a warmer runs in a session of the owner');
isnt($owners{owner}->must(q{SELECT cachex.get('of owner', 'pid')}), $owners{other}->must(q{SELECT cachex.get('of other', 'pid')}),
	'each owner has a process of his own');

# ---- nobody waits for ever ----

# One role that asks for refreshes all the time, beside a job and a warmer of others.
my $flood = pgbench_start($node, clients => 4, seconds => 60, options => [ '-U', 'bob' ],
	scripts => [ [ 1, "\\set k random(1, 1000)\nSELECT cachex.fetch('c', 'f' || :k, 'SELECT 1', ttl => '1 us', stale_for => '1 hour');\n" ] ]);
until_true($super, q{refreshes > 100 FROM cachex.stats WHERE cache = 'c'});
$alice->must(q{SELECT cachex.refresh('c', 'amid', query => 'SELECT 7')});
$owners{other}->must(q{SELECT cachex.warm()});
my $runs = $super->must(q{SELECT runs FROM cachex.warmers WHERE cache = 'of other'});
until_true($alice, q{coalesce(cachex.get('c', 'amid') = '7', false)});
pass('a job of another is run');
until_true($super, qq{bool_and(runs > 1) FROM cachex.warmers WHERE cache = 'of other'});
pass('a warmer of another is run');
ok(pgbench_running($flood), 'while he asks');
$flood->{harness}->kill_kill;

$_->close foreach values %asks, values %owners;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
