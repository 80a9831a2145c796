
# persist => 'snapshot': entries come back after a clean shutdown, as they were,
# and never when anything may have changed in between.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_server('main', { allows_streaming => 1 }, 'cachex.memory = 128MB',
	'max_prepared_transactions = 5');
my $file = $node->data_dir . '/pg_stat/cachex.snapshot';

# Stops and starts; $between runs while the server is down.  Returns what the
# log says of it.
sub restart
{
	my ($mode, $between) = @_;
	my $offset = -s $node->logfile;
	$node->stop($mode // 'fast');
	$between->() if $between;
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'still in recovery';
	return join("\n", grep { /cachex entries/ }
		  split(/\n/, slurp_file($node->logfile, $offset)));
}

sub outcome
{
	return one($node, q{SELECT restored > 0, restore_dropped, restore_failure
		FROM cachex.memory()});
}

sub counted
{
	my $cache = shift;
	return one($node, qq{SELECT hits, misses, loads FROM cachex.stats
		WHERE cache = '$cache'});
}

# ---- what comes back ----

$node->safe_psql('postgres', q{
	CREATE ROLE someone;
	CREATE TABLE t (k int PRIMARY KEY, v int);
	CREATE TABLE u (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, i FROM generate_series(1, 10) i;
	INSERT INTO u TABLE t;
	SELECT cachex.watch('t'), cachex.watch('u');
	SELECT cachex.create_cache('c', consistency => 'ttl', persist => 'snapshot');
	SELECT cachex.create_cache('e', persist => 'snapshot');
	SELECT cachex.create_cache('none', consistency => 'ttl');
	SELECT cachex.create_cache('gone', consistency => 'ttl', persist => 'snapshot');
	SELECT cachex.alter_cache('queries', '{"persist": "snapshot"}');
	GRANT SELECT ON t TO someone;
	SELECT cachex.grant_cache('e', 'someone', 'read'), cachex.grant_cache('e', 'someone', 'write');
	SELECT count(cachex.put('c', 'k' || i, to_jsonb(i), tags => ARRAY['t' || i % 10]))
	FROM generate_series(1, 10000) i;
	SELECT cachex.put('c', 'meta', '"m"', metadata => '{"etag": 1}', ttl => '1 day');
	SELECT cachex.put('c', 'never', '1', expires_at => 'infinity');
	SELECT cachex.put('c', 'scoped', '"s"', scope => 's', tags => '{a,b}');
	SELECT cachex.put('c', 'scoped', '"o"', scope => 'other');
	SELECT cachex.put('c', 'null', NULL, ttl => '1 day');
	SELECT cachex.put('c', 'long', to_jsonb(repeat('long ', 50000)));
	SELECT cachex.fetch('c', 'loaded', 'SELECT 1 AS value', tags => '{a}');
	SELECT cachex.put('none', 'k', '1');
	SELECT cachex.put('gone', 'k', '1');
	SELECT cachex.drop_cache('gone');
	SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t');
	SELECT cachex.fetch('e', 'u', 'SELECT sum(v) FROM u', tags => '{a}');
	SELECT * FROM cachex.query('SELECT k, v FROM u WHERE k < $1', '{3}') AS q(k int, v int);
	SELECT cachex.fetch('e', 'who', 'SELECT sum(v) || current_user FROM t');
	SET ROLE someone;
	SELECT cachex.fetch('e', 'who', 'SELECT sum(v) || current_user FROM t')});
is(one($node, q{SELECT persist FROM cachex.caches WHERE name = 'queries'}), 'snapshot',
	'a built-in cache can be kept as well');

# dead ones that nobody has taken out
$node->safe_psql('postgres', q{
	SELECT cachex.put('c', 'dead1', '1'), cachex.put('c', 'dead2', '1', tags => '{dead}'),
		cachex.put('c', 'dead3', '1', scope => 'dead'), cachex.put('c', 'dead_like', '1');
	CREATE TABLE d (v int);
	INSERT INTO d VALUES (1);
	SELECT cachex.watch('d');
	SELECT cachex.fetch('e', 'dead', 'SELECT sum(v) FROM d');
	SELECT cachex.invalidate('c', 'dead1');
	SELECT cachex.invalidate_tags('{dead}');
	SELECT cachex.clear('c', 'dead');
	SELECT cachex.invalidate_like('c', 'dead\_%');
	INSERT INTO d VALUES (2)});

my $listing = q{SELECT md5(string_agg(e::text, E'\n' ORDER BY cache, scope, key, version)),
	count(*) FROM cachex.entries() e WHERE status IN ('hit', 'negative') AND cache <> 'none'};
my $before = one($node, $listing);
like($before, qr/\|10012$/, 'entries of caches that are kept');
my $version = one($node, q{SELECT version FROM cachex.lookup('c', 'k1')});
my $absent = one($node, q{SELECT version FROM cachex.lookup('c', 'nobody')});

# one that ends while the server is down; where a shutdown takes longer it is
# done again, which changes nothing
my $log;
foreach my $ttl (1, 5, 30, 90)
{
	$node->safe_psql('postgres', qq{SELECT cachex.put('c', 'short', '1', ttl => '$ttl s')});
	my $put_at = time;
	$log = restart('fast', sub {
		ok(-s $file, 'a clean shutdown writes the file');
		is((stat $file)[2] & 07777, 0600, 'nobody else may read it');
		usleep(20_000) while time < $put_at + $ttl + 0.1; });
	last if $log !~ /wrote 10012 /;
}
like($log, qr/wrote 10013 cachex entries of 3 caches to "pg_stat\/cachex.snapshot" in \d+ ms\n.*restored 10012 cachex entries of 3 caches from "pg_stat\/cachex.snapshot" in \d+ ms, dropped 1$/,
	'the log says what was written and what came back');
ok(!-e $file, 'the file is gone once it has been read');
is(one($node, $listing), $before,
	'entries are as they were: versions, times, tags, cost, frequency');
is(one($node, q{SELECT restored, restore_dropped, restore_failure FROM cachex.memory()}),
	'10012|1|', 'memory() counts them');
is(one($node, q{SELECT count(*) FROM cachex.entries() WHERE cache IN ('none', 'gone') OR key LIKE 'dead%'}),
	'0', 'caches that are not kept, dropped ones and dead entries do not come back');
is_idle_and_consistent($node, 'restored');
is(one($node, q{SELECT count(*), sum((cachex.get('c', 'k' || i))::int) FROM generate_series(1, 10000) i}),
	'10000|50005000', 'all values are right');
is(counted('c'), '10000|0|0', 'all of them are hits');
is(one($node, q{SELECT cachex.get('c', 'scoped', scope => 's'), cachex.get('c', 'scoped', scope => 'other'),
		cachex.get('c', 'long') = to_jsonb(repeat('long ', 50000)), cachex.get('c', 'null') IS NULL,
		cachex.fetch('c', 'loaded', 'SELECT 1 AS value', tags => '{a}'),
		(SELECT metadata FROM cachex.lookup('c', 'meta')),
		(SELECT status FROM cachex.lookup('c', 'null')),
		(SELECT expires_at FROM cachex.entries('c', 'never'))}),
	'"s"|"o"|t|t|1|{"etag": 1}|negative|infinity', 'scopes, metadata, long values, nulls');
like(one($node, q{SELECT misses, loads FROM cachex.stats WHERE cache = 'c'}), qr/^0\|0$/,
	'the fill is a hit as well');
is(one($node, q{SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t'),
		cachex.fetch('e', 'u', 'SELECT sum(v) FROM u', tags => '{a}'),
		cachex.fetch('e', 'who', 'SELECT sum(v) || current_user FROM t') #>> '{}' LIKE '55_%'}),
	'55|55|t', 'exact entries');
is(one($node, q{SET ROLE someone; SELECT cachex.fetch('e', 'who', 'SELECT sum(v) || current_user FROM t')}),
	'"55someone"', 'the entry of another role is his');
is(counted('e'), '4|0|0', 'all of them are hits');
is(one($node, q{SELECT count(*) FROM cachex.query('SELECT k, v FROM u WHERE k < $1', '{3}') AS q(k int, v int)}), '2', 'query()');
is(counted('queries'), '1|0|0', 'is a hit');

# ---- and goes on as if nothing had been ----

is(one($node, qq{SELECT cachex.put('c', 'k1', '"new"', if_version => $version)}), 't',
	'a version of before the restart is good');
is(one($node, qq{SELECT cachex.put('c', 'k1', '"newer"', if_version => $version)}), 'f', 'once');
is(one($node, qq{SELECT cachex.put('c', 'nobody', '1', if_version => $absent)}), 'f',
	'nobody knows whether an absent key was there meanwhile');
$absent = one($node, q{SELECT version FROM cachex.lookup('c', 'nobody')});
is(one($node, qq{SELECT cachex.put('c', 'nobody', '1', if_version => $absent)}), 't',
	'of this start one knows');
$node->safe_psql('postgres', q{UPDATE t SET v = v + 1});
is(one($node, q{SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t'),
		cachex.fetch('e', 'u', 'SELECT sum(v) FROM u', tags => '{a}')}), '65|55',
	'a write ends what read the table');
is(counted('e'), '5|1|1', 'and nothing else');
$node->safe_psql('postgres', q{SELECT cachex.invalidate_tags('{t3}')});
is(one($node, q{SELECT cachex.get('c', 'k3') IS NULL, cachex.get('c', 'k4')}), 't|4', 'tags invalidate');
$node->safe_psql('postgres', q{SELECT cachex.clear('c', 's')});
is(one($node, q{SELECT cachex.get('c', 'scoped', scope => 's') IS NULL, cachex.get('c', 'scoped', scope => 'other')}),
	't|"o"', 'scopes are cleared');
$node->safe_psql('postgres', q{ALTER TABLE u ALTER v TYPE bigint});
is(one($node, q{SELECT cachex.fetch('e', 'u', 'SELECT sum(v) FROM u', tags => '{a}')}), '55', 'DDL');
is(counted('e'), '5|2|2', 'ends entries as well');

# what died since the restart stays dead through another one
$node->safe_psql('postgres', q{UPDATE t SET v = v + 1});
restart();
is(one($node, q{SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t'),
		cachex.fetch('e', 'u', 'SELECT sum(v) FROM u', tags => '{a}'),
		cachex.get('c', 'k3') IS NULL, cachex.get('c', 'k1')}), '75|55|t|"new"',
	'a second restart: dead entries stay dead, the others live');
is(counted('e'), '1|1|1', 'one of the two was a hit');

# ---- limits of scopes ----

$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('tenants', consistency => 'ttl', persist => 'snapshot',
		max_entries_per_scope => 10);
	SELECT count(cachex.put('tenants', 'k' || k, to_jsonb(k), scope => 's' || s))
	FROM generate_series(1, 15) k, generate_series(1, 200) s;
	-- the one that is read last is worth most, and the last to go
	SELECT count(cachex.get('tenants', 'k7', scope => 's' || s)) FROM generate_series(1, 200) s});
my $tenants = q{SELECT n, count(*) FROM (SELECT count(*) n FROM cachex.entries('tenants')
	WHERE status = 'hit' GROUP BY scope) s GROUP BY n};
is(one($node, $tenants), '10|200', 'scopes are full');
restart();
is(one($node, $tenants), '10|200', 'they are after a restart');
is_idle_and_consistent($node, 'restored scopes');
$node->safe_psql('postgres', q{SELECT count(cachex.put('tenants', 'new' || k, '1', scope => 's' || s))
	FROM generate_series(1, 9) k, generate_series(1, 200) s});
is(one($node, $tenants), '10|200', 'new entries take the place of restored ones');
is(one($node, q{SELECT count(cachex.get('tenants', 'k7', scope => 's' || s)) FROM generate_series(1, 200) s}),
	'200', 'in the order of their worth');
$node->safe_psql('postgres', q{SELECT cachex.drop_cache('tenants')});

# ---- the setting ----

$node->safe_psql('postgres', q{
	BEGIN; SELECT cachex.alter_cache('c', '{"persist": "none"}'), cachex.get('c', 'k4'); ROLLBACK});
restart();
is(one($node, q{SELECT cachex.get('c', 'k4')}), '4', 'a change that was rolled back is none');
$node->safe_psql('postgres', q{
	SELECT cachex.alter_cache('c', '{"persist": "none"}');
	SELECT cachex.alter_cache('none', '{"persist": "snapshot"}'), cachex.put('none', 'k', '1')});
restart();
is(one($node, q{SELECT cachex.get('c', 'k4') IS NULL, cachex.get('none', 'k')}), 't|1',
	'the setting can be changed');
$node->safe_psql('postgres', q{
	SELECT cachex.alter_cache('none', '{"persist": "none"}');
	SELECT cachex.alter_cache('c', '{"persist": "snapshot"}');
	SELECT cachex.alter_cache('queries', '{"persist": "none"}')});

# ---- when the shutdown was not clean ----

foreach my $mode ('immediate', 'kill9')
{
	$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
	my @pids = workers($node, 'postgres');
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	$mode eq 'kill9' ? $node->kill9 : $node->stop($mode);
	ok(!-e $file, "$mode: no file");
	# the processes that are left notice in a moment; a zombie's lock file is in
	# the way
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	foreach my $pid (@pids, $postmaster)
	{
		usleep(10_000) while kill(0, $pid)
		  && read_file("/proc/$pid/status") !~ /^State:\s+Z/m && time < $end;
	}
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock'
	  if $mode eq 'kill9' && kill(0, $postmaster);
	$node->start;
	is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}), 't', "$mode: nothing comes back");
	is(outcome(), 'f|0|', "$mode: nothing was dropped");
}
# a backend that crashes takes all with it; the postmaster goes on
$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1'), cachex.fetch('e', 't', 'SELECT sum(v) FROM t')});
restart();
is(one($node, q{SELECT cachex.get('c', 'k')}), '1', 'back');
my $victim = session($node);
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
kill 'KILL', $victim->pid;
$victim->close;
until_up($node, q{SELECT entries = 0 AND restored = 0 FROM cachex.memory()})
  or die 'no restart after the crash';
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}), 't', 'a crash: nothing comes back');
$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
restart();
is(one($node, q{SELECT cachex.get('c', 'k')}), '1', 'what was stored after it does');

