"""The panel in a real browser, from the first start to a room at work. Started by Tests/PanelTests/run."""

import argparse
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time

from axe_core_python.selenium import Axe
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import browser as chromium
from browser import ended, fact, failures, figure, until

arguments = argparse.ArgumentParser()
for option in ["room", "programs", "https", "pictures"]:
    arguments.add_argument("--" + option)
arguments.add_argument("--large", action="store_true")
given = arguments.parse_args()
site = f"https://{given.https}"
Browser = functools.partial(chromium.Browser, site)


# --- the room behind the panel


def punnet(*words):
    """What `punnet` says to an administrator on the server, as JSON where it is."""
    run = subprocess.run(
        [f"{given.programs}/punnet", *words, "--socket", f"{given.room}/run/control.sock"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"punnet {words}: {run.stderr}"
    return json.loads(run.stdout) if "--json" in words else run.stdout


class Seat:
    """A Raspberry Pi, as far as punnetd sees it: curl with a token, and an open stream of events."""

    def __init__(self, line):
        word = re.search(r"enrol \S+ (\S+) --pin", line).group(1)
        self.token = self.ask("seats/enrol", {"word": word}, token=None)["token"]
        self.lease = None
        self.on()

    def on(self, file="/dev/null"):
        """Switches it on; what it is told goes to the file."""
        self.stream = subprocess.Popen(
            ["curl", "-skN", "-H", f"Authorization: Bearer {self.token}", f"{site}/api/v1/seat/events"], stdout=open(file, "w"))

    def ask(self, path, body, token=True):
        header = ["-H", f"Authorization: Bearer {self.token}"] if token else []
        run = subprocess.run(
            ["curl", "-sk", *header, "-d", json.dumps(body), f"{site}/api/v1/{path}"], capture_output=True, text=True, timeout=30)
        return json.loads(run.stdout) if run.stdout else {}

    def claim(self):
        self.lease = self.ask("seat/claim", {"bootID": "11111111-2222-3333-4444-555555555555"})
        return self.lease

    def leave(self):
        self.ask(f"seat/sessions/{self.lease['session']}/end", {"reason": "log-off"})
        self.lease = None

    def off(self):
        self.stream.kill()
        self.stream.wait()


until("punnetd answers", lambda: subprocess.run(
    [f"{given.programs}/punnet", "status", "--socket", f"{given.room}/run/control.sock"], capture_output=True).returncode == 0)
browser = Browser()
seats = {}
password = "correct horse battery"


def pictured():
    """Browsers of both languages and widths, one after the other, each with its width and the end of its pictures' names."""
    for language in ["en", "ko"]:
        for width in [360, 1440]:
            shown = Browser(language, width)
            try:
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
                shown.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                yield shown, width, f"{language}-{width}.png"
            finally:
                shown.close()


def picture(shown, file, width):
    height = min(2400, max(740, shown.driver.execute_script("return document.documentElement.scrollHeight")))
    shown.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
    time.sleep(0.2)
    shown.driver.save_screenshot(file)
    # The next page is measured anew.
    shown.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 500})


if given.pictures:
    os.makedirs(given.pictures, exist_ok=True)
    for former in os.listdir(given.pictures):
        if former.endswith(".png"):
            os.remove(f"{given.pictures}/{former}")
    for shown, width, end in pictured():
        shown.open("/first-start")
        picture(shown, f"{given.pictures}/first-start-{end}", width)


@fact
def the_first_page_asks_for_the_code_of_the_console():
    browser.open("/")
    assert browser.path == "/first-start", browser.path
    code = re.search(r"code\s+(\S+)", open(f"{given.room}/run/console").read()).group(1)
    browser.fill("code", code)
    browser.fill("name", "Ada")
    browser.fill("password", password)
    browser.fill("again", password)
    browser.press("main form button[type=submit]")
    assert browser.path == "/", browser.path
    assert not os.path.exists(f"{given.room}/run/console")


