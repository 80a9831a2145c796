
# Calls without sense, by a role that has what everybody has: every function with
# extremes of its arguments, random ones, and queries of sqlsmith.  The server
# stays up, nothing of others changes, nothing of theirs is shown.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use HostileCalls;
use HostileTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seconds = run_seconds(20);
my $seed = $ENV{CACHEX_TEST_SEED} || 1;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $nfiles = 0;
my $node = start_hostile('max_prepared_transactions = 4', 'cachex.max_jobs = 50',
	"cachex.refresh_timeout = '1 s'", "cachex.retry_pause = '10 ms'");

# ---- all functions ----

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
# subtransaction of its own then.  Temporary objects are made before the first
# gate, and go after the second one: see run_calls.
sub write_calls
{
	my ($file, @calls) = @_;
	my $text = "\\set VERBOSITY verbose\n\\set ON_ERROR_ROLLBACK on\n$own_objects"
	  . "SELECT 1 FROM pg_advisory_lock_shared(1);\nSET statement_timeout = '1 s';\n";
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
	append_to_file($file, $text
		  . "RESET statement_timeout;\nSELECT 1 FROM pg_advisory_lock_shared(2);\n");
	return;
}

# Waits until all runs wait at a gate, or one of them is gone.
sub wait_at_gate
{
	my ($gate, $n, @runs) = @_;
	do
	{
		usleep(20_000);
		foreach my $run (@runs)
		{
			$run->{harness}->pump_nb;
			return if !$run->{harness}->pumpable;
		}
	} while ($gate->must("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
			AND objsubid = 1 AND objid = $n AND NOT granted") < @runs);
	return;
}

# Runs lists of calls at the same time, a session each, and judges what they
# say and what they leave.
sub run_calls
{
	my ($name, @lists) = @_;
	my $gate = session($node);
	$gate->must('SELECT pg_advisory_lock(1), pg_advisory_lock(2)');
	my @runs;
	foreach my $calls (@lists)
	{
		my $file = "$dir/calls" . ++$nfiles;
		write_calls($file, @$calls);
		my $run = { out => "$file.out", err => "$file.err" };
		$run->{harness} = IPC::Run::start([ 'psql', '-XAtq', '-d',
				connstr_of('hostile'), '-f', $file ], '<', \undef,
			'>', $run->{out}, '2>', $run->{err});
		push @runs, $run;
	}
	wait_at_gate($gate, 1, @runs);
	fill_victim();
	$gate->must('SELECT pg_advisory_unlock(1)');
	wait_at_gate($gate, 2, @runs);
	is_unharmed($name);
	$gate->must('SELECT pg_advisory_unlock(2)');
	my ($out, $err, $n) = ('', '', 0);
	foreach my $run (@runs)
	{
		$run->{harness}->finish;
		$out .= slurp_file($run->{out});
		$err .= slurp_file($run->{err});
	}
	$gate->close;
	$n += @$_ foreach @lists;
	judge_calls($name, $n, $out, $err);
	return;
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
	cmp_ok($failed, '<', 0.95 * $ncalls, "$name: many calls do something");
	is_secret_kept($name, $out, $err);
	log_is_clean($name);
	is_consistent($node, $name);
	return;
}

srand($seed);
my @functions = functions_of($node, 'cachex');
cmp_ok(scalar @functions, '>', 40, 'all functions are known');
{
	my (@halves, $i);
	push @{ $halves[ $i++ % 2 ] }, $_ foreach extreme_calls(@functions);
	run_calls('extremes', @halves);
}
run_calls('random arguments', map { [ random_calls(100 * $seconds, @functions) ] } 1 .. 2);

# ---- sqlsmith ----

SKIP:
{
	my $smith = (grep { -x "$_/sqlsmith" } split(/:/, $ENV{PATH}))[0];
	skip 'sqlsmith cannot be had here (Debian: apt-get install sqlsmith)', 4 unless $smith;
	fill_victim();
	my ($out, $err) = ('', '');
	my $connstr = connstr_of('hostile');
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
