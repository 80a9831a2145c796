
# The hashes of all keys, scopes, tags and caches are the same: the identity of
# an entry is compared in full, so nobody gets another one's; what ends one entry
# ends others as well, and a put does. The library is built for that.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my @settings = variant('CX_BUG=9');
plan skip_all => 'this server loads libraries from its own directories only' unless @settings;
my $node = start_server('equal', 'cachex.memory = 16MB', 'max_prepared_transactions = 2', @settings);
my @roles = qw(anna bert cleo);

$node->safe_psql('postgres', q{
	CREATE TABLE t (id int PRIMARY KEY, v text);
	INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) AS i;
	SELECT cachex.watch('t');
	SELECT cachex.create_cache('a', consistency => 'ttl');
	SELECT cachex.create_cache('b', consistency => 'ttl');
	SELECT cachex.create_cache('exact');
	SELECT cachex.create_cache('few', consistency => 'ttl', max_entries_per_scope => 3);
	CREATE TABLE asked (cache text, key text, scope text, role text, got jsonb)
});
foreach my $role (@roles)
{
	$node->safe_psql('postgres', qq{
		CREATE ROLE $role;
		GRANT SELECT ON t TO $role;
		GRANT SELECT, INSERT ON asked TO $role;
		SELECT cachex.grant_cache(c, '$role', p) FROM unnest('{a,b,exact,few}'::text[]) AS c, unnest('{read,write}'::text[]) AS p});
}
my $s = session($node);

# What a value says of itself: whose it is.
my $value = q{jsonb_build_array(cache, key, scope, current_user)};
my $all = q{unnest('{a,b}'::text[]) AS cache, (SELECT 'k' || i AS key FROM generate_series(1, 30) AS i) AS k,
	unnest('{NULL,s,t,u}'::text[]) AS scope};

# Puts all, or asks for all, as each role.
sub as_each
{
	my ($sql) = @_;
	$s->must("SET ROLE $_; $sql; RESET ROLE") foreach @roles;
	return;
}

sub ask_all
{
	$s->must('TRUNCATE asked');
	as_each("INSERT INTO asked SELECT cache, key, scope, current_user, cachex.get(cache, key, scope => scope) FROM $all");
	return;
}

my $wrong = q{SELECT count(*) FROM asked WHERE got <> jsonb_build_array(cache, key, scope, role)};

# ---- whose is it ----

my $fill = "SELECT count(cachex.fetch(cache, key, 'SELECT \$1::jsonb AS value', ARRAY[$value\::text], scope => scope,"
  . " tags => ARRAY['tag' || key])) FROM $all";
as_each($fill);
ask_all();
is($s->must('SELECT count(*), count(got) FROM asked'), '720|720', 'each entry is there');
is($s->must($wrong), 0, 'and is what was stored under its name');
is($s->must(q{SELECT count(*) FROM cachex.entries() WHERE status = 'hit'}), 720, 'none has replaced another');

# ---- what ends one ----

foreach my $change (
	[ q{cachex.invalidate('a', 'k7')}, q{cache = 'a' AND key = 'k7'} ],
	[ q{cachex.invalidate('a', 'k8', scope => 's')}, q{cache = 'a' AND key = 'k8' AND scope = 's'} ],
	[ q{cachex.invalidate_tags('{tagk9}')}, q{key = 'k9'} ],
	[ q{cachex.clear('b', scope => 't')}, q{cache = 'b' AND scope = 't'} ],
	[ q{cachex.invalidate_like('a', 'k1%')}, q{cache = 'a' AND key LIKE 'k1%'} ],
	[ q{cachex.clear('b')}, q{cache = 'b'} ])
{
	my ($call, $ends) = @$change;
	as_each($fill);
	ask_all();
	is($s->must("SELECT count(got) > 0 AND count(got) = count(*) FROM asked WHERE $ends"), 't', "$call: is there before");
	$s->must("SELECT $call");
	ask_all();
	is($s->must("SELECT count(got) FROM asked WHERE $ends"), 0, "$call: is gone");
	is($s->must($wrong), 0, "$call: what is left is right");
}

