# Shared by the scripts in test/: a private copy of the tree, a private build
# and private servers, all of them below one temporary directory that goes
# away when the script ends, however it ends. Source it from bash; that alone
# does nothing.
#
#   . "$(dirname "$0")/../lib.sh"           # or /lib.sh, by depth
#   cx_setup server                         # install what is missing
#   cx_begin                                # temporary directory, traps
#   cx_build                                # copy, build, stage
#   cx_server_init db fsync=off shared_buffers=256MB
#   cx_server_start db
#   cx_psql db -c 'CREATE EXTENSION cachex'
#   cx_client db pgbench -i -s 10
#   cx_server_stop db
#
# Functions; each returns non-zero when it fails (errors go to stderr):
#   cx_setup [server|test] [PACKAGE...]  runs test/setup.sh
#   cx_find_pg            sets PG_CONFIG CX_BINDIR CX_PGXS CX_MAJOR
#   cx_begin              sets CX_TMP CX_USER, clears the environment of PG*,
#                         make and locale settings; removes everything at exit
#   cx_copy DIR           copies the tree, without build products, to DIR
#   cx_build [MAKEARG...] copies to CX_SRC, builds there, installs into
#                         CX_STAGE and completes CX_SRC/test/cachex.conf
#   cx_stage_conf         prints the settings that make a server load the stage
#   cx_user CMD...        runs CMD in CX_TMP as the unprivileged user, with
#                         CX_BINDIR in PATH; stdin is passed on. As root, that
#                         user may be unable to read files outside CX_TMP
#   cx_long SEC CMD...    like cx_user, without stdin and for SEC seconds at
#                         most; a signal to the script ends it at once
#   cx_server_init NAME [SETTING=VALUE...]  initdb (UTF8, C locale) and its
#                         postgresql.conf; the library is preloaded, a later
#                         shared_preload_libraries= switches that off
#   cx_server_set NAME SETTING=VALUE...     appends to postgresql.conf
#   cx_server_start NAME  starts and waits until it answers
#   cx_server_stop NAME [SIGNAL]   INT (fast, the default), TERM, QUIT, KILL
#   cx_server_pid NAME    prints the postmaster's process id
#   cx_server_log NAME    prints the path of the server log
#   cx_psql NAME ARG...   psql -X, stops at the first error; superuser
#                         "postgres", database "postgres" unless told
#   cx_client NAME CMD... any client program, with PGHOST and so on set
#   cx_die TEXT...        prints and exits 1
#
# A server listens on its own socket directory only (CX_TMP/NAME); keep NAME
# short, a socket path has 107 bytes. CACHEX_INSTALL=1 installs into the
# server's own directories, for a server that cannot load from elsewhere.
# shellcheck shell=bash

CX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CX_TMP=
CX_USER=
CX_CHILD=
CX_AS=()

cx_die() {
	printf '%s\n' "$*" >&2
	exit 1
}

cx_setup() {
	bash "$CX_ROOT/test/setup.sh" "$@"
}

