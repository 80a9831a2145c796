# Cinegraph (test/cinegraph), pages of what takes seconds to compute: a page
# never does, a refresh by hand does, and a restart or a crash loses nothing.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('cinegraph', "cachex.retry_pause = '100ms'");
my $dir = "$FindBin::RealBin/../cinegraph";
my $s = session($node);
$s->must(q{CREATE FUNCTION ms(query text) RETURNS numeric LANGUAGE plpgsql AS $$
	DECLARE
		started timestamptz := clock_timestamp();
	BEGIN
		EXECUTE query;
		RETURN round(1000 * extract(epoch FROM clock_timestamp() - started), 2);
	END $$});

sub run_sql
{
	my ($before, @files) = @_;
	$node->safe_psql('postgres', join("\n", $before, map { slurp_file("$dir/$_.sql") } @files));
	return;
}

# ---- the query, and what pages are without it ----

# as many films as it takes, where the machine is fast
my $films = 100_000;
my $ms = 0;
for (;; $films *= 2)
{
	run_sql("\\set films $films", 'schema', 'scoring');
	$ms = $s->must(q{SELECT ms($$SELECT cinegraph.scores('scores:1970:balanced')$$)});
	note("the scoring query takes $ms ms with $films films");
	last if $ms >= 1500 || $films > 1_000_000;
	$node->safe_psql('postgres', 'SET client_min_messages = warning; DROP SCHEMA cinegraph CASCADE');
}
cmp_ok($ms, '>=', 1500, 'the scoring query takes seconds');
run_sql('', 'cinegraph');

# While this is locked the query has to wait, so what is seen meanwhile is seen
# before its end.
my $gate = session($node);
my $lock = 'BEGIN; LOCK TABLE cinegraph.award';

# Runs of it for the cache since the start of the server.
sub runs
{
	return $s->must(q{SELECT coalesce(sum(loads + load_errors), 0) FROM cachex.stats WHERE cache = 'scores'});
}

# Until a job has ended, and how.
sub wait_for_job
{
	my ($id, $status) = @_;
	$node->poll_query_until('postgres', "SELECT status IN ('done', 'failed') FROM cachex.jobs WHERE id = $id")
	  or die "job $id has not ended";
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($s->must("SELECT status FROM cachex.jobs WHERE id = $id"), $status, "the job is $status");
	return;
}

# A row of the dashboard.
sub dashboard
{
	my ($decade, $profile, $columns) = @_;
	return $s->must("SELECT $columns FROM cinegraph.dashboard() WHERE decade = $decade AND profile = '$profile'");
}

sub page
{
	my ($decade, $profile, $what) = @_;
	return $s->must("SELECT p ->> 'status'" . ($what ? ", $what" : '')
		  . " FROM cinegraph.page($decade, '$profile') AS p");
}

is($s->must(q{SELECT p.status ->> 'status', count(*) FROM generate_series(1920, 2020, 10) AS d,
		unnest('{balanced,critics,crowd,festivals,auteurs,overdrive}'::text[]) AS n,
		cinegraph.page(d, n) AS p(status) GROUP BY 1}),
	'not computed yet|66', 'no page is there');
is($s->must('SELECT status, available, job, count(*) FROM cinegraph.dashboard() GROUP BY 1, 2, 3'),
	'miss|f||66', 'as the dashboard says');
$s->query(q{SELECT cachex.fetch('scores', 'scores:1960:balanced', mode => 'cached')});
like($s->error, qr/ERROR: +cache miss for key "scores:1960:balanced" in cache "scores"/,
	'to read it is an error of its own');
is(runs(), 0, 'and nothing was computed');
foreach my $call ("page(1960, 'nobody')", "page(1965, 'crowd')", "page(NULL, 'crowd')", "refresh(1960, NULL)")
{
	$s->query("SELECT cinegraph.$call");
	like($s->error, qr/ERROR: +there is no (decade|profile)/, "$call: no such thing");
}

