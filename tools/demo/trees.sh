# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # sourced by run, whose names these are
#
# Programs of several processes and threads: each tree is saved from outside as one
# image, killed, brought back, and has to give what it would have given.


# threads_of PID: how many threads a process has.
threads_of()
{
	sed -n 's/^Threads:[^0-9]*//p' "/proc/$1/status"
}

# has_threads PID NUMBER: it has so many, or more.
has_threads()
{
	[ "$(threads_of "$1")" -ge "$2" ]
}

heading "A pipeline of five processes in mid-stream"
mkdir "$dir/parts"
pipeline="seq 200000 | awk '{ print \$1 * \$1 % 1000003 }' | sort -S 1M -T $dir/parts | uniq -c | sha256sum"
sh -c "$pipeline" >"$dir/pipeline.want"
: >"$dir/job.out"
start sh -c "$pipeline"
# sort has some of it in a file by then, and the rest in its memory and in pipes.
until_true sh -c "ls $dir/parts | grep -q ."
interrupt "$dir/pipeline.img"
says "6 tasks in 6 processes"
expect 0 "this is in the image" "$ckpt" inspect --summary "$dir/pipeline.img"
expect 0 "it went on to its end" "$ckpt" restart "$dir/pipeline.img"
same "the sum is that of a run without interruption" "$dir/job.out" "$dir/pipeline.want"
cat "$dir/job.out"

heading "Python with threads, locks and a queue"
start "$python" "$here/workers.py" "$dir/workers.log" 20000
until_true grep -qx 2000 "$dir/workers.log"
interrupt "$dir/workers.img"
says "8 tasks in 1 process"
expect 0 "it went on to its end" "$ckpt" restart "$dir/workers.img"
{
	seq 500 500 20000
	"$python" -c 'print("20000 items, the sum is", sum(n * n % 10007 for n in range(20000)))'
} >"$dir/workers.want"
same "no item was lost, and none came twice" "$dir/workers.log" "$dir/workers.want"
tail -n 1 "$dir/workers.log"

heading "zstd compresses with four threads"
start zstd -q -T4 -17 -B512KB --zstd=wlog=17,clog=17,hlog=16 \
	-o "$dir/unsorted.zst" "$dir/unsorted"
until_true has_threads "$pid" 5
until_true test -s "$dir/unsorted.zst"
interrupt "$dir/zstd.img"
says "tasks in 1 process"
expect 0 "it went on to its end" "$ckpt" restart "$dir/zstd.img"
expect 0 "what it made is sound" zstd -q -d -o "$dir/unsorted.again" "$dir/unsorted.zst"
same "and is what it was made of" "$dir/unsorted" "$dir/unsorted.again"
ls -s "$dir/unsorted" "$dir/unsorted.zst"

heading "make -j4 builds a program, with compilers at work"
build="make -s -j4 -f $here/project/Makefile"
mkdir "$dir/build"
cd "$dir/build" || exit 1
$build >"$dir/build.want"
mv program "$dir/program.want"
$build clean
: >"$dir/job.out"
start bash -c "$build && echo complete"
cd "$here_was" || exit 1
# Two or more compilers at once, of which each has a gcc and a shell that wait for it.
until_true sh -c '[ "$(pgrep -xc cc1)" -ge 2 ]'
sleep 0.5
interrupt "$dir/make.img"
expect 0 "this is in the image" "$ckpt" inspect --summary "$dir/make.img"
says cc1
expect 0 "it went on to its end" "$ckpt" restart "$dir/make.img"
echo complete >>"$dir/build.want"
same "what it printed is that of a build without interruption" "$dir/job.out" "$dir/build.want"
same "and the program is, too" "$dir/build/program" "$dir/program.want"
tail -n 2 "$dir/job.out"

# No image can have a socket yet. But sockets can be left out of it, if there is
# somebody who hands in others at the restart.

# sockets_of PID: in $sockets, those of a process, the one that listens first.
sockets_of()
{
	sockets=$("$python" "$here/sockets.py" of "$1")
	echo "sockets of process $1: descriptors $sockets"
}

