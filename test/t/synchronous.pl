# cachex.synchronous beside others: writers of different rows of one key, each
# of whom has it computed again at once. What a reader finds is what his
# snapshot shows, or nothing.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CachexTest;
use Test::More;

my $seconds = run_seconds(6);
my $node = start_server('synchronous');
one($node, $_) foreach (
	'CREATE TABLE t (id int PRIMARY KEY, k int, n int)',
	'INSERT INTO t SELECT i, i % 3, 0 FROM generate_series(1, 30) AS i',
	q{CREATE FUNCTION load(key text) RETURNS text LANGUAGE sql STABLE
	  AS 'SELECT string_agg(n::text, '' '' ORDER BY id) FROM public.t WHERE k = key::int'},
	q{SELECT cachex.create_cache('c', consistency => 'ttl', loader => 'load(text)')},
	q{SELECT cachex.watch('t', 'c', '{<k>}', action => 'refresh')},
	q{CREATE FUNCTION judge(key text) RETURNS int STABLE LANGUAGE plpgsql AS $$
	  DECLARE
		found text := cachex.get('c', key) #>> '{}';
	  BEGIN
		IF found <> load(key) THEN
			RAISE EXCEPTION 'key %: found %, not %', key, found, load(key);
		END IF;
		RETURN (found IS NOT NULL)::int;
	  END $$},
	q{SELECT cachex.fetch('c', k::text) FROM generate_series(0, 2) AS k});

my $pick = "\\set id random(1, 30)\n\\set k random(0, 2)\n";
my $judge = "SELECT judge(:k::text);\n";
my $writers = pgbench_start($node, clients => 4, seconds => $seconds,
	options => [ '-R', 250 ], scripts => [
		[ 4, "SET cachex.synchronous = on;\n${pick}UPDATE t SET n = n + 1 WHERE id = :id;\n$judge" ],
		[ 2, "SET cachex.synchronous = on;\n${pick}BEGIN;\nUPDATE t SET n = n + 1 WHERE id = :id;\n${judge}\\sleep 2 ms\n${judge}COMMIT;\n$judge" ],
		[ 1, "SET cachex.synchronous = on;\n${pick}BEGIN;\nUPDATE t SET n = n + 1 WHERE id = :id;\nROLLBACK;\n$judge" ],
		[ 1, "SET cachex.synchronous = off;\n${pick}BEGIN;\nUPDATE t SET n = n + 1 WHERE id = :id;\n\\sleep 1 ms\nCOMMIT;\n$judge" ] ]);
my $readers = pgbench($node, clients => 3, seconds => $seconds, scripts => [
	[ 4, $pick . $judge ],
	[ 1, "${pick}BEGIN ISOLATION LEVEL REPEATABLE READ;\n${judge}\\sleep 3 ms\n${judge}COMMIT;\n" ] ]);
pgbench_wait($writers);
is($_->{err} =~ /(ERROR.*)/ ? $1 : '', '', 'what is there is right') foreach ($readers, $writers);
cmp_ok($readers->{transactions}, '>', 500, "$readers->{transactions} times");
cmp_ok($writers->{transactions}, '>', 200, "beside $writers->{transactions} transactions");
my ($puts, $doubt, $hits) = split /\|/, one($node, q{SELECT puts, refused_doubt, hits FROM cachex.stats WHERE cache = 'c'});
cmp_ok($puts, '>', 50, "$puts times what a writer had computed was there at his commit");
cmp_ok($doubt, '>', 0, "$doubt times it was given up");
cmp_ok($hits, '>', 50, "$hits times it was found");

# who is alone has what he changed
one($node, "SET cachex.synchronous = on; UPDATE t SET n = n + 1 WHERE k = $_") foreach (0 .. 2);
is(one($node, 'SELECT sum(judge(k::text)) FROM generate_series(0, 2) AS k'), '3', 'who is alone finds what he has changed');

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
