# shellcheck shell=busybox
# Plays the part of OpenWrt's /lib/functions.sh that init.d/ uses: the reading of a UCI file that the tests write, which
# has one option or section a line, and the two functions of a package's scripts. Written for the tests.

# note WORD...: one line to the record of what was called.
note() { printf '%s\n' "$*" >>"$STANDIN_STATE/calls"; }

logger() {
	local line
	while read -r line; do note "logger $* $line"; done
}

config_load() {
	LOADED=${UCI_CONFIG_DIR:-/etc/config}/$1
}

# config_get VARIABLE SECTION TYPE: what the section is; of the original's options none but this.
config_get() {
	eval "$1=$(awk -v section="'$2'" '$1 == "config" && $3 == section { print $2 }' "$LOADED" | tail -n 1)"
}

# config_get_bool VARIABLE SECTION OPTION DEFAULT
config_get_bool() {
	local value
	value=$(awk -v section="'$2'" -v option="$3" '
		$1 == "config" { here = $3 == section }
		here && $1 == "option" && $2 == option { gsub("\047", "", $3); print $3 }
	' "$LOADED" | tail -n 1)
	case "$value" in
	1 | on | true | yes | enabled) value=1 ;;
	0 | off | false | no | disabled) value=0 ;;
	*) value=$4 ;;
	esac
	eval "$1=$value"
}

# As opkg has it: the package's own files tell which services it has. An upgrade neither enables nor disables.
each_service() {
	local script
	# shellcheck disable=SC2013  # their names have no spaces
	for script in $(grep "^/etc/init.d/" "/usr/lib/opkg/info/$(basename "${1%.*}").list"); do
		"each_$2" "$script"
	done
}

each_started() {
	[ "$PKG_UPGRADE" = 1 ] || "$1" enable
	"$1" start
}

each_stopped() {
	[ "$PKG_UPGRADE" = 1 ] || "$1" disable
	"$1" stop
}

default_postinst() { each_service "$1" started; }
default_prerm() { each_service "$1" stopped; }
