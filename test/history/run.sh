#!/bin/bash
# Compares cached answers with the tables while others write, in a private
# server; see README.md. Exit status: 0 no violation, 1 violations, 2 no test.
# usage: test/history/run.sh [--seconds N] [--kill9 SECONDS] [--bug N]
#                            [--stub exact|stale] [OPTION OF history...]
#   --seconds N      how long (120)
#   --kill9 SECONDS  as often the postmaster is killed and started again
#   --bug N          with a planted bug, which has to be found
#   --stub KIND      without the extension, with stub.sql in its place: one that
#                    computes each answer, or one that keeps it for 50 ms
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

seconds=120
kill9=0
stub=
killer=
build=()
options=()

need() {
	[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || no_test "$1 needs a number"
}

no_test() {
	printf '%s\n' "$*" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	--seconds)
		need "$@"
		seconds=$2
		shift
		;;
	--kill9)
		need "$@"
		kill9=$2
		shift
		;;
	--bug)
		need "$@"
		build=("CX_BUG=$2")
		shift
		;;
	--stub)
		stub=${2:-}
		[[ $stub =~ ^(exact|stale)$ ]] || no_test '--stub is exact or stale'
		shift
		;;
	*) options+=("$1") ;;
	esac
	shift
done

# Kills the server now and then and starts it again, until history has ended.
kill_now_and_then() {
	local left=$kill9
	while [ -d "$CX_TMP" ] && [ ! -e "$CX_TMP/ended" ]; do
		sleep 1
		left=$((left - 1))
		[ "$left" -le 0 ] || continue
		cx_server_stop db KILL
		cx_server_start db 2> >(grep -v 'might be running' >&2) || return
		echo 'the server was killed and has started again'
		left=$kill9
	done
}

# The server must not come back when everything else is gone.
# shellcheck disable=SC2317 # called by the trap
finish() {
	local status=$?
	if [ -n "$killer" ]; then
		touch "$CX_TMP/ended"
		wait "$killer"
	fi
	(exit "$status")
	cx_cleanup
}

# What the log of a sound server has not got.
crashes() {
	grep -aE 'PANIC|TRAP:|was terminated by signal|exited with exit code [2-9]' \
		"$(cx_server_log db)"
}

prepare_server() {
	local settings=(max_prepared_transactions=20 fsync=off max_connections=60
		shared_buffers=64MB deadlock_timeout=100ms autovacuum_naptime=5s
		max_wal_size=256MB cachex.memory=16MB)
	case $stub in
	exact) settings+=(shared_preload_libraries=) ;;
	stale) settings+=(shared_preload_libraries= 'hist.stub_ttl=50 ms') ;;
	esac
	cx_server_init db "${settings[@]}" && cx_server_start db || return 1
	if [ -n "$stub" ]; then
		cx_psql db -q -f "$CX_SRC/test/history/stub.sql"
	else
		cx_psql db -q -c 'CREATE EXTENSION cachex'
	fi
}

compile() {
	"${CC:-cc}" -O2 -Wall -I"$("$PG_CONFIG" --includedir)" \
		-L"$("$PG_CONFIG" --libdir)" -o "$CX_TMP/history" \
		"$CX_SRC"/test/history/*.c -lpq && chmod 755 "$CX_TMP/history"
}

cx_setup server libpq-dev || exit 2
cx_find_pg || no_test 'no PostgreSQL to build for'
cx_begin
trap finish EXIT
cx_build "${build[@]}" || exit 2
compile || exit 2
prepare_server || exit 2

if [ "$kill9" -gt 0 ]; then
	kill_now_and_then &
	killer=$!
fi
status=0
cx_long $((seconds + 400)) env "PGHOST=$CX_TMP/db" PGPORT=5432 \
	PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=5 \
	"$CX_TMP/history" --setup "$CX_SRC/test/history/setup.sql" \
	--seconds "$seconds" "${options[@]}" || status=$?
if crashes && [ "$status" -eq 0 ]; then
	echo 'the server has crashed'
	status=2
fi
[ "$status" -le 2 ] || status=2
exit "$status"
