# What a transaction has put or changed while others invalidate, put or revoke
# between its statement and its commit: the same with entries of a table, after
# own invalidations, beside prepared transactions.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('beside', 'max_prepared_transactions = 5', 'cachex.memory = 16MB');
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl'),
		cachex.create_cache('stored', consistency => 'ttl', persist => 'table');
	CREATE TABLE rows (id int PRIMARY KEY, v int);
	CREATE TABLE secret (n int);
	INSERT INTO secret VALUES (42);
	SELECT cachex.watch('rows', c, keys => '{rows:<id>}', action => 'put') FROM unnest('{c,stored}'::text[]) AS c;
	CREATE ROLE app;
	GRANT INSERT, SELECT ON rows TO app;
	GRANT SELECT ON secret TO app;
	SELECT cachex.grant_cache(c, 'app', p) FROM unnest('{c,stored}'::text[]) AS c, unnest('{read,write}'::text[]) AS p});
my ($writer, $other, $reader);
sub connect_all { ($writer, $other, $reader) = map { session($node) } 1 .. 3; return; }
connect_all();
sub value { return $reader->must("SELECT coalesce(cachex.get('$_[0]', '$_[1]') #>> '{}', 'none')"); }

# ---- atomic changes after an own invalidation of something else ----

# Of what is in memory, in the table only, nowhere.
$writer->must(q{SELECT cachex.put('stored', 'n' || i, '5') FROM generate_series(1, 4) AS i});
$_->close foreach $writer, $other, $reader;
$node->restart;
connect_all();
$writer->must(q{SELECT cachex.put('c', 'n' || i, '5') FROM generate_series(1, 4) AS i});
my $n = 0;
foreach my $cache ('stored', 'c')
{
	foreach my $key (1 .. 4, 11 .. 14)
	{
		my $first = $key % 2 ? q{SELECT cachex.invalidate('c', 'another')} : 'SELECT 1';
		my $put = $key % 10 > 2;
		my $name = "incr of $cache n$key after \"$first\", " . ($put ? 'put' : 'invalidated') . ' meanwhile';
		$writer->must("BEGIN; $first; SELECT cachex.incr('$cache', 'n$key')");
		$other->must($put ? "SELECT cachex.put('$cache', 'n$key', '100')" : "SELECT cachex.invalidate('$cache', 'n$key')");
		$writer->must('COMMIT');
		# who starts from nothing may come after an invalidation
		my $left = value($cache, "n$key");
		ok($left eq 'none' || $left eq '100' || ($key > 10 && !$put && $left eq '1'), $name) or diag($left);
	}
	$writer->must("BEGIN; SELECT cachex.put('$cache', 'own', '7'), cachex.invalidate('$cache', 'own'), cachex.incr('$cache', 'own'); COMMIT");
	is(value($cache, 'own'), '1', "in $cache, after an own invalidation of the key: from nothing");
	$writer->must("BEGIN; SELECT cachex.invalidate('c', 'another'), cachex.incr('$cache', 'own'); COMMIT");
	is(value($cache, 'own'), '2', 'after one of another key: from what is there');
}

# ---- rows that are put, and privileges that go meanwhile ----

my $revoke = 'REVOKE SELECT ON rows FROM app';
my $own = q{SELECT concat_ws(' ', cachex.get('c', 'rows:%1$d') ->> 'v', cachex.get('stored', 'rows:%1$d') ->> 'v')};
$writer->must('SET ROLE app');
$writer->must('BEGIN; INSERT INTO rows VALUES (1, 1)');
is($writer->must(sprintf($own, 1)), '1 1', 'an own row');
$other->must($revoke);
is($writer->must(sprintf($own, 1)), '', 'is not shown to a role that may not read the table any more');
$writer->must('COMMIT');
is($writer->must(sprintf($own, 1)), '', 'nor after the commit');
$other->must('GRANT SELECT ON rows TO app');

# The same with what was loaded.
foreach my $cache ('c', 'stored')
{
	$writer->must("SELECT cachex.fetch('$cache', 'secret', 'SELECT n FROM secret')");
	$writer->must("BEGIN; SELECT cachex.touch('$cache', 'secret', ttl => '1 day')");
	is($writer->must("SELECT cachex.get('$cache', 'secret')"), '42', "$cache: touched");
	$other->must('REVOKE SELECT ON secret FROM app');
	is($writer->must("SELECT cachex.get('$cache', 'secret')"), '', 'the privilege goes');
	$writer->must('COMMIT');
	is($writer->must("SELECT cachex.get('$cache', 'secret')"), '', 'nor after the commit');
	$other->must('GRANT SELECT ON secret TO app');
}

