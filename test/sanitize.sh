#!/bin/bash
# The SQL and isolation tests once more, with the library built for the address
# and the undefined behaviour sanitizer. One more test counts: that neither had
# anything to report. The closing line says "N passed, N failed".
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=suite.sh
. "$CX_ROOT/test/suite.sh"

if ! cx_setup test; then
	echo '0 passed, 1 failed'
	exit 1
fi
cx_begin
if ! cx_build COPT='-fsanitize=address,undefined -fno-omit-frame-pointer -O1'; then
	suite_fail build
	suite_close
	exit 1
fi

# The server itself is not built with a sanitizer, so the runtime comes by
# preloading. Debian 12: without a swift_demangle the runtime looks for one
# while it starts, and hangs on a lock of gettext that it already holds.
echo 'char *swift_demangle(const char *a, unsigned long b, char *c,
	unsigned long *d, unsigned e) { return 0; }' >"$CX_TMP/shim.c"
cx_user gcc -shared -fPIC -o shim.so shim.c || exit 1

# Leaks: a backend frees nothing at exit.
SUITE_ENV=(env
	"LD_PRELOAD=$(gcc -print-file-name=libasan.so) $CX_TMP/shim.so"
	"ASAN_OPTIONS=detect_leaks=0:abort_on_error=1"
	"UBSAN_OPTIONS=print_stacktrace=1")
SUITE_SECONDS=2400
suite_regress
suite_isolation

pattern='runtime error:|ERROR: [A-Za-z]*Sanitizer|SUMMARY: [A-Za-z]*Sanitizer'
if grep -aqE "$pattern" "$CX_TMP"/*.log; then
	suite_fail 'no sanitizer report'
	grep -ahE -A 30 "$pattern" "$CX_TMP"/*.log | head -n 200
elif [ "$RAN" -gt 0 ]; then
	suite_pass 'no sanitizer report'
fi
suite_close
