# CivicQ (test/civicq), an application on ttl caches with watches and tags: each
# event changes the pages that it has to, at its commit, and no other.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Without warmers: first it is seen what visitors compute.
my $node = start_server('civicq', "cachex.databases = ''");
my $dir = "$FindBin::RealBin/../civicq";
$node->safe_psql('postgres', join("\n", '\set questions 3000', '\set contests 100',
		'\set cities 10', map { slurp_file("$dir/$_.sql") } qw(schema data civicq)));

# The pages of one question, its contest and city, and those of others.
my ($question, $contest, $city, $candidate, $ballot) = split(/\|/, one($node,
	q{SELECT q.id, q.contest_id, q.city_id, q.contest_id * 5 - 4, c.ballot_id
	  FROM civicq.question q JOIN civicq.contest c ON c.id = q.contest_id
	  WHERE q.city_id = 3 AND status = 'submitted' ORDER BY q.id DESC LIMIT 1}));
my ($question2, $contest2, $city2, $candidate2, $ballot2) = split(/\|/, one($node,
	q{SELECT q.id, q.contest_id, q.city_id, q.contest_id * 5 - 4, c.ballot_id
	  FROM civicq.question q JOIN civicq.contest c ON c.id = q.contest_id
	  WHERE q.city_id = 7 AND status = 'approved' AND q.id % 2 = 0 ORDER BY q.id LIMIT 1}));
my %pages = (
	'question' => "question_page($question)",
	'question 2' => "question_page($question2)",
	'list' => "question_list_page($city)",
	'list 2' => "question_list_page($city2)",
	'trending' => "trending_page($city)",
	'trending 2' => "trending_page($city2)",
	'contest' => "contest_page($contest)",
	'contest 2' => "contest_page($contest2)",
	'candidate' => "candidate_page($candidate)",
	'candidate 2' => "candidate_page($candidate2)",
	'ballots' => "ballot_list_page($city)",
	'ballots 2' => "ballot_list_page($city2)",
	'ballot' => "ballot_page($ballot)",
	'ballot 2' => "ballot_page($ballot2)",
	'settings' => "city_settings($city)",
	'settings 2' => "city_settings($city2)",
	'exact ballots' => "ballots_exact($city)",
	'exact ballots 2' => "ballots_exact($city2)",
	'exact settings' => "settings_exact($city)",
	'exact settings 2' => "settings_exact($city2)",
	'video 2' => "video_page($question2 / 2)",
	'cities' => 'city_list()',
	'analytics' => "analytics($city)");

# One page: how many of its parts were computed, and what it shows.
$node->safe_psql('postgres', q{
	CREATE FUNCTION visit(page text, OUT computed bigint, OUT shown text)
	LANGUAGE plpgsql AS $$
	BEGIN
		SELECT -sum(misses + bypasses) INTO computed FROM cachex.stats;
		EXECUTE 'SELECT md5(civicq.' || page || '::text)' INTO shown;
		SELECT computed + sum(misses + bypasses) INTO computed FROM cachex.stats;
	END $$});

# All pages: name => [ computed, shown ].
sub visits
{
	my $session = shift;
	my @names = sort keys %pages;
	my @rows = split(/\n/, $session->must(join(' UNION ALL ',
		map { "SELECT computed, shown FROM visit('$pages{$_}')" } @names)));
	my %result;
	$result{$_} = [ split(/\|/, shift @rows, -1) ] foreach @names;
	return \%result;
}

# The names of those that show something else than before, and of those that
# were computed again and show the same.
sub differences
{
	my ($before, $after) = @_;
	my @changed = grep { $before->{$_}[1] ne $after->{$_}[1] } sort keys %pages;
	my @same = grep { $before->{$_}[1] eq $after->{$_}[1] && $after->{$_}[0] > 0 }
	  sort keys %pages;
	return (join(', ', @changed), join(', ', @same));
}

my $reader = session($node);
my $writer = session($node);

