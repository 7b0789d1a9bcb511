#!/bin/bash
# Every command and option that --help names is in the man pages, the pages name no option that does not exist, and every
# key of g4ld's sample configuration is in g4ld(8).
set -euo pipefail
g4l=$1
g4ld=$2
source=$3
page=$source/doc/man/g4l.1
fail=0
text=$(mandoc -T ascii "$page" | col -b)
known=" --help --version"
commands=$("$g4l" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
[ -n "$commands" ]
for c in $commands; do
	grep -qE "^   $c( |$)" <<<"$text" || { echo "g4l(1) does not describe the command $c"; fail=1; }
	for o in $("$g4l" "$c" --help | sed -nE 's/^  (--[a-z-]+).*/\1/p'); do
		known+=" $o"
		grep -qE -- "(^|[^a-z-])$o([^a-z-]|$)" <<<"$text" || { echo "g4l(1) does not have $o of $c"; fail=1; }
	done
done
while read -r o; do
	case "$known " in *" $o "*) ;; *)
		echo "g4l(1) names $o, which no command has"
		fail=1
		;;
	esac
done < <(grep -oE -- '--[a-z][a-z-]+' <<<"$text" | sort -u)

text=$(mandoc -T ascii "$source/doc/man/g4ld.8" | col -b)
options=$("$g4ld" --help | sed -nE 's/^  (--[a-z-]+).*/\1/p' | sort)
is=$(grep -oE -- '--[a-z][a-z-]+' <<<"$text" | sort -u)
[ "$options" = "$is" ] || { echo "g4ld(8) has other options than g4ld --help:"; diff <(echo "$options") <(echo "$is"); fail=1; }
while read -r key; do
	grep -qw "$key" <<<"$text" || { echo "g4ld(8) does not name the key $key"; fail=1; }
done < <(sed -nE 's/^#([a-z_]+) =.*/\1/p' "$source/packaging/ghost4linux.conf")
mandoc -T lint -W warning "$page" "$source/doc/man/g4ld.8" || fail=1
exit $fail
