#!/bin/sh
# One session of the desktop: xrdp-sesman starts it, and its end is the log-off.
export LANG=C.UTF-8
unset SESSION_MANAGER
cd "$HOME" || exit 1

# Nothing saves or locks the screen.
xset s off -dpms

# The host's name stands in the task bar, as the name of the one workspace; the desktop's colour is behind everything.
mkdir -p "$HOME/.icewm"
cat >"$HOME/.icewm/preferences" <<PREFERENCES
WorkspaceNames=" $(hostname) "
DesktopBackgroundColor="$(punnet-desktop-colour)"
DesktopBackgroundImage=""
PREFERENCES
exec icewm-session --nosound
