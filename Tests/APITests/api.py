"""The interface held to its description by Schemathesis. Started by Tests/APITests/run."""

import argparse
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as XML

import requests
import urllib3

arguments = argparse.ArgumentParser()
for option in ["room", "programs", "https"]:
    arguments.add_argument("--" + option, required=True)
given = arguments.parse_args()
site = f"https://{given.https}"
# The certificate is the appliance's own and names no loopback address. What the machine trusts otherwise would be asked all the same.
urllib3.disable_warnings()
for word in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"]:
    os.environ.pop(word, None)


def punnet(*words):
    """What `punnet` says to an administrator on the server, as JSON where it is."""
    run = subprocess.run(
        [f"{given.programs}/punnet", *words, "--socket", f"{given.room}/run/control.sock"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"punnet {words}: {run.stderr}"
    return json.loads(run.stdout) if "--json" in words else run.stdout


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def token():
    """A program's token that may change things, made in the panel as its first administrator makes one."""
    browser = requests.Session()
    browser.verify = False
    browser.headers["Sec-Fetch-Site"] = "same-origin"
    csrf = None

    def page(answer):
        nonlocal csrf
        assert answer.status_code < 400, f"{answer.url}: {answer.status_code} {answer.text[:400]}"
        csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text).group(1)
        return answer.text

    page(browser.get(f"{site}/first-start"))
    code = re.search(r"code\s+(\S+)", open(f"{given.room}/run/console").read()).group(1)
    password = "correct horse battery"
    page(browser.post(f"{site}/first-start", {"csrf": csrf, "code": code, "name": "Ada", "password": password, "again": password}))
    page(browser.get(f"{site}/settings"))
    shown = page(browser.post(f"{site}/panel/tokens/add", {"csrf": csrf, "name": "schemathesis", "scope": "change", "days": "1"}))
    return re.search(r'id="new-token" tabindex="0">([^<]+)<', shown).group(1)


def seat(name):
    """A seat that enrolled and has a session; gives the session's number."""
    word = punnet("seat", "add", name, "--lab", "room", "--json")["word"]
    own = requests.post(f"{site}/api/v1/seats/enrol", json={"word": word}, verify=False).json()["token"]
    claim = {"bootID": "11111111-2222-3333-4444-555555555555"}

    def claimed():
        return requests.post(f"{site}/api/v1/seat/claim", json=claim, headers={"Authorization": f"Bearer {own}"}, verify=False).json().get("session")

    return until("the seat has a desktop", claimed)


try:
    until("punnetd answers", lambda: subprocess.run(
        [f"{given.programs}/punnet", "status", "--socket", f"{given.room}/run/control.sock"], capture_output=True).returncode == 0)
except AssertionError:
    print(open(f"{given.room}/punnetd.log").read()[-2000:])
    raise
bearer = token()
headers = {"Authorization": f"Bearer {bearer}"}
# The first start takes in the image that came with the server.
until("there is an image", lambda: punnet("image", "list", "--json"))
punnet("lab", "create", "room", "--image", "simulated-desktop", "--size", "3", "--memory", "1GiB")
session = seat("pi-1")
punnet("lab", "create", "other", "--image", "simulated-desktop", "--size", "0")
punnet("seat", "add", "pi-2", "--lab", "room")
operation = requests.post(f"{site}/api/v1/images", json={"folder": f"{given.room}/image"}, headers=headers, verify=False).json()["id"]
punnet("operation", "watch", operation)

passed = failed = 0


def told(name, problem=None):
    global passed, failed
    passed, failed = passed + (problem is None), failed + (problem is not None)
    print(f"ok      {name}" if problem is None else f"FAILED  {name}: {problem}", flush=True)


def fact(function):
    """Runs a test, whose name is what holds."""
    try:
        function()
        told(function.__name__)
    except Exception as error:
        told(function.__name__, repr(error))


class Listener(threading.Thread):
    """A program that follows what changes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.answer = requests.get(f"{site}/api/v1/events", headers=headers, verify=False, stream=True, timeout=(10, 60))
        self.events = []
        self.start()

    def run(self):
        event = None
        while line := self.answer.raw.readline():
            word, _, value = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                event = value
            elif word == "data":
                self.events.append((event, json.loads(value)))


@fact
def ctrl_c_cancels_the_taking_in_of_an_image_and_programs_are_told():
    large = f"{given.room}/large"
    shutil.copytree(f"{given.room}/image", large)
    # Sparse, and minutes to read.
    os.truncate(f"{large}/disk", 500 << 30)
    listener = Listener()
    before = punnet("image", "list", "--json")
    add = subprocess.Popen(
        [f"{given.programs}/punnet", "image", "add", large, "--socket", f"{given.room}/run/control.sock"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    running = until("it is being taken in", lambda: punnet("operation", "list", "--state", "running", "--json"))[0]
    assert running["subject"] == large, running
    add.send_signal(signal.SIGINT)
    output, errors = add.communicate(timeout=60)
    assert add.returncode == 130, (add.returncode, output, errors)
    assert "Cancelling" in errors and "nothing of it is left" in errors, errors
    assert punnet("image", "list", "--json") == before
    assert running["id"] in [each["id"] for each in punnet("operation", "list", "--state", "cancelled", "--json")]
    until("a program is told", lambda: ("operation", "cancelled") in [(event, data.get("state")) for event, data in listener.events])
    # Nothing of it hinders the next.
    shutil.rmtree(large)
    punnet("image", "add", f"{given.room}/image")


@fact
def a_program_cancels_what_it_began_and_begins_it_once_under_one_key():
    large = f"{given.room}/large"
    shutil.copytree(f"{given.room}/image", large)
    os.truncate(f"{large}/disk", 500 << 30)
    keyed = {**headers, "Idempotency-Key": "take-in-once"}
    first, again = [requests.post(f"{site}/api/v1/images", json={"folder": large}, headers=keyed, verify=False) for _ in range(2)]
    assert first.status_code == again.status_code == 202 and first.json()["id"] == again.json()["id"], (first.text, again.text)
    asked = requests.post(f"{site}{first.headers['Location']}/cancel", headers=headers, verify=False)
    assert asked.status_code == 200, asked.text
    over = requests.get(f"{site}{first.headers['Location']}", params={"wait": 30, "after": asked.json()["revision"]}, headers=headers, verify=False)
    assert over.json()["state"] == "cancelled", over.text
    shutil.rmtree(large)


def stranger():
    """A seat that asks to join until somebody has decided about it; gives its PIN."""
    drawn = secrets.token_hex(32)
    commitment = hashlib.sha256(drawn.encode()).hexdigest()
    asked = requests.post(f"{site}/api/v1/join", json={"commitment": commitment, "model": "Pi", "version": "1"}, verify=False)
    assert asked.status_code == 201, asked.text

    def wait():
        while requests.post(f"{site}/api/v1/join/decision", json={"drawn": drawn}, verify=False, timeout=60).status_code == 202:
            pass

    threading.Thread(target=wait, daemon=True).start()
    return asked.json()["pin"]


report = f"{given.room}/junit.xml"
known = {"labs": ["room", "other"], "seats": ["pi-1", "pi-2"], "desktops": ["room-1", "room-2"], "sessions": [session], "operations": [operation],
         "joins": [stranger() for _ in range(3)], "images": ["simulated-desktop-1", "simulated-desktop"], "folders": [f"{given.room}/image"]}
checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance"]
run = subprocess.run(
    [sys.executable, "-m", "schemathesis.cli", "run", f"{site}/api/v1/openapi.json", "--tls-verify", "false", "--header", f"Authorization: Bearer {bearer}",
     "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1", "--generation-database", "none",
     "--request-timeout", "40", "--exclude-path", "/api/v1/events", "--continue-on-failure",
     "--report", "junit", "--report-junit-path", report, "--no-color"],
    env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": f"{os.path.dirname(os.path.abspath(__file__))}:{os.environ['PYTHONPATH']}",
         "PUNNET_KNOWN": json.dumps(known)},
    cwd=given.room, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for case in XML.parse(report).getroot().iter("testcase"):
    wrong = case.find("failure") is not None or case.find("error") is not None
    told(case.get("name"), "Schemathesis says so below" if wrong else None)
if failed or run.returncode:
    print(run.stdout)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or run.returncode or not passed else 0)