# The pg_config in PATH may be libpq-dev's, which names files that are not
# there, or a server's without its headers; then take the newest server that
# can be built for. A path that the caller gave stands.
cx_find_pg() {
	local candidate candidates=("${PG_CONFIG:-pg_config}")
	case ${candidates[0]} in
	*/*) ;;
	*) mapfile -t -O 1 candidates < <(
		printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -Vr
	) ;;
	esac
	for candidate in "${candidates[@]}"; do
		CX_PGXS=$("$candidate" --pgxs 2>/dev/null) || continue
		[ -f "$CX_PGXS" ] || continue
		[ -f "$("$candidate" --includedir-server)/postgres.h" ] || continue
		CX_BINDIR=$("$candidate" --bindir)
		CX_MAJOR=$("$candidate" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
		if [ "$CX_MAJOR" -ge 15 ]; then
			PG_CONFIG=$candidate
			return 0
		fi
	done
	CX_PGXS='' CX_BINDIR='' CX_MAJOR=''
	return 1
}

cx_begin() {
	local name

	cx_find_pg || cx_die 'no PostgreSQL 15 or later to build for; see "make help"'
	[ -x "$CX_BINDIR/postgres" ] || cx_die "no server in $CX_BINDIR"

	# The caller's servers, make flags and language are no business of a test.
	for name in $(compgen -e PG); do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LANGUAGE TEMP_CONFIG CDPATH
	export LC_ALL=C LANG=C PG_CONFIG

	# /tmp and a short name: a socket path has 107 bytes.
	trap cx_cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	CX_TMP=$(mktemp -d /tmp/cx.XXXXXX) || cx_die 'no temporary directory'

	CX_USER=$(id -un)
	CX_AS=(env)
	if [ "$(id -u)" -eq 0 ]; then
		# A server refuses to run as root.
		CX_USER=nobody
		if id postgres >/dev/null 2>&1; then
			CX_USER=postgres
		fi
		chown "$CX_USER" "$CX_TMP"
		CX_AS=(runuser -u "$CX_USER" -- env)
	fi
	# HOME: no .psqlrc, .pgpass, .proverc. Signals: a shell starts its
	# background commands deaf to INT and QUIT.
	CX_AS+=("--default-signal=INT,QUIT" "HOME=$CX_TMP" "USER=$CX_USER"
		"LOGNAME=$CX_USER" "TMPDIR=$CX_TMP" "PATH=$CX_BINDIR:$PATH")
}

cx_user() {
	(cd "$CX_TMP" && exec "${CX_AS[@]}" "$@")
}

cx_long() {
	local seconds=$1 status=0
	shift
	# In the background: a trap has to wait for a foreground command.
	(cd "$CX_TMP" && exec "${CX_AS[@]}" timeout -k 20 "$seconds" "$@") &
	CX_CHILD=$!
	wait "$CX_CHILD" || status=$?
	CX_CHILD=
	return "$status"
}

# Waits up to $2 tenths of a second until the process is gone. A zombie counts
# as gone after $3 tenths: in some containers nobody collects it.
cx_gone() {
	local left=$2 zombie=${3:-0}
	while [ -d "/proc/$1" ]; do
		if ! readlink "/proc/$1/cwd" >/dev/null; then
			[ $((zombie--)) -gt 0 ] || return 0
		fi
		[ $((left--)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# Processes that work below directory $1 of ours; nobody else can, CX_TMP is
# private.
cx_ours() {
	local dir
	for dir in /proc/[0-9]*; do
		case $(readlink "$dir/cwd" 2>/dev/null)/ in
		"$1"/*) echo "${dir#/proc/}" ;;
		esac
	done
}

# Ends the server of data directory $1. One that was killed has left shared
# memory which only its next start removes.
cx_server_end() {
	local pid
	pid=$(head -n 1 "$1/postmaster.pid")
	if [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; then
		kill -QUIT "$pid" && cx_gone "$pid" 100
	else
		cx_gone "$pid" 50 50
		cx_user timeout 60 postgres --single -D "$1" postgres \
			</dev/null >/dev/null 2>&1
	fi
}

cx_cleanup() {
	local status=$? pid file
	trap - EXIT
	trap '' HUP INT TERM
	# Not from inside the directory that is about to go.
	cd /
	if [ -n "$CX_CHILD" ]; then
		kill -TERM "$CX_CHILD" 2>/dev/null
		wait "$CX_CHILD" 2>/dev/null
	fi
	[ -d "$CX_TMP" ] || exit "$status"
	# Servers first and by QUIT, which still removes their shared memory.
	while IFS= read -r file; do
		cx_server_end "${file%/*}"
	done < <(find "$CX_TMP" -name postmaster.pid 2>/dev/null)
	for pid in $(cx_ours "$CX_TMP"); do
		kill -TERM "$pid" 2>/dev/null
		cx_gone "$pid" 20 || kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$CX_TMP"
	exit "$status"
}

cx_copy() {
	cx_user mkdir -p "$1" &&
		tar -C "$CX_ROOT" --anchored --exclude=./.git --exclude=./tmp_check \
			--exclude=./results --exclude=./log --exclude=./output_iso \
			--exclude=./tmp_check_iso --no-anchored --exclude='*.o' \
			--exclude='*.bc' --exclude='*.so' --exclude='*.gc??' -cf - . |
		cx_user tar -C "$1" --no-same-owner -xf -
}

# Where a server looks for libraries and control files is a setting of Debian's
# up to 17 and of everybody's from 18 on.
cx_stage_conf() {
	if [ -n "${CACHEX_INSTALL:-}" ]; then
		return 0
	elif [ "$CX_MAJOR" -ge 18 ]; then
		cat <<-EOF
			extension_control_path = '$CX_STAGE$("$PG_CONFIG" --sharedir):\$system'
			dynamic_library_path = '$CX_STAGE$("$PG_CONFIG" --pkglibdir):\$libdir'
			shared_preload_libraries = 'cachex'
		EOF
	elif "$CX_BINDIR/postgres" --describe-config |
		grep -q '^extension_destdir'; then
		echo "extension_destdir = '$CX_STAGE'"
	else
		echo 'this server loads extensions from its own directories only;' \
			'CACHEX_INSTALL=1 installs there' >&2
		return 1
	fi
}

cx_build() {
	local log=$CX_TMP/build.log
	CX_SRC=$CX_TMP/b
	CX_STAGE=$CX_TMP/s
	cx_copy "$CX_SRC" || return 1
	if ! {
		# No LLVM: bitcode would double the build time for no test.
		cx_long 1200 make -C "$CX_SRC" -j"$(nproc)" with_llvm=no "$@" &&
			if [ -n "${CACHEX_INSTALL:-}" ]; then
				make -C "$CX_SRC" with_llvm=no "$@" install
			else
				cx_user make -C "$CX_SRC" with_llvm=no "$@" install \
					DESTDIR="$CX_STAGE"
			fi
	} >"$log" 2>&1; then
		cat "$log" >&2
		echo 'the build failed' >&2
		return 1
	fi
	grep 'warning:' "$log" >&2
	cx_stage_conf >"$CX_TMP/stage.conf" || return 1
	cat "$CX_TMP/stage.conf" >>"$CX_SRC/test/cachex.conf"
}

cx_server_set() {
	local name=$1 setting
	shift
	for setting in "$@"; do
		printf "%s = '%s'\n" "${setting%%=*}" \
			"$(printf '%s' "${setting#*=}" | sed "s/'/''/g")"
	done >>"$CX_TMP/$name/data/postgresql.conf"
}

cx_server_init() {
	local dir=$CX_TMP/$1
	cx_user mkdir "$dir" || return 1
	if ! cx_user initdb -D "$dir/data" -U postgres -A trust -E UTF8 \
		--locale=C --no-sync >"$CX_TMP/initdb.log" 2>&1; then
		cat "$CX_TMP/initdb.log" >&2
		return 1
	fi
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir'"
		echo "port = 5432"
		cat "$CX_SRC/test/cachex.conf"
	} >>"$dir/data/postgresql.conf"
	cx_server_set "$@"
}

cx_server_log() {
	echo "$CX_TMP/$1/log"
}

cx_server_pid() {
	head -n 1 "$CX_TMP/$1/data/postmaster.pid" 2>/dev/null
}

cx_server_start() {
	cx_user pg_ctl -D "$CX_TMP/$1/data" -l "$(cx_server_log "$1")" -w -t 120 \
		start >/dev/null </dev/null && return 0
	echo "server $1 did not start:" >&2
	tail -n 30 "$(cx_server_log "$1")" >&2
	return 1
}

cx_server_stop() {
	local pid
	pid=$(cx_server_pid "$1")
	[ -n "$pid" ] || return 1
	kill -"${2:-INT}" "$pid" && cx_gone "$pid" 1200 || return 1
	[ "${2:-INT}" = KILL ] || return 0
	# The next start refuses while it is a zombie or its children, which take
	# a moment to notice, are there.
	cx_gone "$pid" 50 50
	for pid in $(cx_ours "$CX_TMP/$1/data"); do
		cx_gone "$pid" 100
	done
}

cx_client() {
	local name=$1
	shift
	cx_user env "PGHOST=$CX_TMP/$name" PGPORT=5432 PGUSER=postgres \
		"PGDATABASE=${PGDATABASE:-postgres}" "$@"
}

cx_psql() {
	local name=$1
	shift
	cx_client "$name" psql -X -v ON_ERROR_STOP=1 "$@"
}