# what there is to choose from is cached as well, and follows the tables
my $choices = q{SELECT loads FROM cachex.stats WHERE cache = 'choices'};
is($s->must("SELECT cinegraph.decades() ->> 10, jsonb_array_length(cinegraph.profiles()); $choices"),
	"2020|6\n2", 'decades and profiles are computed once');
$s->must(q{INSERT INTO cinegraph.profile VALUES ('late', 'money', 1)});
is($s->must("SELECT cinegraph.profiles() ? 'late'; $choices"), "t\n3", 'a new profile is there at once');
$s->must(q{DELETE FROM cinegraph.profile WHERE name = 'late'});

# ---- a refresh by hand ----

$gate->must($lock);
my $job = $s->must(q{SELECT cinegraph.refresh(1960, 'balanced')});
until_true($s, "(SELECT status = 'running' FROM cachex.jobs WHERE id = $job)");
is(dashboard(1960, 'balanced', 'status, available, job_status, attempts'), 'loading|f|running|1', 'it is in progress');
is(page(1960, 'balanced'), 'not computed yet', 'the page waits for nobody');
is($s->must(q{SELECT cinegraph.page(1960, 'crowd') ->> 'status',
	(cachex.lookup('scores', 'scores:1960:crowd')).status}), 'not computed yet|miss', 'others are not in progress');
$gate->must('COMMIT');
wait_for_job($job, 'done');
is($s->must("SELECT status, attempts, max_attempts, last_error, duration < '1 min' FROM cachex.jobs WHERE id = $job"),
	'done|1|3||t', 'it is done in less than a minute');
is(runs(), 1, 'the query has run once');
is(dashboard(1960, 'balanced', q{status, available, age < '1 min', films, calculated_at > now() - interval '5 min'}),
	'hit|t|t|1000|t', 'the dashboard shows what is there');
