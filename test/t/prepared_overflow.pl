
# More changes in prepared transactions than there are places for: which of the
# entries hang on those that found none is not known, so all end that may, in
# the caches that everybody may change as in others.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('overflow', 'cachex.memory = 8MB', 'max_prepared_transactions = 10');
$node->safe_psql('postgres', q{
	CREATE TABLE t (v int);
	INSERT INTO t VALUES (1);
	SELECT cachex.watch('t');
	SELECT cachex.create_cache('exact'), cachex.create_cache('ttl', consistency => 'ttl')});
my $s = session($node);
my $r = session($node);

sub fill
{
	$s->must(q{SELECT cachex.fetch(c, 'k', 'SELECT v FROM t') FROM unnest('{exact,queries}'::text[]) AS c});
	$s->must(q{SELECT cachex.put(c, 'k', '"old"', tags => '{x}') FROM unnest('{ttl,default}'::text[]) AS c});
	return;
}

# Prepares four transactions that fill all lines; the first one runs $first.
sub fill_lines
{
	my ($first) = @_;
	foreach my $n (1 .. 4)
	{
		$s->must("BEGIN; SELECT cachex.invalidate_tags(array_agg('a$n' || i)) FROM generate_series(1, 20000) AS i; "
			  . ($n == 1 ? $first : '') . "; PREPARE TRANSACTION 'p$n'");
	}
	return;
}

sub is_right
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $session ($s, $r)
	{
		is($session->must(q{SELECT string_agg(DISTINCT (cachex.fetch(c, 'k', 'SELECT v FROM t'))::text, ',') = (SELECT v::text FROM t)
				FROM unnest('{exact,queries}'::text[]) AS c}), 't', "$name: what is fetched is what is there");
		is($session->must(q{SELECT count(cachex.get(c, 'k')) FROM unnest('{ttl,default}'::text[]) AS c}), '0',
			"$name: what a tag has ended is gone");
	}
	return;
}

# ---- a change that finds no place ----

fill();
fill_lines('');
cmp_ok($s->must('SELECT prepared FROM cachex.memory()'), '>', 1000, 'the lines are full');
$s->must(q{BEGIN; UPDATE t SET v = v + 1; SELECT cachex.invalidate_tags('{x}'); PREPARE TRANSACTION 'p5'});
$s->must("COMMIT PREPARED 'p$_'") foreach 1 .. 5;
is_right('found no place');

# ---- one that has a place, which somebody else wants ----

fill();
fill_lines(q{UPDATE t SET v = v + 1; SELECT cachex.invalidate_tags('{x}')});
$s->must("COMMIT PREPARED 'p$_'") foreach 1 .. 4;
$s->must(q{SELECT cachex.invalidate_tags(array_agg('b' || i)) FROM generate_series(1, 30000) AS i});
is_right('has lost its place');

$_->close foreach $s, $r;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
