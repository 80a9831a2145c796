
# Calls that nobody in his right mind makes: every function of the extension,
# found in pg_proc, with extremes of each argument's type, and random ones.
# What is made is text for psql; judging it is the caller's.

package HostileCalls;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT = qw(functions_of extreme_calls random_calls);

# ---- values: SQL expressions ----

my @queries = map { defined $_ ? $_ : 'NULL' } (
	(map { "'$_'" } 'SELECT 1 AS value', 'SELECT $1 AS value',
		'SELECT $1::int AS value', 'SELECT now() AS value',
		'SELECT 1 AS a, 2 AS b', 'SELECT WHERE false', 'VALUES (1), (2)',
		'TABLE pg_temp.own', 'TABLE victim.t', 'SELECT 1/0',
		'SELECT k AS key, k AS value FROM unnest($1) k',
		'SELECT k, NULL FROM unnest($1) k',
		'SELECT 1 AS value, interval $$-1 s$$ AS ttl, ARRAY[NULL]::text[] AS tags',
		'SELECT 1 AS value, $$infinity$$::timestamptz AS expires_at, true AS ignore',
		'SELECT cachex.put($$default$$, $$k1$$, $$1$$)',
		'SELECT cachex.fetch($$default$$, $$k2$$, $$SELECT 2$$)',
		'SELECT cachex.clear($$queries$$)',
		'SELECT cachex.fetch($$queries$$, $$k1$$, $$SELECT 1 AS value$$)',
		'DELETE FROM pg_temp.own', 'COMMIT', 'SELECT 1; SELECT 2', 'nonsense',
		'SELECT pg_temp.f($1)', 'SELECT set_config($$role$$, $$victim$$, false)',
		'SELECT * FROM cachex.query($$SELECT 1$$) AS (a int)',
		'SELECT o FROM pg_temp.own o', 'SELECT current_user AS value',
		'SELECT generate_series(1, 100000) AS value',
		'SELECT $1, $2, $3', 'SELECT repeat($$x$$, 3000000) AS value', ''),
	q{'SELECT ' || repeat('(', 20000) || '1' || repeat(')', 20000)},
	q{'SELECT 1 AS value /*' || repeat('x', 1000000) || '*/'},
	q{'SELECT ' || repeat('1+', 3000) || '1 AS value'});

my @names = map { "'$_'" } (('default') x 6, ('queries') x 4, ('readable') x 2,
	('writable') x 2, 'open', 'theirs', 'exact_of_them', 'shared_by_them', 'stored',
	'nope');

# What an argument of this name is when nothing is to be tried with it.
my %by_name = (
	cache => \@names,
	key => [ map { "'k$_'" } 1 .. 9 ],
	scope => [ 'NULL', 'NULL', "'s1'", "'s2'" ],
	query => \@queries,
	expression => [ "'1'", "'\$1'", "'to_jsonb(1)'", "'\$1 || \$1'", "'1/0'",
		"'cachex.get(\$\$default\$\$, \$\$k1\$\$)'", "'1) FROM (SELECT 1'" ],
	pattern => [ "'k%'", "'%'", "'_1'", "'%\\\\'", "repeat('%_', 500)" ],
	mode => [ map { "'$_'" } qw(normal normal bypass refresh cached nope) ],
	only_if => [ 'NULL', "'absent'", "'present'", "'nope'" ],
	action => [ map { "'$_'" } qw(invalidate stale put refresh nope) ],
	privilege => [ "'read'", "'write'", "'nope'" ],
	grantee => [ "'hostile'", "'public'", "'nope'" ],
	name => [ "'mine'", "'theirs'", "'default'", "'w'" ],
	names => [ 'NULL', "'{w}'" ],
	if_none_match => [ 'NULL', "'x'" ],
	max_memory => [ "'1MB'", "'-1'", "'9999999TB'", "'x'" ],
	consistency => [ "'ttl'", "'exact'" ],
	persist => [ "'none'", "'table'", "'snapshot'", "'x'" ],
	keys => [ "'{k1,k2,k3}'", "'{<a>}'" ],
	tags => [ 'NULL', 'NULL', "'{t1,t2}'", "'{<a>}'" ],
	params => [ 'NULL', "'{1}'", "'{1,2,3}'", "'{NULL}'" ],
	max_attempts => [ 1, 3 ],
	wait => [ 'false', 'false', 'false', 'true' ],
	rel => [ "'pg_temp.own'", "'victim.t'" ],
	entries => [ q{'{"k1": 1, "k2": null}'} ],
	options => [ "'{}'", q{'{"beta": 1e308}'}, q{'{"nope": 1}'} ],
	changes => [ q{'{"ttl": "1 s"}'}, q{'{"enabled": false}'}, q{'{"max_memory": null}'} ],
);

