# An agent that does nothing but listen: it notes what it hears in the directory $1, and reports it
# if that is an activity.
ao report active
while IFS= read -r heard; do
  printf 'heard %s\n' "$heard" >>"$1/$AO_SESSION_ID"
  case "$heard" in
    waiting_input | idle | active) ao report "$heard" ;;
  esac
done
