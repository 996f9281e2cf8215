# An agent that works, commits, asks, listens, and keeps a journal of it all in the directory $1.
# Whatever it notes there it has done before.
journal="$1/$AO_SESSION_ID"
note() { printf '%s\n' "$*" >>"$journal"; }
note "started $$"
ao report active
n=0
half=''
while :; do
  # Never 0: with that it does not wait, and fails as if the terminal were gone.
  IFS= read -r -t "$((RANDOM % 2)).$((RANDOM % 9 + 1))" heard
  status=$?
  heard="$half$heard"
  # What stands there when the time is over is the first half of a line.
  half=''
  [ "$status" -gt 128 ] && half="$heard"
  if [ "$status" = 0 ]; then
    note "heard $heard"
    ao report active
    continue
  fi
  # More than 128: nothing was said in time. Else the terminal is gone.
  [ "$status" -gt 128 ] || exit 0
  n=$((n + 1))
  text="$AO_SESSION_ID $$ $n"
  printf '%s\n' "$text" >>work.txt && note "wrote $text"
  case $((RANDOM % 12)) in
    0 | 1) git add work.txt && git commit --quiet --message "$text" && note "committed $(git rev-parse HEAD)" ;;
    2) printf '%s\n' "$text" >>notes.local && note "ignored $text" ;;
    3) ao report idle ;;
    4) ao report waiting_input --message 'Which one?' ;;
    5) ao report active ;;
  esac
done