@fact
def the_image_that_came_with_the_server_is_there():
    # The page follows its taking in without a reload.
    until("a lab can be made", lambda: browser.find("main a[href='/labs/new']"))


@fact
def the_next_step_leads_to_a_lab():
    browser.press("main a[href='/labs/new']")
    browser.fill("name", "room")
    browser.fill("memory", "1 GiB")
    browser.fill("size", "6")
    browser.press("main button[value='save']")
    assert browser.path.startswith("/?lab=room"), browser.path


@fact
def the_room_fills_before_ones_eyes():
    page = browser.find("html").id
    until("all six are ready", lambda: len(browser.all("main .state-ready")) >= 6, 120)
    assert browser.find("html").id == page, "without a reload"


@fact
def then_to_a_seat_which_is_told_what_to_type():
    browser.fill("name", "pi-1")
    browser.press("main form[action='/seats/new'] button[type=submit]")
    line = until("the line", lambda: re.search(r"punnet-seat enrol \S+ \S+ --pin \S+", browser.text())).group(0)
    seats["pi-1"] = Seat(line)
    browser.press("header a.brand")
    until("the seat is on", lambda: browser.find("main .seat.state-idle"))
    figure("from the first start to the first desktop", f"{browser.pages} pages, {browser.inputs} inputs")


@fact
def a_claim_and_an_end_are_seen_without_a_reload():
    page = browser.find("html").id
    times = []
    for _ in range(5):
        began = time.monotonic()
        seats["pi-1"].claim()
        claimed = time.monotonic()
        # Nobody is linked to the relay: the desktop is the seat's, and its link is lost.
        until("the seat has its desktop", lambda: browser.all("main .seat.state-lost, main .seat.state-inUse"))
        times.append(time.monotonic() - claimed)
        seats["pi-1"].leave()
        until("it has none", lambda: browser.all("main .seat.state-idle"))
        until("all are ready again", lambda: len(browser.all("main .desktop.state-ready")) >= 6, 120)
    assert browser.find("html").id == page
    figure("from the answer to a claim until the page shows it", f"{sorted(times)[2] * 1000:.0f} ms, the middle of five")


@fact
def whoever_watches_is_told_how_busy_the_processors_are():
    page = browser.find("html").id
    until("the gauge of the processors", lambda: re.fullmatch(r"\d+ % of \d+ busy", browser.text("main #gauge-processors + .gauge-value")))
    assert browser.find("html").id == page, "without a reload"


@fact
def an_administrator_ends_a_session_on_the_plan():
    seats["pi-1"].claim()
    until("it can be ended", lambda: browser.all("main .seat.state-lost input[name='seat'], main .seat.state-inUse input[name='seat']"))
    browser.tick("pi-1")
    browser.press("main button[formaction='/panel/sessions/end']")
    until("the session has ended", lambda: punnet("session", "list", "--json") == [])
    seats["pi-1"].lease = None


@fact
def a_blocked_seat_loses_its_session_and_one_that_is_moved_too():
    seats["pi-1"].claim()
    browser.open("/seats/pi-1")
    browser.press("main form[action='/panel/seats/pi-1/block'] button[type=submit]")
    until("its session has ended", lambda: punnet("session", "list", "--json") == [])
    assert "seat-blocked" in seats["pi-1"].claim().get("type", ""), seats["pi-1"].lease
    browser.press("main form[action='/panel/seats/pi-1/unblock'] button[type=submit]")
    assert seats["pi-1"].claim()["state"] == "leased"
    punnet("lab", "create", "other", "--image", "simulated-desktop", "--size", "0", "--memory", "512MiB", "--vcpus", "1")
    browser.open("/seats/pi-1")
    browser.fill("lab", "other", counts=False)
    browser.press("main form[action='/panel/seats/pi-1/lab'] button[type=submit]")
    until("its session has ended too", lambda: punnet("session", "list", "--json") == [])
    assert seats["pi-1"].claim().get("type", "").endswith("no-desktops"), seats["pi-1"].lease
    punnet("seat", "set", "pi-1", "--lab", "room")
    punnet("lab", "delete", "other")
    seats["pi-1"].lease = None
    browser.open("/")