# ---- prepared transactions ----

# none are there, so nobody is waited for and nothing dies when he ends
my $running;
$log = restart();
$running = session($node);
$running->must('BEGIN; SELECT pg_current_xact_id()');
is(one($node, q{SELECT cachex.get('c', 'k'), held FROM cachex.memory()}), '1|0', 'beside the first transaction');
$running->must('COMMIT');
$running->close;
is(one($node, q{SELECT cachex.get('c', 'k')}), '1', 'and after it');

my $ask = q{SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t'), (SELECT sum(v) FROM t),
	cachex.fetch('e', 'u', 'SELECT sum(v) FROM u'), (SELECT sum(v) FROM u)};
my $t = one($node, 'SELECT sum(v) FROM t');
one($node, $ask);
is(one($node, $ask), "$t|$t|55|55", 'before');
$node->safe_psql('postgres', q{BEGIN; UPDATE t SET v = v + 1; PREPARE TRANSACTION 'p'});
like(restart(), qr/no snapshot of cachex entries was written: there are prepared transactions/,
	'prepared transactions: nothing is written');
is(one($node, $ask), "$t|$t|55|55", 'while it lives');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
$t += 10;
is(one($node, $ask), "$t|$t|55|55", 'no stale answer when it is over');
one($node, $ask);

