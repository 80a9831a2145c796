
# Shared by the tests with a role that means harm: the roles hostile, who has
# what everybody has, and victim, whose entries must stay what they are and whose
# secrets must stay his.

package HostileTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use CachexTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($secret start_hostile connstr_of session_of as_role must fill_victim
  is_unharmed log_is_clean is_secret_kept);

# In all that is nobody else's business
our $secret = 'S3CR3T';

my $node;

# ---- sessions ----

sub connstr_of
{
	my ($role) = @_;
	return $node->connstr('postgres') . " user=$role";
}

sub session_of
{
	return CachexTest::Session->new(connstr_of($_[0]));
}

# The output of statements, and their messages with SQLSTATE.
sub as_role
{
	my ($role, $sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
			connstr_of($role), '-f', '-' ], '<', \$sql, '>', \$out, '2>', \$err);
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
		SELECT cachex.create_cache('writable', consistency => 'ttl',
			options => '{"validate": "\$1 <> ''\\"$secret\\"'' AND \$1 <> ''0''"}');
		SELECT cachex.create_cache('$secret', consistency => 'ttl');
		SELECT cachex.create_cache('open', consistency => 'ttl', shared => true);
		SELECT cachex.grant_cache('readable', 'public', 'read');
		SELECT cachex.grant_cache('writable', 'public', 'write');
		SELECT cachex.grant_cache('open', 'public', 'read');
		SELECT cachex.create_warmer('$secret', '$secret', 'SELECT ''$secret'' AS key, 1 AS value');
		SELECT count(cachex.put(c, '$secret' || i, '"$secret"', tags => ARRAY['$secret', 't1'],
			metadata => '{"a": "$secret"}')) FROM generate_series(1, 20) i,
			unnest(ARRAY['default', 'queries', 'readable', '$secret']) c;
		SELECT count(cachex.put('writable', '$secret' || i, '"x$secret"')) FROM generate_series(1, 20) i;
		SELECT cachex.put(c, 'k1', '"x$secret"') FROM unnest(ARRAY['default', 'queries', 'readable', 'writable']) c;
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

# ---- what is in the log ----

my $log_read = 0;

# Of the server itself, found by sqlsmith
my $known = qr/unrecognized interval typmod|cache lookup failed for (access method|conversion|tablespace) 0/;

# Nothing since the last call that is a fault of the server's or of ours.
sub log_is_clean
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $log = slurp_file($node->logfile, $log_read);
	$log_read += length($log);
	my @bad = grep { /(ERROR|FATAL|PANIC):\s+XX|PANIC|TRAP:|cache lookup failed|terminated by signal|reference leak/
		  && !/$known/ } split(/\n/, $log);
	return is(join("\n", @bad[ 0 .. ($#bad > 5 ? 5 : $#bad) ]), '',
		"$name: no internal error, no crash");
}

sub is_secret_kept
{
	my ($name, @texts) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @leaks = map { /([^\n]{0,200}$secret[^\n]{0,50})/ ? $1 : () } @texts;
	return is("@leaks", '', "$name: nothing of others is shown");
}

# A server with both of them.
sub start_hostile
{
	$node = start_server('hostile', 'cachex.memory = 64MB', 'max_connections = 30',
		'log_error_verbosity = verbose', 'log_min_error_statement = fatal', @_);
	$node->safe_psql('postgres', q{
		CREATE ROLE victim LOGIN;
		CREATE ROLE hostile LOGIN;
		GRANT CREATE ON DATABASE postgres TO victim});
	make_victim();
	is_unharmed('at first');
	return $node;
}

1;
