#!/bin/bash
# All tests, in private servers; the closing line says "N passed, N failed".
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=suite.sh
. "$CX_ROOT/test/suite.sh"

# check NAME SCRIPT ARG...: a script that passes, fails or (77) skips.
check() {
	local name=$1 status=0
	shift
	cx_long 300 bash "$@" >"$CX_TMP/check.log" 2>&1 || status=$?
	case $status in
	0) suite_pass "$name" ;;
	77) echo "skipped $name: $(cat "$CX_TMP/check.log")" ;;
	*)
		suite_fail "$name"
		cat "$CX_TMP/check.log"
		;;
	esac
}

if ! cx_setup test; then
	echo '0 passed, 1 failed'
	exit 1
fi
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
if ! cx_build; then
	suite_fail build
	suite_close
	exit 1
fi
check layers "$CX_SRC/test/check_layers.sh"
check format "$CX_SRC/test/format.sh" --check
suite_regress
suite_isolation
suite_tap
suite_close
