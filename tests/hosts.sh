# Several hosts on one machine, for tests: network namespaces behind a bridge, each with its own host name. Sourced.
#   hosts_up N          hosts=(NAME …), 10.77.0.1 …; returns 77 and says SKIPPED where namespaces are not to be had
#   hosts_on HOST CMD…  run there            hosts_cut HOST   its cable is pulled, silently        hosts_down
# $hosts_rsh is a remote shell for mpirun and mg-launch: it takes HOST and a command line. Commands in /etc/netns/HOST/own
# are run there first: a host with disks or variables of its own.
hosts=()
hosts_tag=mgt$$
hosts_folder=""
hosts_rsh=""

hosts_on() {
    local host=$1
    shift
    nsenter --net="/run/netns/$host" unshare --uts --mount --propagation private sh -c \
        'hostname "$0"; mount --bind "/etc/netns/$0/hosts" /etc/hosts; exec "$@"' "$host" "$@"
}

hosts_skip() {
    echo "SKIPPED: several hosts: $1"
    return 77
}

hosts_up() {
    local n=$1 i h tool
    [ "$(id -u)" = 0 ] || { hosts_skip "must be root"; return 77; }
    for tool in ip nsenter unshare; do command -v $tool >/dev/null || { hosts_skip "$tool not found"; return 77; }; done
    hosts_folder=$(mktemp -d)
    for ((i = 1; i <= n; i++)); do hosts+=("${hosts_tag}n$i"); done
    ip netns add "${hosts_tag}s" 2>/dev/null || { hosts_skip "this kernel or container has no network namespaces"; return 77; }
    (
        ip -n "${hosts_tag}s" link add br0 type bridge && ip -n "${hosts_tag}s" link set br0 up || exit 1
        for ((i = 1; i <= n; i++)); do
            h=${hosts[$((i - 1))]}
            ip netns add "$h" && ip link add eth0 netns "$h" type veth peer name "p$i" netns "${hosts_tag}s" &&
                ip -n "${hosts_tag}s" link set "p$i" master br0 up && ip -n "$h" link set lo up &&
                ip -n "$h" addr add "10.77.0.$i/24" dev eth0 && ip -n "$h" link set eth0 up || exit 1
            mkdir -p "/etc/netns/$h"
            { echo "127.0.0.1 localhost"; for ((j = 1; j <= n; j++)); do echo "10.77.0.$j ${hosts[$((j - 1))]}"; done; } \
                >"/etc/netns/$h/hosts"
        done
    ) 2>"$hosts_folder/setup" || { hosts_skip "$(head -1 "$hosts_folder/setup")"; return 77; }
    hosts_on "${hosts[0]}" true 2>"$hosts_folder/setup" || { hosts_skip "$(head -1 "$hosts_folder/setup")"; return 77; }
    # A cable that is pulled ends a remote shell too: the agent asks from the first host whether the other answers.
    cat >"$hosts_folder/rsh" <<'RSH'
#!/bin/bash
host=$1
shift
[ -e "/run/netns/$host" ] || { echo "rsh: $host: no such host" >&2; exit 255; }
[ "$(ip -n "$host" -o link show eth0 2>/dev/null | grep -c 'state UP')" = 1 ] || { sleep 60; exit 255; }
exec nsenter --net="/run/netns/$host" unshare --uts --mount --propagation private sh -c \
    'hostname "$0"; mount --bind "/etc/netns/$0/hosts" /etc/hosts
     [ ! -f "/etc/netns/$0/own" ] || . "/etc/netns/$0/own"; eval "$*"' "$host" "$@"
RSH
    chmod +x "$hosts_folder/rsh"
    hosts_rsh=$hosts_folder/rsh
}

hosts_cut() { ip -n "$1" link set eth0 down; }
hosts_mend() { ip -n "$1" link set eth0 up; }

hosts_down() {
    local h
    for h in "${hosts[@]}" "${hosts_tag}s"; do
        [ -e "/run/netns/$h" ] || continue
        ip netns pids "$h" | xargs -r kill -9 2>/dev/null
        ip netns del "$h"
        rm -rf "/etc/netns/$h"
    done
    rmdir /etc/netns 2>/dev/null
    [ -z "$hosts_folder" ] || rm -rf "$hosts_folder"
}