@fact
def seats_are_told_what_the_room_wants():
    said = f"{given.room}/pi-1.events"
    seats["pi-1"].off()
    seats["pi-1"].on(said)
    browser.open("/")
    until("it is on", lambda: browser.all("main input[name='seat'][value='pi-1']"))
    browser.tick("pi-1")
    browser.fill("text", "Save your work <now> & leave")
    browser.press("main button[value='message']")
    until("it is told", lambda: '"text":"Save your work <now> & leave"' in open(said).read())
    for order in ["identify", "restart", "shut-down"]:
        browser.tick("pi-1")
        browser.press(f"main button[value='{order}']")
        until(f"{order} is told", lambda: f"event: {order}" in open(said).read())
    seats["pi-1"].off()
    # It may take the server a moment to see that a seat is gone: until then the order is told to nobody and said to be.
    until("it is off", lambda: not punnet("seat", "list", "--json")[0]["present"], 60)
    browser.open("/")
    assert not browser.all("main input[name='seat'][value='pi-1']")
    seats["pi-1"].on()
    until("it is on again", lambda: browser.all("main .seat.state-idle"))


@fact
def a_seat_that_shows_its_pin_is_accepted_where_the_words_are_the_same():
    browser.open("/seats")
    page = browser.find("html").id
    tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../appliance/seat/usr")
    surroundings = {"PUNNET_SEAT_SHARE": f"{tree}/share/punnet-seat", "PUNNET_SEAT_STATE": f"{given.room}/joining", "XDG_RUNTIME_DIR": given.room}
    with open(f"{given.room}/joining.log", "w") as said:
        joining = subprocess.Popen([f"{tree}/bin/punnet-seat", "join", given.https], env={**os.environ, **surroundings}, stdin=subprocess.DEVNULL,
                                   stdout=said, stderr=said)
    try:
        shown = until("the seat shows its PIN", lambda: re.search(r"(\d{6}) (\w+ \w+ \w+ \w+) ", open(f"{given.room}/joining.log").read()))
        until("so does the panel", lambda: browser.all("main .join-pin"))
        assert browser.find("html").id == page, "without a reload"
        assert browser.text("main .join-pin") == shown.group(1)
        assert browser.text("main .join-words") == shown.group(2)
        found = [v["id"] for v in Axe().run(browser.driver)["violations"] if v["impact"] in ("serious", "critical")]
        assert not found, found
        browser.fill("name", "pi-2")
        browser.fill("lab", "room")
        browser.press(f"main form[action='/panel/joins/{shown.group(1)}/accept'] button.primary")
        assert joining.wait(30) == 0, open(f"{given.room}/joining.log").read()
    finally:
        joining.kill()
        joining.wait()
    until("the panel tells of it", lambda: browser.find("main #seat-pi-2"))
    assert not browser.all("main .join-pin")
    assert [seat["enrolled"] for seat in punnet("seat", "list", "--json") if seat["name"] == "pi-2"] == [True]
    punnet("seat", "remove", "pi-2")


@fact
def memory_of_a_whole_lab_is_changed_and_every_desktop_follows():
    before = {desktop["name"]: desktop["generation"] for desktop in punnet("desktop", "list", "--json")}
    browser.open("/labs/room")
    browser.fill("memory", "2 GiB")
    browser.press("main button[value='preview']")
    told = browser.text()
    assert "6" in told, told
    assert {desktop["name"]: desktop["generation"] for desktop in punnet("desktop", "list", "--json")} == before, "a preview changes nothing"
    browser.press("main button[value='save']")

    def followed():
        desktops = punnet("desktop", "list", "--json")
        return all(d["state"] == "ready" and d["memory"] == 2 << 30 and d["generation"] > before[d["name"]] for d in desktops)

    until("every desktop has it", followed, 120)
    browser.open("/desktops")
    until("the page tells of it", lambda: browser.text().count("2 GiB") >= 6)