# one that is over, but nobody has looked since
foreach my $end ('COMMIT', 'ROLLBACK')
{
	one($node, $ask);
	$node->safe_psql('postgres', qq{BEGIN; UPDATE t SET v = v + 1; PREPARE TRANSACTION 'p'});
	$node->safe_psql('postgres', qq{$end PREPARED 'p'});
	$t += 10 if $end eq 'COMMIT';
	like(restart(), qr/restored \d+ cachex entries/, "$end PREPARED: entries come back");
	is(one($node, $ask), "$t|$t|55|55", "$end PREPARED just before: no stale answer");
	is(counted('e'), '1|1|1', "$end PREPARED just before: the other entry is there");
}

# ---- the file is not used when anything may have changed ----

$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
my $copies = PostgreSQL::Test::Utils::tempdir;
my $kept = "$copies/kept";

sub copy_file
{
	my ($from, $to) = @_;
	system_or_bail('cp', $from, $to);
	return;
}

# Restarts; the file must not be used for the reason given.
sub refused
{
	my ($why, $name, $between) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1'), cachex.fetch('e', 't', 'SELECT sum(v) FROM t')});
	my $log = restart('fast', $between);
	like($log, qr/file "pg_stat\/cachex.snapshot" with cachex entries is not used: $why$/, "$name: is said");
	like(outcome(), qr/^f\|\d+\|$why$/, "$name: nothing comes back");
	ok(!-e $file, "$name: the file is gone");
	is(one($node, q{SELECT cachex.get('c', 'k') IS NULL, entries FROM cachex.memory()}), 't|0', "$name: no entry");
	is(one($node, $ask), "$t|$t|55|55", "$name: right answers");
	return;
}

