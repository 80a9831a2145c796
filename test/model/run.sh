#!/bin/bash
# Checks the models of the invalidation protocol. Needs spin and gcc.
# usage: test/model/run.sh [quick|full]
#        quick  small configurations and every missing safeguard (the default)
#        full   larger configurations too
# A line: what is expected and what was found (ok = no violation, bad = a
# violation), states, seconds, name, model and definitions. Status 0: all as
# expected; 77: a tool is missing.
set -u
mode=${1:-quick}
case $mode in
quick | full) ;;
*)
	echo 'usage: run.sh [quick|full]' >&2
	exit 2
	;;
esac
for tool in spin gcc; do
	if ! command -v "$tool" >/dev/null; then
		echo "there is no $tool"
		exit 77
	fi
done
here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
cd "$work" || exit 1
passed=0
failed=0
# most of the quick runs are shorter than an optimizing compiler's
level=-O1

# check ok|bad NAME MODEL [DEFINITION...]
check() {
	local want=$1 name=$2 model=$3 found=error note='' states begin=$SECONDS
	shift 3
	rm -f pan*
	cp "$here/$model.pml" m.pml || exit 1
	if spin -a "$@" m.pml >out 2>&1 &&
		gcc "$level" -w -DSAFETY -DCOLLAPSE -DMEMLIM=8000 -o pan pan.c >>out 2>&1; then
		nice timeout 400 ./pan -m400000 >out 2>&1
		# a search that was cut short says neither
		if grep -q 'assertion violated\|invalid end state (' out; then
			found=bad
		elif grep -q 'errors: 0' out &&
			! grep -q 'Search not completed\|max search depth' out; then
			found=ok
		fi
	fi
	if [ "$found" != "$want" ]; then
		note='   <== not as expected'
		failed=$((failed + 1))
		[ "$found" = error ] && head -n 5 out >&2
	else
		passed=$((passed + 1))
	fi
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
	printf '%-4s %-5s %10s %4ds  %s: %s%s\n' "$want" "$found" "${states:--}" \
		$((SECONDS - begin)) "$name" "$model${*:+ $*}" "$note"
}

check ok '2 writers, 2 readers' protocol -DNF=1
check ok 'one reader, 2 fetches, 2 places' protocol -DNR=1 -DPLACES=2
check ok 'two relations, one line' protocol -DNREL=2 -DNR=1
check ok '... and one generation' protocol -DNREL=2 -DNR=1 -DONEGEN
check ok 'quiet path' protocol -DNF=1 -DQUIETPATH
check ok 'quiet path, one prepared' protocol -DNF=1 -DQUIETPATH -DPREP=2
check ok 'one prepared' protocol -DPREP=2 -DNF=1 -DPLACES=2
check ok 'both prepared' protocol -DPREP=6
check ok 'two dependencies of one hash' protocol -DPREP=2 -DTWINS -DNF=1
check ok 'somebody settles' protocol -DPREP=2 -DSETTLER -DNF=1 -DQUIETPATH
check ok '... with an overflow' protocol -DPREP=6 -DSETTLER -DNR=1 -DQUIETPATH
check ok '... in two places' protocol -DPREP=2 -DSETTLER -DNR=1 -DPLACES=2 -DNW=3 -DNF=1
check ok 'prepared before a restart' protocol -DBOOT -DNF=1
check ok 'writers replace the entry' protocol -DPUT -DNF=1 -DQUIETPATH
check ok '... 3 writers' protocol -DPUT -DNW=3 -DNR=1 -DNF=1
check ok '... or invalidate what it hangs on' protocol -DPUT -DNREL=2 -DNR=1 -DNF=1
check ok '... prepared' protocol -DPUT -DNREL=2 -DNR=1 -DNF=1 -DPREP=2 -DSETTLER
# three xids: 1 puts, 2 invalidates, 3 does both, 0 something else
hangs=(-DPUT -DNREL=2 -DNR=1 -DNF=1 -DNW=3 -DPLACES=4)
check ok '... put, invalidation, other' protocol "${hangs[@]}" -DW1=1 -DW2=2 -DW3=0
check ok '... invalidation, put, other' protocol "${hangs[@]}" -DW1=2 -DW2=1 -DW3=0
check ok '... both, invalidation, other' protocol "${hangs[@]}" -DW1=3 -DW2=2 -DW3=0
check ok '... invalidation, both, other' protocol "${hangs[@]}" -DW1=2 -DW2=3 -DW3=0
check ok 'own fetch while preparing' protocol -DPREP=2 -DOWNFETCH -DNF=1
check ok 'in the end all is admitted' protocol -DLIVE -DNR=1
check ok '... with prepared ones' protocol -DLIVE -DNR=1 -DPREP=2
check bad 'witness: hits happen' protocol -DWITNESS
# what could be left out without a wrong answer
check ok 'fill compares nothing' protocol -DNF=1 -DR_FILLNOCOMPARE
check ok 'fill replaces later ones' protocol -DNF=1 -DR_FILLREPLACES
check ok 'quiet looked at after the entry' protocol -DNF=1 -DQUIETPATH -DM_QUIETLATE
# one safeguard is missing
check bad 'no mark' protocol -DM_NOMARK
check bad 'mark after visibility' protocol -DM_LATEMARK
check bad 'doubt ignored' protocol -DM_NODOUBT
check bad 'resolved ones not compared' protocol -DM_NOSEE
check bad 'no bump' protocol -DM_NOBUMP
check bad 'floor forgotten' protocol -DM_NOFLOOR
check bad 'floor not strict' protocol -DM_NONSTRICT -DNW=3 -DNR=1
check bad 'latest read too early' protocol -DM_EARLYLATEST
check bad 'overflow forgotten' protocol -DM_DROPOVER
check bad 'fill unchecked' protocol -DM_FILLUNCHECKED
check bad 'generation drawn after asking' protocol -DM_GENLATE
check bad 'generations before writers' protocol -DM_GENSFIRST
check bad 'quiet path without max_xid' protocol -DQUIETPATH -DM_NOMAX
check bad 'quiet looked at after the entry' protocol -DPUT -DQUIETPATH -DM_QUIETLATE
check bad 'in_doubt down too early' protocol -DQUIETPATH -DM_DECEARLY
check bad 'quiet despite prepared ones' protocol -DQUIETPATH -DPREP=2 -DM_PREPUNCOUNTED
check bad 'settled without a bump' protocol -DPREP=2 -DM_PREPNOBUMP
check bad 'overflow settled without a floor' protocol -DPREP=6 -DM_OVERNOBUMP
check bad 'prepared overflow forgotten' protocol -DPREP=6 -DM_DROPOVERPREP
check bad 'restart forgotten' protocol -DBOOT -DM_NOBOOT
check bad 'own prepared mark settled' protocol -DPREP=2 -DOWNFETCH -DM_SETTLEOWN -DNW=3 -DNR=1
check bad 'the dependency asked for moved' protocol -DPREP=2 -DTWINS -DM_SETTLEASKED
check bad 'settled while it runs' protocol -DPREP=2 -DSETTLER -DM_SETTLERUNNING -DNF=1
check bad 'settled with an early latest' protocol -DPREP=2 -DSETTLER -DM_SETTLEEARLYLATEST -DNW=3 -DNR=1
check bad 'settler moves nothing' protocol -DPREP=2 -DSETTLER -DM_PREPNOBUMP
check bad 'overtaken put' protocol -DPUT -DM_NOTOVERTAKEN
check bad 'a put asks for latest when it is run again' protocol -DPUT -DNW=3 -DNR=1 -DNF=1 -DM_LATESTOFPUT
check bad 'rivals not noted' protocol -DPUT -DNW=3 -DNR=1 -DNF=1 -DM_NORIVAL
check bad 'rivals of the floor forgotten' protocol -DPUT -DNW=3 -DNR=1 -DNF=1 -DM_NORIVALFLOOR
hangs+=(-DW1=3 -DW2=2 -DW3=0)
check bad 'put not judged before own changes' protocol "${hangs[@]}" -DM_NOTJUDGED
check bad 'put not judged after them' protocol "${hangs[@]}" -DM_NOTASKED
check bad 'latest of who resolves read before his lock' protocol "${hangs[@]}" -DM_LATESTOUTSIDE
check bad 'not judged where nobody has drawn' protocol "${hangs[@]}" -DM_JUDGESHORT
check bad 'generations looked at before the lock' protocol "${hangs[@]}" -DM_MOVEDFIRST
check bad 'xmin of the floor ignored' protocol -DLIVE -DM_NOXMIN -DNR=1
check ok 'set of generations, two passes' protocol -DCELL
check bad '... one pass' protocol -DCELL -DM_ONEPASS