@fact
def what_is_not_possible_comes_back_with_what_was_typed():
    browser.open("/labs/room")
    browser.fill("size", "200")
    browser.fill("memory", "64 GiB")
    browser.press("main button[value='save']")
    assert browser.find("[role=alert]").text
    assert browser.find("main [name='memory']").get_attribute("value") == "64 GiB"


@fact
def a_desktop_says_why_it_is_as_it_is():
    browser.open("/desktops/room-1")
    assert "room-1" in browser.text("h1")
    browser.press("main form[action='/desktops/room-1/remake'] button[type=submit]")
    until("it is made anew", lambda: punnet("desktop", "list", "--json")[0]["generation"] > 2 and browser.find("main .state-ready"), 60)


@fact
def a_desktop_is_put_in_quarantine_and_released():
    browser.open("/desktops/room-1")
    browser.press("main form[action='/desktops/room-1/quarantine'] button[type=submit]")
    until("the page says so", lambda: browser.find("main .state-quarantined"))
    browser.press("main form[action='/desktops/room-1/release'] button[type=submit]")
    until("it is ready", lambda: browser.find("main .state-ready"), 60)


@fact
def an_image_is_noted_and_cannot_be_deleted_while_a_lab_has_it():
    browser.open("/images/simulated-desktop-1")
    browser.fill("notes", "With Scratch, for the sixth grade")
    browser.press("main form[action='/images/simulated-desktop-1'] button[type=submit]")
    assert browser.find("main [name='notes']").get_attribute("value") == "With Scratch, for the sixth grade"
    assert "room" in browser.text() and not browser.all("main form[action$='/delete']")


@fact
def a_seat_is_moved_on_the_plan_with_the_keyboard():
    browser.open("/?arrange=1")
    seat = until("the plan", lambda: browser.find("main .seat[data-name='pi-1'], main [data-seat='pi-1']"))
    browser.driver.execute_script("arguments[0].focus()", seat)
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)

    def moved():
        browser.open("/seats/pi-1")
        return (browser.find("[name=column]").get_attribute("value"), browser.find("[name=row]").get_attribute("value")) == ("2", "2")

    until("it stands there", moved, 20)


@fact
def a_teacher_may_not_do_what_only_an_administrator_may():
    browser.open("/settings")
    browser.fill("name", "Tom")
    browser.fill("password", "another horse")
    roles = browser.all("main [name='role']")
    if roles[0].tag_name == "select":
        browser.fill("role", "teacher")
    else:
        browser.find("main [name='role'][value='teacher']").click()
    browser.tick("room")
    browser.press("main form[action='/panel/people/add'] button[type=submit]")
    global teacher
    teacher = Browser()
    try:
        teacher.open("/")
        assert teacher.path.startswith("/sign-in"), teacher.path
        teacher.fill("name", "Tom")
        teacher.fill("password", "another horse")
        teacher.press("main form button[type=submit]")
        assert "pi-1" in teacher.text()
        assert not teacher.all("nav a[href='/journal'], nav a[href='/images'], main a[href='/labs/new']")
        for path in ["/journal", "/images", "/labs/room", "/seats/new"]:
            teacher.open(path)
            assert "/journal" not in teacher.text("body") and not teacher.all("main form[action]"), path
        assert all("403" in complaint for complaint in teacher.complaints())
    finally:
        teacher.close()


@fact
def the_panel_speaks_korean_where_the_browser_does_and_where_one_chooses_it():
    other = Browser("ko")
    try:
        other.open("/sign-in")
        assert other.find("html").get_attribute("lang") == "ko"
        assert re.search("[가-힣]{2}", other.text())
    finally:
        other.close()
    browser.open("/")
    browser.press("form[action='/panel/language'] button[value='ko']")
    assert browser.find("html").get_attribute("lang") == "ko" and re.search("[가-힣]{2}", browser.text("nav"))
    browser.press("form[action='/panel/language'] button[value='en']")


