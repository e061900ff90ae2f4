#!/bin/sh
# What a user would have instead of dmsfw: a script that asks Docker for the network and puts three rules in, with the
# calls that the field case's script makes. It is given the right WAN device, which spares it a call of `uci`.
#
# Usage: rival.sh once WAN     rules for the network of now
#        rival.sh loop WAN     the same whenever Docker says that a network was created
set -u
wan=$2

refresh() {
	name=$(docker network ls --filter label=com.docker.compose.network=dms-network --format '{{.Name}}' | head -n 1)
	[ -n "$name" ] || name=dms-network
	id=$(docker network inspect "$name" -f '{{.Id}}' 2>/dev/null | cut -c 1-12)
	[ -n "$id" ] || return 0
	subnet=$(docker network inspect "$name" -f '{{(index .IPAM.Config 0).Subnet}}' 2>/dev/null)
	for action in -D '-I 1'; do
		rules "${action% 1}" "${action#-?}"
	done
}

# The number stands behind the chain, and only where a rule is inserted.
rules() {
	# shellcheck disable=SC2086  # no number is no word
	{
		iptables "$1" FORWARD $2 -i "br-$id" -p tcp --dport 465 -j ACCEPT
		iptables "$1" FORWARD $2 -o "$wan" -p tcp --sport 465 -j ACCEPT
		iptables -t nat "$1" POSTROUTING $2 -s "$subnet" -o "$wan" -j MASQUERADE
	} 2>/dev/null
}

case $1 in
	once) refresh ;;
	loop)
		# A pipe by name, so that this shell itself reads it: ended, it leaves nobody behind who goes on.
		pipe=/run/rival.$$
		mkfifo "$pipe"
		docker events --filter type=network --filter event=create --format '{{.ID}}' >"$pipe" &
		exec 3<"$pipe"
		rm "$pipe"
		while read -r _ <&3; do
			refresh
		done
		;;
esac