is(page(1960, 'balanced', q{p -> 'page', p -> 'pages', jsonb_array_length(p -> 'films'),
		p -> 'films' -> 0 -> 'rank', p #> '{statistics,films}' > '1000', p #> '{metadata,catalogue}'}),
	"computed|1|10|100|1|t|$films", 'a page has 100 films');
is($s->must(q{SELECT count(*), count(DISTINCT f -> 'id'), min((f -> 'rank')::int), max((f -> 'rank')::int),
		bool_and((f -> 'score')::numeric BETWEEN 0 AND 100), bool_and((f -> 'year')::int BETWEEN 1960 AND 1969)
	FROM generate_series(1, 10) AS n, jsonb_array_elements(cinegraph.page(1960, 'balanced', n) -> 'films') AS f}),
	'1000|1000|1|1000|t|t', 'ten pages have the 1,000 films');
is($s->must(q{SELECT cinegraph.page(1960, 'balanced', 11) -> 'films', cinegraph.page(1960, 'balanced', 0) -> 'films'}),
	'[]|[]', 'there is no page beyond');

# who looks, and how, is the same
my $visitor = session($node);
my $top = q{SELECT md5(cinegraph.page(1960, 'balanced')::text)};
my $same = $s->must($top);
$visitor->must(q{SET ROLE cinegraph_visitor; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY';
	SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 3;
	SET search_path = cinegraph});
is($visitor->must($top), $same, 'a visitor sees the page, under whatever settings');
$visitor->query('SELECT count(*) FROM cinegraph.film');
like($visitor->error, qr/permission denied/, 'not the films');
$visitor->query(q{SELECT cinegraph.refresh(1960, 'balanced')});
like($visitor->error, qr/permission denied/, 'and cannot refresh');
$visitor->close;

# ---- page views ----

# Milliseconds of 500 page views, at the median and at p99.
sub views
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = runs();
	my ($n, $p50, $p99) = split(/\|/, $s->must(q{SELECT count(*),
		percentile_disc(0.5) WITHIN GROUP (ORDER BY ms), percentile_disc(0.99) WITHIN GROUP (ORDER BY ms)
		FROM (SELECT ms(format('SELECT cinegraph.page(1960, %L, %s)', 'balanced', 1 + i % 10)) AS ms
			FROM generate_series(1, 500) AS i OFFSET 0) AS v}));
	note("$name: p50 $p50 ms, p99 $p99 ms");
	is($n, 500, "$name: 500 page views");
	cmp_ok($p50, '<', 100, "$name: in less than 100 ms");
	cmp_ok($p99, '<', 100, "$name: at p99 as well");
	is(runs() - $before, 0, "$name: the query was not run");
	return;
}
views('cached');

# ---- what validation refuses ----

$job = $s->must(q{SELECT cinegraph.refresh(1970, 'overdrive')});
wait_for_job($job, 'failed');
is(dashboard(1970, 'overdrive', 'status, available, job_status, attempts, last_error'),
	'miss|f|failed|3|value for key "scores:1970:overdrive" violates the validation of cache "scores"',
	'scores over 100 are refused three times, and the dashboard says why');
is(page(1970, 'overdrive'), 'not computed yet', 'there is no page');
is($s->must(q{SELECT refused_invalid FROM cachex.stats WHERE cache = 'scores'}), '3', 'it is counted');
$s->query(q{SELECT cachex.put('scores', 'scores:1970:crowd', '{"films": [{"score": -1}]}')});
like($s->error, qr/violates the validation/, 'what somebody puts is checked as well');

# ---- a refresh while there are scores, which somebody has said are out of date ----

my $calculated = dashboard(1960, 'balanced', 'calculated_at');
my $runs = runs();
$s->must(q{SELECT cachex.invalidate('scores', 'scores:1960:balanced')});
is(dashboard(1960, 'balanced', "status, available, calculated_at = '$calculated'"), 'stale|t|t', 'stale scores are there');
is($s->must($top), $same, 'and shown');
is(runs() - $runs, 0, 'which refreshes nothing');
$gate->must($lock);
$job = $s->must(q{SELECT cinegraph.refresh(1960, 'balanced')});
until_true($s, "(SELECT status = 'running' FROM cachex.jobs WHERE id = $job)");
is(dashboard(1960, 'balanced', "status, job_status, calculated_at = '$calculated'"), 'stale|running|t',
	'also while new ones are computed');
is(page(1960, 'balanced'), 'computed', 'on pages too');
$gate->must('COMMIT');
wait_for_job($job, 'done');
is(dashboard(1960, 'balanced', "status, calculated_at > '$calculated', films"), 'hit|t|1000', 'then the new ones are');
is(runs() - $runs, 1, 'the query has run once');
$calculated = dashboard(1960, 'balanced', 'calculated_at');
$same = $s->must($top);
$gate->close;

# ---- memory, the server's shutdown and its crash lose nothing ----

$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM cachex.stored_entry
	WHERE key = 'scores:1960:balanced' AND created = (cachex.lookup('scores', key)).created_at)})
  or die 'the scores have not come into the table';
$runs = runs();
$s->must($_) foreach (q{SELECT cachex.alter_cache('scores', '{"max_entries": 0}')},
	q{SELECT cachex.alter_cache('scores', '{"max_entries": null}')});
is($s->must(q{SELECT count(*) FROM cachex.entries('scores')}), '0', 'memory has lost the scores');
is($s->must($top), $same, 'the page is there');
is(runs() - $runs, 0, 'and was not computed');
foreach my $end ('fast', 'immediate')
{
	$s->close;
	$node->stop($end);
	$node->start;
	$s = session($node);
	is(runs(), 0, "$end: the server starts again");
	$ms = $s->must(q{SELECT ms($$SELECT cinegraph.page(1960, 'balanced')$$)});
	note("$end: the first page takes $ms ms");
	cmp_ok($ms, '<', 1000, "$end: the first page is not computed");
	is($s->must($top), $same, "$end: it is the page from before");
	is(dashboard(1960, 'balanced', "status, available, calculated_at = '$calculated'"), 'hit|t|t',
		"$end: the dashboard knows it");
	is(page(1970, 'overdrive'), 'not computed yet', "$end: what was not there is not");
	views($end);
	is(runs(), 0, "$end: nothing was computed");
}

$s->close;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
