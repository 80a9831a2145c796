
# Scopes that a setting says, where work is done in the background: a worker
# has the setting of who asked, a warmer says the scope in a column.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('scopes', "cachex.retry_pause = '50ms'");
$node->safe_psql('postgres', q{
	CREATE TABLE note (user_id text, v int);
	INSERT INTO note VALUES ('7', 70), ('8', 80);
	CREATE FUNCTION notes(key text) RETURNS int STABLE LANGUAGE sql AS
		'SELECT sum(v)::int FROM note WHERE user_id = current_setting(''app.user_id'')';
	SELECT cachex.create_cache('c', consistency => 'ttl', ttl => '1 s', stale_for => '1 hour',
		loader => 'notes(text)', options => '{"scoped_by": "app.user_id"}');
	SELECT cachex.create_cache('warm', consistency => 'ttl', options => '{"scoped_by": "app.user_id"}')});

my %session = map { $_ => session($node) } 7, 8;
$session{$_}->must("SET app.user_id = '$_'") foreach 7, 8;

# The error of a statement.
sub error_of
{
	my ($s, $sql) = @_;
	$s->query($sql);
	return $s->error;
}

# ---- jobs ----

foreach my $user (7, 8)
{
	my $id = $session{$user}->must(q{SELECT cachex.refresh('c', 'job')});
	until_true($session{$user}, "(SELECT status FROM cachex.jobs WHERE id = $id) = 'done'");
	is($session{$user}->must(q{SELECT cachex.get('c', 'job')}), $user . '0',
		"a worker computes for user $user what is his");
}
is($session{7}->must(q{SELECT cachex.get('c', 'job')}), '70', 'nobody has the value of another one');
my $ids = join(',', map { $_->must(q{BEGIN; SELECT cachex.refresh('c', 'two')}) } @session{ 7, 8 });
$session{$_}->must(q{SET app.user_id = 'changed since'; COMMIT}) foreach 7, 8;
until_true($session{7}, "(SELECT count(*) FROM cachex.jobs WHERE id IN ($ids) AND status = 'done') = 2");
is(one($node, q{SELECT scope FROM cachex.entries('c', 'two') ORDER BY 1}), "7\n8",
	'one job for each scope, as the setting was at the call');
foreach my $user (7, 8)
{
	$session{$user}->must("SET app.user_id = '$user'");
	is($session{$user}->must(q{SELECT cachex.get('c', 'two')}), $user . '0', 'with its value');
	is($session{$user}->must(q{SELECT cachex.refresh('c', 'waited', wait => true);
			SELECT cachex.get('c', 'waited')}), "\n" . $user . '0', 'also of who waits');
}

# The worker that did it serves another one without a setting.
$session{7}->must('RESET app.user_id');
my $error = error_of($session{7}, q{SELECT cachex.refresh('c', 'k')});
like($error, qr/setting "app.user_id", which is the scope of cache "c", is not set/,
	'nothing is asked for without a scope');
$session{7}->must(q{SET app.user_id = '7'});

# ---- readers who get an old value ----

$session{$_}->must(q{SELECT cachex.fetch('c', 'old')}) foreach 7, 8;
$session{7}->must('UPDATE note SET v = v + 1');
foreach my $user (7, 8)
{
	until_true($session{$user}, qq{(SELECT cachex.fetch('c', 'old')) = '${user}1'});
	pass("a reader's refresh is for his scope ($user)");
}
is(one($node, q{SELECT count(*) FROM cachex.entries('c') WHERE scope IS NULL OR scope NOT IN ('7', '8')}),
	'0', 'nothing is anywhere else');

# ---- at once ----

$session{8}->must('SET cachex.synchronous = on');
is($session{8}->must(q{SELECT cachex.refresh('c', 'now') IS NULL; SELECT cachex.get('c', 'now')}),
	"t\n81", 'synchronous: in the scope of the session');
is($session{7}->must(q{SELECT cachex.get('c', 'now')}), '', 'only');

# ---- warmers ----

$node->safe_psql('postgres', q{
	SELECT cachex.create_warmer('warm', 'all',
		'SELECT ''sum'' AS key, sum(v) AS value, user_id AS scope FROM public.note GROUP BY user_id');
	SELECT cachex.create_warmer('warm', 'nobodys', 'SELECT ''sum'' AS key, sum(v) AS value FROM public.note');
	SELECT cachex.create_warmer('warm', 'asks',
		'SELECT ''asks'' AS key, current_setting(''app.user_id'', true) AS value, ''7'' AS scope')});
$session{7}->must(q{SELECT cachex.warm('warm', '{all,asks}', wait => true)});
is(join(' ', map { $session{$_}->must(q{SELECT cachex.get('warm', 'sum')}) } 7, 8), '71 81',
	'a warmer names the scope in a column');
is(one($node, q{SELECT scope, status FROM cachex.entries('warm', 'asks')}), '7|negative',
	"the setting of who has it run is not the worker's");
is($session{7}->must(q{SELECT status FROM cachex.lookup('warm', 'asks')}), 'miss',
	'so what was read by it is not for him');
$error = error_of($session{7}, q{SELECT cachex.warm('warm', '{nobodys}', wait => true)});
like($error, qr/scope must not be null in cache "warm"/, 'without a scope there is nobody to read it');
is(one($node, q{SELECT DISTINCT coalesce(scope, 'none') FROM cachex.entries('warm') ORDER BY 1}), "7\n8",
	'so it is not kept');

# ---- a pooler's session: the setting is local to transactions ----

my $pooled = session($node);
foreach my $user (7, 8, 7)
{
	is($pooled->must(qq{BEGIN; SET LOCAL app.user_id = '$user'; SELECT cachex.fetch('c', 'pooled'); COMMIT}),
		$user . '1', "a transaction of user $user in a shared session");
	like(error_of($pooled, q{SELECT cachex.get('c', 'pooled')}), qr/is not set/, 'whose setting ends with it');
}
$_->close foreach values %session, $pooled;

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