restart('fast', sub { copy_file($file, $kept) });
refused('the server has run since it was written', 'an older file', sub { copy_file($kept, $file) });

my $other = start_server('other', { allows_streaming => 1 });
$other->safe_psql('postgres', q{SELECT cachex.create_cache('c', consistency => 'ttl', persist => 'snapshot');
	SELECT cachex.put('c', 'k', '2')});
$other->stop;
my $foreign = $other->data_dir . '/pg_stat/cachex.snapshot';
refused('it is from another database cluster', 'the file of another cluster', sub { copy_file($foreign, $file) });
refused('it is damaged', 'a file of something else',
	sub { unlink $file; PostgreSQL::Test::Utils::append_to_file($file, 'x' x 100_000) });

refused('the server has run since it was written', 'a run without the library', sub {
	my $conf = slurp_file($node->data_dir . '/postgresql.conf');
	$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
	$node->start;
	$node->safe_psql('postgres', q{ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET v = v + 1;
		ALTER TABLE t ENABLE TRIGGER USER; ALTER TABLE u DISABLE TRIGGER USER; ALTER TABLE u ENABLE TRIGGER USER});
	$t += 10;
	$node->stop;
	ok(-e $file, 'the file was still there');
	open(my $fh, '>', $node->data_dir . '/postgresql.conf') or die;
	print $fh $conf;
	CORE::close($fh); });