# What is written under a name replaces all of its hash, eight at most.
foreach my $call (q{cachex.take('a', 'k2', scope => 't')}, q{cachex.put('a', 'k2', NULL, scope => 't')})
{
	my $six = q{cache = 'a' AND key IN ('k1', 'k2') AND scope = 't'};
	my $one = q{key = 'k2' AND role = 'anna'};
	$s->must('SELECT cachex.clear(), cachex.purge()');
	wait_for_memory($node, 'entries = 0', "$call: nothing is there");
	as_each("$fill WHERE $six");
	ask_all();
	is($s->must("SELECT count(got) FROM asked WHERE $six"), 6, "$call: six are there");
	$s->must("SET ROLE anna; SELECT $call; RESET ROLE");
	ask_all();
	is($s->must("SELECT count(got) FROM asked WHERE $six AND $one"), 0, "$call: that one is gone");
	is($s->must($wrong), 0, "$call: what is left is right");
}

# ---- loaders ----

my $fetch = q{cachex.fetch('exact', 'k' || i, 'SELECT v FROM t WHERE id = $1::int', ARRAY[i::text]) #>> '{}'};
$s->must("SELECT count($fetch) FROM generate_series(1, 100) AS i");
is($s->must("SELECT count(*) FROM generate_series(1, 100) AS i WHERE $fetch = 'v' || i"), 100, 'what was fetched');
is($s->must(q{SELECT hits FROM cachex.stats WHERE cache = 'exact'}), 100, 'is found');
$s->must(q{UPDATE t SET v = v || '!' WHERE id % 2 = 0});
is($s->must("SELECT count(*) FROM generate_series(1, 100) AS i JOIN t ON id = i WHERE $fetch = v"), 100, 'and ends with a change');

# ---- limits of scopes ----

$s->must(q{SELECT count(cachex.fetch('few', 'k' || i, 'SELECT $1::int AS value', ARRAY[(s * 100 + i)::text], scope => 's' || s)) FROM generate_series(1, 10) AS i, generate_series(1, 40) AS s});
is($s->must(q{SELECT count(*), min(n), max(n), bool_and(own) FROM (SELECT scope, count(*) AS n,
		bool_and((cachex.get('few', key, scope => scope))::int / 100 = substr(scope, 2)::int) AS own
		FROM cachex.entries('few') WHERE status = 'hit' GROUP BY scope) AS e}), '40|3|3|t', 'each scope has its own three');
$s->close;

# ---- many at once ----

my $pick = "\\set k random(1, 20)\n\\set s random(1, 3)\n";
my $run = pgbench($node, clients => 4, seconds => run_seconds(5), scripts => [
		[ 5, $pick . q{SELECT cachex.put('a', 'r' || :k, to_jsonb('r' || :k || 's' || :s), scope => 's' || :s);} ],
		[ 10, $pick . q{SELECT 1 / (coalesce(cachex.get('a', 'r' || :k, scope => 's' || :s) #>> '{}', 'r' || :k || 's' || :s) = 'r' || :k || 's' || :s)::int;} ],
		[ 10, $pick . q{SELECT 1 / (cachex.fetch('b', 'f' || :k, 'SELECT $1 AS value', ARRAY[(:k)::text], scope => 's' || :s) #>> '{}' = (:k)::text)::int;} ],
		[ 5, $pick . q{SELECT cachex.incr('a', 'i' || :k);} ],
		[ 1, $pick . q{SELECT cachex.invalidate('b', 'f' || :k), cachex.take('a', 'r' || :k, scope => 's' || :s);} ] ]);
is($run->{status}, 0, 'nobody was served what is another one\'s');
cmp_ok($run->{transactions}, '>', 100, 'and many asked');
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
