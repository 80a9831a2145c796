
# On a standby a fetch computes, a get misses, a put is an error; when it is
# promoted everything works.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = start_server('primary', { allows_streaming => 1 });
$primary->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', max_entries => 10, consistency => 'ttl');
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t VALUES (1, 1)});
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;

my $fetch = q{SELECT cachex.fetch('c', 'k', 'SELECT v AS value FROM t')};

sub catch_up
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
	return;
}

is(one($primary, $fetch), '1', 'the primary fetches');
is(one($primary, q{SELECT cachex.put('c', 'put', '1')}), 't', 'and puts');
catch_up();

is(one($standby, 'SELECT pg_is_in_recovery()'), 't', 'the standby is one');
is(one($standby, $fetch), '1', 'standby: a fetch computes');
$primary->safe_psql('postgres', 'UPDATE t SET v = 2');
catch_up();
is(one($standby, $fetch), '2', 'standby: and does so again when the table has changed');
is(one($standby, q{SELECT cachex.fetch_as('c', 'k', 0, 'SELECT v FROM t'),
		(SELECT value FROM cachex.fetch_many('c', '{1}', 'SELECT k::text AS key, v AS value FROM t'))}),
	'2|2', 'standby: so do fetch_as and fetch_many');
is(one($standby, q{SELECT cachex.get('c', 'k') IS NULL, cachex.get('c', 'put', '7'),
		(cachex.lookup('c', 'put')).status, cachex.get_as('c', 'put', 8)}),
	't|7|miss|8', 'standby: a get misses');
my ($status, $out, $err) = $standby->psql('postgres',
	q{SELECT cachex.fetch('c', 'k', 'SELECT 1', mode => 'cached')});
like($err, qr/cache miss/, 'standby: a fetch that may not load says cache miss');

foreach my $call (q{put('c', 'k', '1')}, q{put('c', 'k', '1', only_if => 'absent')},
	q{put_many('c', '{"a": 1}')}, q{update('c', 'k', '$1', initial => '1')},
	q{push('c', 'k', '1')}, q{incr('c', 'k')}, q{take('c', 'k')}, q{touch('c', 'k')},
	q{invalidate('c', 'k')}, q{invalidate_tags('{t}')}, q{invalidate_like('c', '%')},
	q{clear('c')}, q{clear()}, q{create_cache('d')}, q{alter_cache('c', '{"ttl": "1 s"}')},
	q{drop_cache('c')})
{
	($status, $out, $err) = $standby->psql('postgres', "SELECT cachex.$call");
	my ($name) = $call =~ /^(\w+)/;
	like($err, qr/ERROR: +cannot execute cachex\.$name\(\) (during recovery|in a read-only transaction)/,
		"standby: $call is an error");
}
is(one($standby, q{SELECT count(*), sum(entries), sum(fills), sum(puts) FROM cachex.stats}),
	'3|0|0|0', 'standby: statistics can be read, nothing is kept');
is(one($standby, q{SELECT count(*) FROM cachex.entries()}), '0', 'standby: no entries');
is(one($standby, q{SELECT cachex.purge(), (cachex.memory()).used}), '0|0', 'standby: purge and memory');
is(one($standby, q{SELECT count(*) FROM cachex.caches}), '3', 'standby: the caches are there');

# Changes of the caches on the primary arrive, also in a session that is open.
my $session = session($standby);
$session->must($fetch);
$primary->safe_psql('postgres', q{SELECT cachex.create_cache('new', consistency => 'ttl');
	SELECT cachex.drop_cache('c')});
catch_up();
is($session->must(q{SELECT cachex.fetch('new', 'k', 'SELECT v AS value FROM t')}), '2',
	'standby: a cache that the primary has created');
$session->query($fetch);
like($session->error, qr/cache "c" does not exist/, 'standby: one that it has dropped');

# A snapshot of the time before the promotion.
$session->must(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM t});

$standby->promote;
my $new = q{SELECT cachex.fetch('new', 'k', 'SELECT v AS value FROM t')};
is($session->must($new), '2', 'promoted: a snapshot of before computes');
my $writer = session($standby);
$writer->must(q{BEGIN; UPDATE t SET v = 3; SELECT cachex.invalidate('new', 'k'); COMMIT});
is($writer->must($new), '3', 'promoted: a new snapshot sees the new value');
is($session->must($new), '2', 'promoted: the old one does not');
is($writer->must($new), '3', 'promoted: the new one still does');
$session->must('COMMIT');
is($session->must($new), '3', 'promoted: then the session does too');
my $hits = one($standby, q{SELECT hits FROM cachex.stats WHERE cache = 'new'});
$writer->must($new) for 1 .. 3;
cmp_ok(one($standby, q{SELECT hits FROM cachex.stats WHERE cache = 'new'}), '>', $hits,
	'promoted: there are hits');
is($writer->must(q{SELECT cachex.put('new', 'p', '1'); SELECT cachex.get('new', 'p');
		SELECT cachex.incr('new', 'i'); SELECT cachex.create_cache('more', consistency => 'ttl');
		SELECT cachex.put('more', 'p', '1')}), "t\n1\n1\n\nt", 'promoted: everything else works');
$_->close foreach $session, $writer;

is_idle_and_consistent($standby, 'promoted');
never_crashed($_) foreach $primary, $standby;
$standby->stop;
$primary->stop;

done_testing();
