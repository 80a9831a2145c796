
# Exact caches over tables that a subscription writes to: the apply worker
# fires row triggers only, the initial copy and TRUNCATE fire statement triggers.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $publisher = new_server('publisher', { allows_streaming => 'logical' });
$publisher->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$publisher->start;
my $node = start_server('subscriber', { allows_streaming => 'logical' },
	'max_prepared_transactions = 10', 'cachex.memory = 16MB');

my @plain = qw(before after copied twophase noticed);
foreach my $table (@plain)
{
	$_->safe_psql('postgres', "CREATE TABLE $table (k int PRIMARY KEY, v int)")
	  foreach $publisher, $node;
}
$publisher->safe_psql('postgres', q{
	CREATE TABLE part (k int PRIMARY KEY, v int);
	CREATE TABLE tree (k int PRIMARY KEY, v int) PARTITION BY RANGE (k);
	CREATE TABLE tree1 PARTITION OF tree FOR VALUES FROM (0) TO (100);
	CREATE TABLE tree2 PARTITION OF tree FOR VALUES FROM (100) TO (200);
	CREATE TABLE parent (k int PRIMARY KEY, v int);
	INSERT INTO before VALUES (1, 1);
	INSERT INTO copied VALUES (1, 1), (2, 2)});
$node->safe_psql('postgres', q{
	CREATE TABLE part (k int PRIMARY KEY, v int) PARTITION BY RANGE (k);
	CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100);
	CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (k);
	CREATE TABLE part2a PARTITION OF part2 FOR VALUES FROM (100) TO (150);
	CREATE TABLE part2b PARTITION OF part2 FOR VALUES FROM (150) TO (200);
	CREATE TABLE tree (k int PRIMARY KEY, v int) PARTITION BY RANGE (k);
	CREATE TABLE tree1 PARTITION OF tree FOR VALUES FROM (0) TO (100);
	CREATE TABLE tree2 PARTITION OF tree FOR VALUES FROM (100) TO (200);
	CREATE TABLE parent (k int PRIMARY KEY, v int);
	CREATE TABLE child (PRIMARY KEY (k)) INHERITS (parent);
	INSERT INTO child VALUES (1000, 1000)});

my $reader = session($node);
my $old = session($node);

sub both
{
	my $query = shift;
	return qq{SELECT cachex.fetch('queries', md5('$query'), '$query'), ($query)};
}

sub sum_of
{
	return "SELECT coalesce(sum(v), 0) FROM $_[0]";
}

sub hits
{
	return $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'});
}