# Tables share generations by a hash, which is another one at each start.  Here
# no page may end with a table that it does not show: so that none of them share
# one.
sub shares_generations
{
	one($node, q{SELECT count(*) FROM (SELECT cachex.invalidate_table(oid) FROM pg_class
		WHERE relnamespace = 'civicq'::regnamespace AND relkind IN ('r', 'v') OFFSET 0) AS all_of_them});
	visits($reader);
	return one($node, q{SELECT sum(collisions) FROM cachex.dependencies WHERE kind = 'table'});
}

while (shares_generations())
{
	note('tables share a generation');
	$_->close foreach $reader, $writer;
	$node->restart;
	($reader, $writer) = map { session($node) } 1 .. 2;
}

# ---- the seven events ----

sub event
{
	my ($name, $sql, $changed, $same) = @_;
	$reader->must('SELECT cachex.clear()');
	my $first = visits($reader);
	is(join(', ', grep { $first->{$_}[0] == 0 } sort keys %pages), '',
		"$name: all pages are computed");
	my $before = visits($reader);
	is(join(' / ', differences($first, $before)), ' / ', "$name: then all are hits");

	$writer->must("BEGIN; $sql");
	is(join(' / ', differences($before, visits($reader))), ' / ',
		"$name: before the commit others see nothing of it");
	my ($own) = differences($before, visits($writer));
	is($own, $changed, "$name: who does it sees it at once");
	$writer->must('ROLLBACK');
	is(join(' / ', differences($before, visits($reader))), ' / ',
		"$name: after a rollback there is no trace");

	$writer->must("BEGIN; $sql");
	my $wanted = visits($writer);
	$writer->must('COMMIT');
	my $after = visits($reader);
	my @got = differences($before, $after);
	is($got[0], $changed, "$name: after the commit these pages are new");
	is($got[1], $same // '', "$name: and these are computed again, others are hits");
	is(join(', ', grep { $wanted->{$_}[1] ne $after->{$_}[1] } grep { /^(?!analytics)/ } sort keys %pages),
		'', "$name: what they show is what the writer saw");
	is(join(' / ', differences($after, visits($reader))), ' / ', "$name: and are hits again");
	return;
}

event('question submitted', "SELECT civicq.submit_question($contest, 1, 'And the trees?')",
	'list, trending');
event('vote cast', "SELECT civicq.cast_vote($question, 1000000 + i) FROM generate_series(1, 30) i",
	'contest, question, trending');
event('video uploaded', "SELECT civicq.upload_video($question, 'The trees', 60)",
	'candidate, question');
event('candidate updated', "UPDATE civicq.candidate SET name = name || 'x' WHERE id = $candidate",
	'candidate, contest');
# Tags name the city; for an exact cache the table has changed.
event('ballot imported',
	"SELECT civicq.import_ballot($city, 'Runoff', '2030-01-01',
		'[{\"title\": \"Mayor\", \"candidates\": [\"A\", \"B\"]}]')",
	'ballots, exact ballots', 'ballot, contest, exact ballots 2');
event('city settings changed', "UPDATE civicq.city_settings SET per_page = per_page + 1
		WHERE city_id = $city",
	'exact settings, settings', 'exact settings 2');
event('question moderated', "SELECT civicq.moderate_question($question, 'rejected')",
	'list, question, trending');

# ---- other ways to write ----

