#!/bin/bash
# Installs what is missing, and asks for nothing that is there.
# usage: test/setup.sh [server|test] [PACKAGE...]
#   server: to build the extension and run a server (the default)
#   test:   also what the tests need
#   PACKAGE: further Debian packages; no service of theirs is started
set -u
. "$(dirname "$0")/lib.sh"

purpose=${1:-server}
[ $# -eq 0 ] || shift

want() {
	missing+=("$1")
}

# Without a terminal nobody can answer sudo.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	elif command -v sudo >/dev/null && [ -t 0 ]; then
		sudo "$@"
	else
		return 126
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq \
		-o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

apt_install() {
	apt install -y --no-install-recommends "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		return 1
	}
}

# The major version to ask for: the one whose server or headers are there, or
# else Debian's own.
default_major() {
	local major
	# Names are plain version numbers.
	# shellcheck disable=SC2012
	major=$(ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -n 1)
	if [ "${major:-0}" -lt 15 ]; then
		major=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	fi
	echo "${major:-15}"
}

look() {
	local major package
	missing=()
	optional=()
	if cx_find_pg; then
		major=$CX_MAJOR
	else
		major=$(default_major)
		want "postgresql-server-dev-$major"
	fi
	[ -x "${CX_BINDIR:-/usr/lib/postgresql/$major/bin}/postgres" ] ||
		want "postgresql-$major"
	command -v make >/dev/null || want make
	command -v gcc >/dev/null || want gcc
	echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || want libc6-dev
	if [ "$purpose" = test ]; then
		command -v prove >/dev/null || want perl
		perl -MIPC::Run -e 1 2>/dev/null || want libipc-run-perl
		command -v pg_bsd_indent >/dev/null ||
			[ -x "$CX_BINDIR/pg_bsd_indent" ] || optional+=(pg-bsd-indent)
		# a library for t/clock_steps
		compgen -G '/usr/lib*/*/faketime/libfaketime.so.1' >/dev/null ||
			optional+=(libfaketime)
		command -v sqlsmith >/dev/null || optional+=(sqlsmith)
	fi
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q 'ok installed' || want "$package"
	done
}

# Debian makes a cluster and starts it with the first server package. A drop-in
# stops that, and leaves the administrator's own file alone; it has to be there
# between postgresql-common and the server.
install_quietly() {
	local status=0
	case " ${missing[*]} " in
	*" postgresql-"[0-9]*)
		apt_install postgresql-common || return 1
		if as_root test -e "$dropin_dir"; then
			own_dir=
		else
			own_dir=$dropin_dir
			as_root mkdir -p "$dropin_dir"
		fi
		dropin=$dropin_dir/cachex-setup.conf
		echo 'create_main_cluster = false' |
			as_root tee "$dropin" >/dev/null || return 1
		;;
	esac
	# Services of further packages: the usual way to keep them from starting.
	if [ "$extra" -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	apt_install "${missing[@]}" || status=1
	return "$status"
}

# shellcheck disable=SC2317 # called by the trap
restore() {
	[ -z "$dropin" ] || as_root rm -f "$dropin"
	[ -z "$own_dir" ] || as_root rmdir "$own_dir" 2>/dev/null
	[ -z "$policy" ] || as_root rm -f "$policy"
	[ -z "$log" ] || rm -f "$log"
}

extra=$#
dropin_dir=/etc/postgresql-common/createcluster.d
dropin='' own_dir='' policy='' log=''
look "$@"

if [ ${#missing[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ]; then
	exit 0
fi
# For what can be done without, nobody is asked for a password.
[ ${#missing[@]} -gt 0 ] || exec </dev/null
if ! command -v apt-get >/dev/null || ! as_root true; then
	[ ${#missing[@]} -gt 0 ] || exit 0
	echo "These Debian packages are missing: ${missing[*]}" >&2
	echo "As root: apt-get install ${missing[*]}" >&2
	exit 1
fi

trap restore EXIT
trap 'exit 130' HUP INT TERM
log=$(mktemp) || exit 1
apt update >"$log" 2>&1 || tail -n 5 "$log" >&2
# Only now apt knows which PostgreSQL is this Debian's own.
look "$@"
if [ ${#missing[@]} -gt 0 ]; then
	echo "installing ${missing[*]}"
	install_quietly || cx_die "could not install ${missing[*]}"
	look "$@"
	[ ${#missing[@]} -eq 0 ] || cx_die "still missing: ${missing[*]}"
fi
if [ ${#optional[@]} -gt 0 ]; then
	echo "installing ${optional[*]}"
	apt_install "${optional[@]}" 2>/dev/null ||
		echo "not to be had, done without: ${optional[*]}"
fi
exit 0
