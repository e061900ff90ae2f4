# shellcheck shell=busybox
# Plays procd and its shell functions, for one service with one instance. Written for the tests.
#
# As the original: a service that is set with the same command runs on; one that is set without an instance is ended;
# a kill sends SIGTERM and does not wait for the end. Files in STANDIN_STATE:
#   calls       what was called, one line a call
#   instance    the command that runs, one word a line
#   pid         its process
#   output      what it wrote

wanted=$STANDIN_STATE/wanted

procd_open_service() {
	note procd_open_service
	rm -f "$wanted"
}

procd_open_instance() { : >"$wanted"; }

procd_set_param() {
	note "procd_set_param $*"
	[ "$1" = command ] || return 0
	shift
	printf '%s\n' "$@" >"$wanted"
}

procd_close_instance() { note procd_close_instance; }

procd_close_service() {
	note procd_close_service
	if [ ! -e "$wanted" ]; then
		end_instance
	elif ! procd_running || ! cmp -s "$wanted" "$STANDIN_STATE/instance"; then
		end_instance
		mv "$wanted" "$STANDIN_STATE/instance"
		begin_instance
	fi
}

procd_kill() {
	note procd_kill
	end_instance
}

procd_running() {
	local pid
	pid=$(cat "$STANDIN_STATE/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && grep -qs '^State:.[^Z]' "/proc/$pid/status"
}

procd_send_signal() {
	note "procd_send_signal $*"
	procd_running && kill -s "$3" "$(cat "$STANDIN_STATE/pid")"
}

procd_add_reload_trigger() { note "procd_add_reload_trigger $*"; }
procd_add_raw_trigger() { note "procd_add_raw_trigger $*"; }

begin_instance() {
	local word
	set --
	while read -r word; do set -- "$@" "$word"; done <"$STANDIN_STATE/instance"
	setsid "$@" </dev/null >>"$STANDIN_STATE/output" 2>&1 &
	echo $! >"$STANDIN_STATE/pid"
}

end_instance() {
	procd_running && kill "$(cat "$STANDIN_STATE/pid")"
	rm -f "$STANDIN_STATE/pid" "$STANDIN_STATE/instance"
	return 0
}
