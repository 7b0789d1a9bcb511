#!/bin/bash
# Every command and option that --help names is in g4l(1), and the page names no option that does not exist.
set -euo pipefail
g4l=$1
page=$2
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
for o in $(grep -oE -- '--[a-z][a-z-]+' <<<"$text" | sort -u); do
	case "$known " in *" $o "*) ;; *)
		echo "g4l(1) names $o, which no command has"
		fail=1
		;;
	esac
done
mandoc -T lint -W warning "$page" || fail=1
exit $fail
