
# Shared by the TAP tests: servers with the extension, sessions that stay open,
# pgbench runs, and what must hold whenever nothing is going on.
#
# Settings, from the environment:
#   CACHEX_TEST_SECONDS  length of each run under load (default 20)
#   CACHEX_TEST_SEED     of pgbench's random numbers (default 1)

package CachexTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(until_true until_up new_server start_server add_extension run_seconds session
  one pgbench pgbench_start pgbench_wait pgbench_running is_consistent
  is_idle_and_consistent never_crashed memory_used wait_for_memory read_file
  workers variant late_library);

my $nscripts = 0;

sub run_seconds
{
	my $default = shift // 20;
	return $ENV{CACHEX_TEST_SECONDS} || $default;
}

# A server that has not been started; settings are lines of postgresql.conf.
sub new_server
{
	my ($name, @settings) = @_;
	my %init = ref $settings[0] ? %{ shift @settings } : ();
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %init);
	$node->append_conf('postgresql.conf', join("\n",
		'log_statement = none', 'autovacuum_naptime = 1d', @settings) . "\n");
	return $node;
}

# Builds the library once more, as the arguments of make say, and returns the
# settings of a server that runs it; nothing where a server loads libraries from
# its own directories only.
sub variant
{
	my @args = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my $top = "$FindBin::RealBin/../..";
	my $config = $ENV{PG_CONFIG} // 'pg_config';
	my %path = map { $_ => (run_command([ $config, "--$_" ]))[0] } qw(pkglibdir sharedir version);
	my ($version) = $path{version} =~ /(\d+)/;
	my $has_destdir = (run_command([ 'postgres', '--describe-config' ]))[0] =~ /^extension_destdir/m;
	return unless $version >= 18 || $has_destdir;

	mkdir("$dir/$_") or die "mkdir: $!" foreach 'b', 'b/test';
	system_or_bail('cp', '-r', "$top/src", "$top/sql", "$top/Makefile", "$top/cachex.control", "$dir/b");
	system_or_bail('cp', '-r', "$top/test/fail", "$dir/b/test");
	unlink glob("$dir/b/src/*.o");
	local @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
	system_or_bail('make', '-s', '-j2', '-C', "$dir/b", "PG_CONFIG=$config", 'with_llvm=no', "DESTDIR=$dir/s", @args, 'install');
	return $version >= 18
	  ? ("extension_control_path = '$dir/s$path{sharedir}:\$system'", "dynamic_library_path = '$dir/s$path{pkglibdir}:\$libdir'",
		"shared_preload_libraries = 'cachex'")
	  : "extension_destdir = '$dir/s'";
}

