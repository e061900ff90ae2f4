#!/bin/sh
# Turns fresh net, mount and pid namespaces into the router of the field case, says "ready", and lives until its
# standard input ends: that end is held by the owner alone, so the router dies with it, kill -9 included.
# Usage: holder.sh FOLDER     (the lab's folder: etc/config and etc/resolv.conf in it become the router's)
set -eu

lab=$1
PATH=$PATH:/usr/sbin:/sbin

# Behind this mount point lies what only the router sees; it goes with the mount namespace.
mount -t tmpfs lab "$lab/mnt"
mkdir "$lab/mnt/etc" "$lab/mnt/etc/upper" "$lab/mnt/etc/work" "$lab/mnt/opt" "$lab/mnt/dev"

# /etc: the machine's as a lower layer, so that /etc/docker, /etc/config and the resolver can be the router's own.
if ! mount -t overlay lab -o "lowerdir=/etc,upperdir=$lab/mnt/etc/upper,workdir=$lab/mnt/etc/work" /etc 2>/dev/null; then
	cp -a /etc/. "$lab/mnt/etc/upper/"
	mount --bind "$lab/mnt/etc/upper" /etc
fi
rm -rf /etc/docker /etc/config /etc/resolv.conf /etc/firewall.user
mkdir /etc/docker /etc/config
touch /etc/resolv.conf
mount --bind "$lab/etc/config" /etc/config
mount --bind "$lab/etc/resolv.conf" /etc/resolv.conf

# /run: the xtables lock, fw3's files, Docker's socket. /opt: containerd writes there. /dev: no /dev/log of the machine.
mount -t tmpfs lab /run
mkdir /run/lock /run/netns
mount --rbind /opt "$lab/mnt/opt"
mount -t tmpfs lab /opt
for entry in "$lab"/mnt/opt/*; do
	[ ! -e "$entry" ] || ln -s "$entry" /opt/
done
for node in null zero full random urandom tty; do
	cp -a "/dev/$node" "$lab/mnt/dev/"
done
ln -s /proc/self/fd "$lab/mnt/dev/fd"
ln -s /proc/self/fd/0 "$lab/mnt/dev/stdin"
ln -s /proc/self/fd/1 "$lab/mnt/dev/stdout"
ln -s /proc/self/fd/2 "$lab/mnt/dev/stderr"
mkdir "$lab/mnt/dev/pts" "$lab/mnt/dev/shm"
ln -s pts/ptmx "$lab/mnt/dev/ptmx"
mount --rbind /dev/pts "$lab/mnt/dev/pts"
mount --rbind "$lab/mnt/dev" /dev
mount -t tmpfs lab /dev/shm

# As on the router: forwarding on, traffic inside one bridge does not meet FORWARD. And no wait for duplicate
# address detection, which on these wires can find nothing.
knob() { [ ! -e "/proc/sys/net/$1" ] || echo "$2" >"/proc/sys/net/$1"; }
knob ipv4/ip_forward 1
knob bridge/bridge-nf-call-iptables 0
knob bridge/bridge-nf-call-ip6tables 0
knob ipv6/conf/default/accept_dad 0
knob ipv6/conf/all/forwarding 1

ip netns add isp
ip netns add lan
for space in isp lan; do
	# shellcheck disable=SC2016  # the inner shell expands k
	nsenter --net="/run/netns/$space" sh -c '
		for k in all default; do
			echo 0 >/proc/sys/net/ipv4/conf/$k/rp_filter
			[ ! -e /proc/sys/net/ipv6/conf/$k/accept_dad ] || echo 0 >/proc/sys/net/ipv6/conf/$k/accept_dad
		done'
done

ip -batch - <<BATCH
link set lo up
link add eth-lan type veth peer name eth0 netns lan
address add 192.168.100.1/24 dev eth-lan
link set eth-lan up
BATCH
ip -netns lan -batch - <<BATCH
link set lo up
address add 192.168.100.10/24 dev eth0
link set eth0 up
route add default via 192.168.100.1
BATCH
ip -netns isp link set lo up

echo ready
cat >/dev/null

# What `docker pause` froze dies of no signal, and the pid namespace would not end before it (freezer of cgroups 1 and 2).
thaw() { [ ! -e "$1" ] || echo "$2" >"$1" 2>/dev/null || true; }
find /sys/fs/cgroup/"${lab##*/}" /sys/fs/cgroup/*/"${lab##*/}" -type d 2>/dev/null | while read -r group; do
	thaw "$group/freezer.state" THAWED
	thaw "$group/cgroup.freeze" 0
done
