
# A role that has what everybody has, and means harm: calls without sense, what
# it must not do, what it must not see, and how long it can keep others waiting.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use HostileCalls;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = run_seconds(20);
my $seed = $ENV{CACHEX_TEST_SEED} || 1;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $nfiles = 0;

# In all that is nobody else's business
my $secret = 'S3CR3T';

my $node = start_server('hostile', 'cachex.memory = 64MB', 'max_connections = 30',
	'max_prepared_transactions = 4', 'log_error_verbosity = verbose',
	'log_min_error_statement = fatal', 'cachex.max_jobs = 50',
	"cachex.refresh_timeout = '1 s'", "cachex.retry_pause = '10 ms'",
	"deadlock_timeout = '100 ms'");

# ---- sessions ----

sub connstr
{
	my ($role) = @_;
	return $node->connstr('postgres') . " user=$role";
}

sub session_of
{
	return CachexTest::Session->new(connstr($_[0]));
}

# The output of statements, and their messages with SQLSTATE.
sub as_role
{
	my ($role, $sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
			connstr($role), '-f', '-' ], '<', \$sql, '>', \$out, '2>', \$err);
	chomp $out;
	return wantarray ? ($out, $err) : $out . $err;
}

# Statements that must all succeed; returns what they say.
sub must
{
	my ($role, $sql) = @_;
	my ($out, $err) = as_role($role, $sql);
	die "$role: $err" if $err =~ /ERROR|FATAL|PANIC/;
	return $out;
}

# ---- somebody to be harmed ----

my $nkeys = 1000;

$node->safe_psql('postgres', q{
	CREATE ROLE victim LOGIN;
	CREATE ROLE hostile LOGIN;
	GRANT CREATE ON DATABASE postgres TO victim});

# Reads what must always be there: hits, sum.
my $victims_own = qq{
	SELECT count(cachex.get('theirs', 'k' || i)) FROM generate_series(1, $nkeys) i;
	SELECT count(cachex.get('theirs', '$secret' || i, scope => '$secret'))
		FROM generate_series(1, 50) i;
	SELECT count(cachex.fetch('exact_of_them', 'k' || i,
		'SELECT v FROM victim.t WHERE i = \$1::int', ARRAY[i::text], mode => 'cached'))
		FROM generate_series(1, $nkeys) i;
	SELECT count(cachex.fetch('shared_by_them', 'k' || i,
		'SELECT v FROM victim.t WHERE i = \$1::int', ARRAY[i::text], mode => 'cached'))
		FROM generate_series(1, $nkeys) i;
	SELECT count(cachex.get('stored', 'k' || i)) FROM generate_series(1, 100) i};
my $all_there = "$nkeys\n50\n$nkeys\n$nkeys\n100";

sub make_victim
{
	must('victim', qq{
		CREATE SCHEMA victim;
		GRANT USAGE ON SCHEMA victim TO PUBLIC;
		CREATE TABLE victim.t AS SELECT i, '$secret' || i AS v FROM generate_series(1, $nkeys) i;
		CREATE TABLE victim.role_of (r text);
		CREATE FUNCTION victim.load(text) RETURNS text LANGUAGE sql STABLE
			AS 'SELECT v FROM victim.t WHERE i = 1';
		SELECT cachex.watch('victim.t');
		SELECT cachex.create_cache('theirs', consistency => 'ttl', ttl => NULL,
			options => '{"validate": "\$1 <> ''\\"$secret\\"''"}');
		SELECT cachex.create_cache('exact_of_them', ttl => NULL);
		SELECT cachex.create_cache('shared_by_them', ttl => NULL, shared => true);
		SELECT cachex.create_cache('stored', consistency => 'ttl', ttl => NULL, persist => 'table');
		SELECT cachex.create_cache('readable', consistency => 'ttl', loader => 'victim.load(text)');
		SELECT cachex.create_cache('writable', consistency => 'ttl');
		SELECT cachex.create_cache('$secret', consistency => 'ttl');
		SELECT cachex.create_cache('open', consistency => 'ttl', shared => true);
		SELECT cachex.grant_cache('readable', 'public', 'read');
		SELECT cachex.grant_cache('writable', 'public', 'write');
		SELECT cachex.grant_cache('open', 'public', 'read');
		SELECT cachex.create_warmer('$secret', '$secret', 'SELECT ''$secret'' AS key, 1 AS value');
		SELECT count(cachex.put(c, '$secret' || i, '"$secret"', tags => ARRAY['$secret', 't1'],
			metadata => '{"a": "$secret"}')) FROM generate_series(1, 20) i,
			unnest(ARRAY['default', 'queries', 'readable', 'writable', '$secret']) c;
		SELECT cachex.put(c, 'k1', '"$secret"') FROM unnest(ARRAY['default', 'queries', 'readable', 'writable']) c;
		SELECT cachex.fetch('default', '$secret', 'SELECT \$1 AS value', ARRAY['$secret'])});
	fill_victim();
	return;
}

