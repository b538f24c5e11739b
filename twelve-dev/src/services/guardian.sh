#!/bin/sh
# Stops the private servers of a directory when no process uses them any more.
# The protocol is told in mod.rs. POSIX sh only: it runs under dash, and under macOS's sh.
#
# Standard input is the lifeline, a locked file that tells others that this guardian lives.
# A sleep must not inherit it, or the lifeline would outlast a guardian that was killed.
# shellcheck disable=SC2217
set -u

directory=$1  # where the servers are
patience=$2   # how many looks without a user it takes to stop them
pause=$3      # seconds from one look to the next
afterwards=$4 # keep or remove the directory

trap '' HUP INT
servers=''

# Whether anyone uses the servers. Forgets those who died without a word.
used() {
    found=1
    for user in "$directory"/users/*; do
        [ -e "$user" ] || continue
        pid=${user##*/}
        if kill -0 "${pid%%-*}" 2>/dev/null; then
            found=0
        else
            rm -f "$user"
        fi
    done
    return $found
}

# Whether the directory still is the one that this guardian was started for.
mine() {
    owner=''
    read -r owner 2>/dev/null <"$directory/guardian.pid"
    [ "$owner" = $$ ]
}

# Notes the servers' process ids, so that they can be stopped even if someone removes the directory.
note_servers() {
    servers=''
    for file in "$directory"/*/server.pid; do
        pid=''
        [ -r "$file" ] && read -r pid 2>/dev/null <"$file"
        servers="$servers $pid"
    done
}

# Whether process $1 is a server of ours, and not one that got the id of a server that died.
# Both servers carry a path below the directory in their command line; a zombie has none.
ours() {
    if [ -r "/proc/$1/cmdline" ]; then
        line=$(tr '\0' ' ' <"/proc/$1/cmdline")
    else
        line=$(ps -ww -o command= -p "$1")
    fi 2>/dev/null
    case $line in
    *"$directory/"*) return 0 ;;
    *) return 1 ;;
    esac
}

# Sends signal $1 to the servers. Whether all were gone within $2 tenths of a second.
end_servers() {
    for pid in $servers; do
        ours "$pid" && kill -s "$1" "$pid" 2>/dev/null
    done
    left=$2
    while [ "$left" -gt 0 ]; do
        alive=''
        for pid in $servers; do
            ours "$pid" && alive=yes
        done
        [ -n "$alive" ] || return 0
        left=$((left - 1))
        sleep 0.1 </dev/null 2>/dev/null || sleep 1 </dev/null
    done
    return 1
}

# SIGINT is a fast shutdown to Postgres, which ends its sessions, and an orderly one to Redis.
stop_servers() {
    end_servers INT 100 || end_servers KILL 50
}

# Renamed first: that is one step, so nobody can attach to a directory of which half is gone.
clean_up() {
    [ "$afterwards" = remove ] || return 0
    mv "$directory" "$directory.gone" || return 0
    # A process of Postgres that is just ending may still write.
    rm -rf "$directory.gone" && return
    sleep 1 </dev/null
    rm -rf "$directory.gone"
}

echo $$ >"$directory/guardian.pid"
idle=0
while mine; do
    note_servers
    if used; then idle=0; else idle=$((idle + 1)); fi
    if [ "$idle" -gt "$patience" ] && mkdir "$directory/stopping" 2>/dev/null; then
        if used; then
            rmdir "$directory/stopping"
            idle=0
        else
            note_servers
            stop_servers
            clean_up
            # The directory `stopping` stays for the next to attach: only the end of this process,
            # which frees the lifeline, says that all is done.
            exit 0
        fi
    fi
    sleep "$pause" </dev/null
done

# Someone removed the directory, and perhaps another guardian has a new one there.
stop_servers
