# What t/private_matrix.pl runs its parts with: a server with the roles, objects
# and functions of test/private, and a count of cells, each of them a comparison
# of an answer of the cache with what the role gets without one.

package PrivateTest;

use strict;
use warnings FATAL => 'all';

use CachexTest;
use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(private_server check part_begin part_end total_cells names quoted scenario);

my ($total, $cells, $begun, @differences) = (0, 0);

# A server with everything there is to ask for.
sub private_server
{
	my $node = start_server('private', 'max_connections = 20', 'fsync = off', 'autovacuum = off', @_);
	foreach my $file (qw(objects driver loaders changes more))
	{
		my ($rc, $out, $err) = $node->psql('postgres', slurp_file("$FindBin::RealBin/../private/$file.sql"),
			on_error_stop => 1);
		die "$file.sql: $err" if $rc;
	}
	return $node;
}

sub quoted
{
	my $text = shift;
	$text =~ s/'/''/g;
	return "'$text'";
}

# The names in a table of drv, in order.
sub names
{
	my ($s, $table) = @_;
	return split /\n/, $s->must("SELECT name FROM drv.$table ORDER BY n");
}

sub part_begin
{
	($cells, $begun, @differences) = (0, time);
	return;
}

# Runs a function that returns a drv.result, and counts.
sub check
{
	my ($s, $call) = @_;
	my $out = $s->must(q{SELECT concat_ws(E'\n', cells, nullif(array_to_string(differences, E'\n'), '')) FROM drv.} . $call);
	my ($n, @lines) = split /\n/, $out;
	$cells += $n;
	push @differences, @lines;
	return;
}

# Ends a part of the test, which is one line of its result.
sub part_end
{
	my $name = shift;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$total += $cells;
	note(sprintf('%s: %d cells in %.1f s', $name, $cells, time - $begun));
	my $ok = ok($cells > 0 && !@differences, $name);
	diag(scalar(@differences) . ' differences', map { "\n$_" } @differences > 60
		? (@differences[ 0 .. 59 ], '...') : @differences) unless $ok;
	return $ok;
}

sub total_cells
{
	return $total;
}

# Runs a scenario: lines "n SQL" run it in session n, "n! SQL" expects an error,
# "n?" asks there for the loaders as who is in effect, "n=" of exact caches only.
sub scenario
{
	my ($sessions, $name, $loaders, @steps) = @_;
	my $list = quoted('{' . join(',', map { qq("$_") } @$loaders) . '}');
	my $i = 0;
	foreach my $step (@steps)
	{
		$i++;
		my ($n, $sql) = $step =~ /^(\d)\s*(.*)$/s or die "bad step $step";
		my $s = $sessions->[ $n - 1 ];
		if ($sql eq '?' || $sql eq '=')
		{
			check($s, 'here(' . quoted("$name, step $i") . ", $list"
				. ($sql eq '=' ? ", '{private_exact,shared_exact}')" : ')'));
		}
		elsif ($sql =~ s/^!\s*//)
		{
			$s->query($sql);
			push @differences, "$name: no error from $sql" if $s->error !~ /ERROR/;
		}
		else
		{
			$s->must($sql);
		}
	}
	return;
}

1;
