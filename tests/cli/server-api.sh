#!/bin/bash
# g4ld by its Unix socket and by HTTPS: hosts, jobs, wrong tokens, wrong input, limits.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/cli/server-functions.sh
. "$(dirname "$0")/server-functions.sh"
need curl jq

configure 'boot_timeout = 2'
expect 6 "$g4ld" --config "$work/conf"
says 'store'
mkdir "$work/store"
expect 2 "$g4ld" --config "$work/conf"
says 'g4l store init'
rmdir "$work/store"
expect 0 "$g4l" store init "$work/store"
printf 'nonsense = 1\n' >"$work/bad.conf"
expect 2 "$g4ld" --config "$work/bad.conf"
says 'line 1'
expect 2 "$g4ld" --config "$work/absent.conf"
says 'absent.conf'
start_g4ld
expect 1 "$g4ld" --config "$work/conf"
says 'another g4ld'

# the files that must not be read by others
is "$(stat -c %a "$work/state/tls/key.pem" "$work/state/admin.token" "$work/state/state.db" | sort -u)" 600
is "$(stat -c %a "$work/sock")" 660

asks 200 /hosts
is "$(jq -c .hosts "$work/out")" '[]'
asks 200 /hosts -d "{\"name\":\"john\",\"macs\":[\"$mac\"]}"
asks 409 /hosts -d '{"name":"john","macs":["52:54:00:11:22:99"]}'
asks 409 /hosts -d "{\"name\":\"paul\",\"macs\":[\"$mac\"]}"
says 'john'
asks 400 /hosts -d '{"name":"a/b","macs":["52:54:00:11:22:99"]}'
asks 400 /hosts -d '{"name":"paul","macs":["nonsense"]}'
asks 400 /hosts -d 'not json'
asks 400 /hosts -d "$(head -c 40000 /dev/zero | tr '\0' '[')"
head -c 2000000 /dev/zero | tr '\0' ' ' >"$work/large"
asks 413 /hosts --data-binary "@$work/large"
asks 413 /hosts --data-binary "@$work/large" -H 'Transfer-Encoding: chunked'
asks 404 /hosts/paul
asks 404 /jobs -d '{"kind":"backup","host":"paul"}'
says 'paul'
asks 404 /jobs -d '{"kind":"restore","host":"john","yes":true}'
asks 403 /jobs -d '{"kind":"restore","host":"john"}'
asks 404 /nothing
asks 404 /jobs/99

# HTTPS: without, with a wrong and with the right token; the key is the pinned one
pin64=$(printf %s "$pin" | xxd -r -p | base64)
tls() {
	curl -sS -k -m 20 --pinnedpubkey "sha256//$pin64" -o "$work/out" -w '%{http_code}' "$@"
}
is "$(tls "https://127.0.0.1:$https/api/v1/hosts")" 401
is "$(tls -H "Authorization: Bearer $(printf '0%.0s' $(seq 64))" "https://127.0.0.1:$https/api/v1/hosts")" 401
is "$(tls -H "Authorization: Bearer $(cat "$work/state/admin.token")" "https://127.0.0.1:$https/api/v1/hosts")" 200
is "$(jq -r '.hosts[0].name' "$work/out")" john
is "$(tls "https://127.0.0.1:$https/agent/v1/snapshot")" 401
is "$(tls -d '{}' "https://127.0.0.1:$https/agent/v1/hello")" 400
is "$(tls "https://127.0.0.1:$https/etc/passwd")" 404
curl -sS -k --pinnedpubkey "sha256//$(head -c 32 /dev/zero | base64)" "https://127.0.0.1:$https/" 2>/dev/null &&
	fail "another pin was accepted"

# who shows no token fills no memory: eight bodies of 15 MB at once
high() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$g4ld_pid/status"
}
head -c 15000000 /dev/zero >"$work/heavy"
before=$(high)
for n in $(seq 8); do
	curl -sS -k -m 20 --limit-rate 20M -o "$work/heavy.$n" -w '%{http_code}' --data-binary "@$work/heavy" \
		"https://127.0.0.1:$https/agent/v1/put" >"$work/heavy.$n.code" &
	posts[n]=$!
done
for n in $(seq 8); do
	wait "${posts[n]}"
	is "$(cat "$work/heavy.$n.code")" 401
done
[ $(($(high) - before)) -lt 60000 ] || fail "bodies without a token were kept: $(($(high) - before)) kB"

# plain HTTP gives boot files only
is "$(curl -sS -o "$work/out" -w '%{http_code}' "http://127.0.0.1:$http/api/v1/hosts")" 404
is "$(curl -sS -o "$work/out" -w '%{http_code}' "http://127.0.0.1:$http/boot/$(printf '0%.0s' $(seq 32))/linux")" 404

# two jobs of one host: the second waits; a long poll ends with the first change
asks 200 /jobs -d '{"kind":"backup","host":"john"}'
first=$(jq .job "$work/out")
asks 200 /jobs -d '{"kind":"backup","host":"john"}'
second=$(jq .job "$work/out")
await "$first" waking
is "$(api "/jobs/$second" | jq -r .state)" queued
is "$(stat -c %a "$work/state/armed/$mac.cmdline")" 600
token=$(armed token)
api "/jobs/$first" | grep -q "$token" && fail "the API shows a boot token"
seq=$(api "/jobs/$first" | jq .seq)
SECONDS=0
api "/jobs/$first?wait=20&seen=$seq" >"$work/out"
[ "$SECONDS" -lt 10 ] || fail "the long poll did not end with the change"
await "$first" failed
is "$(api "/jobs/$first" | jq .code)" 6
await "$second" waking
[ "$(armed token)" != "$token" ] || fail "two jobs had one token"
asks 409 /hosts/john -X DELETE
asks 200 "/jobs/$second/cancel" -X POST
is "$(jq -r .state "$work/out")" cancelled
[ ! -e "$work/state/armed/$mac.cmdline" ] || fail "a cancelled job left its host armed"
asks 409 "/jobs/$second/cancel" -X POST
asks 200 "/jobs/$first/log"
says 'failed'
asks 200 /doctor
is "$(jq '[.checks[] | select(.ok == false and .name != "space" and .name != "state")] | length' "$work/out")" 0

# a restart keeps hosts, jobs, key and token
before=$(cat "$work/state/admin.token") pin_before=$pin
SECONDS=0
stop_g4ld TERM
[ "$SECONDS" -le 2 ] || fail "g4ld took $SECONDS s to end"
[ ! -e "$work/sock" ] || fail "g4ld left its socket"
start_g4ld
is "$pin" "$pin_before"
is "$(cat "$work/state/admin.token")" "$before"
is "$(api "/jobs/$first" | jq -r .state)" failed
asks 200 /hosts/john -X DELETE
asks 404 /hosts/john
stop_g4ld TERM
! grep -q "$token" "$work/g4ld.log" || fail "the log shows a boot token"
echo "all well"