def english(text):
    """Where a text has three English words after one another."""
    return re.findall(r"[A-Za-z]+(?: [A-Za-z]+){2,}", text)


@fact
def in_korean_a_desktop_says_why_and_a_form_is_refused_in_korean():
    browser.open("/")
    browser.press("form[action='/panel/language'] button[value='ko']")
    try:
        browser.open("/desktops/room-1")
        seen = set()

        def read():
            state = re.search("state-([a-z]+)", browser.find("main .heading [class*='state-']").get_attribute("class"))[1]
            assert not english(browser.text()), browser.text()
            if state == "ready" and "preparing" not in seen:
                browser.press("main form[action='/desktops/room-1/remake'] button[type=submit]")
            seen.add(state)
            return state == "ready" and "preparing" in seen

        until("it is made before one's eyes, and ready", read, 120)
        for field, value in [("memory", "much"), ("memory", "999 GiB"), ("size", "9000")]:
            browser.open("/labs/room")
            browser.fill(field, value)
            browser.press("main button[value='save']")
            told = browser.text("[role=alert]")
            assert re.search("[가-힣]{2}", told) and not english(told), told
        browser.open("/desktops/room-1")
        browser.fill("memory", "3 GiB")
        browser.press("main button[value='preview']")
        told = browser.text(".means")
        assert re.search("[가-힣]{2}", told) and not english(told), told
    finally:
        browser.open("/")
        browser.press("form[action='/panel/language'] button[value='en']")


@fact
def prometheus_understands_what_a_program_reads():
    browser.open("/settings")
    browser.unfold(browser.find("form[action='/panel/tokens/add'] button"))
    form = browser.find("form[action='/panel/tokens/add']")
    form.find_element(By.NAME, "name").send_keys("prometheus")
    browser.press("form[action='/panel/tokens/add'] button[type=submit]")
    token = browser.text("#new-token")
    read = subprocess.run(
        ["curl", "-sk", "-H", f"Authorization: Bearer {token}", f"{site}/api/v1/metrics"], capture_output=True, text=True, timeout=30)
    assert "punnet_generations_total" in read.stdout, read.stdout
    checked = subprocess.run([os.environ["PROMTOOL"], "check", "metrics"], input=read.stdout, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


pages = ["/", "/?arrange=1", "/labs", "/labs/new", "/labs/room", "/desktops", "/desktops/room-1", "/images", "/images/simulated-desktop-1", "/seats", "/seats/new", "/seats/pi-1",
         "/sessions", "/figures", "/journal", "/settings", "/api", "/nowhere"]


@fact
def no_page_has_what_axe_finds_serious():
    found = []
    for path in pages:
        browser.open(path)
        result = Axe().run(browser.driver)
        found += [f"{path}: {v['id']} ({v['impact']}): {[n['html'][:120] for n in v['nodes']][:3]}"
                  for v in result["violations"] if v["impact"] in ("serious", "critical")]
    assert not found, "\n".join(found)


@fact
def no_page_is_wider_than_a_phone():
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True})
    try:
        for path in pages:
            browser.open(path)
            width = browser.driver.execute_script("return document.documentElement.scrollWidth")
            wide = "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 360).map(e => e.outerHTML.slice(0, 80))"
            assert width <= 360, f"{path} is {width} pixels wide: {browser.driver.execute_script(wide)[:6]}"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@fact
def nothing_comes_from_another_host_and_the_console_is_silent():
    browser.complaints()
    for path in pages[:-1]:
        browser.open(path)
        assert all(name.startswith(site) for name in browser.requests()), browser.requests()
        assert not browser.complaints(), path