check ok 'hard marks' catalog -DNDDL=1
check ok '... prepared' catalog -DNDDL=1 -DPREP=2
check ok '... quiet path' catalog -DNDDL=1 -DQUIETPATH
check ok '... prepared before a restart' catalog -DNDDL=1 -DBOOT
check bad 'witness: hits happen' catalog -DWITNESS
check bad 'no mark' catalog -DM_NOMARK
check bad 'resolved at the callback' catalog -DNDDL=1 -DM_ATCOMMIT
check bad 'settled when visible' catalog -DNDDL=1 -DPREP=2 -DM_PREPVISIBLE
check bad 'unseen hard marks let pass' catalog -DM_UNSEEN
check bad '... prepared' catalog -DM_UNSEEN -DPREP=2
check bad 'messages before the generation' catalog -DNDDL=1 -DM_ACCEPTFIRST
check bad 'generation after the load' catalog -DNDDL=1 -DM_GENLATE
check bad 'restart: xmin alone' catalog -DNDDL=1 -DBOOT -DM_BOOTVISIBLE

check ok 'BEFORE STATEMENT' own
check bad 'witness: hits happen' own -DWITNESS
check bad 'AFTER STATEMENT' own -DM_AFTER
check bad 'dirty tables hit' own -DM_HITDIRTY
check bad 'dirty tables fill' own -DM_FILLDIRTY

if [ "$mode" = full ]; then
	level=-O2
	check ok '2 writers, 2 readers, 2 fetches' protocol
	check ok '... 2 places' protocol -DPLACES=2
	check ok '... quiet path' protocol -DQUIETPATH
	check ok '... prepared, quiet path' protocol -DPREP=2 -DQUIETPATH
	check ok '... replacing, quiet path' protocol -DPUT -DQUIETPATH
	check ok '... in the end all is admitted' protocol -DLIVE
	check ok 'two relations, 2 readers' protocol -DNREL=2 -DNF=1
	check ok '... one prepared' protocol -DNREL=2 -DNF=1 -DPREP=2
	check ok '3 writers' protocol -DNW=3 -DNF=1
	check ok '3 writers, 2 places' protocol -DNW=3 -DNR=1 -DPLACES=2
	check ok '3 writers, one prepared' protocol -DNW=3 -DNF=1 -DPREP=2
	check ok '3 writers, own fetch' protocol -DNW=3 -DNR=1 -DPREP=2 -DOWNFETCH
	check ok 'restart, 2 fetches' protocol -DBOOT
	check ok '2 hard, 2 fetches, one prepared' catalog -DPREP=2
	check ok '2 hard, 2 fetches, both prepared' catalog -DPREP=6
	check ok '2 hard, quiet path' catalog -DQUIETPATH -DNF=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
