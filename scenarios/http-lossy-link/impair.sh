#!/bin/sh
# Makes the link bad at three places. The probe is at the server's end: of what the server sends, it sees what is lost
# or doubled behind it, and not what is lost before it.
#
# The shell would take busybox's own `ip` and `tc`, hence the paths.
#
#     impair.sh server INTERFACE | client INTERFACE
set -e
bad="loss 5% duplicate 3% delay 2ms 1ms reorder 10%"
case $1 in
server)
	/usr/sbin/tc qdisc add dev "$2" root netem duplicate 3% delay 2ms 1ms reorder 10%
	;;
client)
	# shellcheck disable=SC2086
	/usr/sbin/tc qdisc add dev "$2" root netem $bad
	/usr/sbin/ip link add ifb0 type ifb
	/usr/sbin/ip link set ifb0 up
	/usr/sbin/tc qdisc add dev "$2" handle ffff: ingress
	/usr/sbin/tc filter add dev "$2" parent ffff: matchall action mirred egress redirect dev ifb0
	# shellcheck disable=SC2086
	/usr/sbin/tc qdisc add dev ifb0 root netem $bad
	;;
esac