refused('the server has run since it was written', 'pg_resetwal',
	sub { system_or_bail('pg_resetwal', '-f', '-D', $node->data_dir) });

refused('the server is to be a standby or a restored backup', 'recovery.signal', sub {
	my $dir = $node->data_dir;
	$node->append_conf('postgresql.conf', "restore_command = 'false'");
	PostgreSQL::Test::Utils::append_to_file("$dir/recovery.signal", ''); });

# what stands in the way of the file does not stop the server
$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
mkdir "$file.tmp" or die;
like(restart(), qr/^$/, 'it cannot be written');
like(slurp_file($node->logfile), qr/could not write file "pg_stat\/cachex.snapshot.tmp": Is a directory/, 'which is said');
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}), 't', 'nothing comes back');
rmdir "$file.tmp" or die;
$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
mkdir $file or die;
like(restart(), qr/is not used: it cannot be removed$/, 'it can be neither put in place nor removed');
ok(!-e "$file.tmp", 'nothing is left');
rmdir $file or die;

$node->safe_psql('postgres', q{SELECT cachex.put('c', 'k', '1')});
$node->stop;
PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/standby.signal', '');
$node->start;
is(one($node, q{SELECT restored, restore_failure, pg_is_in_recovery() FROM cachex.memory()}),
	'0|the server is to be a standby or a restored backup|t', 'a standby');
$node->promote;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'still in recovery';
is(one($node, q{SELECT cachex.get('c', 'k') IS NULL}), 't', 'a standby: nothing comes back after its promotion');

# a copy of the data directory
$other->start;
$other->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
system_or_bail('cp', '-a', $other->data_dir, $copy->data_dir);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
$copy->start;
is(one($copy, q{SELECT restored, restore_failure FROM cachex.memory()}), '0|the data directory is a copy',
	'a copy of the data directory');
$copy->stop;
$other->start;
is(one($other, q{SELECT cachex.get('c', 'k'), restored, restore_failure FROM cachex.memory()}), '2|1|',
	'its original');

