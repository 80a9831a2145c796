#!/bin/bash
# The rules of src/: a file includes cx_ headers of lower levels only, every
# file has a level, a header declares what is named for it, no file and no
# function is too long.
# usage: test/check_layers.sh [DIRECTORY]
set -u
export LC_ALL=C
src=${1:-$(dirname "$0")/../src}

max_file=600
max_function=100

# One level in a line, the lowest first; names without .c and .h, * allowed.
levels='
cx_compat cx_bug cx_hidden cx_tier_columns
cx_guc cx_preload cx_waits cx_key
cx_arena cx_counters cx_memo cx_codec cx_wake cx_visits cx_gens cx_view cx_rows cx_settings cx_lineage cx_names cx_notes cx_parse cx_share_names cx_builtins cx_lexer cx_folded cx_proc cx_secure cx_try cx_snapshot_file cx_snapshot_state
cx_snapshot_format cx_like cx_slot cx_tier_queue cx_tier_roles cx_plan cx_rowset cx_fingerprint cx_registry cx_rels cx_boot
cx_lines
cx_deps cx_writes cx_run cx_flight
cx_entry cx_wheel cx_queues cx_bucket cx_pending cx_loader cx_inval
cx_scopes cx_table
cx_policy cx_reads cx_candidates cx_sound
cx_store cx_link cx_catalog
cx_trigger cx_overtake cx_make cx_current cx_scan cx_check cx_functions cx_validate cx_warmth cx_tier_table cx_owner cx_grants
cx_share cx_sight
cx_access
cx_cache cx_judge cx_snapshot_save cx_tier_insert
cx_tier_write
cx_tier
cx_commit cx_reclaim cx_watched cx_snapshot
cx_change cx_collect
cx_args cx_refusals cx_keylock cx_read cx_xact cx_template cx_books cx_step
cx_put cx_roster cx_define
cx_fetch cx_watch_bare cx_watch_put cx_launcher cx_tier_visit
cx_parcel
cx_requests
cx_compute cx_warmer cx_jobs
cx_refresh cx_revalidate
cx_errands
cx_watch_ddl cx_watch cx_visitor cx_sweeper
cx_funcs_* cx_ddl cx_shmem
cachex
'

# Includes within one level that are meant, one pair in a line:
# includer included
allowed='
cx_watch_ddl cx_watch
'

# Headers NAME_*.h that declare functions NAME_*.
families='cx_tier'

status=0
say() {
	echo "$*"
	status=1
}

# Prints the level of a name, or nothing.
level_of() {
	local level=0 line pattern
	while IFS= read -r line; do
		[ -n "$line" ] || continue
		for pattern in $line; do
			# A pattern, hence not quoted.
			# shellcheck disable=SC2053
			if [[ $1 == $pattern ]]; then
				echo "$level"
				return
			fi
		done
		level=$((level + 1))
	done <<<"$levels"
}

check_includes() {
	local file=src/${1##*/} name=$2 level=$3 other below
	while IFS= read -r other; do
		[ "$other" != "$name" ] || continue
		below=$(level_of "$other")
		if [ -z "$below" ]; then
			say "$file: includes $other.h, which has no level"
		elif [ "$below" -gt "$level" ]; then
			say "$file: includes $other.h, which is above (level $below, not $level)"
		elif [ "$below" -eq "$level" ] && ! grep -qx "$name $other" <<<"$allowed"; then
			say "$file: includes $other.h of its own level $level"
		fi
	done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*["<]([^">]*\/)?(cx_[^">]*|cachex)\.h[">].*/\2/p' "$1")
}

# A function is a { alone in the first column up to the next } there; a type
# ends with "};" or "} Name;".
check_functions() {
	awk -v max="$max_function" -v file="src/${1##*/}" '
		/^[A-Za-z_].*\(/ && !open { name = $0; sub(/\(.*/, "", name); sub(/.*[ *\t]/, "", name) }
		/^\{/ { open = NR }
		/^\}/ {
			if (open && $0 ~ /^\}[ \t]*(\/\*.*)?$/ && NR - open + 1 > max) {
				printf "%s:%d: %s() has %d lines, more than %d\n", file, open, name, NR - open + 1, max
				bad = 1
			}
			open = 0
		}
		END { exit bad }
	' "$1" || status=1
}

# A header declares what begins with its name, or with that of its family.
check_names() {
	local file=src/${1##*/} name=$2 family function
	for family in $families; do
		[[ $name != "$family"_* ]] || name=$family
	done
	while IFS= read -r function; do
		[[ $function == "$name" || $function == "$name"_* ]] ||
			say "$file: declares $function(), which is not named for it"
	done < <(sed -nE 's/^(pg_noreturn )?extern [^(]*\b(cx_\w+)\(.*/\2/p' "$1")
}

# Patterns in the table are for names, not for files here.
set -f
while IFS= read -r path; do
	file=${path##*/}
	name=${file%.*}
	lines=$(wc -l <"$path")
	[ "$lines" -le "$max_file" ] ||
		say "src/$file: $lines lines, more than $max_file"
	level=$(level_of "$name")
	if [ -n "$level" ]; then
		check_includes "$path" "$name" "$level"
	else
		say "src/$file: has no level; see the table in test/check_layers.sh"
	fi
	check_functions "$path"
	[[ $file != *.h ]] || check_names "$path" "$name"
done < <(find "$src" -name '*.[ch]' | sort)
exit "$status"