# Builds late/late.c and returns the file.
sub late_library
{
	my $library = PostgreSQL::Test::Utils::tempdir . '/late.so';
	my %config = map { $_ => (run_command([ $ENV{PG_CONFIG} // 'pg_config', "--$_" ]))[0] }
	  qw(cc cppflags includedir-server);
	system_or_bail(split(' ', $config{cc}), split(' ', $config{cppflags}), "-I$config{'includedir-server'}",
		'-O1', '-fPIC', '-shared', '-o', $library, "$FindBin::RealBin/../late/late.c");
	return $library;
}

# The extension, and the functions that only tests need.
sub add_extension
{
	my ($node, $db) = @_;
	$db //= 'postgres';
	$node->safe_psql($db, 'CREATE EXTENSION cachex');
	my $library = $node->safe_psql($db,
		q{SELECT probin FROM pg_proc WHERE oid = 'cachex.clear'::regproc});
	$node->safe_psql($db,
		qq{CREATE OR REPLACE FUNCTION public.check_store() RETURNS text
		   LANGUAGE c AS '$library', 'cachex_check_store'});
	return;
}

sub start_server
{
	my $node = new_server(@_);
	$node->start;
	add_extension($node);
	return $node;
}

# The result of a query; an error ends the test.
sub one
{
	my ($node, $sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# ---- pgbench ----

# Starts pgbench.  scripts: [ weight, text ], ...; clients; seconds or
# transactions (a client); db; options.
sub pgbench_start
{
	my ($node, %p) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my @cmd = ('pgbench', '-n', '--random-seed=' . ($ENV{CACHEX_TEST_SEED} || 1),
		'-c', $p{clients}, '-j', 2, @{ $p{options} // [] });
	push @cmd, $p{seconds} ? ('-T', int($p{seconds})) : ('-t', $p{transactions});
	foreach my $script (@{ $p{scripts} })
	{
		my $file = "$dir/script" . $nscripts++;
		PostgreSQL::Test::Utils::append_to_file($file, $script->[1]);
		push @cmd, '-f', "$file\@$script->[0]";
	}
	push @cmd, $node->connstr($p{db} // 'postgres');
	my $run = { out => '', err => '' };
	$run->{harness} = IPC::Run::start(\@cmd, '<', \undef,
		'>', \$run->{out}, '2>', \$run->{err});
	return $run;
}

sub pgbench_running
{
	my $run = shift;
	$run->{harness}->pump_nb;
	return $run->{harness}->pumpable;
}

# Waits; the run then has status, transactions and err.
sub pgbench_wait
{
	my $run = shift;
	$run->{harness}->finish;
	$run->{status} = $run->{harness}->full_result(0);
	$run->{transactions} =
	  $run->{out} =~ /transactions actually processed: (\d+)/ ? $1 : 0;
	diag(substr($run->{err}, 0, 3000)) if $run->{status} != 0;
	return $run;
}

sub pgbench
{
	return pgbench_wait(pgbench_start(@_));
}

# ---- processes ----

# The text of a file of the system; '' when it cannot be read.
sub read_file
{
	my ($file) = @_;
	local $/;
	open(my $fh, '<', $file) or return '';
	return scalar <$fh> // '';
}

# Process ids of our workers of a kind; they are no backends, so from the
# system.
sub workers
{
	my ($node, $kind) = @_;
	my $postmaster = (split /\n/, read_file($node->data_dir . '/postmaster.pid'))[0];
	my @found;
	for my $dir (glob '/proc/[0-9]*')
	{
		next unless read_file("$dir/status") =~ /^PPid:\s+$postmaster$/m;
		push @found, $dir =~ /(\d+)/ if read_file("$dir/cmdline") =~ /$kind/;
	}
	return @found;
}

# ---- what must hold ----

sub memory_used
{
	return one($_[0], 'SELECT used FROM cachex.memory()');
}

# Until something is true, as a session sees it.
sub until_true
{
	my ($session, $what) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	while (time < $end)
	{
		return if $session->must("SELECT $what") eq 't';
		usleep(2000);
	}
	die "never: $what";
}

# Tries until a query returns true, beside a crash: a psql that is not let in
# reads nothing, and who writes a query to it (poll_query_until) dies of that.
sub until_up
{
	my ($node, $query, $db) = @_;
	my ($out, $err);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr($db // 'postgres'), '-c', $query ],
			'<', \undef, '>', \$out, '2>', \$err);
		return 1 if $out eq "t\n";
		usleep(100_000);
	}
	diag("last answer: $out$err");
	return 0;
}

# Tries for some seconds until a condition on cachex.memory() holds; the memory
# of what was dropped comes back a moment later.
sub wait_for_memory
{
	my ($node, $condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $holds = 'f';
	for (1 .. 100)
	{
		$holds = one($node, "SELECT $condition FROM cachex.memory()");
		last if $holds eq 't';
		usleep(100_000);
	}
	return ok($holds eq 't', $name)
	  || diag(one($node, 'SELECT * FROM cachex.memory()'));
}

# Every byte is accounted for, every entry in all structures.  Nobody but the
# sweeper may be at work, so a fault is one that stays.
sub is_consistent
{
	my ($node, $name, $db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $fault;
	for (1 .. 50)
	{
		$fault = one($node, "SELECT coalesce(check_store(), 'none')", $db);
		last if $fault eq 'none';
		usleep(100_000);
	}
	return is($fault, 'none', "$name: the store is consistent");
}

# The same when all clients have gone, and what else must hold then.
sub is_idle_and_consistent
{
	my ($node, $name, $db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity
		  WHERE backend_type = 'client backend'}) or die "clients are left";
	is_consistent($node, $name, $db);
	is(one($node, q{SELECT used <= available, in_doubt FROM cachex.memory()}),
		't|0', "$name: memory within its limit, no writer in doubt");
	is(one($node, q{SELECT count(*) FROM cachex.entries()
			WHERE status = 'pending'}, $db),
		'0', "$name: no pending entry is left");
	return;
}

sub never_crashed
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @bad = grep { /PANIC|TRAP|was terminated by signal|exited with exit code [2-9]/ }
	  split(/\n/, slurp_file($node->logfile));
	return is("@bad", '', $name // 'no process has crashed');
}

# ---- sessions ----

# A psql that stays; an error does not end it.
sub session
{
	my ($node, $db) = @_;
	return CachexTest::Session->new($node->connstr($db // 'postgres'));
}

package CachexTest::Session;

sub new
{
	my ($class, $connstr) = @_;
	my $s = bless { in => '', out => '', err => '', n => 0 }, $class;
	# of each wait: a session may be much older
	$s->{timer} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$s->{harness} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $connstr, '-f', '-' ],
		'<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err}, $s->{timer});
	return $s;
}

# Sends without waiting.
sub send
{
	my ($s, $sql) = @_;
	my $n = ++$s->{n};
	$s->{timer}->start;
	$s->{in} .= "$sql\n;\n\\echo end-$n\n\\warn end-$n\n";
	$s->{harness}->pump_nb;
	return;
}

# Waits for what was sent; returns its output, error() has the rest.
sub receive
{
	my $s = shift;
	my $end = "end-$s->{n}\n";
	$s->{timer}->start;
	while ($s->{harness}->pumpable
		&& !(index($s->{out}, $end) >= 0 && index($s->{err}, $end) >= 0))
	{
		$s->{harness}->pump;
	}
	my ($out, $err) = ($s->{out}, $s->{err});
	$s->{out} = $s->{err} = '';
	s/end-\d+\n//g foreach ($out, $err);
	$out =~ s/\n\z//;
	$s->{error} = $err;
	return $out;
}

sub query
{
	my ($s, $sql) = @_;
	$s->send($sql);
	return $s->receive;
}

# The same, and an error ends the test.
sub must
{
	my ($s, $sql) = @_;
	my $out = $s->query($sql);
	die "$sql: $s->{error}" if $s->{error} =~ /ERROR|FATAL|lost/;
	return $out;
}

# Messages of what was received last.
sub error
{
	return $_[0]->{error};
}

# Whether nothing came yet of what was sent.
sub is_waiting
{
	my $s = shift;
	$s->{timer}->start;
	$s->{harness}->pump_nb;
	return index($s->{out}, "end-$s->{n}\n") < 0;
}

sub pid
{
	return $_[0]->must('SELECT pg_backend_pid()');
}

sub close
{
	my $s = shift;
	$s->{timer}->start;
	$s->{in} .= "\\q\n";
	eval { $s->{harness}->finish };
	return;
}

1;