visits($reader);
my $before = visits($reader);
$writer->must("BEGIN; SELECT civicq.moderate_question($question, 'approved');
	PREPARE TRANSACTION 'moderated'");
is(join(' / ', differences($before, visits($reader))), ' / ', 'prepared: nothing is seen of it');
$writer->must("COMMIT PREPARED 'moderated'");
is(join(' / ', differences($before, visits($reader))), 'list, question, trending / ',
	'its COMMIT PREPARED is the event');

# questions, votes, videos and candidates go by foreign keys
$before = visits($reader);
$writer->must("DELETE FROM civicq.contest WHERE id = $contest");
my ($changed) = differences($before, visits($reader));
is($changed, 'ballot, ballots, candidate, contest, exact ballots, list, question, trending',
	'a contest and all that belongs to it are deleted');
is(one($node, "SELECT num_nulls(civicq.$pages{contest}, civicq.$pages{candidate},
		civicq.$pages{question})"), '3', 'its pages are not found');

# a snapshot from before the event goes on seeing the pages from before it
visits($reader);
$reader->must('BEGIN ISOLATION LEVEL REPEATABLE READ');
$before = visits($reader);
$writer->must("SELECT civicq.cast_vote($question2, 2000000 + i) FROM generate_series(1, 30) i");
is((differences($before, visits($reader)))[0], '', 'an old snapshot is shown the old pages');
visits($writer);
is((differences($before, visits($reader)))[0], '', 'also when a younger one has filled the cache');
$reader->must('COMMIT');
is((differences($before, visits($reader)))[0], 'contest 2, question 2, trending 2',
	'its next transaction is shown the new ones');

# ---- a bulk import ----

visits($reader);
$before = visits($reader);
$writer->must(qq{SELECT civicq.import_ballot($city2, 'General election', '2030-11-05',
	(SELECT jsonb_agg(jsonb_build_object('title', 'Office ' || i, 'candidates',
		jsonb_build_array('A' || i, 'B' || i, 'C' || i))) FROM generate_series(1, 300) i))});
is(join(' / ', differences($before, visits($reader))),
	'ballots 2, exact ballots 2 / ballot 2, contest 2, exact ballots',
	'a ballot with 300 contests and 900 candidates: the pages of its city');
is(one($node, q{SELECT count(*) FROM civicq.contest
		WHERE title LIKE 'Office %' AND jsonb_array_length(civicq.contest_page(id) -> 'candidates') = 3}),
	'300', 'the new contests have pages');

# ---- times to live ----

visits($reader);
one($node, "SELECT civicq.video_page(1), civicq.question_page($question2)");
my %keys = (
	'ballot' => [ $ballot, '01:00:00' ],
	'ballot_list' => [ "city:$city", '00:05:00' ],
	'contest' => [ $contest2, '01:00:00' ],
	'contest_list' => [ $ballot, '00:05:00' ],
	'question' => [ $question2, '00:15:00' ],
	'question_list' => [ "city:$city:page:1", '00:05:00' ],
	'trending' => [ "city:$city", '00:15:00' ],
	'candidate' => [ $candidate2, '00:30:00' ],
	'candidate_list' => [ $contest2, '00:30:00' ],
	'city_settings' => [ $city, '1 day' ],
	'city_list' => [ 'all', '01:00:00' ],
	'analytics' => [ "city:$city", '01:00:00' ],
	'video' => [ 'video:1', '01:00:00' ],
	'video_url' => [ '1', '06:00:00' ]);
foreach my $cache (sort keys %keys)
{
	my ($key, $ttl) = @{ $keys{$cache} };
	# what is left of it; a test takes no minute
	is(one($node, "SELECT status, ttl BETWEEN interval '$ttl' - interval '1 min' AND interval '$ttl'
			FROM cachex.lookup('$cache', '$key')"), 'hit|t', "$cache lives for $ttl");
}
is(one($node, q{SELECT extract(epoch FROM expires_at) =
		substring(value ->> 0 FROM 'until=([0-9.]+)')::numeric FROM cachex.lookup('video_url', '1')}),
	't', 'the address of a video lives as long as it is signed for');
is(one($node, "SELECT status, ttl, expires_at FROM cachex.lookup('settings_exact', '$city')"),
	'hit||infinity', 'an exact entry lives until the tables change');

# ---- not found ----

my $absent = "civicq.question_page(999999)";
is(one($node, "SELECT computed, shown IS NULL FROM visit('question_page(999999)')"), '1|t',
	'there is no such question');
is(one($node, "SELECT computed, shown IS NULL FROM visit('question_page(999999)')"), '0|t',
	'that is kept');
is(one($node, "SELECT status, ttl BETWEEN '58 s' AND '60 s' FROM cachex.lookup('question', '999999')"),
	'negative|t', 'for 60 s');
$writer->must("INSERT INTO civicq.question (id, contest_id, city_id, author_id, text)
	OVERRIDING SYSTEM VALUE VALUES (999999, $contest2, $city2, 1, 'There it is')");
is(one($node, "SELECT $absent ->> 'text'"), 'There it is', 'until it is submitted');

# ---- by hand: by key, by tag, by pattern, all ----

visits($reader);
is(one($node, "SELECT cachex.invalidate('candidate', '$candidate2')"), '', 'by key');
is(one($node, "SELECT computed FROM visit('candidate_page($candidate2)')"), '1', 'one part is computed');
one($node, "SELECT civicq.question_list_page($city, p), civicq.question_list_page($city2, p)
	FROM generate_series(1, 3) p");
is(one($node, "SELECT cachex.invalidate_like('question_list', 'city:$city:%')"), '3', 'by pattern');
is(one($node, "SELECT computed FROM visit('question_list_page($city, 2)')"), '1', 'one city is computed');
is(one($node, "SELECT computed FROM visit('question_list_page($city2, 2)')"), '0', 'another is not');
one($node, "SELECT cachex.invalidate_tags(ARRAY['questions:$city2'])");
is(one($node, "SELECT computed FROM visit('question_list_page($city2, 2)')"), '1', 'by tag');
one($node, "SELECT cachex.clear('trending')");
is(one($node, "SELECT computed FROM visit('trending_page($city)')"), '1', 'a kind of page');
is(one($node, "SELECT computed FROM visit('candidate_page($candidate2)')"), '0', 'others stay');

# ---- warmers, for instance after everything was cleared ----

$node->append_conf('postgresql.conf', "cachex.databases = '*'");
$node->reload;
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM cachex.warmers WHERE last_finished IS NULL OR running})
  or die 'the warmers have not run';
one($node, 'SELECT cachex.clear()');
# they run by themselves then; who asks meanwhile may have them run twice
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM cachex.warmers WHERE NOT warmed OR running})
  or die 'the warmers have not run after the clear';
my $warmed = one($node, q{CREATE TABLE run AS SELECT cache, name, runs FROM cachex.warmers;
	SELECT count(*) FROM cachex.warm()});
is($warmed, '8', 'all warmers are asked');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 8
	FROM cachex.warmers w JOIN run USING (cache, name)
	WHERE w.runs > run.runs AND NOT running AND last_error IS NULL AND last_entries > 0}), 'and have run');