# hand_in PATH IMAGE: brings a server back. The first of $sockets is replaced by one
# that listens at PATH.
hand_in()
{
	options=
	for fd in $sockets; do
		options="$options --inherit $fd=$fd"
	done
	rm -f "$dir/pid"
	# shellcheck disable=SC2086 # these are lists
	expect 0 "it is back, with other sockets" "$python" "$here/sockets.py" give "$1" $sockets \
		"$ckpt" restart --detach --pidfile "$dir/pid" $options "$2"
}

heading "redis-server, with data in its memory"
redis() { redis-cli -s "$dir/redis.sock" "$@"; }
cat >"$dir/redis.conf" <<-END
	port 0
	unixsocket $dir/redis.sock
	save ""
	enable-debug-command yes
	dir $dir
	logfile $dir/redis.log
END
# Debian has one program under both names, and this one is in a package without a service.
start bash -c "exec -a redis-server redis-check-rdb $dir/redis.conf"
until_true redis ping
expect 0 "it has 20000 keys" redis-cli -s "$dir/redis.sock" debug populate 20000 key 100
expect 0 "and a counter" redis-cli -s "$dir/redis.sock" incrby visits 41
redis debug digest >"$dir/redis.want"
agree "with its socket" "$pid"
[ "$said" -eq 1 ] || bad "a socket should be refused"
sockets_of "$pid"
interrupt "$dir/redis.img" --inherit
says "5 tasks in 1 process"
hand_in "$dir/redis.sock" "$dir/redis.img"
redis debug digest >"$dir/redis.digest"
same "its data is what it was" "$dir/redis.digest" "$dir/redis.want"
expect 0 "it goes on counting" redis-cli -s "$dir/redis.sock" incr visits
says 42
expect 0 "it has all keys" redis-cli -s "$dir/redis.sock" dbsize
says 20001
redis shutdown nosave
until_true test ! -d "/proc/$pid"

heading "nginx: a master with two workers"
cat >"$dir/nginx.conf" <<-END
	daemon off;
	worker_processes 2;
	pid $dir/nginx.pid;
	events { worker_connections 64; }
	http {
		access_log off;
		client_body_temp_path $dir/nginx.1;
		proxy_temp_path $dir/nginx.2;
		fastcgi_temp_path $dir/nginx.3;
		uwsgi_temp_path $dir/nginx.4;
		scgi_temp_path $dir/nginx.5;
		server {
			listen unix:$dir/nginx.sock;
			location / { return 200 "this is worker \$pid of nginx\n"; }
		}
	}
END
# worker: in $dir/out, what one of the workers says, which has to be one of $workers.
worker()
{
	expect 0 "$1" "$python" "$here/sockets.py" get "$dir/nginx.sock"
	answered=$(sed 's/[^0-9]//g' "$dir/out")
	case " $workers " in
	*" $answered "*) good "process $answered is a worker" ;;
	*) bad "no worker said this: $workers" ;;
	esac
}
start nginx -e "$dir/nginx.log" -c "$dir/nginx.conf"
until_true "$python" "$here/sockets.py" get "$dir/nginx.sock"
workers=$(pgrep -d " " -P "$pid")
worker "it answers"
agree "with its sockets" "$pid"
[ "$said" -eq 1 ] || bad "a socket should be refused"
# The one that it listens at, and a pair for the master and each worker.
sockets_of "$pid"
interrupt "$dir/nginx.img" --inherit
says "3 tasks in 3 processes"
expect 0 "this is in the image" "$ckpt" inspect --summary "$dir/nginx.img"
hand_in "$dir/nginx.sock" "$dir/nginx.img"
worker "it answers again"
# The master tells them by way of those pairs.
kill -QUIT "$pid"
until_true test ! -d "/proc/$pid"
for worker in $workers; do
	until_true test ! -d "/proc/$worker"
done
same "it has nothing to complain of" "$dir/nginx.log" /dev/null