# a base backup of a running server has no such file
$other->backup('b');
ok(!-e $other->backup_dir . '/b/pg_stat/cachex.snapshot', 'a base backup has no such file');
$other->stop;

# ---- damaged files ----

# A small server, put back to where it was stopped, by contents: the control
# file stays the same file.
my $small = start_server('small', 'cachex.memory = 8MB', 'fsync = off');
$small->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl', persist => 'snapshot',
		max_entries_per_scope => 1000);
	CREATE TABLE t AS SELECT 1 AS v;
	SELECT cachex.watch('t');
	SELECT cachex.create_cache('e', persist => 'snapshot');
	SELECT cachex.fetch('e', 't', 'SELECT sum(v) FROM t WHERE current_setting(''a.b'', true) IS NULL', tags => '{x,yy}');
	SELECT count(cachex.put('c', 'k' || i, to_jsonb(repeat('x', i)), tags => ARRAY['t' || i, 'all'],
		scope => CASE WHEN i % 2 = 0 THEN 's' END, metadata => '{"a": 1}')) FROM generate_series(1, 300) i;
	SELECT cachex.put('c', 'long', to_jsonb(repeat('long', 20000)));
	SELECT cachex.put('c', 'one tag', '1', tags => ARRAY['1234567' || chr(1)]);
	SELECT cachex.fetch_as('c', 'typed', NULL::int, 'SELECT 1')});
$small->stop;
my $data = $small->data_dir;
my $stopped = "$copies/stopped";
system_or_bail('cp', '-a', $data, $stopped);
my $good = slurp_file("$data/pg_stat/cachex.snapshot");
my $size = length($good);
cmp_ok($size, '>', 140_000, 'the file has two blocks');

# Starts with another content of the file; returns what memory() says.
sub start_with
{
	my ($content, $check) = @_;
	system_or_bail('cp', '-a', "$stopped/.", $data);
	open(my $fh, '>:raw', "$data/pg_stat/cachex.snapshot") or die;
	print $fh $content;
	CORE::close($fh);
	$small->start;
	my $result;
	# the sweeper may be at work
	for (1 .. 50)
	{
		$result = one($small, q{SELECT restored, entries, restore_failure,
			coalesce(check_store(), 'consistent'), (SELECT count(*) >= 0 FROM cachex.entries())
			FROM cachex.memory()});
		last if $result =~ /\|consistent\|t$/;
		usleep(100_000);
	}
	$check->() if $check;
	$small->stop('immediate');
	return $result;
}

is(start_with($good), '304|304||consistent|t', 'the file as it was written is used');
my $damaged = '0|0|it is damaged|consistent|t';
my @bad;
for (my $n = 0; $n < $size; $n += 4096)
{
	my $result = start_with(substr($good, 0, $n));
	push @bad, "$n: $result" if $result ne $damaged;
}
is("@bad", '', 'cut at every 4 kB: not used');
is(start_with(substr($good, 0, $size - 1)), $damaged, 'a byte short');
is(start_with($good . 'x'), $damaged, 'a byte more');
is(start_with($good . $good), $damaged, 'twice');

# heads of blocks, the file's header, caches, and all over
srand(1);
@bad = ();
foreach my $n (0, 4, 8, 16, 20, 24, 28, 40, 131072 + 24, 131072 + 40, $size - 24, $size - 1,
	map { int(rand($size)) } 1 .. 12)
{
	my $content = $good;
	substr($content, $n, 1) ^= chr(1 << int(rand(8)));
	my $result = start_with($content);
	push @bad, "$n: $result" if $result ne $damaged;
}
is("@bad", '', 'a bit turned: not used');

# Contents that have right checksums and are wrong: never more than a loss.
my @table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc32c
{
	my $crc = 0xffffffff;
	$crc = $table[($crc ^ $_) & 255] ^ ($crc >> 8) foreach unpack('C*', $_[0]);
	return $crc ^ 0xffffffff;
}

sub with_checksums
{
	my $content = shift;
	for (my $at = 0; $at < length($content);)
	{
		my $len = unpack('L', substr($content, $at + 16, 4));
		substr($content, $at + 20, 4) =
		  pack('L', crc32c(substr($content, $at, 20) . substr($content, $at + 24, $len)));
		$at += 24 + $len;
	}
	return $content;
}
is(with_checksums($good) eq $good, 1, 'the checksum is CRC32C');