sub fill_victim
{
	must('victim', qq{
		SELECT count(cachex.put('theirs', 'k' || i, '"x$secret"', tags => ARRAY['$secret', 't1']))
			FROM generate_series(1, $nkeys) i;
		SELECT count(cachex.put('theirs', '$secret' || i, '"x$secret"', scope => '$secret'))
			FROM generate_series(1, 50) i;
		SELECT count(cachex.fetch(c, 'k' || i, 'SELECT v FROM victim.t WHERE i = \$1::int',
			ARRAY[i::text])) FROM generate_series(1, $nkeys) i,
			unnest(ARRAY['exact_of_them', 'shared_by_them']) c;
		SELECT count(cachex.put('stored', 'k' || i, '"$secret"')) FROM generate_series(1, 100) i});
	return;
}

sub is_unharmed
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(scalar as_role('victim', $victims_own), $all_there,
		"$name: the other's entries are all there");
}

make_victim();
is_unharmed('at first');

# ---- what is in the log ----

my $log_read = 0;

# Nothing since the last call that is a fault of the server's or of ours.
sub log_is_clean
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $log = slurp_file($node->logfile, $log_read);
	$log_read += length($log);
	my @bad = grep { /(ERROR|FATAL|PANIC):\s+XX|PANIC|TRAP:|cache lookup failed|could not open relation|terminated by signal|unrecognized node|leaked|snapshot reference/ }
	  split(/\n/, $log);
	return is(join("\n", @bad[ 0 .. ($#bad > 5 ? 5 : $#bad) ]), '',
		"$name: no internal error, no crash");
}

# ---- 1. calls without sense ----

my $own_objects = q{
	CREATE TEMP TABLE own (a int, b text);
	INSERT INTO own SELECT i, 'b' || i FROM generate_series(1, 10) i;
	CREATE TEMP VIEW v AS SELECT * FROM own;
	CREATE FUNCTION pg_temp.f(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
	CREATE DOMAIN pg_temp.dom AS int CHECK (VALUE < 5);
	CREATE TYPE pg_temp.mood AS ENUM ('good', 'bad');
	GRANT SELECT ON own TO victim;
};

my @endings = (('COMMIT;') x 3, 'ROLLBACK;', "PREPARE TRANSACTION NAME;\nCOMMIT PREPARED NAME;",
	"PREPARE TRANSACTION NAME;\nROLLBACK PREPARED NAME;");
my @beginnings = ('BEGIN;', 'BEGIN;', 'BEGIN ISOLATION LEVEL REPEATABLE READ;',
	'BEGIN ISOLATION LEVEL SERIALIZABLE;', 'BEGIN READ ONLY;');

# Writes calls to a file, half of them in transactions, each in a
# subtransaction of its own then.
sub write_calls
{
	my ($file, @calls) = @_;
	my $text = "\\set VERBOSITY verbose\n\\set ON_ERROR_ROLLBACK on\n"
	  . "SET statement_timeout = '1 s';\n$own_objects";
	while (@calls)
	{
		my @some = splice(@calls, 0, 12);
		my $id = 'h' . $nfiles . '.' . @calls;
		my $end = $endings[ rand @endings ];
		my $block = rand() < 0.5;
		$text .= $beginnings[ rand @beginnings ] . "\n" if $block;
		$text .= "$_;\n" foreach @some;
		$end =~ s/NAME/'$id'/g;
		$text .= "$end\n" if $block;
	}
	append_to_file($file, $text);
	return;
}

# Runs lists of calls at the same time, a session each; returns what they say.
sub run_calls
{
	my @runs;
	foreach my $calls (@_)
	{
		my $file = "$dir/calls" . ++$nfiles;
		write_calls($file, @$calls);
		my $run = { out => "$file.out", err => "$file.err" };
		$run->{harness} = IPC::Run::start([ 'psql', '-XAtq', '-d',
				connstr('hostile'), '-f', $file ], '<', \undef,
			'>', $run->{out}, '2>', $run->{err});
		push @runs, $run;
	}
	my ($out, $err) = ('', '');
	foreach my $run (@runs)
	{
		$run->{harness}->finish;
		$out .= slurp_file($run->{out});
		$err .= slurp_file($run->{err});
	}
	return ($out, $err);
}

sub is_secret_kept
{
	my ($name, @texts) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @leaks = map { /([^\n]{0,200}$secret[^\n]{0,50})/ ? $1 : () } @texts;
	return is("@leaks", '', "$name: nothing of others is shown");
}

sub judge_calls
{
	my ($name, $ncalls, $out, $err) = @_;
	my %codes;
	$codes{$1}++ while $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5}):/g;
	my $failed = 0;
	$failed += $_ foreach values %codes;
	note("$name: $ncalls calls, $failed errors: "
		  . join(', ', map { "$_ $codes{$_}" } sort keys %codes));
	is(join(' ', grep { /^(XX|58|F0|53[0123])/ } keys %codes), '', "$name: no internal error");
	unlike($err, qr/server closed|connection to server|no connection/, "$name: the server stays");
	cmp_ok($failed, '<', 0.8 * $ncalls, "$name: many calls do something");
	is_secret_kept($name, $out, $err);
	log_is_clean($name);
	is_unharmed($name);
	is_consistent($node, $name);
	return;
}

srand($seed);
my @functions = functions_of($node, 'cachex');
cmp_ok(scalar @functions, '>', 40, 'all functions are known');
{
	my @calls = extreme_calls(@functions);
	my (@halves, $i);
	push @{ $halves[ $i++ % 2 ] }, $_ foreach @calls;
	judge_calls('extremes', scalar @calls, run_calls(@halves));
}
{
	my $n = 100 * $seconds;
	judge_calls('random arguments', 2 * $n,
		run_calls(map { [ random_calls($n, @functions) ] } 1 .. 2));
}

# ---- 2. sqlsmith ----

SKIP:
{
	my $smith = (grep { -x "$_/sqlsmith" } split(/:/, $ENV{PATH}))[0];
	skip 'sqlsmith cannot be had here (Debian: apt-get install sqlsmith)', 4 unless $smith;
	my ($out, $err) = ('', '');
	my $connstr = connstr('hostile');
	$connstr =~ s/'//g;
	my $status = IPC::Run::run([ 'sqlsmith', "--target=$connstr", '--exclude-catalog',
			"--seed=$seed", '--dump-all-queries', '--max-queries=' . 75 * $seconds ],
		'<', \undef, '>', \$out, '2>', \$err);
	ok($status, 'sqlsmith has run to its end') || diag(substr($err, -2000));
	my $n = () = $out =~ /\bcachex\.\w+/g;
	cmp_ok($n, '>', 10 * $seconds, 'its queries are about the extension');
	log_is_clean('sqlsmith');
	is_unharmed('sqlsmith');
}

never_crashed($node);
is_idle_and_consistent($node, 'at the end');
$node->stop;

done_testing();
