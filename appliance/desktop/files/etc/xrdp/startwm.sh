#!/bin/sh
# One session of the desktop: xrdp-sesman starts it, and its end is the log-off.
export LANG=C.UTF-8 XENVIRONMENT=/usr/lib/punnet-desktop/x-resources
cd "$HOME" || exit 1

# X knows its cookie by the host's name, which changes when a clone gets its own: programs started afterwards are let in as this user's.
xhost +si:localuser:"$(id -un)" >/dev/null

# The desktop's own colour is behind everything, and nothing saves or locks the screen.
xsetroot -solid "$(punnet-desktop-colour)" -cursor_name left_ptr
xset s off -dpms

# The host's name stands in the task bar, as the name of the one workspace.
mkdir -p "$HOME/.icewm"
{
    cat /usr/lib/punnet-desktop/icewm-preferences
    printf 'WorkspaceNames=" %s "\n' "$(hostname)"
} >"$HOME/.icewm/prefoverride"
exec icewm-session --nobg --notray
