#!/bin/bash
# Is the history test worth its time? Builds cachex with one planted bug after
# the other and says how soon each is found. Fails when one is not.
# usage: test/history/bugs.sh [NUMBER...]
#   BUG_SECONDS=n: how long to look for each (60)
set -u
export LC_ALL=C

names=('' 'no in-doubt mark' 'mark after visibility'
	'resolved writers not compared with the snapshot'
	'no bump of the generation' 'floor forgotten' 'fill unchecked'
	'own writes ignored' 'AFTER instead of BEFORE STATEMENT')
seconds=${BUG_SECONDS:-60}
[ $# -gt 0 ] || set -- 1 2 3 4 5 6 7 8
missed=0

out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
trap 'exit 130' HUP INT TERM

for bug; do
	if ! [[ $bug =~ ^[1-8]$ ]]; then
		echo "there is no bug $bug" >&2
		exit 2
	fi
	status=0
	bash "$(dirname "$0")/run.sh" --bug "$bug" --seconds "$seconds" \
		--stop-at-first >"$out" 2>&1 || status=$?
	case $status in
	1)
		result="found after $(sed -n 's/^first violation after //p' "$out")"
		result+=", by $(sed -n 's/^VIOLATION after [^:]*: \([a-z]*\),.*/\1/p' \
			"$out" | head -n 1)"
		;;
	0) result="NOT FOUND in $seconds s" ;;
	*) result="no test: $(grep -a TROUBLE "$out" || tail -n 3 "$out")" ;;
	esac
	[ "$status" -eq 1 ] || missed=1
	echo "bug $bug, ${names[bug]}: $result"
done
exit "$missed"