# A row waits for a cast when it was asked already who may read the table.
$other->must(q{
	CREATE TYPE slow AS ENUM ('1');
	CREATE FUNCTION slow_json(slow) RETURNS json VOLATILE LANGUAGE plpgsql
	AS 'BEGIN PERFORM pg_advisory_lock_shared(77); PERFORM pg_advisory_unlock_shared(77); RETURN ''1''; END';
	CREATE CAST (slow AS json) WITH FUNCTION slow_json(slow) AS ASSIGNMENT;
	CREATE TABLE slow_rows (id int PRIMARY KEY, s slow);
	SELECT cachex.watch('slow_rows', 'c', keys => '{slow:<id>}', action => 'put');
	GRANT INSERT, SELECT ON slow_rows TO app;
	SELECT pg_advisory_lock(77)});
$writer->must('BEGIN');
$writer->send(q{INSERT INTO slow_rows VALUES (1, '1')});
until_true($reader, q{EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)});
$other->must('REVOKE SELECT ON slow_rows FROM app; SELECT pg_advisory_unlock(77)');
$writer->receive;
is($writer->must(q{SELECT cachex.get('c', 'slow:1')}), '', 'a privilege that goes while a row is made');
$writer->must('COMMIT; RESET ROLE');
is($reader->must(q{SET ROLE app; SELECT cachex.get('c', 'slow:1')}), '', 'after the commit');
$reader->must('RESET ROLE');

# ---- beside prepared transactions, nothing is lost for nothing ----

my $rows = q{INSERT INTO rows SELECT i, i FROM generate_series(%1$d, %1$d + 399) AS i};
my $there = q{SELECT count(*) FROM cachex.stored_entry WHERE key LIKE 'rows:%s____'};
$other->must(q{BEGIN; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; PREPARE TRANSACTION 'p'});
$writer->must(sprintf($rows, 10000));
until_true($reader, '(' . sprintf($there, 1) . ') = 400');
pass('rows are stored beside prepared definitions');
$other->must(q{ROLLBACK PREPARED 'p'});
$writer->must('BEGIN; CREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$SELECT 1$$; ' . sprintf($rows, 20000) . '; COMMIT');
until_true($reader, '(' . sprintf($there, 2) . ') = 400');
pass('and beside own ones');
$other->must(q{BEGIN; SELECT cachex.invalidate_like('c', 'nothing%'); PREPARE TRANSACTION 'p'});
my $many = q{SELECT count(cachex.put('c', '%1$s' || i, '1')) FROM generate_series(1, 5000) AS i};
my $count = q{SELECT count(cachex.get('c', '%1$s' || i)) FROM generate_series(1, 5000) AS i};
$other->must(q{SELECT cachex.reset_stats('c')});
$writer->must(sprintf($many, 'beside'));
cmp_ok($reader->must(q{SELECT refused_doubt FROM cachex.stats WHERE cache = 'c'}), '<', 100, 'puts beside a prepared pattern are not given up');
$other->must(q{ROLLBACK PREPARED 'p'});
$writer->must(sprintf($many, 'after'));
cmp_ok($reader->must(sprintf($count, 'after')), '>', 4900, 'nor after it');
my %ends = (
	key => q{SELECT cachex.invalidate('c', 'k')},
	tag => q{SELECT cachex.invalidate_tags('{a}')},
	scope => q{SELECT cachex.clear('c', scope => 's')},
	cache => q{SELECT cachex.clear('c')},
	pattern => q{SELECT cachex.invalidate_like('c', 'k%')});
foreach my $what (sort keys %ends)
{
	foreach my $end ('COMMIT', 'ROLLBACK')
	{
		$other->must("BEGIN; $ends{$what}; PREPARE TRANSACTION 'p'; $end PREPARED 'p'");
		$writer->must(q{SELECT cachex.put('c', 'k', '"there"', tags => '{a}', scope => 's')});
		is($reader->must(q{SELECT cachex.get('c', 'k', scope => 's') #>> '{}'}), 'there', "a put after $end PREPARED of a $what");
	}
}

$_->close foreach $writer, $other, $reader;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
done_testing();
