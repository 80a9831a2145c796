
# The clock steps forward and back: nothing lives longer than it was promised
# by more than the step, and nothing breaks.  Needs libfaketime.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($library) = grep { -e } glob '/usr/lib/*/faketime/libfaketime.so.1 /usr/lib64/faketime/libfaketime.so.1';
plan skip_all => 'libfaketime is not there' unless $library;

my $offset = PostgreSQL::Test::Utils::tempdir . '/offset';
my $node = new_server('steps', 'cachex.memory = 16MB', 'cachex.sweep_interval = 1s');

sub step_to
{
	my ($seconds) = @_;
	open my $file, '>', "$offset.new" or die;
	printf $file "%+d\n", $seconds;
	close $file or die;
	rename "$offset.new", $offset or die;
	return;
}

step_to(0);
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{FAKETIME_TIMESTAMP_FILE} = $offset;
	local $ENV{FAKETIME_NO_CACHE} = 1;
	local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
	$node->start;
}
add_extension($node);
one($node, q{SELECT cachex.create_cache('c', consistency => 'ttl', stale_for => '10 s')});
my $s = session($node, 'postgres');
my $put = q{SELECT cachex.put('c', k, '1', ttl => '60 s') FROM unnest('{a,b}'::text[]) AS k};
my $left = q{SELECT max(expires_at - clock_timestamp()) FROM cachex.entries('c')};

$s->must($put);
is($s->must(q{SELECT cachex.get('c', 'a')}), '1', 'there before the clock steps');
my $before = $s->must('SELECT extract(epoch FROM clock_timestamp())');
step_to(3600);
cmp_ok($s->must('SELECT extract(epoch FROM clock_timestamp())') - $before, '>', 3000, 'the clock of the server steps');
is($s->must(q{SELECT cachex.get('c', 'a') IS NULL}), 't', 'an hour later it has ended');
is($s->must(q{SELECT cachex.purge('c') >= 0, (SELECT count(*) FROM cachex.entries('c'))}), 't|0', 'and is freed');
$s->must($put);
is($s->must(q{SELECT cachex.get('c', 'b')}), '1', 'one of then is there');
step_to(0);
is($s->must(qq{SELECT ($left) <= interval '1 hour 60 s'}), 't', 'back: it ends when it was to end, so later by the step and no more');
is($s->must(q{SELECT age FROM cachex.lookup('c', 'b') WHERE age > '0'}), '', 'and is not older than it is');
is($s->must(q{SELECT cachex.fetch('c', 'f', 'SELECT 7', ttl => '60 s')}), '7', 'loaders work');
$s->must($put);
is($s->must(qq{SELECT ($left) <= interval '60 s'}), 't', 'what is put now ends by the clock of now');
step_to(-7200);
is($s->must(q{SELECT cachex.get('c', 'a'), cachex.purge('c') >= 0}), '1|t', 'two hours back');
step_to(7200);
is($s->must(q{SELECT cachex.get('c', 'a') IS NULL, cachex.get('c', 'f') IS NULL}), 't|t', 'and far ahead: all has ended');
is($s->must(q{SELECT cachex.purge('c') >= 0, (SELECT count(*) FROM cachex.entries('c'))}), 't|0', 'and is freed');

# A step over centuries, which is made second by second: nobody
# waits for all of it.
$s->must(q{SELECT cachex.put('c', 'far', '1', ttl => '500 years')});
$s->must($put);
my $purger = session($node, 'postgres');
$purger->must('SELECT 1');
step_to(250 * 365 * 86400);
$purger->send(q{SELECT cachex.purge('c') IS NOT NULL});
my $longest = 0;
my $sent = time();
do
{
	my $began = time();
	$s->must($put);
	$longest = time() - $began if time() - $began > $longest;
} while ($purger->is_waiting);
my $quarter = (time() - $sent) / 4;
cmp_ok($longest, '<', $quarter > 3 ? $quarter : 3, 'puts go on beside a purge, centuries later');
is($purger->receive, 't', 'which ends');
is($s->must(q{SELECT cachex.get('c', 'far'), cachex.get('c', 'a')}), '1|1', 'what is alive is there');
$purger->close;
step_to(510 * 365 * 86400);
is($s->must(q{SELECT cachex.purge('c') >= 0, (SELECT count(*) FROM cachex.entries('c'))}), 't|0', 'until its own time');
$s->close;
is_consistent($node, 'after the steps');
never_crashed($node);
$node->stop;
done_testing();