my $long_array = '(SELECT array_agg(%s) FROM generate_series(1, 100000) i)';
my @texts = (q{''}, q{' '}, q{E'\n'}, q{E'\\\\'}, q{'%'}, q{'{}'}, q{'-'},
	q{E'\001'}, q{U&'\+01F600'}, q{'{"a": 1}'}, q{'$1'},
	q{$q$'; DROP SCHEMA cachex; --$q$}, (map { "repeat('x', $_)" } 63, 64, 255,
		256, 1024, 1025, 100000), q{repeat('x', 1048576)},
	q{repeat(U&'\00E9', 512)}, q{repeat(U&'\+01F600', 256)});

# By type; what is not here gets NULL only.
my %extremes = (
	text => \@texts,
	bigint => [ 0, 1, -1, '9223372036854775807', '(-9223372036854775808)' ],
	integer => [ 0, 1, -1, 2147483647, '(-2147483648)' ],
	'double precision' => [ 0, -1, "'NaN'", "'infinity'", "'-infinity'", '1e308', '1e-308' ],
	boolean => [ 'true', 'false' ],
	interval => [ map { "interval '$_'" } '0', '-1 s', '1 us', '-1 us',
		'178000000 years', '-178000000 years', '2147483647 days',
		'9223372036854775807 us', '-9223372036854775808 us',
		'2147483647 months 2147483647 days', '-1 mon 30 days', '30 days' ],
	'timestamp with time zone' => [ map { "timestamptz '$_'" } 'infinity', '-infinity',
		'294276-12-31 23:59:59+00', '4713-01-02 00:00:00+00 BC', '2000-01-01',
		'now', '1970-01-01' ],
	jsonb => [ (map { "'$_'" } 'null', '{}', '[]', '""', '-0.0', '1e400', '1e-400',
			'{"": 1}', '[null]', 'true', '{"key": {"value": []}}'),
		q{(repeat('[', 5000) || repeat(']', 5000))::jsonb},
		q{(repeat('{"a":', 3000) || '1' || repeat('}', 3000))::jsonb},
		q{('1' || repeat('0', 100000))::jsonb},
		q{to_jsonb(repeat('x', 2000000))},
		q{jsonb_build_object(repeat('k', 2000), repeat('v', 300000))},
		'(SELECT jsonb_object_agg(i, i) FROM generate_series(1, 100000) i)',
		'(SELECT jsonb_agg(NULL::int) FROM generate_series(1, 100000) i)' ],
	'text[]' => [ "'{}'", "'{NULL}'", "'{\"\"}'", "'{a,NULL,b}'", "'{{a,b},{c,d}}'",
		"'[5:6]={a,b}'", "ARRAY[repeat('x', 255)]", "ARRAY[repeat('x', 256)]",
		"ARRAY[repeat('x', 1048576)]", sprintf($long_array, "'e' || i"),
		sprintf($long_array, "'same'"), sprintf($long_array, 'NULL'),
		"(SELECT array_agg('t' || i) FROM generate_series(1, 65) i)",
		"array_fill('x'::text, '{2,3,4,5,6,7}')" ],
	'name[]' => [ "'{}'", "'{NULL}'", "'{a}'", "'{{a,b},{c,d}}'", "'{nope}'",
		sprintf($long_array, "'a'::name") ],
	regclass => [ '0', '4294967295::oid', "'pg_class'", "'pg_temp.own'", "'victim.t'",
		"'pg_temp.v'", "'cachex.cache_definition'", "'cachex.jobs'" ],
	regprocedure => [ '0', '4294967295::oid', "'now()'", "'pg_temp.f(text)'", "'victim.load(text)'" ],
	anyelement => [ 'NULL::int', 'NULL::text', 'NULL', '1::smallint', "'x'::text",
		'1.5::numeric', "'{}'::jsonb", "'[]'::json", 'NULL::cachex.entry',
		'NULL::pg_temp.own', 'ROW(1, 2)', 'ROW()', "ARRAY[[1], [2]]", 'NULL::victim.t',
		"'(1,2)'::point", "'[1,5)'::int4range", "'NaN'::float8", 'NULL::pg_class',
		"'a'::\"char\"", "'x'::bytea", 'NULL::pg_temp.dom', 'NULL::pg_temp.mood',
		'NULL::regclass', 'NULL::pg_snapshot', "repeat('x', 2000000)" ],
);