sub says
{
	my ($table, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($reader->must(both(sum_of($table))), "$want|$want", $name);
}

# The first answer may be what settles a change; the two after it are hits.
sub hits_of_two
{
	my ($table) = @_;
	my $ask = both(sum_of($table));
	$reader->must($ask);
	my $before = hits();
	$reader->must($ask) for 1 .. 2;
	return hits() - $before;
}

sub replicate
{
	my ($sql, $subscription) = @_;
	$publisher->safe_psql('postgres', $sql);
	$publisher->wait_for_catchup($subscription // 'main');
	return;
}

# A change on the publisher; an entry that is in use before it; an old
# snapshot.
sub follows
{
	my ($table, $sql, $want, $name, $subscription) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ask = both(sum_of($table));
	is(hits_of_two($table), 2, "$name: hits before it");
	my $before = $reader->must($ask);
	# a lock on the table would keep a replicated TRUNCATE waiting
	my $keep = $sql !~ /TRUNCATE/;
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class') if $keep;
	replicate($sql, $subscription);
	says($table, $want, "$name: right after it");
	is($old->must($ask), $before, "$name: an old snapshot does not see it") if $keep;
	says($table, $want, "$name: and again");
	$old->must('COMMIT') if $keep;
	is(hits_of_two($table), 2, "$name: then there are hits");
	return;
}

$node->safe_psql('postgres', qq{SELECT cachex.watch(r) FROM unnest('{copied, after}'::regclass[]) r});
is(hits_of_two($_), 2, "$_: watched and empty, it is kept") foreach 'copied', 'after';
is(hits_of_two('before'), 0, 'before: not watched, it is not');

# ---- subscription to tables of which some are watched ----

$publisher->safe_psql('postgres', q{
	CREATE PUBLICATION main FOR TABLE before, after, copied, part, parent;
	CREATE PUBLICATION leaves FOR TABLE tree;
	CREATE PUBLICATION two FOR TABLE twophase});
my $connstr = $publisher->connstr('postgres') =~ s/'/''/gr;
$node->safe_psql('postgres',
	"CREATE SUBSCRIPTION main CONNECTION '$connstr' PUBLICATION main, leaves");
$node->safe_psql('postgres',
	"CREATE SUBSCRIPTION two CONNECTION '$connstr' PUBLICATION two WITH (two_phase = true)");
$node->wait_for_subscription_sync($publisher, 'main');
$node->wait_for_subscription_sync($publisher, 'two');
# only then transactions arrive when they are prepared
$node->poll_query_until('postgres', q{SELECT subtwophasestate = 'e' FROM pg_subscription WHERE subname = 'two'})
  or die 'two_phase is not in effect';
says('copied', 3, 'the initial copy is seen');
says('after', 0, 'nothing was copied');
is(hits_of_two($_), 0, "$_: no longer watched since there is a subscription")
  foreach 'copied', 'after';
replicate('INSERT INTO copied VALUES (3, 3); INSERT INTO after VALUES (1, 1)');
says('copied', 6, 'copied: right while it is not watched');
says('after', 1, 'after: likewise');

$node->safe_psql('postgres', q{SELECT cachex.watch(r)
	FROM unnest('{before, after, copied, part, tree, parent, twophase}'::regclass[]) r});

# ---- a plain table ----

foreach my $table ('before', 'after')
{
	$publisher->safe_psql('postgres', "TRUNCATE $table");
	replicate("INSERT INTO $table VALUES (1, 1)");
	follows($table, "INSERT INTO $table VALUES (2, 2)", 3, "$table: INSERT");
	follows($table, "UPDATE $table SET v = v + 10", 23, "$table: UPDATE");
	follows($table, "UPDATE $table SET k = k + 10, v = v + 10", 43, "$table: UPDATE of the key");
	follows($table, "DELETE FROM $table WHERE k = 11", 22, "$table: DELETE");
	follows($table, "BEGIN; SAVEPOINT a; INSERT INTO $table VALUES (20, 20);
		ROLLBACK TO a; INSERT INTO $table VALUES (21, 21); END", 43, "$table: savepoint");
	follows($table, "TRUNCATE $table", 0, "$table: TRUNCATE");
	$node->safe_psql('postgres', "INSERT INTO $table VALUES (50, 50)");
	says($table, 50, "$table: a write of the subscriber's own");
	follows($table, "INSERT INTO $table VALUES (1, 1)", 51, "$table: INSERT beside it");
}

# ---- a partitioned target, read at the root, in the middle and at a leaf ----

foreach my $read ('part', 'part2', 'part2a')
{
	my $in = $read eq 'part' ? 1 : 0;	# part1 counts
	replicate('DELETE FROM part; INSERT INTO part VALUES (1, 1), (110, 10), (160, 100)');
	my $b = $read eq 'part2a' ? 0 : 1;	# part2b counts
	my $all = $in + 10 + 100 * $b;
	says($read, $all, "$read: to begin with");
	follows($read, 'INSERT INTO part VALUES (120, 20)', $all += 20, "$read: INSERT");
	follows($read, 'UPDATE part SET v = v + 1 WHERE k = 110', $all += 1, "$read: UPDATE");
	follows($read, 'UPDATE part SET k = 2 WHERE k = 120', $all -= $in ? 0 : 20,
		"$read: a row that moves away");
	follows($read, 'UPDATE part SET k = 130 WHERE k = 2', $all += $in ? 0 : 20,
		"$read: a row that moves here");
	follows($read, 'DELETE FROM part WHERE k = 130', $all -= 20, "$read: DELETE");
	follows($read, 'TRUNCATE part', 0, "$read: TRUNCATE");
}

# partitions that come later
foreach my $how ('CREATE TABLE part3 PARTITION OF part FOR VALUES FROM (200) TO (300)',
	'CREATE TABLE part4 (k int PRIMARY KEY, v int);
	 ALTER TABLE part ATTACH PARTITION part4 FOR VALUES FROM (300) TO (400)')
{
	my ($leaf, $k) = $how =~ /(part\d) .*FROM \((\d+)/s;
	replicate('TRUNCATE part');
	$node->safe_psql('postgres', $how);
	follows('part', "INSERT INTO part VALUES ($k, 1)", 1, "$leaf, new: INSERT, at the root");
	follows($leaf, "UPDATE part SET v = 2", 2, "$leaf, new: UPDATE, at the leaf");
	follows('part', "DELETE FROM part", 0, "$leaf, new: DELETE, at the root");
}
# and go
follows('part', 'INSERT INTO part VALUES (310, 1), (1, 2)', 3, 'before DETACH');
$node->safe_psql('postgres', 'ALTER TABLE part DETACH PARTITION part4');
says('part', 2, 'DETACH');
says('part4', 1, 'what was detached');

# a subscription that writes to the leaves themselves
foreach my $read ('tree', 'tree1')
{
	replicate('DELETE FROM tree; INSERT INTO tree VALUES (1, 1)');
	follows($read, 'INSERT INTO tree VALUES (2, 2)', 3, "$read, leaves are subscribed: INSERT");
	follows($read, 'UPDATE tree SET v = v + 1', 5, "$read, leaves are subscribed: UPDATE");
	follows($read, 'DELETE FROM tree WHERE k = 1', 3, "$read, leaves are subscribed: DELETE");
	follows($read, 'TRUNCATE tree', 0, "$read, leaves are subscribed: TRUNCATE");
}

# ---- a table with a child, which the subscription does not write to ----

replicate('INSERT INTO parent VALUES (1, 1)');
says('parent', 1001, 'parent and child');
follows('parent', 'UPDATE parent SET v = 2', 1002, 'parent: UPDATE');
$node->safe_psql('postgres', 'UPDATE child SET v = 1001');
says('parent', 1003, 'child: UPDATE');

# ---- prepared transactions that arrive as such ----

$publisher->safe_psql('postgres', 'INSERT INTO twophase VALUES (1, 1)');
$publisher->wait_for_catchup('two');
says('twophase', 1, 'two-phase: to begin with');
foreach my $end ('COMMIT', 'ROLLBACK')
{
	my $v = $end eq 'COMMIT' ? 1 : 11;
	is(hits_of_two('twophase'), 2, "two-phase, $end: hits before");
	$publisher->safe_psql('postgres', "BEGIN; UPDATE twophase SET v = v + 10; PREPARE TRANSACTION 'p'");
	$publisher->wait_for_catchup('two');
	is($reader->must('SELECT count(*) FROM pg_prepared_xacts'), 1, "two-phase, $end: it has arrived");
	says('twophase', $v, "two-phase, $end: not seen yet");
	is(hits_of_two('twophase'), 2, "two-phase, $end: hits while it is prepared");
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM twophase');
	$publisher->safe_psql('postgres', "$end PREPARED 'p'");
	$publisher->wait_for_catchup('two');
	is($old->must(both(sum_of('twophase'))), "$v|$v", "two-phase, $end: an old snapshot");
	says('twophase', 11, "two-phase, $end: at the end");
	is($old->must(both(sum_of('twophase'))), "$v|$v", "two-phase, $end: an old snapshot again");
	$old->must('COMMIT');
	is(hits_of_two('twophase'), 2, "two-phase, $end: then there are hits");
}

# ---- another table for the subscription, watched for long ----

$node->safe_psql('postgres', q{SELECT cachex.watch('noticed')});
is(hits_of_two('noticed'), 2, 'noticed: watched');
$publisher->safe_psql('postgres', q{INSERT INTO noticed VALUES (1, 1);
	ALTER PUBLICATION main ADD TABLE noticed});
$node->safe_psql('postgres', 'ALTER SUBSCRIPTION main REFRESH PUBLICATION');
$node->wait_for_subscription_sync($publisher, 'main');
says('noticed', 1, 'noticed: copied');
replicate('INSERT INTO noticed VALUES (2, 2)');
says('noticed', 3, 'noticed: replicated into');
is(hits_of_two('noticed'), 0, 'noticed: no longer kept');
$node->safe_psql('postgres', q{SELECT cachex.watch('noticed')});
follows('noticed', 'INSERT INTO noticed VALUES (3, 3)', 6, 'noticed: watched anew');

# A trigger that is switched off in the worker.
$node->safe_psql('postgres', 'ALTER TABLE noticed DISABLE TRIGGER cachex_watch_apply');
is(hits_of_two('noticed'), 0, 'noticed: without its row trigger it is not kept');
replicate('INSERT INTO noticed VALUES (4, 4)');
says('noticed', 10, 'noticed: right without its row trigger');
$node->safe_psql('postgres', 'ALTER TABLE noticed ENABLE TRIGGER cachex_watch_apply');
replicate('INSERT INTO noticed VALUES (5, 5)');
says('noticed', 15, 'noticed: right with a row trigger for other sessions');
is(hits_of_two('noticed'), 0, 'noticed: which is not enough');
$node->safe_psql('postgres', 'ALTER TABLE noticed ENABLE REPLICA TRIGGER cachex_watch_apply');
follows('noticed', 'INSERT INTO noticed VALUES (6, 6)', 21, 'noticed: the trigger is back');

# Without the subscription its trigger does no harm.
$node->safe_psql('postgres', 'DROP SUBSCRIPTION two');
$node->safe_psql('postgres', 'UPDATE twophase SET v = 12');
says('twophase', 12, 'after DROP SUBSCRIPTION');
is(hits_of_two('twophase'), 2, 'after DROP SUBSCRIPTION there are hits');

# ---- triggers of the subscriber's own that use the cache in the worker ----

# "a_" comes before ours, "z_" after it; both see the row that is applied.
$node->safe_psql('postgres', q{
	CREATE TABLE seen (name text, cached text, direct text);
	CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.seen SELECT TG_NAME,
			cachex.fetch('queries', md5('SELECT coalesce(sum(v), 0) FROM public.after'),
				'SELECT coalesce(sum(v), 0) FROM public.after'),
			(SELECT coalesce(sum(v), 0) FROM public.after);
		RETURN NEW;
	END $$;
	CREATE TRIGGER a_look AFTER INSERT ON after FOR EACH ROW EXECUTE FUNCTION look();
	CREATE TRIGGER b_look BEFORE INSERT ON after FOR EACH ROW EXECUTE FUNCTION look();
	CREATE TRIGGER z_look AFTER INSERT ON after FOR EACH ROW EXECUTE FUNCTION look();
	ALTER TABLE after ENABLE REPLICA TRIGGER a_look;
	ALTER TABLE after ENABLE REPLICA TRIGGER b_look;
	ALTER TABLE after ENABLE REPLICA TRIGGER z_look;
	DELETE FROM after});
is(hits_of_two('after'), 2, 'own triggers: hits before');
replicate('BEGIN; INSERT INTO after VALUES (101, 1); INSERT INTO after VALUES (102, 2); END');
is($reader->must(q{SELECT name, cached, direct FROM seen ORDER BY ctid}),
	"b_look|0|0\na_look|1|1\nz_look|1|1\nb_look|1|1\na_look|3|3\nz_look|3|3",
	'own triggers: each sees what is there');
says('after', 3, 'own triggers: right afterwards');


# What the worker had not committed, and takes back, nobody is served.  The
# entry is the worker's own, so it needs the worker's search_path.
$node->safe_psql('postgres', q{DROP TRIGGER b_look ON after;
	TRUNCATE after; INSERT INTO after VALUES (202, 0)});
$reader->must(q{SELECT set_config('search_path', '', false)});
$publisher->safe_psql('postgres',
	'BEGIN; INSERT INTO after VALUES (201, 100); INSERT INTO after VALUES (202, 100); END');
$node->wait_for_log(qr/duplicate key value violates unique constraint "after_pkey"|conflict detected on relation "public.after"/);
says('public.after', 0, 'own triggers: what the worker took back is not seen');
$node->safe_psql('postgres', 'DELETE FROM after WHERE k = 202');
$publisher->wait_for_catchup('main');
says('public.after', 200, 'own triggers: the second time it goes through');

$_->close foreach $reader, $old;
$node->safe_psql('postgres', 'DROP SUBSCRIPTION main');
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;
$publisher->stop;

done_testing();
