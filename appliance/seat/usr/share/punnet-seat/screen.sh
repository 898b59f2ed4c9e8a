# shellcheck shell=sh disable=SC2154,SC2034
# The screen of a seat, for punnet-seat: a terminal that says what is happening, in the seat's language.

language=${LC_ALL:-${LC_MESSAGES:-${LANG:-en}}}

# open_screen [large]: a terminal that fills the screen, under the desktop's window. It tells the loop its tty; the loop writes there, and reads keys
# from there.
open_screen() {
    screen='' terminal=''
    if [ -z "${DISPLAY-}" ] || ! command -v xterm >/dev/null; then
        if [ -t 2 ]; then screen=$(tty <&2); fi
        return
    fi
    # shellcheck disable=SC2016
    (with_parent xterm -maximized -bw 0 -b 0 +sb -u8 -T Punnet -bg '#17313e' -fg '#f2f5f3' -fa "$(text "${1:+$1_}font")" \
        -xrm 'XTerm*pointerMode: 3' -xrm 'XTerm*scaleHeight: 1.3' \
        -e sh -c 'stty -echo -icanon; echo "screen $(tty)" >"$0/events"; exec sleep infinity' "$run") >/dev/null 2>&1 &
    terminal=$!
}

# text KEY [VALUE…]: the text in the seat's language, lines parted by |.
text() {
    case $language in ko*) catalogue=$share/messages.ko ;; *) catalogue=$share/messages.en ;; esac
    format=$(sed -n "s/^$1=//p" "$catalogue" | head -n 1)
    [ -n "$format" ] || format="$1: %s"
    shift
    # shellcheck disable=SC2059
    printf "$format" "$@"
}

# show KEY [VALUE…]: says it on the screen, with the notice below it where a desktop is still to come, and in the log.
show() {
    body=$(text "$@")
    notice=''
    case $1 in
        looking | waiting) notice=$(text notice) ;;
        starting) notice="$(text notice)||$(text press_key)" ;;
    esac
    [ -z "$notice" ] || [ "$noticed_at" -gt 0 ] || noticed_at=$(date +%s)
    [ "$body" = "${last_body-}" ] || log "$(printf '%s' "$body" | tr '|' ' ')"
    last_body=$body
    draw
}

draw() {
    [ -n "$screen" ] || return 0
    size=$(stty size <"$screen" 2>/dev/null) || { screen=''; return 0; }
    columns=${size#* }
    {
        printf '\033[?25l\033[H\033[2J\033[%d;1H' $((${size% *} / 3 - 2))
        printf '\033[38;5;209m'; centre Punnet; printf '\033[0m\n\033[1m'
        printf '%s\n' "$body" | tr '|' '\n' | while IFS= read -r line; do centre "$line"; printf '\033[0m'; done
        printf '\n\033[38;5;223m'
        printf '%s\n' "$notice" | tr '|' '\n' | while IFS= read -r line; do centre "$line"; done
        printf '\033[0m'
    } >"$screen" 2>/dev/null || screen=''
}

# show_over SECONDS TEXT [large]: says it over whatever is on the screen, for so long, and in the place of what was said so before. A band at the
# top, or the whole screen. Windows that come later lie above: there is no window manager.
show_over() {
    stop "$over"
    over=''
    if [ -z "${DISPLAY-}" ] || ! command -v xterm >/dev/null; then log "$2"; return; fi
    columns=80
    [ -z "$screen" ] || { size=$(stty size <"$screen" 2>/dev/null) && columns=${size#* }; }
    shape="-geometry ${columns}x7+0+0"
    [ "${3-}" != large ] || shape=-maximized
    printf '%s\n' "$2" >"$run/over"
    # shellcheck disable=SC2016,SC2086
    (with_parent timeout "$1" xterm $shape -bw 0 -b 8 +sb -u8 -T 'Punnet message' -bg '#a3154b' -fg '#ffffff' -fa "$(text font)" -xrm 'XTerm*pointerMode: 3' \
        -e sh -c '. "$0"; columns=$(stty size); rows=${columns% *} columns=${columns#* }; stty -echo; printf "\033[?25l\033[%d;1H\033[1m" $((rows / 3));
            centre "$(cat "$1")"; exec sleep infinity' "$share/screen.sh" "$run/over") >/dev/null 2>&1 &
    over=$!
}

centre() {
    width=$(printf '%s\n' "$1" | wc -L)
    if [ "$width" -le "$columns" ]; then
        printf '%*s%s\n' $(((columns - width) / 2)) '' "$1"
    else
        printf '%s\n' "$1" | fmt -s -w "$columns"
    fi
}
