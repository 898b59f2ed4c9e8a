"""The panel of a server with real Xen, in a real browser on its LAN. Started by Tests/PanelTests/run --lab, which XenLabTests calls."""

import argparse
import json
import os
import re
import subprocess
import sys

from browser import Browser, ended, fact, until

arguments = argparse.ArgumentParser()
arguments.add_argument("--https", required=True, help="the panel's address")
arguments.add_argument("--lab", required=True, help="the name of the lab that is shown and changed")
arguments.add_argument("--seat", required=True, help="a seat that shows a desktop")
arguments.add_argument("--memory", type=int, help="what each desktop is to have, in MiB; nothing is changed without it")
given = arguments.parse_args()
password = "correct horse battery"


def dom0(line):
    """What a shell's line prints on the server."""
    xen_lab = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Scripts/xen-lab")
    run = subprocess.run([xen_lab, "exec", "--", line], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, f"{line}: {run.stderr}"
    return run.stdout


def desktops():
    return [desktop for desktop in json.loads(dom0("punnet desktop list --json")) if desktop["name"].startswith(f"{given.lab}-")]


browser = Browser(f"https://{given.https}")


@fact
def the_code_of_the_console_makes_the_first_administrator():
    browser.open("/")
    # A second try finds the administrator of the first.
    if browser.path == "/first-start":
        browser.fill("code", re.search(r"code\s+([A-Z0-9]+(?:-[A-Z0-9]+)+)", dom0("cat /run/punnet/console")).group(1))
        browser.fill("again", password)
    browser.fill("name", "Ada")
    browser.fill("password", password)
    browser.press("main form button[type=submit]")
    assert browser.path.startswith("/?") or browser.path == "/", browser.path


@fact
def the_room_shows_who_is_in_it():
    browser.open(f"/?lab={given.lab}")
    until("the seat is in use", lambda: browser.find(f"main .seat.state-inUse #seat-{given.seat}"), 60)
    there = desktops()
    assert len(there) > 1, there
    until("all desktops are shown", lambda: len(browser.all("main .desktop")) == len(there))


@fact
def a_message_is_sent_to_the_seat():
    browser.tick(given.seat)
    browser.fill("text", "Five minutes left")
    browser.press("main button[value='message']")


if given.memory:
    @fact
    def memory_of_the_whole_lab_is_changed_and_xen_has_it():
        before = {desktop["name"]: desktop["generation"] for desktop in desktops()}
        browser.open(f"/labs/{given.lab}")
        browser.fill("memory", f"{given.memory} MiB")
        browser.press("main button[value='preview']")
        assert {desktop["name"]: desktop["generation"] for desktop in desktops()} == before, "a preview changes nothing"
        browser.press("main button[value='save']")
        # Who works goes on, until somebody ends it.
        browser.open(f"/?lab={given.lab}")
        browser.tick(given.seat)
        browser.press("main button[formaction='/panel/sessions/end']")
        wanted = given.memory << 20

        def followed():
            there = desktops()
            return all(d["state"] in ("ready", "leased") and d["memory"] == wanted and d["generation"] > before[d["name"]] for d in there) and there

        there = until("every desktop has it", followed, 900)
        # Of Xen: each one's domain may have that much, no more and no less.
        for desktop in there:
            name = f"{desktop['name']}-g{desktop['generation']}"
            most = int(dom0(f"xenstore-read /local/domain/$(xl domid {name})/memory/static-max"))
            assert most == given.memory << 10, f"{name} may have {most} KiB"
        browser.open("/desktops")
        until("the page tells of it", lambda: browser.text().count(f"{given.memory} MiB") >= len(there))


@fact
def the_console_of_the_browser_is_silent():
    assert browser.complaints() == []


sys.exit(ended())