@fact
def a_page_that_stays_open_does_not_grow():
    browser.open("/")

    def held():
        browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {m["name"]: m["value"] for m in metrics if m["name"] in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}

    browser.driver.execute_cdp_cmd("Performance.enable", {})

    def count(selector):
        # As a number: an element that a driver was given is held for it.
        return browser.driver.execute_script("return document.querySelectorAll(arguments[0]).length", selector)

    def stir(rounds):
        for _ in range(rounds):
            seats["pi-1"].claim()
            until("a desktop", lambda: count("main .seat.state-lost"))
            seats["pi-1"].leave()
            until("none", lambda: count("main .seat.state-idle"))
            until("all ready", lambda: count("main .desktop.state-ready") >= 6, 120)
        return held()

    first = stir(5)
    last = stir(25)
    figure("a page open through the claims and ends of an hour's lesson, 30 each", f"{first} after 5, {last} after all")
    assert last["JSEventListeners"] <= first["JSEventListeners"] * 1.1 + 5
    assert last["Nodes"] <= first["Nodes"] * 1.3 + 200
    assert last["JSHeapUsedSize"] <= first["JSHeapUsedSize"] * 1.5 + 1_000_000


@fact
def a_page_goes_on_after_punnetd_was_killed():
    browser.open("/")
    page = browser.find("html").id
    with open(f"{given.room}/punnetd.pid") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    until("the page says that it does not follow the room", lambda: browser.find("[data-not-live]").is_displayed())
    with open(f"{given.room}/punnetd.log", "a") as log:
        again = subprocess.Popen(
            [f"{given.programs}/punnetd", "--config", f"{given.room}/punnet.yaml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
    with open(f"{given.room}/punnetd.pid", "w") as file:
        file.write(str(again.pid))
    until("it follows the room again", lambda: not browser.find("[data-not-live]").is_displayed(), 60)
    until("all are ready again", lambda: len(browser.all("main .desktop.state-ready")) >= 6, 120)
    seats["pi-1"].off()
    seats["pi-1"].on()
    until("the seat is on again", lambda: browser.all("main .seat.state-idle"))
    assert browser.find("html").id == page, "without a reload"
    browser.complaints()


@fact
def signing_out_ends_it():
    browser.open("/")
    browser.press("form[action='/sign-out'] button")
    assert browser.path.startswith("/sign-in")
    browser.open("/labs")
    assert browser.path.startswith("/sign-in")


def come_and_go(lab, count, stay, stay_most):
    """Seats of a lab that claim desktops and leave them, as processes of their own; ended by `terminate`."""
    return subprocess.Popen(
        [f"{given.programs}/punnet-bench", "seats", "--socket", f"{given.room}/run/control.sock", "--https", given.https, "--lab", lab,
         "--seats", str(count), "--stay", str(stay), "--stay-most", str(stay_most), "--rest", "15", "--seed", "7"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sessions_so_far():
    """The number of the last session."""
    return max([session["id"] for session in punnet("session", "list", "--all", "--json")], default=0)


def a_room_of_two_hundred_desktops_and_sixty_seats_is_followed():
    punnet("lab", "set", "room", "--memory", "256MiB", "--size", "200")
    shown = Browser()
    shown.open("/sign-in")
    shown.fill("name", "Ada")
    shown.fill("password", password)
    shown.press("main form button[type=submit]")

    def count(selector):
        return shown.driver.execute_script("return document.querySelectorAll(arguments[0]).length", selector)

    pupils = None
    try:
        until("two hundred desktops are ready", lambda: count("main .desktop.state-ready") >= 200, 900)
        pupils = come_and_go("room", 59, 20, 60)
        until("most of the class is there", lambda: count("main .seat.state-inUse, main .seat.state-lost") >= 40, 120)
        cookie = "; ".join(f"{c['name']}={c['value']}" for c in shown.driver.get_cookies())
        took = []
        for _ in range(30):
            answer = subprocess.run(
                ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code} %{time_pretransfer} %{time_total}", "-b", cookie, site + "/"],
                capture_output=True, text=True, timeout=30, check=True).stdout.split()
            assert answer[0] == "200", answer
            took.append((float(answer[2]) - float(answer[1])) * 1000)
        figure("the room's page of 200 desktops and 60 seats, from the request to its last byte",
               f"{sorted(took)[15]:.0f} ms, the middle of 30; {sorted(took)[0]:.0f} ms at best")
        times = []
        for _ in range(10):
            seats["pi-1"].claim()
            claimed = time.monotonic()
            until("the seat has its desktop", lambda: count("#seat-pi-1") and shown.driver.execute_script(
                "return document.querySelector('#seat-pi-1').closest('.seat').matches('.state-lost, .state-inUse')"))
            times.append((time.monotonic() - claimed) * 1000)
            seats["pi-1"].leave()
            until("it has none", lambda: shown.driver.execute_script(
                "return document.querySelector('#seat-pi-1').closest('.seat').matches('.state-idle')"))
        figure("from the answer to a claim until that page shows it", f"{sorted(times)[5]:.0f} ms, the middle of ten")

        def held():
            """What the page holds between two of its fetches, each of which holds a second page for a moment: the least of ten looks."""
            looks = []
            for _ in range(10):
                shown.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
                metrics = shown.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
                looks.append({m["name"]: m["value"] for m in metrics if m["name"] in ("Nodes", "JSEventListeners", "JSHeapUsedSize")})
                time.sleep(0.13)
            return {name: min(look[name] for look in looks) for name in looks[0]}

        shown.driver.execute_cdp_cmd("Performance.enable", {})
        first, began = held(), sessions_so_far()
        # As many as sit down in an hour in which sixty seats change hands three times.
        until("an hour's sessions", lambda: sessions_so_far() - began >= 180, 900)
        last = held()
        figure("that page, open through the sessions of an hour", f"{first} before, {last} after {sessions_so_far() - began} sessions")
        assert last["JSEventListeners"] <= first["JSEventListeners"] * 1.1 + 5
        assert last["Nodes"] <= first["Nodes"] * 1.3 + 500
        assert last["JSHeapUsedSize"] <= first["JSHeapUsedSize"] * 1.5 + 2_000_000
    finally:
        if pupils:
            pupils.terminate()
            pupils.wait()
        shown.close()


def furnish():
    """A class at work: pupils who come and go, a second lab, and a desktop with hardware of its own. Gives the process of the seats."""
    punnet("lab", "set", "room", "--memory", "1GiB", "--size", "32")
    punnet("lab", "create", "staff", "--image", "simulated-desktop", "--size", "4", "--memory", "2GiB", "--vcpus", "2")
    punnet("desktop", "set", "room-2", "--memory", "3GiB", "--vcpus", "2")
    until("the room is filled", lambda: sum(d["state"] == "ready" for d in punnet("desktop", "list", "--json")) >= 28, 300)
    pupils = come_and_go("room", 29, 60, 240)
    until("most of the class is there", lambda: sum(d["state"] == "leased" for d in punnet("desktop", "list", "--json")) >= 19, 120)
    return pupils


def take_pictures(folder):
    """Every page, in both languages and two widths; the room in the dark as well."""
    for shown, width, end in pictured():
        shown.open("/sign-in")
        picture(shown, f"{folder}/sign-in-{end}", width)
        shown.fill("name", "Ada")
        shown.fill("password", password)
        shown.press("main form button[type=submit]")
        for path in pages[:-1]:
            shown.open(path)
            if path == "/":
                until("the processors were looked at", lambda: shown.find("main #gauge-processors"))
            name = re.sub("[^a-z0-9]+", "-", path).strip("-") or "room"
            picture(shown, f"{folder}/{name}-{end}", width)
        if width == 1440:
            shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
            shown.open("/")
            picture(shown, f"{folder}/room-dark-{end}", width)


try:
    if given.large:
        fact(a_room_of_two_hundred_desktops_and_sixty_seats_is_followed)
    elif given.pictures and not failures():
        pupils = furnish()
        try:
            take_pictures(given.pictures)
        finally:
            pupils.terminate()
            pupils.wait()
finally:
    for seat in seats.values():
        seat.off()
sys.exit(ended())