# What a call that returns any rows is told that they are.
my @columns = ('a int', 'a text', 'a int, b int', 'a jsonb', 'a pg_temp.own',
	'a int[], b numeric', 'a pg_temp.dom');

# ---- functions ----

# Each: name, returns_record, args: [ { name, type, optional } ].
sub functions_of
{
	my ($node, $extension) = @_;
	my @functions;
	my $rows = $node->safe_psql('postgres', qq{
		SELECT p.proname, p.prorettype = 'record'::regtype AND p.proallargtypes IS NULL,
			coalesce((SELECT string_agg(format('%s=%s=%s', p.proargnames[i],
					format_type(p.proargtypes[i - 1], NULL),
					(i > p.pronargs - p.pronargdefaults)), ';' ORDER BY i)
				FROM generate_series(1, p.pronargs) i), '')
		FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass
			AND d.objid = p.oid AND d.deptype = 'e'
			JOIN pg_extension e ON e.oid = d.refobjid
		WHERE d.refclassid = 'pg_extension'::regclass AND e.extname = '$extension'
		ORDER BY 1, p.oid});
	foreach my $row (split(/\n/, $rows))
	{
		my ($name, $record, $args) = split(/\|/, $row, -1);
		push @functions,
		  { name => $name, returns_record => $record eq 't', args => [ map {
				my ($arg, $type, $optional) = split(/=/, $_);
				{ name => $arg, type => $type, optional => $optional eq 't' };
			} split(/;/, $args) ] };
	}
	return @functions;
}

# ---- calls ----

sub any
{
	my ($list) = @_;
	return $list->[ rand @$list ];
}

sub usual
{
	my ($arg) = @_;
	return any($by_name{ $arg->{name} } // $extremes{ $arg->{type} } // ['NULL']);
}

# A call with some arguments by name; what it returns, cut to some length.
sub call
{
	my ($f, %value) = @_;
	my $args = join(', ', map {
			my $type = $_->{type};
			my $value = $value{ $_->{name} };
			# an untyped literal would do, but not an expression in its place
			$type ne 'anyelement' && $value ne 'NULL' ? "\"$_->{name}\" => ($value)::$type"
			  : $type ne 'anyelement' ? "\"$_->{name}\" => NULL::$type"
			  : "\"$_->{name}\" => $value"
		} grep { exists $value{ $_->{name} } } @{ $f->{args} });
	my $call = "cachex.\"$f->{name}\"($args)";
	return "SELECT left(r::text, 2000) FROM $call AS r (" . any(\@columns) . ')'
	  if $f->{returns_record};
	return "SELECT left(($call)::text, 2000)";
}

sub usual_values
{
	my ($f) = @_;
	return map { $_->{name} => usual($_) } grep { !$_->{optional} } @{ $f->{args} };
}

# Each function with each extreme of each argument, the others as usual.
sub extreme_calls
{
	my (@functions) = @_;
	my @calls;
	foreach my $f (@functions)
	{
		push @calls, call($f, usual_values($f));
		foreach my $arg (@{ $f->{args} })
		{
			push @calls, call($f, usual_values($f), $arg->{name} => $_)
			  foreach 'NULL', @{ $extremes{ $arg->{type} } // [] };
		}
		# all of them null
		push @calls, call($f, map { $_->{name} => 'NULL' } @{ $f->{args} });
	}
	return @calls;
}

# $n calls with random arguments, one in five of which is an extreme.
sub random_calls
{
	my ($n, @functions) = @_;
	my @calls;
	while (@calls < $n)
	{
		my $f = any(\@functions);
		my %value = usual_values($f);
		foreach my $arg (@{ $f->{args} })
		{
			next if $arg->{optional} && rand() < 0.5;
			$value{ $arg->{name} } =
			  rand() < 0.8 ? usual($arg) : any($extremes{ $arg->{type} } // ['NULL']);
		}
		push @calls, call($f, %value);
	}
	return @calls;
}

1;
