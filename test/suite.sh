# Running and counting the drivers, for test/run.sh and test/sanitize.sh, after
# cx_build. Sets PASSED, FAILED and RAN (tests of the drivers alone).
# shellcheck shell=bash

PASSED=0
FAILED=0
RAN=0
# Environment for the driver and the server it starts.
SUITE_ENV=()

suite_pass() {
	printf 'ok      %s\n' "$1"
	PASSED=$((PASSED + 1))
}

suite_fail() {
	printf 'FAILED  %s\n' "$1"
	FAILED=$((FAILED + 1))
}

# "ok NAME" or "FAILED NAME" for every result line: those of 15, and the TAP
# lines of 16 and later.
suite_results() {
	awk '
		/^(test)? +.* +\.\.\. +(ok|FAILED|failed)/ {
			print ($0 ~ /\.\.\. +ok/ ? "ok" : "FAILED"), $1 == "test" ? $2 : $1
		}
		/^ok [0-9]+ +[-+] / { print "ok", $4 }
		/^not ok [0-9]+ +[-+] / { print "FAILED", $5 }
	' "$1"
}

suite_names() {
	find "$CX_SRC/$1" -maxdepth 1 -name "*.$2" -printf '%f\n' 2>/dev/null |
		sort | sed "s/\\.$2\$//"
}

suite_make() {
	local seconds=$1
	shift
	cx_long "$seconds" "${SUITE_ENV[@]}" make -C "$CX_SRC" with_llvm=no \
		installcheck "$@"
}

# suite_driver LABEL DIRECTORY SUFFIX MAKEARG...: a test without a result (no
# server, a crash, the time limit) has failed.
suite_driver() {
	local label=$1 names name result status=0 bad=$FAILED
	local log=$CX_TMP/$1.log
	mapfile -t names < <(suite_names "$2" "$3")
	shift 3
	[ ${#names[@]} -gt 0 ] || return 0
	suite_make "${SUITE_SECONDS:-1200}" "$@" >"$log" 2>&1 || status=$?
	suite_results "$log" >"$log.results"
	for name in "${names[@]}"; do
		RAN=$((RAN + 1))
		result=$(awk -v n="$name" '$2 == n { r = $1 } END { print r }' \
			"$log.results")
		case $result in
		ok) suite_pass "$label $name" ;;
		FAILED) suite_fail "$label $name" ;;
		*) suite_fail "$label $name (no result)" ;;
		esac
	done
	if [ "$status" -ne 0 ] && [ "$FAILED" -eq "$bad" ]; then
		suite_fail "$label driver, status $status"
	fi
	suite_keep "$label"
	if [ "$FAILED" -gt "$bad" ]; then
		if [ -s "$CX_SRC/regression.diffs" ]; then
			cat "$CX_SRC/regression.diffs"
		else
			tail -n 40 "$log"
		fi
		grep -aE 'PANIC|FATAL|TRAP|terminated by signal' \
			"$CX_TMP/$label.server.log" | grep -av 'the database system is' |
			tail -n 20
	fi
	rm -f "$CX_SRC/regression.diffs"
}

# The next driver overwrites the server's log.
suite_keep() {
	cat "$CX_SRC/log/postmaster.log" >>"$CX_TMP/$1.server.log" 2>/dev/null ||
		: >>"$CX_TMP/$1.server.log"
}

suite_regress() {
	suite_driver regress test/sql sql ISOLATION= TAP_TESTS=
}

suite_isolation() {
	suite_driver isolation test/specs spec REGRESS= TAP_TESTS=
}

# One run for each file, which is what is counted.
suite_tap() {
	local name log=$CX_TMP/tap.log
	while IFS= read -r name; do
		if ! suite_make "${SUITE_SECONDS:-1200}" REGRESS= ISOLATION= TAP_TESTS=1 \
			"PROVE_TESTS=test/t/$name.pl" >"$log" 2>&1; then
			RAN=$((RAN + 1))
			suite_fail "tap $name"
			cat "$log"
			find "$CX_SRC/tmp_check/log" -name "*$name*" -type f \
				-exec tail -n 30 {} + 2>/dev/null
		elif grep -q '\.\. skipped' "$log"; then
			echo "skipped tap $name: $(sed -n 's/.*skipped: //p' "$log")"
		else
			RAN=$((RAN + 1))
			suite_pass "tap $name"
		fi
	done < <(suite_names test/t pl)
}

# Prints the closing line; the status says whether all is well.
suite_close() {
	if [ "$RAN" -eq 0 ]; then
		echo 'no test has run'
	fi
	echo "$PASSED passed, $FAILED failed"
	[ "$FAILED" -eq 0 ] && [ "$RAN" -gt 0 ]
}
