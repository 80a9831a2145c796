# What a prepared transaction has changed and nobody reads: that it is over is
# found out all the same, by who reads a lot else; just what hangs on the
# change ends.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;
use Time::HiRes qw(usleep);

my $node = start_server('unread', 'max_prepared_transactions = 10', 'cachex.memory = 256MB');
$node->safe_psql('postgres', q{
	CREATE TABLE read (v int);
	CREATE TABLE unread (v int);
	CREATE TABLE altered (v int);
	CREATE VIEW seen AS SELECT v FROM unread;
	INSERT INTO read VALUES (1);
	INSERT INTO unread VALUES (1);
	INSERT INTO altered VALUES (1);
	SELECT cachex.watch(t) FROM unnest('{read,unread,altered}'::regclass[]) AS t;
	SELECT cachex.create_cache('exact'), cachex.create_cache('ttl', consistency => 'ttl'),
		cachex.create_cache('other', consistency => 'ttl'), cachex.create_cache('patterns', consistency => 'ttl')});
my $s = session($node);
my $r = session($node);

sub prepared { return $s->must('SELECT prepared FROM cachex.memory()'); }

# Entries that the changes do not touch, and those that they do.
my $stay = q{SELECT count(cachex.get('ttl', 'stays' || i)) FROM generate_series(1, 100) AS i};
sub fill
{
	$r->must(q{SELECT cachex.fetch('exact', t, 'SELECT sum(v) FROM ' || t)
		FROM unnest('{read,unread,altered,seen}'::text[]) AS t});
	$r->must(q{SELECT cachex.put('ttl', 'stays' || i, '1') FROM generate_series(1, 100) AS i});
	$r->must(q{SELECT cachex.put('ttl', 'key', '1'), cachex.put('ttl', 'tagged', '1', tags => '{a}'),
		cachex.put('ttl', 'scoped', '1', scope => 'here'), cachex.put('patterns', 'by pattern', '1'),
		cachex.put('other', 'cleared', '1')});
	is($r->must($stay), '100', 'what stays is there');
	return;
}

sub left
{
	return $r->must(q{SELECT concat_ws(' ', cachex.get('ttl', 'key'), cachex.get('ttl', 'tagged'),
		cachex.get('ttl', 'scoped', scope => 'here'), cachex.get('patterns', 'by pattern'), cachex.get('other', 'cleared'))});
}

my $changes = q{
	UPDATE unread SET v = v + 1;
	GRANT SELECT ON altered TO PUBLIC;
	SELECT cachex.invalidate('ttl', 'key'), cachex.invalidate_tags('{a}'),
		cachex.clear('ttl', scope => 'here'), cachex.clear('other'), cachex.invalidate_like('patterns', 'by%')};

# ---- it has committed ----

fill();
is(left(), '1 1 1 1 1', 'and what will not');
$s->must("BEGIN; $changes; PREPARE TRANSACTION 'p'");
cmp_ok(prepared(), '>=', 7, 'it leaves marks');
# looked for once a second: not over
is($r->must($stay), '100', 'reading while it is prepared');
cmp_ok(prepared(), '>=', 7, 'they stay while it is');
$s->must("COMMIT PREPARED 'p'");
my $misses = "SELECT sum(misses) FROM cachex.stats WHERE cache IN ('ttl', 'exact', 'other', 'patterns')";
my $before = $s->must($misses);
until_true($r, "($stay) = 100 AND (SELECT prepared = 0 FROM cachex.memory())");
is($s->must($misses), $before, 'nobody has asked for what it changed');
is(left(), '', 'what it has ended is gone');
is($r->must(q{SELECT string_agg(cachex.fetch('exact', t, 'SELECT sum(v) FROM ' || t)::text, ' ')
	FROM unnest('{read,unread,seen}'::text[]) AS t}), '1 2 2', 'and what it changed is computed');
is($r->must(q{SELECT status FROM cachex.lookup('exact', 'altered')}), 'miss', 'so is what it altered');
is($s->must("SELECT hits, misses FROM cachex.stats WHERE cache = 'exact'"), '1|7',
	'just what it changed: one hit, three misses after the four of the beginning');

# ---- it was rolled back ----

