# PostCache (test/postcache): users behind one role, each with a scope of his
# own. Nobody is shown what is another's, a list is what the table says, and
# what one user does takes nothing from others.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 24;
my $node = start_server('postcache', 'cachex.sweep_interval = 60s');
my $dir = "$FindBin::RealBin/../postcache";

sub sql_file
{
	my ($file, @variables) = @_;
	$node->safe_psql('postgres', join("\n", (map { "\\set $_" } @variables), slurp_file("$dir/$file.sql")));
	return;
}
sql_file('schema', "users $users", 'posts 40');
sql_file($_) foreach ('postcache', 'check');
# no entry is to end by its time but where that is looked at
$node->safe_psql('postgres', q{SELECT cachex.alter_cache('posts', '{"negative_ttl": "1 hour"}')});

# ---- sessions of the pool ----

sub pool
{
	return CachexTest::Session->new($node->connstr('postgres') . ' user=postcache_app');
}

my ($app, $app2) = (pool(), pool());
my $owner = session($node);
$owner->must('SET ROLE postcache_owner');

# As a user, in a transaction of its own, whose other results are not shown.
sub as_user
{
	my ($user, $sql, $session) = @_;
	return ($session // $app)->must("BEGIN; SET LOCAL app.user_id = '$user'; $sql; COMMIT");
}

# The same, and the SQLSTATE of its error.
sub error_as
{
	my ($user, $sql) = @_;
	$app->query('\set VERBOSITY sqlstate');
	$app->query('BEGIN');
	$app->query("SET LOCAL app.user_id = '$user'") if defined $user;
	$app->query($sql);
	my ($state) = $app->error =~ /ERROR: +(\w+)/;
	$app->query('ROLLBACK');
	return $state // 'none';
}

# Counters of a cache since they were asked for last.
my %last;
sub counted
{
	my @names = @_;
	my $now = one($node, 'SELECT ' . join(', ', @names) . " FROM cachex.stats WHERE cache = 'posts'");
	my $key = join ',', @names;
	my @now = split /\|/, $now;
	my @before = @{ $last{$key} // [ (0) x @now ] };
	$last{$key} = \@now;
	return join ' ', map { $now[$_] - $before[$_] } 0 .. $#now;
}

sub status
{
	my ($user, $key) = @_;
	return as_user($user, "SELECT status FROM cachex.lookup('posts', '$key')");
}

sub post { return $_[0] * 1000000 + $_[1]; }

# ---- who is it? ----

is(as_user(7, 'SELECT postcache.list() ->> $$user_id$$, jsonb_array_length(postcache.list() -> $$posts$$)'),
	'7|40', 'a user has his list');
is(as_user(8, 'SELECT postcache.list() ->> $$user_id$$'), '8', 'another has his own, in the same session');
is(as_user(7, 'SELECT postcache.post(' . post(7, 3) . ') ->> $$title$$'), 'Post 3 of user 7', 'and his posts');
is(as_user(8, 'SELECT postcache.post(' . post(7, 3) . ')'), '', 'who asks for a post of another gets nothing');
is(as_user(8, 'SELECT postcache.post(' . post(7, 3) . ')', $app2), '', 'nor in another session');
is(status(8, 'post:' . post(7, 3)) . ' ' . status(7, 'post:' . post(7, 3)), 'negative hit', 'both is kept');
is(as_user('07', 'SELECT postcache.list(), postcache.post(' . post(7, 3) . ')'), '|', 'another spelling is nobody');

my %calls = (
	get => q{get('posts', 'list'%s)},
	get_as => q{get_as('posts', 'list', ''::text%s)},
	lookup => q{lookup('posts', 'list'%s)},
	fetch => q{fetch('posts', 'list', 'SELECT 1'%s)},
	fetch_as => q{fetch_as('posts', 'list', 0, 'SELECT 1'%s)},
	fetch_many => q{fetch_many('posts', '{list}', 'SELECT k AS key, 1 AS value FROM unnest($1) AS k'%s)},
	put => q{put('posts', 'list', '1'%s)},
	put_many => q{put_many('posts', '{"list": 1}'%s)},
	update => q{update('posts', 'list', '$1'%s)},
	push => q{push('posts', 'list', '1'%s)},
	incr => q{incr('posts', 'n'%s)},
	take => q{take('posts', 'list'%s)},
	touch => q{touch('posts', 'list', ttl => '1 s'%s)},
	invalidate => q{invalidate('posts', 'list'%s)},
	refresh => q{refresh('posts', 'list', query => 'SELECT 1'%s)});
foreach my $name (sort keys %calls)
{
	my $call = "SELECT cachex.$calls{$name}";
	# a mere lack of a value is no error
	is(error_as(undef, sprintf($call, '')), '55000', "$name: an error where nobody is said");
	is(error_as('', sprintf($call, '')), '55000', "$name: and where it is empty");
	is(error_as(8, sprintf($call, q{, scope => '7'})), '42501', "$name: nobody can name another");
	is(error_as(undef, sprintf($call, q{, scope => '7'})), '55000', "$name: nor without being somebody");
	isnt(error_as(7, sprintf($call, q{, scope => '7'})), '42501', "$name: himself he can");
}
is(error_as(undef, q{SELECT * FROM cachex.query('SELECT 1', cache => 'posts') AS q(i int)}), '55000', 'query: an error');
is(error_as(8, q{SELECT cachex.clear('posts', scope => '7')}), '42501', 'clear: not what is another\'s');
is(error_as(8, q{SELECT cachex.clear('posts')}), '42501', 'nor everything');
is(error_as(undef, q{SELECT cachex.clear('posts', scope => '7')}), '55000', 'nor without being somebody');
is(status(7, 'list'), 'hit', 'all that has changed nothing');
is(as_user(8, q{SELECT string_agg(DISTINCT scope, ',') FROM cachex.entries('posts')}), '8', 'who lists entries is shown his');
is($app->must(q{SELECT count(*) FROM cachex.entries()}), '0', 'nobody has none');
is(as_user(8, q{SELECT cachex.invalidate('posts', 'list')}) . status(7, 'list') . ' ' . status(8, 'list'), 'hit miss',
	'who invalidates a key does so for himself');

# the transaction's end, RESET and roles
is(error_as(undef, 'SELECT postcache.list()'), '55000', 'after SET LOCAL of another transaction nobody is anybody');
$app->must(q{SET app.user_id = '7'});
is($app->must('SELECT postcache.list() ->> $$user_id$$'), '7', 'a session\'s setting counts');
is(as_user(8, 'SELECT postcache.list() ->> $$user_id$$'), '8', 'SET LOCAL comes before it');
is($app->must('SELECT postcache.list() ->> $$user_id$$'), '7', 'until the transaction ends');
$app->must(q{BEGIN; SET LOCAL app.user_id = '8'; SAVEPOINT s; SET LOCAL app.user_id = '9'});
is($app->must('SELECT postcache.list() ->> $$user_id$$'), '9', 'in a savepoint');
$app->must('ROLLBACK TO s');
is($app->must('SELECT postcache.list() ->> $$user_id$$'), '8', 'which is rolled back');
$app->must('ROLLBACK');
$app->must('PREPARE p AS SELECT postcache.list() ->> $$user_id$$, postcache.post($1) ->> $$user_id$$');
is(as_user($_, 'EXECUTE p(' . post($_, 1) . ')'), "$_|$_", "a prepared statement, as user $_") foreach (7, 8, 7);
$app->must('RESET app.user_id');
is(error_as(undef, 'SELECT postcache.list()'), '55000', 'after RESET it is an error');
$app->must('DISCARD ALL');
is(error_as(undef, 'SELECT postcache.list()'), '55000', 'after DISCARD ALL too');
my $admin = session($node);
$admin->must(q{SET app.user_id = '7'});
is($admin->must(q{SELECT (cachex.lookup('posts', 'list')).status}), 'miss', 'another role finds nothing of the pool\'s');
$admin->must(q{SELECT cachex.put('posts', 'list', '"of another role"')});
$admin->must('SET ROLE postcache_app');
is($admin->must(q{SELECT postcache.list() ->> 'user_id'}), '7', 'after SET ROLE it does');
$admin->must('RESET ROLE');
is($admin->must(q{SELECT cachex.get('posts', 'list')}), '"of another role"', 'after RESET ROLE it has its own');
$admin->must('RESET app.user_id');
$admin->query(q{SELECT cachex.get('posts', 'list')});
like($admin->error, qr/setting "app.user_id", which is the scope of cache "posts", is not set/, 'a superuser as well has to say who');

# ---- a list is what the table says ----

# All lists and some posts are there.
sub warm
{
	as_user($_, "SELECT postcache.list(), postcache.post(" . post($_, 2) . '), postcache.post(' . post($_, 3) . ')')
	  foreach (1 .. $users);
	return;
}

# What is wrong with the pages of a user.
sub verdict
{
	my ($user, $session) = @_;
	return join ' ', grep { $_ ne '' }
	  map { as_user($user, "SELECT postcache.judge($_)", $session) } (post($user, 2), post($user, 3), post(7, 3));
}

# Users whose list is not there.
sub without_list
{
	return join ' ', grep { status($_, 'list') ne 'hit' } (1 .. $users);
}

# Somebody does something: who loses his list by that, and is all right?
sub mutation
{
	my ($name, $session, $sql, $affected, %p) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	warm();
	$session->must($_) foreach (ref $sql ? @$sql : ($sql));
	is(without_list(), $affected, "$name: whose lists are computed again") unless $p{pending};
	my @wrong = grep { $_ ne '' } map { verdict($_) } (1 .. $users);
	is("@wrong", '', "$name: lists and posts are what the table says");
	return;
}

# The statement of a user, and of the owner of the table, who sees all.
sub own { return "BEGIN; SET LOCAL app.user_id = '7'; $_[0]; COMMIT"; }

my $insert = q{INSERT INTO postcache.post (user_id, title, body) VALUES (7, 'new', 'new words')};
mutation('insert', $app, own($insert), '7');
mutation('update', $app, own('UPDATE postcache.post SET title = $$changed$$ WHERE id = ' . post(7, 3)), '7');
mutation('delete', $app, own('DELETE FROM postcache.post WHERE id = ' . post(7, 3)), '7');
mutation('the same post again', $app, own('INSERT INTO postcache.post (id, user_id, title, body) VALUES ('
	  . post(7, 3) . ', 7, $$back$$, $$again$$)'), '7');
mutation('nothing changed', $app, own('UPDATE postcache.post SET title = $$x$$ WHERE id = 1'), '');
mutation('a post of another', $app, own('DELETE FROM postcache.post WHERE id = ' . post(8, 3)), '');
mutation('bulk update', $app, own('UPDATE postcache.post SET status = $$archived$$, updated_at = now()'), '7');
mutation('bulk delete', $app, own('DELETE FROM postcache.post WHERE id % 2 = 0'), '7');
mutation('bulk insert', $app, own(q{INSERT INTO postcache.post (user_id, title, body)
	SELECT 7, 'bulk ' || i, 'words' FROM generate_series(1, 500) AS i}), '7');
mutation('MERGE', $app, own(q{MERGE INTO postcache.post AS p USING (VALUES (7000005, 'merged'), (7000099, 'inserted'))
	AS v(id, title) ON p.id = v.id WHEN MATCHED THEN UPDATE SET title = v.title
	WHEN NOT MATCHED THEN INSERT (id, user_id, title, body) VALUES (v.id, 7, v.title, 'merged')}), '7');
mutation('ON CONFLICT', $app, own(q{INSERT INTO postcache.post (id, user_id, title, body)
	VALUES (7000005, 7, 'again', 'conflict') ON CONFLICT (id) DO UPDATE SET title = 'conflict'}), '7');
mutation('moved to another user', $owner, 'UPDATE postcache.post SET user_id = 8 WHERE id = ' . post(7, 3), '7 8');
mutation('moved back', $owner, 'UPDATE postcache.post SET user_id = 7 WHERE id = ' . post(7, 3), '7 8');
mutation('all of one moved', $owner, 'UPDATE postcache.post SET user_id = 9 WHERE user_id = 7', '7 9');
# the seventh has none now
mutation('all users\' posts', $owner, q{UPDATE postcache.post SET status = 'published'},
	join ' ', grep { $_ != 7 } 1 .. $users);
mutation('an author renamed', $app, own(q{UPDATE postcache.account SET name = 'Seven'}), '7');
mutation('an author deleted', $owner, 'DELETE FROM postcache.account WHERE id = 10', '10');
mutation('and back', $owner, q{INSERT INTO postcache.account VALUES (10, 'User 10')}, '10');
mutation('all replaced', $app, own(q{SELECT postcache.replace_all('[{"title": "a", "body": "b"}, {"title": "c", "body": "d"}]')}), '7');
mutation('rolled back', $app, qq{BEGIN; SET LOCAL app.user_id = '7'; $insert; DELETE FROM postcache.post WHERE title = 'a'; ROLLBACK}, '');
mutation('all to a savepoint rolled back', $app, qq{BEGIN; SET LOCAL app.user_id = '7'; SAVEPOINT s; $insert; ROLLBACK TO s; COMMIT}, '');
mutation('some of it', $app, qq{BEGIN; SET LOCAL app.user_id = '7'; $insert; SAVEPOINT s;
	UPDATE postcache.post SET title = 'rolled back'; ROLLBACK TO s; COMMIT}, '7');
mutation('cleared by its user', $app, own(q{SELECT cachex.clear('posts', scope => '7')}), '7');
mutation('TRUNCATE', $owner, [ 'CREATE TABLE postcache.kept AS TABLE postcache.post', 'TRUNCATE postcache.post' ],
	join ' ', 1 .. $users);
# nor has the tenth
mutation('INSERT from a table', $owner, [ q{INSERT INTO postcache.post (id, user_id, title, body, status)
	SELECT id, user_id, title, body, status FROM postcache.kept} ],
	join ' ', grep { $_ != 10 } 1 .. $users);

# a transaction sees its own; others see it from its commit on
warm();
my $titles = q{SELECT jsonb_path_query_array(postcache.list(), '$.posts[0 to 1].title')};
$app->must(qq{BEGIN; SET LOCAL app.user_id = '8'});
$app->must(q{INSERT INTO postcache.post (id, user_id, title, body) VALUES (8900000, 8, 'first', 'words')});
is($app->must('SELECT postcache.judge(8900000)'), '', 'who writes is shown what he has written');
isnt(as_user(8, $titles, $app2), $app->must($titles), 'others are not');
is(status_in($app2, 8, 'list'), 'hit', 'theirs is there');
$app->must('SAVEPOINT s');
$app->must(q{UPDATE postcache.post SET title = 'second' WHERE id = 8900000});
is($app->must("$titles -> 0"), '"second"', 'in a savepoint');
$app->must('ROLLBACK TO s');
is($app->must("$titles -> 0"), '"first"', 'and after it');
is($app->must('SELECT postcache.judge(8900000)'), '', 'all of it');
$app->must('COMMIT');
is(as_user(8, "$titles -> 0", $app2), '"first"', 'after the commit they are');
is(verdict(8, $app2), '', 'all of it');

sub status_in
{
	my ($session, $user, $key) = @_;
	return as_user($user, "SELECT status FROM cachex.lookup('posts', '$key')", $session);
}

# a snapshot that is kept
$app2->must(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL app.user_id = '8'});
my $old = $app2->must($titles);
as_user(8, q{UPDATE postcache.post SET title = 'third' WHERE id = 8900000; SELECT postcache.list() IS NULL});
is($app2->must($titles), $old, 'an old snapshot is shown the old list');
is($app2->must('SELECT postcache.judge(8900000)'), '', 'and post');
$app2->must('COMMIT');
is(as_user(8, "$titles -> 0", $app2), '"third"', 'until it ends');

# ---- write-through ----

foreach my $round (1 .. 3)
{
	my $id = 8900000 + $round;
	counted('misses', 'loads');
	as_user(8, "INSERT INTO postcache.post (id, user_id, title, body) VALUES ($id, 8, 'created', 'some words')");
	counted('misses', 'loads');
	is(as_user(8, "SELECT postcache.post($id) ->> 'words'", $round % 2 ? $app2 : $app), '2', "post $round that was created");
	is(counted('misses', 'loads'), '0 0', 'is there for its first reader');
	is(verdict(8), '', 'as the table has it');
}
as_user(8, q{INSERT INTO postcache.post (id, user_id, title, body) SELECT i, 8, 'many', i::text FROM generate_series(8910001, 8910050) AS i});
is(as_user(8, q{SELECT count(*) FROM generate_series(8910001, 8910050) AS i WHERE (cachex.lookup('posts', 'post:' || i)).status = 'hit'}),
	'50', 'of many at once, each is');
$app->must(q{BEGIN; SET LOCAL app.user_id = '8'; INSERT INTO postcache.post (id, user_id, title, body) VALUES (8920000, 8, 'x', 'y'); ROLLBACK});
is(status(8, 'post:8920000'), 'miss', 'what is rolled back is not');
$owner->must(q{INSERT INTO postcache.post (id, user_id, title, body) VALUES (8920000, 8, 'of the owner', 'y')});
is(status(8, 'post:8920000'), 'miss', 'what the owner creates, the user reads for himself');
is(verdict(8), '', 'all is right');

# ---- at most a thousand of each user ----

warm();
as_user(2, 'SELECT count(postcache.post(2000000 + i)) FROM generate_series(1, 40) AS i');
my $held = sub {
	return one($node, q{SELECT string_agg(user_id || ':' || entries, ' ' ORDER BY user_id::bigint)
		FROM postcache.cache_users WHERE user_id <> '1'});
};
my $before = $held->();
my $most = 0;
foreach my $from (0 .. 5)
{
	as_user(1, "SELECT count(postcache.post(1000000 + i)) FROM generate_series($from * 500 + 1, $from * 500 + 500) AS i");
	my $now = one($node, q{SELECT entries FROM postcache.cache_users WHERE user_id = '1'});
	$most = $now if $now > $most;
}
is($most, 1000, 'who reads 3,000 posts has 1,000 entries at most, and so many');
is($held->(), $before, 'others have what they had');
counted('misses');
as_user($_, 'SELECT postcache.list(), postcache.post(' . post($_, 2) . ')') foreach (2 .. $users);
is(counted('misses'), '0', 'and are answered from it');
as_user(1, 'INSERT INTO postcache.post (user_id, title, body) SELECT 1, $$flood$$, $$words$$ FROM generate_series(1, 3000)');
cmp_ok(one($node, q{SELECT entries FROM postcache.cache_users WHERE user_id = '1'}), '<=', 1000,
	'who creates 3,000 posts has no more');
is($held->(), $before, 'and others as much as they had');
is(verdict(1), '', 'his pages are right');
# more keys than a watch names one by one
as_user(1, q{INSERT INTO postcache.post (user_id, title, body) SELECT 1, 'bulk', i::text FROM generate_series(1, 11000) AS i});
is($held->(), $before, 'nor does a bulk operation of 11,000 posts take anything from them');
counted('misses');
as_user($_, 'SELECT postcache.list(), postcache.post(' . post($_, 2) . ')') foreach (2 .. $users);
is(counted('misses'), '0', 'they are answered from what they have');
is(verdict(1), '', 'and his pages are right');
as_user(1, q{DELETE FROM postcache.post WHERE title = 'bulk'});
is(verdict(1), '', 'also when all that is gone again');

# ---- times, environments ----

sub environment
{
	sql_file('environment', "environment $_[0]");
	$_->close foreach ($app, $app2);
	($app, $app2) = (pool(), pool());
	return;
}

my $summary = q{SELECT (postcache.summary() ->> 'posts')::int};
my $one_more = q{INSERT INTO postcache.post (user_id, title, body) VALUES (11, 'x', 'y')};
foreach my $e ([ 'development', '30 s', 'off' ], [ 'test', '300 s', 'on' ], [ 'production', '600 s', 'off' ])
{
	my ($name, $ttl, $synchronous) = @$e;
	environment($name);
	as_user(11, q{SELECT cachex.take('posts', 'list') IS NULL, cachex.take('summaries', 'summary') IS NULL});
	as_user(11, 'SELECT postcache.list()');
	is(as_user(11, qq{SELECT ttl > interval '$ttl' - interval '20 s' AND ttl <= '$ttl' FROM cachex.lookup('posts', 'list')}),
		't', "$name: entries live for $ttl");
	is($app->must('SHOW cachex.synchronous'), $synchronous, "$name: synchronous is $synchronous");
	my $n = as_user(11, $summary);
	as_user(11, $one_more);
	my $first = as_user(11, $summary);
	if ($synchronous eq 'on')
	{
		is($first, $n + 1, "$name: who finds a stale summary has it computed at once");
	}
	else
	{
		is($first, $n, "$name: a summary may be stale");
		my $now = $n;
		for (1 .. 1000)
		{
			last if ($now = as_user(11, $summary)) == $n + 1;
			Time::HiRes::usleep(10_000);
		}
		is($now, $n + 1, "$name: while a worker computes it for that user");
	}
	is(as_user(12, q{SELECT postcache.summary() ->> 'user_id'}), '12', "$name: another user has his own");
}

# what has expired is freed, though nobody asks for it
$node->safe_psql('postgres', q{ALTER ROLE postcache_app SET cachex.ttl_factor = 0.0001});
$_->close foreach ($app, $app2);
($app, $app2) = (pool(), pool());
my ($expired) = split / /, one($node, q{SELECT expired FROM cachex.stats WHERE cache = 'posts'});
as_user(13, q{SELECT cachex.clear('posts', scope => '13')});
as_user(13, 'SELECT count(postcache.post(13000000 + i)) FROM generate_series(1, 40) AS i');
ok($node->poll_query_until('postgres', qq{SELECT expired >= $expired + 40 FROM cachex.stats WHERE cache = 'posts'}),
	'the sweeper frees what has expired');
$node->safe_psql('postgres', 'ALTER ROLE postcache_app RESET ALL');
$_->close foreach ($app, $app2);
($app, $app2) = (pool(), pool());

# Last: who resolves its marks may end everything once.
mutation('prepared', $owner, [ q{BEGIN; UPDATE postcache.post SET title = 'prepared' WHERE user_id = 7},
	q{PREPARE TRANSACTION 'p'}, q{COMMIT PREPARED 'p'} ], '7');

# ---- many at once ----

$_->close foreach ($app, $app2, $admin, $owner);
my $seconds = run_seconds(8);
my $pick = "\\set u random(1, $users)\n\\set p :u * 1000000 + random(1, 12)\n\\set other random(1, $users)\n";
my $judge = q{SELECT 1 / (postcache.judge(:p) IS NULL)::int;} . "\n";
my $begin = "BEGIN;\nSELECT set_config('app.user_id', :u::text, true);\n";
my @user = ('-U', 'postcache_app');
my $moves = pgbench_start($node, clients => 2, seconds => $seconds, options => [ '-R', 60 ], scripts => [
	[ 3, $pick . "UPDATE postcache.post SET user_id = :other WHERE id = :p;\n" ],
	[ 1, $pick . "UPDATE postcache.account SET name = name || '.' WHERE id = :u;\n" ] ]);
my $writers = pgbench_start($node, clients => 4, seconds => $seconds, options => [ @user, '-R', 200 ], scripts => [
	[ 3, $pick . $begin . "INSERT INTO postcache.post (user_id, title, body) VALUES (:u, 'load', 'words');\n$judge" . "COMMIT;\n" ],
	[ 3, $pick . $begin . "UPDATE postcache.post SET title = title || '.' WHERE id = :p;\n$judge\\sleep 3 ms\n$judge" . "COMMIT;\n" ],
	[ 2, $pick . $begin . "DELETE FROM postcache.post WHERE id >= 1000000000;\nCOMMIT;\n" ],
	[ 1, $pick . $begin . "SAVEPOINT s;\nUPDATE postcache.post SET title = 'lost';\nROLLBACK TO s;\n$judge" . "COMMIT;\n" ],
	[ 1, $pick . $begin . "UPDATE postcache.post SET status = 'draft' WHERE id = :p;\nROLLBACK;\n" ],
	[ 1, $pick . $begin . "SELECT cachex.clear('posts', scope => :u::text);\nCOMMIT;\n" ] ]);
my $readers = pgbench($node, clients => 6, seconds => $seconds, options => \@user, scripts => [
	[ 8, $pick . $begin . $judge . "COMMIT;\n" ],
	[ 1, $pick . "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT set_config('app.user_id', :u::text, true);\n$judge\\sleep 3 ms\n$judge" . "COMMIT;\n" ],
	# one transaction, two users
	[ 1, $pick . $begin . $judge . "SELECT set_config('app.user_id', :other::text, true);\n$judge" . "COMMIT;\n" ] ]);
pgbench_wait($_) foreach ($moves, $writers);
is($_->{err} =~ /(ERROR.*)/ ? $1 : '', '', 'nobody was shown what is not his, or is old') foreach ($readers, $writers, $moves);
cmp_ok($readers->{transactions}, '>', 100, "$readers->{transactions} times");
cmp_ok($writers->{transactions}, '>', 100, "beside $writers->{transactions} transactions that wrote");
cmp_ok($moves->{transactions}, '>', 20, "and $moves->{transactions} that moved posts and renamed users");
cmp_ok(one($node, 'SELECT max(entries) FROM postcache.cache_users'), '<=', 1000, 'nobody has more than his 1,000 entries');

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