is(one($node, 'SELECT sum(computed) FROM (VALUES (1), (2), (3)) c(city),
		LATERAL (SELECT (visit(page)).computed FROM unnest(ARRAY[
			$$city_list()$$, format($$city_settings(%s)$$, city), format($$ballot_list_page(%s)$$, city),
			format($$trending_page(%s)$$, city), format($$question_list_page(%s, 5)$$, city)]) page) v'),
	'0', 'pages of popular cities are there');
is(one($node, q{SELECT sum((visit(format('contest_page(%s)', id))).computed)
		FROM civicq.contest WHERE active}), '0', 'those of active contests as well');
# what a warmer has put carries the tags of its page
one($node, "SELECT civicq.cast_vote($question2, 3000000)");
is(one($node, "SELECT (visit('trending_page($city2)')).computed"), '1', 'an event ends them');

# ---- without the cache ----

visits($reader);
$before = visits($reader);
$reader->must('SET cachex.enabled = off');
my $without = visits($reader);
is((differences($before, $without))[0], '', 'off: the same pages');
is(join(', ', grep { $without->{$_}[0] == 0 } sort keys %pages), '', 'off: all are computed');
$writer->must('SET cachex.enabled = off');
$writer->must("SELECT civicq.cast_vote($question2, 4000000 + i) FROM generate_series(1, 90) i");
$reader->must('RESET cachex.enabled');
is(join(' / ', differences($before, visits($reader))), 'contest 2, question 2, trending 2 / ',
	'an event of a session without the cache counts for others');

# ---- many at once: is a page ever older than the tables? ----

$node->safe_psql('postgres', slurp_file("$dir/check.sql"));
$node->safe_psql('postgres', q{
	CREATE FUNCTION judge(id integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		verdict text;
	BEGIN
		SELECT to_jsonb(c)::text INTO verdict FROM civicq.question q,
			civicq.compare(q.id, q.contest_id, q.city_id) c WHERE q.id = judge.id;
		IF verdict ~ 'false|null' THEN
			RAISE EXCEPTION 'stale: question %: %', id, verdict;
		END IF;
	END $$});
my $pick = "\\set q 1 + 20 * random(0, 9)\n\\set v random(1000, 2000000000)\n";
my $judge = "SELECT judge(:q);\n";
my $readers = pgbench_start($node, clients => 4, seconds => 6, scripts => [
	[ 4, $pick . $judge ],
	[ 1, $pick . "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$judge\\sleep 5 ms\n$judge" . "END;\n" ] ]);
my $writers = pgbench(
	$node,
	clients => 3,
	seconds => 5,
	options => [ '-R', 150 ],
	scripts => [
		[ 8, $pick . "SELECT civicq.cast_vote(:q, :v);\n$judge" ],
		[ 2, $pick . "BEGIN;\nSELECT civicq.cast_vote(:q, :v);\n$judge\\sleep 5 ms\nEND;\n$judge" ],
		[ 2, $pick . "BEGIN;\nSELECT civicq.cast_vote(:q, :v);\nROLLBACK;\n$judge" ],
		[ 2, $pick . "SELECT civicq.moderate_question(:q,
			(ARRAY['approved', 'rejected'])[1 + :v % 2]);\n$judge" ],
		[ 1, $pick . "SELECT civicq.submit_question(contest_id, 1, 'Why?')
			FROM civicq.question WHERE id = :q;\n$judge" ],
		[ 1, $pick . "SELECT civicq.upload_video(:q, 'Because', 9);\n$judge" ],
		[ 1, $pick . "UPDATE civicq.candidate SET name = name || '.' WHERE id % 10 = :v % 10;\n$judge" ],
		[ 1, $pick . "SELECT civicq.import_ballot(city_id, 'Runoff', '2030-01-01', '[{\"title\": \"Mayor\"}]')
			FROM civicq.question WHERE id = :q;\n$judge" ] ]);
pgbench_wait($readers);
is($writers->{status}, 0, 'no page was stale for those who write');
is($readers->{status}, 0, 'nor for those who read');
note("$writers->{transactions} events, $readers->{transactions} readers");
cmp_ok($writers->{transactions}, '>', 200, 'there were many events');
cmp_ok($readers->{transactions}, '>', 500, 'and many readers');

# ---- HTTP and the administrators' page ----

is(one($node, "SELECT status, value IS NULL FROM cachex.lookup('question', '$question2',
		if_none_match => (cachex.lookup('question', '$question2')).etag)"),
	'not_modified|t', 'a client with the etag need not get the page');
is(one($node, 'SELECT available, keys > 0, hits > misses, evicted FROM civicq.cache_statistics'),
	't|t|t|0', 'the statistics');
is(one($node, 'SELECT * FROM civicq.cache_alerts'), '', 'no alert');

$_->close foreach ($reader, $writer);

# ---- the server starts again ----

$node->restart;
ok($node->poll_query_until('postgres', q{SELECT bool_and(entries > 0)
	FROM cachex.stats JOIN cachex.warmers USING (cache)}), 'warmers run at server start');
is(one($node, q{SELECT civicq.trending_page(1) = value FROM civicq.trending_data WHERE city_id = 1}),
	't', 'pages are right');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM cachex.warmers WHERE running})
  or die 'the warmers have not ended';

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