fill();
$s->must("BEGIN; $changes; PREPARE TRANSACTION 'p'");
$s->must("ROLLBACK PREPARED 'p'");
until_true($r, "($stay) = 100 AND (SELECT prepared = 0 FROM cachex.memory())");
is($r->must(q{SELECT string_agg(cachex.fetch('exact', t, 'SELECT sum(v) FROM ' || t)::text, ' ')
	FROM unnest('{read,unread,altered,seen}'::text[]) AS t}), '1 2 1 2', 'a rollback changes nothing');

# ---- more than there are places for ----

$s->must("BEGIN; SELECT cachex.invalidate_tags(array_agg('a$_' || i)) FROM generate_series(1, 100000) AS i; "
	  . "PREPARE TRANSACTION 'p$_'") foreach 1 .. 5;
cmp_ok(prepared(), '>', 10000, 'full lines');
$s->must("COMMIT PREPARED 'p$_'") foreach 1 .. 5;
until_true($r, "cachex.fetch('exact', 'read', 'SELECT sum(v) FROM read') = '1' AND (SELECT prepared = 0 FROM cachex.memory())");
fill();

# ---- the cache is dropped meanwhile ----

foreach my $prepared (1, 0)
{
	my $name = $prepared ? 'prepared' : 'plain';
	my $w = session($node);
	$s->must(q{SELECT cachex.create_cache('gone', consistency => 'ttl'); SELECT cachex.put('gone', 'k', '1')});
	$w->must("BEGIN; SELECT cachex.clear('gone')" . ($prepared ? q{; PREPARE TRANSACTION 'p'} : ''));
	$s->must(q{SELECT cachex.drop_cache('gone')});
	# its number is free when the sweeper has seen to it, and goes to another one
	until_true($s, q{NOT EXISTS (SELECT FROM cachex.stats WHERE cache = 'gone')});
	$s->must(q{SELECT cachex.purge()});
	$s->must(qq{SELECT cachex.create_cache('next $name', consistency => 'ttl'); SELECT cachex.put('next $name', 'k', '2');
		SELECT cachex.create_cache('gone', consistency => 'ttl'); SELECT cachex.put('gone', 'k', '2')});
	$w->must($prepared ? q{COMMIT PREPARED 'p'} : 'COMMIT');
	until_true($r, '(SELECT count(cachex.get(\'default\', i::text)) FROM generate_series(1, 1000) AS i) = 0 AND (SELECT prepared = 0 FROM cachex.memory())');
	is($s->must(q{SELECT cachex.get('gone', 'k')}), '', "$name: a clear counts for the cache that has the name now");
	$w->close;
	$s->must(q{SELECT cachex.drop_cache('gone')});
}

# ---- beside a transaction that publishes many puts ----

{
	my $w = session($node);
	my $p = session($node);
	$s->must(q{CREATE TABLE w (i int)});
	# its xid is smaller
	$p->must(q{BEGIN; SELECT cachex.invalidate('ttl', 'last' || i) FROM generate_series(1, 20) AS i; PREPARE TRANSACTION 'p'});
	$w->must(q{BEGIN; INSERT INTO w VALUES (1)});
	$w->must(q{SELECT count(cachex.put('ttl', 'k' || i, '1')) FROM generate_series(1, 150000) AS i});
	$w->must(q{SELECT cachex.put('ttl', 'last' || i, '1') FROM generate_series(1, 20) AS i});
	# they are looked for again after a second
	usleep(1_100_000);
	$w->send('COMMIT');
	1 while $r->must('SELECT count(*) FROM w') == 0;
	$p->must(q{COMMIT PREPARED 'p'});
	$r->must(q{SELECT count(cachex.get('ttl', 'other')) FROM generate_series(1, 1000)});
	$w->receive;
	until_true($r, q{(SELECT count(cachex.get('ttl', 'other')) FROM generate_series(1, 1000)) = 0 AND (SELECT prepared = 0 FROM cachex.memory())});
	is($r->must(q{SELECT count(cachex.get('ttl', 'last' || i)) FROM generate_series(1, 20) AS i}), '0',
		'who completes later has invalidated what others put');
	$_->close foreach $w, $p;
}

$_->close foreach $s, $r;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
