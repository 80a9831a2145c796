#!/bin/bash
# Formats src/ as PostgreSQL formats itself: pg_bsd_indent with the switches of
# pgindent, and what pgindent does before and after it.
# usage: test/format.sh          rewrites the files
#        test/format.sh --check  prints a diff and fails; 77 without the tool
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
export LC_ALL=C

# From 16 on it comes with the server's development files.
PATH=$PATH:$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null)
if ! command -v pg_bsd_indent >/dev/null; then
	echo 'there is no pg_bsd_indent (Debian: pg-bsd-indent)'
	exit 77
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# Type names: those of the server's headers (lower case ones are often names
# of variables too), and our own.
typedefs() {
	local include
	include=$("${PG_CONFIG:-pg_config}" --includedir-server 2>/dev/null)
	{
		if [ -d "$include" ]; then
			find "$include" "$root/src" -name '*.h' -exec cat {} +
		fi
		cat "$root"/src/*.c
	} | sed -nE '
		s/^\}[ \t]*([A-Za-z_][A-Za-z_0-9]*);.*/\1/p
		s/^typedef .*\(\*?([A-Za-z_][A-Za-z_0-9]*)\)[ \t]*\(.*/\1/p
		s/^typedef [^(]*[ \t*]([A-Za-z_][A-Za-z_0-9]*)(\[[^]]*\])?;.*/\1/p
		s/^typedef (struct|union|enum)[ \t]+([A-Za-z_][A-Za-z_0-9]*)$/\2/p
	' | grep -E '^[A-Z]|_t$|^(pg|dsa|dsm|dshash|slist|dlist|pairingheap)_'
	grep -ohE '\bCx[A-Z][A-Za-z0-9]*\b' "$root"/src/*.[ch]
	printf '%s\n' bits8 bits16 bits32 bool bytea float4 float8 int2vector \
		int8 int16 int32 int64 oidvector slock_t text uint8 uint16 uint32 \
		uint64 va_list FILE shmem_request_hook_type shmem_startup_hook_type \
		object_access_hook_type ProcessUtility_hook_type \
		post_parse_analyze_hook_type
}

# What pgindent does around the program: // comments and lines of dashes
# before, prototypes on one line and blanks before a star after.
before() {
	perl -0777 -pe '
		s!^([ \t]*)//(.*)$!$1/* $2 */!gm;
		s!/\* +---!/*---X_X!g;
	' "$1"
}

after() {
	perl -0777 -pe '
		s!/\*---X_X!/* ---!g;
		s!\*/(/\*.*\*/)$!*/\t$1!gm;
		s!^([A-Za-z_]\S*)[ \t]+(\*+)$!$1 $2!gm;
		my $ident = qr/[a-zA-Z_][a-zA-Z_0-9]*/;
		my $comment = qr!/\*.*\*/!;
		s!
			(\n$ident[^(\n]*)\n
			(
				$ident\(\n?
				(.*,([ \t]*$comment)?\n)*
				.*\);([ \t]*$comment)?$
			)
		!$1 . (substr($1, -1, 1) eq "*" ? "" : " ") . $2!gmxe;
	'
}

format() {
	before "$1" >"$work/in.c" || return 1
	# It may complain and still succeed.
	if pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 \
		-nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 \
		-U"$work/typedefs" "$work/in.c" "$work/mid.c" >"$work/errors" 2>&1 &&
		[ ! -s "$work/errors" ]; then
		after <"$work/mid.c" >"$work/out.c"
	else
		awk -v file="${1##*/}" '{ print file ": " $0 }' "$work/errors"
		return 1
	fi
}

typedefs | sort -u >"$work/typedefs"
status=0
for file in "$root"/src/*.[ch]; do
	[ -e "$file" ] || continue
	if ! format "$file"; then
		status=1
	elif ! cmp -s "$file" "$work/out.c"; then
		if [ "${1:-}" = --check ]; then
			diff -u --label "${file#"$root"/}" --label formatted \
				"$file" "$work/out.c"
			status=1
		else
			# Keeps owner and mode.
			cat "$work/out.c" >"$file"
			echo "${file#"$root"/}"
		fi
	fi
done
exit "$status"