# an entry that says two tags, and whose texts end after the first
(my $fewer = $good) =~ s/\x01\0\x09\0one tag/\x02\0\x02\0one tag/ or die 'no such entry';
is(start_with(with_checksums($fewer)), $damaged, 'an entry that lacks a tag: not used');

# a value of another type, whose values have more bytes
(my $short = $good) =~ s/\x17\0{7}(.{6})typed/\x86\x0b\0\0\0\0\0\0$1typed/s or die 'no such entry';
start_with(with_checksums($short), sub {
	foreach my $call (q{get_as('c', 'typed', NULL::uuid)}, q{lookup('c', 'typed')})
	{
		my (undef, undef, $error) = $small->psql('postgres', "SELECT * FROM cachex.$call");
		like($error, qr/cached value of type uuid is damaged/, "$call raises an error");
	}
});

# where the entries begin, after two caches
my $keys = index($good, 'k300');
my %seen;
@bad = ();
for my $n (1 .. 24)
{
	my $content = $good;
	# bytes in and before some entry, and one time in three in the header
	my $at = $n % 3 == 0 ? 24 + int(rand(900)) : $keys - 200 + int(rand(400));
	substr($content, $at, 1) = chr(int(rand(256)));
	my $result = start_with(with_checksums($content));
	$seen{$result}++;
	push @bad, "$at: $result" if $result !~ /\|consistent\|t$/;
}
is("@bad", '', 'wrong contents with right checksums do no harm') or diag(explain \%seen);
never_crashed($small);

# ---- sizes ----

# less memory: what is worth most comes back
$node->safe_psql('postgres', q{
	SELECT count(cachex.put('c', 'big' || i, to_jsonb(repeat('x', 400)),
		cost => CASE WHEN i % 10 = 0 THEN interval '1 s' ELSE '1 ms' END))
	FROM generate_series(1, 50000) i});
my $all = one($node, q{SELECT count(*) FROM cachex.entries() WHERE status = 'hit'});
$log = restart('fast', sub { $node->append_conf('postgresql.conf', 'cachex.memory = 16MB') });
like($log, qr/restored \d+ cachex entries .* dropped [1-9]\d+$/, 'less memory: some come back');
is(one($node, q{SELECT count(*) FROM cachex.entries('c', 'big%0') WHERE status = 'hit'}), '5000',
	'less memory: all that is worth most is there');
is(one($node, q{SELECT restored = entries, restored + restore_dropped FROM cachex.memory()}), "t|$all",
	'less memory: the others are counted');
is_idle_and_consistent($node, 'less memory');
$node->safe_psql('postgres', q{SELECT count(cachex.put('c', 'more' || i, to_jsonb(repeat('x', 400))))
	FROM generate_series(1, 5000) i});
is_idle_and_consistent($node, 'less memory, and more entries');
cmp_ok(one($node, q{SELECT count(*) FROM cachex.entries('c', 'big%0') WHERE status = 'hit'}), '>', 4900,
	'less memory: what is worth most goes last');

# many entries
$node->append_conf('postgresql.conf', 'cachex.memory = 256MB');
restart();
$node->safe_psql('postgres', q{SELECT cachex.clear('c');
	SELECT count(cachex.put('c', 'many' || i, to_jsonb(repeat('x', 200)))) FROM generate_series(1, 100000) i});
my $read;
# where a machine is busy with something else it is tried again
for (1 .. 5)
{
	$log = restart();
	like($log, qr/restored 100\d{3} cachex entries/, '100,000 entries come back');
	my ($wrote) = $log =~ /wrote .* in (\d+) ms/;
	($read) = $log =~ /restored .* in (\d+) ms/;
	note("100,000 entries: written in $wrote ms, read in $read ms");
	last if $read < 1000;
}
cmp_ok($read, '<', 1000, 'within a second');
is(one($node, q{SELECT count(cachex.get('c', 'many' || i)) FROM generate_series(1, 100000) i}), '100000', 'all of them hits');
is_idle_and_consistent($node, 'many');
$node->stop;

done_testing();
